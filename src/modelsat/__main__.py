"""`python -m modelsat` is `modelsat`."""

from modelsat.cli.main import app

app(prog_name="modelsat")

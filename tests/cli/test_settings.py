from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
import typer
from pydantic import ConfigDict, Field
from typer.testing import CliRunner

from modelsat.cli.output import CommandGroup
from modelsat.cli.settings import RecipeOption, SetOption, read_settings, settings_command
from modelsat.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Oven:
    """An oven.

    Attributes:
        degrees: Celsius.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    degrees: Annotated[int, Field(le=300)] = 180


@dataclass(frozen=True, kw_only=True)
class Cake:
    """A cake.

    Attributes:
        flour: Kind of flour,
            whatever is there.
        eggs: Number of eggs.
        spices: In any order.
        oven: The oven.
        vegan: Without eggs.
        extra: Anything else.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    flour: str = "rye"
    eggs: Annotated[int, Field(ge=0)] | None = None
    spices: tuple[str, ...] = ()
    oven: Oven = field(default_factory=Oven)
    vegan: bool = False
    extra: dict[str, object] = field(default_factory=dict)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "cake.toml"
    path.write_text('eggs = 3\nspices = ["salt"]\n[oven]\ndegrees = 200\n')
    return path


def test_assignments_count_more_than_the_recipe_and_options_more_than_both(recipe: Path) -> None:
    assert read_settings(Cake, None, ()) == Cake()
    assert read_settings(Cake, recipe, ()) == Cake(eggs=3, spices=("salt",), oven=Oven(degrees=200))
    made = read_settings(
        Cake,
        recipe,
        ["eggs=null", "spices=sugar", "spices=1", "oven.degrees=90", "extra.icing=true", "flour=rye or oat"],
        given={"flour": "wheat", "vegan": None},
    )
    assert made == Cake(
        flour="wheat", spices=("sugar", "1"), oven=Oven(degrees=90), extra={"icing": True}, eggs=None
    )
    assert read_settings(Cake, None, ['spices=["a", "b"]']).spices == ("a", "b")


@pytest.mark.parametrize(
    ("assignment", "fault"),
    [
        ("egs=1", "--set egs=1: unknown field 'egs'"),
        ("eggs=-1", "--set eggs=-1: field 'eggs' is -1"),
        ("eggs=many", "--set eggs=many: field 'eggs' is 'many'"),
        ("oven.degrees=400", "field 'oven.degrees' is 400"),
        ("flour.kind=1", "field 'flour'"),
        ("eggs.size=1", "field 'eggs'"),
        ("eggs", "expected NAME=VALUE"),
        ("=1", "expected NAME=VALUE"),
    ],
)
def test_a_wrong_setting_is_one_sentence(assignment: str, fault: str) -> None:
    with pytest.raises(DataError) as refused:
        read_settings(Cake, None, [assignment])
    assert fault in str(refused.value) and "\n" not in str(refused.value)


def test_a_recipe_that_cannot_be_read_is_named(recipe: Path) -> None:
    with pytest.raises(DataError, match="'eggs' is a single value"):
        read_settings(Cake, recipe, ["eggs.size=1"])
    recipe.write_text("eggs = = 3")
    with pytest.raises(DataError, match=r"cake\.toml: not TOML"):
        read_settings(Cake, recipe, ())
    with pytest.raises(DataError, match="no such file"):
        read_settings(Cake, recipe.with_name("absent"), ())


def test_help_lists_settings_and_former_options_work_with_a_warning() -> None:
    app = typer.Typer(cls=CommandGroup)
    former = {"--eggs": "eggs", "--vegan": "vegan=true", "--more": "extra."}

    @app.callback()
    def main() -> None: ...

    @app.command(cls=settings_command(lambda: Cake, former))
    def bake(recipe: RecipeOption = None, set_: SetOption = None, plain: bool = False) -> None:
        typer.echo(read_settings(Cake, recipe, set_ or ()))

    runner = CliRunner()
    listed = runner.invoke(app, ["bake", "--help"])
    assert listed.exit_code == 0
    shown = " ".join(listed.stdout.split())
    assert "flour rye Kind of flour, whatever is there." in shown
    assert "oven.degrees 180 Celsius." in shown
    baked = runner.invoke(app, ["bake", "--eggs", "2", "--vegan", "--more=icing=1", "--plain"])
    assert baked.exit_code == 0, baked.output
    assert "eggs=2" in baked.stdout and "vegan=True" in baked.stdout and "{'icing': 1}" in baked.stdout
    assert "--eggs is now --set eggs=2; the old option goes with 0.5" in baked.stderr
    assert baked.stderr.count("warning: ") == 3
    assert "--eggs needs a value" in runner.invoke(app, ["bake", "--eggs"]).stderr

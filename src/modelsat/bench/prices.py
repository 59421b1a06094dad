"""A dated, editable table of prices: what the cost tables are computed with."""

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from modelsat.records.files import load_toml, parse_object, read_text
from modelsat.routing.pricing import price_matrix
from modelsat.types import Candidate, Instruction

_Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class TokenPrices(BaseModel):
    """Money per million input and output tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    input: _Price
    output: _Price


class PriceTable(BaseModel):
    """Prices of candidates, as a file has them; an unknown field is an error, so that a misspelt one is noticed.

    Attributes:
        format: Of the file.
        date: When the prices were true (ISO date).
        currency: Of all prices.
        candidates: Prices by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal["modelsat-prices/1"]
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    currency: Annotated[str, Field(min_length=1)]
    candidates: dict[str, TokenPrices]

    @classmethod
    def load(cls, path: Path | str) -> "PriceTable":
        """Read a price table.

        Raises:
            DataError: The file is missing or malformed; names file and field.
        """
        return parse_object(load_toml(read_text(Path(path)), str(path)), cls, str(path))

    @classmethod
    def shipped(cls) -> "PriceTable":
        """The table that comes with the package."""
        with as_file(files("modelsat") / "assets" / "bench" / "prices.toml") as path:
            return cls.load(path)

    def expected(
        self,
        instructions: Sequence[Instruction],
        candidates: Sequence[str],
        output_tokens: Sequence[float | None],
    ) -> NDArray[np.float64]:
        """Expected money for every answer.

        Args:
            instructions: The rows.
            candidates: The columns.
            output_tokens: Mean tokens of an answer per candidate; None where unknown.

        Returns:
            [instruction, candidate]; NaN where a price or the answers' length is unknown.
        """
        members = []
        for name in candidates:
            money = self.candidates.get(name)
            member = Candidate(name=name)
            if money is not None:
                member = Candidate(name=name, input_price=money.input, output_price=money.output)
            members.append(member)
        lengths = [np.nan if tokens is None else float(tokens) for tokens in output_tokens]
        return price_matrix(instructions, members, lengths)

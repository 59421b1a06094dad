"""A dated, editable table of prices: what the cost tables are computed with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from modelsat.records.files import load_toml, parse_object, read_text
from modelsat.routing.pricing import price_matrix
from modelsat.types import Candidate, Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Prices of candidates.

    Attributes:
        date: When they were true (ISO date).
        currency: Of all prices.
        prices: Money per million input and output tokens, by candidate.
    """

    date: str
    currency: str
    prices: Mapping[str, tuple[float, float]]

    @classmethod
    def load(cls, path: Path | str) -> "PriceTable":
        """Read a price table.

        Raises:
            DataError: The file is missing or malformed; names file and field.
        """
        form = parse_object(load_toml(read_text(Path(path)), str(path)), _PricesFile, str(path))
        return cls(
            date=form.date,
            currency=form.currency,
            prices={name: (price.input, price.output) for name, price in form.candidates.items()},
        )

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
            prices = self.prices.get(name, (None, None))
            members.append(Candidate(name=name, input_price=prices[0], output_price=prices[1]))
        lengths = [np.nan if tokens is None else float(tokens) for tokens in output_tokens]
        return price_matrix(instructions, members, lengths)


_Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _PriceForm(BaseModel):
    model_config = ConfigDict(extra="forbid")
    input: _Price
    output: _Price


class _PricesFile(BaseModel):
    """The file's format; an unknown field is an error, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid")
    format: Literal["modelsat-prices/1"]
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    currency: Annotated[str, Field(min_length=1)]
    candidates: dict[str, _PriceForm]

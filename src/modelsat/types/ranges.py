"""Checks that the domain words share: a value that exists is a value in range."""

import re
from math import isfinite

from modelsat.errors import DataError


def require_fraction(owner: str, name: str, value: float) -> None:
    """Refuse a number that is not from 0 to 1.

    Raises:
        DataError: It is not; names whose value it is, and which.
    """
    if not (isfinite(value) and 0.0 <= value <= 1.0):
        raise DataError(f"{owner}: {name} is {value}; expected a number from 0 to 1.")


def require_not_negative(owner: str, name: str, value: float | None) -> None:
    """Refuse a number below 0, if there is one.

    Raises:
        DataError: It is; names whose value it is, and which.
    """
    if value is not None and not (isfinite(value) and value >= 0):
        raise DataError(f"{owner}: {name} is {value}; expected a number of at least 0.")


def require_currency(owner: str, value: object) -> None:
    """Refuse what is not a currency's code (ISO 4217).

    Raises:
        DataError: It is not; names whose value it is.
    """
    if not (isinstance(value, str) and re.fullmatch("[A-Z]{3}", value)):
        raise DataError(f"{owner}: currency is {value!r}; expected three capital letters such as EUR.")

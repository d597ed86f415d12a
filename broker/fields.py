"""Strict readers for one field of a wire row: a number is a finite number or the row is bad.

Absent and blank are None where the name says `maybe_`; nothing turns what it cannot read into 0.
All raise FieldError (a ValueError) naming the field, never its value, which may be private.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from domain.clock import IST

Row = Mapping[str, object]

_GRAIN = Decimal("1e-8")
_CLOCK = ("%Y-%m-%d %H:%M:%S",)


class FieldError(ValueError):
    """A field that is missing or cannot be read."""


def text(row: Row, name: str) -> str:
    """A string that must be there (it may be empty). Numbers are taken as their text."""
    value = row.get(name)
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise FieldError(f"{name} is not text")


def maybe_text(row: Row, name: str) -> str:
    """A string, "" when absent or null."""
    return "" if row.get(name) is None else text(row, name)


def decimal(row: Row, name: str) -> Decimal:
    """A finite number that must be there, as a JSON number or as text, kept to 1e-8."""
    number = _decimal(row.get(name), name)
    if number is None:
        raise FieldError(f"{name} is missing")
    return number


def maybe_decimal(row: Row, name: str) -> Decimal | None:
    """A finite number, None when absent, null or blank."""
    return _decimal(row.get(name), name)


def positive(row: Row, name: str) -> Decimal | None:
    """A number above zero; None when absent or zero, which is how brokers write "no price"."""
    number = _decimal(row.get(name), name)
    if number is not None and number < 0:
        raise FieldError(f"{name} is negative")
    return number or None


def quantity(row: Row, name: str) -> Decimal:
    """Units that must be there, not negative."""
    number = decimal(row, name)
    if number < 0:
        raise FieldError(f"{name} is negative")
    return number


def real(row: Row, name: str) -> float:
    """A market number for showing; 0.0 when absent or blank, as feeds leave out what did not happen."""
    number = _decimal(row.get(name), name)
    return 0.0 if number is None else float(number)


def whole(row: Row, name: str) -> int:
    """A market count; 0 when absent or blank."""
    number = _decimal(row.get(name), name)
    return 0 if number is None else int(number)


def ist_time(row: Row, name: str, *forms: str) -> datetime:
    """An exchange-clock time that must be there, in one of the forms ("2026-08-24 09:15:00" when none is named), as
    aware IST."""
    found = _ist_time(text(row, name), forms or _CLOCK)
    if found is None:
        raise FieldError(f"{name} is not a time")
    return found


@lru_cache(16_384)
def _ist_time(words: str, forms: tuple[str, ...]) -> datetime | None:
    """None for no time. A book is read every few seconds with the same times in it, and they are half of the work."""
    for form in forms:
        with suppress(ValueError):
            return datetime.strptime(words, form).replace(tzinfo=IST)
    return None


def rows(value: object) -> list[Row]:
    """A list of objects; anything else is a FieldError."""
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    raise FieldError("not a list of rows")


def row(value: object) -> Row:
    """One object; anything else is a FieldError."""
    if isinstance(value, dict):
        return value
    raise FieldError("not an object")


def _decimal(value: object, name: str) -> Decimal | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise FieldError(f"{name} is not a number")
    try:
        number = Decimal(value.strip() if isinstance(value, str) else repr(value))
    except InvalidOperation:
        raise FieldError(f"{name} is not a number") from None
    if not number.is_finite() or abs(number) > 10**15:
        raise FieldError(f"{name} is out of range")
    return number if isinstance(value, int) else number.quantize(_GRAIN).normalize() + 0

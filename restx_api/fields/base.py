"""The kinds of field the public API knows, with its coercions and its words for what is wrong (contract 1.5).

Digits are ASCII. Each field can say its JSON Schema, so that the published description and the check are one thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, fields

from domain.model import Exchange

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FINEST = Decimal("1E-8")
_LARGEST = Decimal(1_000_000_000)
_LONGEST = 64

EXCHANGES = tuple(exchange.value for exchange in Exchange)


class Text(fields.Field[Any]):
    """A JSON string of `least` to `most` characters."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "Not a valid string.",
        "length": "Length must be between {least} and {most}.",
    }

    def __init__(self, *, least: int = 0, most: int = 256, **options: Any) -> None:
        super().__init__(**options)
        self.least, self.most = least, most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or "\x00" in value:
            raise self.make_error("invalid")
        if not self.least <= len(value) <= self.most:
            raise self.make_error("length", least=self.least, most=self.most)
        return value

    def shape(self) -> dict[str, Any]:
        return {"type": "string", "minLength": self.least, "maxLength": self.most, "pattern": "^[^\\u0000]*$"}


class Choice(fields.Field[Any]):
    """One of a few words. `fold` ("upper", "lower") is applied before the comparison."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "Not a valid string.",
        "choice": "Must be one of: {choices}.",
    }

    def __init__(self, choices: Iterable[str], *, fold: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.choices, self.fold = tuple(choices), fold
        self._known = frozenset(self.choices)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        word = value.upper() if self.fold == "upper" else value.lower() if self.fold == "lower" else value
        if word not in self._known:
            raise self.make_error("choice", choices=", ".join(self.choices))
        return word

    def shape(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.choices)}


class Action(Choice):
    """BUY or SELL, in capitals or small letters throughout; read as capitals."""

    def __init__(self, **options: Any) -> None:
        super().__init__(("BUY", "SELL", "buy", "sell"), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return str(super()._deserialize(value, attr, data, **kwargs)).upper()


class Number(fields.Field[Any]):
    """A JSON number or its text, read exactly: Decimal with at most eight places, the rest rounded half to even."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "Not a valid number.",
        "least": "Must be greater than or equal to {least}.",
        "above": "Must be greater than {above}.",
        "most": "Must be less than or equal to {most}.",
    }

    def __init__(
        self, *, least: int | None = None, above: int | None = None, most: int | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.least, self.above = least, above
        self.most = _LARGEST if most is None else Decimal(most)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        number = self._number(value)
        if number.adjusted() < -_LONGEST:
            number = Decimal(0)
        if self.least is not None and number < self.least:
            raise self.make_error("least", least=self.least)
        if self.above is not None and number <= self.above:
            raise self.make_error("above", above=self.above)
        if number > self.most or number < -_LARGEST:
            raise self.make_error("most", most=self.most)
        exponent = number.as_tuple().exponent
        return number.quantize(_FINEST) if isinstance(exponent, int) and exponent < -8 else number

    def _number(self, value: Any) -> Decimal:
        if type(value) is str:
            text = value.strip(" ")
            if len(text) > _LONGEST or not _DECIMAL.fullmatch(text):
                raise self.make_error("invalid")
            return Decimal(text)
        if type(value) is int or type(value) is float:
            return Decimal(repr(value))
        raise self.make_error("invalid")

    def shape(self) -> dict[str, Any]:
        number: dict[str, Any] = {"type": "number", "maximum": int(self.most), "minimum": -int(_LARGEST)}
        if self.least is not None:
            number["minimum"] = self.least
        if self.above is not None:
            number.update(minimum=self.above, exclusiveMinimum=True)
        return {"anyOf": [number, {"type": "string", "pattern": f"^ *{_DECIMAL.pattern} *$"}]}


class Whole(fields.Field[Any]):
    """A JSON integer (2.0 is one, 2.7 is refused) or its text."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "Not a valid integer.",
        "least": "Must be greater than or equal to {least}.",
        "most": "Must be less than or equal to {most}.",
    }

    def __init__(self, *, least: int = -(10**9), most: int = 10**9, **options: Any) -> None:
        super().__init__(**options)
        self.least, self.most = least, most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        number = self._integer(value)
        if number < self.least:
            raise self.make_error("least", least=self.least)
        if number > self.most:
            raise self.make_error("most", most=self.most)
        return number

    def _integer(self, value: Any) -> int:
        if type(value) is int:
            return value
        if type(value) is float and value.is_integer():
            return int(value)
        if type(value) is str and _INTEGER.fullmatch(value.strip(" ")):
            return int(value)
        raise self.make_error("invalid")

    def shape(self) -> dict[str, Any]:
        integer = {"type": "integer", "minimum": self.least, "maximum": self.most}
        return {"anyOf": [integer, {"type": "string", "pattern": f"^ *{_INTEGER.pattern} *$"}]}


class Several(fields.List[Any]):
    """A list of at least `least` of one schema, and at most `most` where that is said; mistakes are told by index."""

    default_error_messages = {  # noqa: RUF012
        "short": "Shorter than minimum length {least}.",
        "length": "Length must be between {least} and {most}.",
    }

    def __init__(self, item: type[Schema], *, least: int, most: int | None = None, **options: Any) -> None:
        super().__init__(fields.Nested(item), required=True, **options)
        self.least, self.most = least, most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if isinstance(value, list):
            if self.most is not None and not self.least <= len(value) <= self.most:
                raise self.make_error("length", least=self.least, most=self.most)
            if len(value) < self.least:
                raise self.make_error("short", least=self.least)
        found: list[Any] = super()._deserialize(value, attr, data, **kwargs)
        return found

    def shape(self) -> dict[str, Any]:
        least = {"minItems": self.least}
        return least if self.most is None else {**least, "maxItems": self.most}


class Day(fields.Field[Any]):
    """A date written YYYY-MM-DD."""

    default_error_messages = {"invalid": "Not a valid date."}  # noqa: RUF012

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not _DAY.fullmatch(value):
            raise self.make_error("invalid")
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise self.make_error("invalid") from error

    def shape(self) -> dict[str, Any]:
        return {"type": "string", "format": "date"}


class Flag(fields.Boolean):
    """true and false, 1 and 0, and the usual words for them."""

    def shape(self) -> dict[str, Any]:
        words = sorted({str(word) for word in self.truthy | self.falsy if isinstance(word, str)})
        return {
            "anyOf": [
                {"type": "boolean"},
                {"type": "integer", "enum": [0, 1]},
                {"type": "string", "enum": words},
            ]
        }


class Keyed(Schema):
    """A request that carries its API key; fields it does not name are refused."""

    class Meta:
        unknown = RAISE

    apikey = Text(least=1, required=True)


class Lenient(Keyed):
    """A request whose further fields are ignored."""

    class Meta:
        unknown = EXCLUDE


def exchange(*, required: bool = True) -> Choice:
    """An exchange code, in either case."""
    return Choice(EXCHANGES, fold="upper", required=required)


def symbol() -> Text:
    return Text(least=1, most=64, required=True)


def label() -> Text:
    """The caller's own name for what sends the request; optional, and no filter."""
    return Text(most=128, load_default="")

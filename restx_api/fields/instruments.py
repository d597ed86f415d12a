"""The symbol master: records, search, expiries, the whole list."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice
from typing import Any

from marshmallow import ValidationError, validates_schema

from domain.model import DERIVATIVES, Instrument
from restx_api import body
from restx_api.fields.base import EXCHANGES, Choice, Keyed, Text, exchange, symbol
from restx_api.fields.shapes import INTEGER, NUMBER, STRING, array, data, obj, one_of

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_BATCH = 1000
DERIVATIVE_CODES = tuple(name for name in EXCHANGES if name in DERIVATIVES)

CSV_COLUMNS = (
    "symbol",
    "brsymbol",
    "name",
    "exchange",
    "brexchange",
    "token",
    "expiry",
    "strike",
    "lotsize",
    "instrumenttype",
    "tick_size",
)


class Search(Keyed):
    """Words that must all be found, in any order."""

    query = Text(most=100, required=True)
    exchange = exchange(required=False)

    @validates_schema
    def _words(self, given: dict[str, Any], **kwargs: Any) -> None:
        if not given["query"].strip():
            raise ValidationError("Query must not be blank.", "query")


class Expiry(Keyed):
    """Which underlying's expiries."""

    symbol = symbol()
    exchange = Choice(DERIVATIVE_CODES, required=True)
    instrumenttype = Choice(("futures", "options"), required=True)


class Master(Keyed):
    """Which part of the master, and how it is written."""

    exchange = exchange(required=False)
    format = Choice(("json", "csv"), fold="lower", load_default="json")


def expiry_text(day: date | None) -> str:
    """DD-MMM-YY in capitals, "" for what does not expire."""
    return "" if day is None else f"{day.day:02d}-{_MONTHS[day.month - 1]}-{day.year % 100:02d}"


def listed(instrument: Instrument) -> dict[str, Any]:
    """One row of the master."""
    return {
        "symbol": instrument.symbol,
        "brsymbol": instrument.broker_symbol,
        "name": instrument.name,
        "exchange": instrument.exchange,
        "brexchange": instrument.broker_exchange,
        "token": instrument.broker_token,
        "expiry": expiry_text(instrument.expiry),
        "strike": 0.0 if instrument.strike is None else float(instrument.strike),
        "lotsize": instrument.lot_size,
        "instrumenttype": instrument.kind,
        "tick_size": float(instrument.tick_size),
    }


def found(instrument: Instrument) -> dict[str, Any]:
    """One row with its freeze quantity; the lot size stands in where none is known (contract 2.3)."""
    freeze = instrument.freeze_quantity
    return {**listed(instrument), "freeze_qty": instrument.lot_size if freeze is None else freeze}


def json_pieces(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """The JSON reply in pieces, since a master may be tens of megabytes."""
    count, opening = 0, b'{"data":['
    for piece in _batches(rows):
        yield opening + body.encode(piece)[1:-1]
        count, opening = count + len(piece), b","
    start = opening if count == 0 else b""
    yield start + f'],"message":"Found {count} instruments","status":"success"}}'.encode()


def csv_pieces(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The CSV file in pieces, header first."""
    yield ",".join(CSV_COLUMNS) + "\r\n"
    for piece in _batches(rows):
        text = io.StringIO()
        csv.DictWriter(text, CSV_COLUMNS).writerows(piece)
        yield text.getvalue()


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    left = iter(rows)
    while piece := list(islice(left, _BATCH)):
        yield piece


_ROW = {
    **dict.fromkeys(CSV_COLUMNS, STRING),
    "strike": NUMBER,
    "lotsize": INTEGER,
    "tick_size": NUMBER,
    "exchange": one_of(*EXCHANGES),
}
_FOUND = {**_ROW, "freeze_qty": INTEGER}

SYMBOL = data(obj({**_FOUND, "id": INTEGER}))
SEARCH = data(array(obj(_FOUND), most=500), {"message": STRING})
EXPIRY = data(array(STRING), {"message": STRING})
MASTER = data(array(obj(_ROW)), {"message": STRING})

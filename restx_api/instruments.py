"""The symbol master."""

from __future__ import annotations

from itertools import chain, islice
from typing import Any

from flask import Response

from domain.errors import InstrumentNotFound
from restx_api.door import Call, Subject
from restx_api.fields import instruments as fields
from restx_api.fields import market_data

instruments = Subject("Instruments")


@instruments.post("/symbol", market_data.Instrument(), reply=fields.SYMBOL, unknown_instrument=404)
def symbol(call: Call) -> dict[str, Any]:
    """One instrument of the account's own master."""
    where = (call.caller.account.broker, call.body["exchange"], call.body["symbol"])
    found = call.platform.instruments.get(*where)
    if found is None:
        raise InstrumentNotFound(call.body["symbol"], call.body["exchange"])
    row = {**fields.found(found), "id": call.platform.instruments.row_id(*where) or 0}
    return {"status": "success", "data": row}


@instruments.post("/search", fields.Search(), reply=fields.SEARCH)
def search(call: Call) -> dict[str, Any]:
    """Instruments that match every word, best first, 500 at most."""
    rows = call.platform.instruments.search(
        call.caller.account.broker, call.body["query"], call.body.get("exchange")
    )
    found = [fields.found(row) for row in rows]
    return {"status": "success", "message": f"Found {len(found)} matching symbols", "data": found}


@instruments.post("/expiry", fields.Expiry(), reply=fields.EXPIRY)
def expiry(call: Call) -> dict[str, Any]:
    """The expiries of an exact underlying from today on, ascending."""
    name, exchange, kind = call.body["symbol"].upper(), call.body["exchange"], call.body["instrumenttype"]
    broker = call.caller.account.broker
    days = [
        fields.expiry_text(day) for day in call.platform.instruments.expiries(broker, name, exchange, kind)
    ]
    message = f"Found {len(days)} expiry dates for {name} {kind} in {exchange}"
    return {"status": "success", "message": message, "data": days}


@instruments.get(
    "/instruments",
    fields.Master(),
    reply=fields.MASTER,
    media=("application/json", "text/csv"),
    text_format="csv",
)
def master(call: Call) -> Response:
    """Every instrument (of one exchange), as JSON or with format=csv as a file; it is streamed."""
    exchange = call.body.get("exchange")
    rows = call.platform.instruments.rows(call.caller.account.broker, exchange)
    first = list(islice(rows, 1))
    found = map(fields.listed, chain(first, rows))
    if call.body["format"] == "json":
        return Response(fields.json_pieces(found), mimetype="application/json")
    answer = Response(fields.csv_pieces(found), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f"attachment; filename=instruments_{exchange or 'all'}.csv"
    return answer

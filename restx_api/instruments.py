"""The symbol master."""

from __future__ import annotations

from typing import Any

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

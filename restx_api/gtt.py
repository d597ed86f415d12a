"""Good-till-triggered orders."""

from __future__ import annotations

from typing import Any

from restx_api.door import Call, Subject
from restx_api.errors import Style, queued
from restx_api.fields import gtt as fields
from restx_api.fields.base import Keyed

gtt = Subject("GTT")

_TRADE: dict[str, Any] = {
    "style": Style.A,
    "scope": "trade",
    "sandboxed": True,
    "limit": "order",
    "held": "live",
    "once": True,
}


_PLACE = {**_TRADE, "held": ""}


@gtt.post("/placegttorder", fields.PlaceGtt(), reply=fields.PLACED, **_PLACE)
def place(call: Call) -> dict[str, Any]:
    """Keep an order until a price is reached. `triggerprice_sl` fires at or below it, `triggerprice_tg` at or above."""
    kept = call.platform.parked_gtts.ask(call.caller, fields.gtt_request(call.body))
    return queued(kept) if isinstance(kept, int) else {"status": "success", "trigger_id": kept.id}


@gtt.post("/modifygttorder", fields.ModifyGtt(), reply=fields.KEPT, subject="trigger_id", **_TRADE)
def modify(call: Call) -> dict[str, Any]:
    """Replace the prices and the quantity of an active GTT; instrument, side and type stay."""
    trigger_id = call.body["trigger_id"]
    call.platform.triggers.modify_gtt(call.caller, trigger_id, fields.gtt_request(call.body))
    return {"status": "success", "trigger_id": trigger_id}


@gtt.post("/cancelgttorder", fields.GttId(), reply=fields.KEPT, subject="trigger_id", **_TRADE)
def cancel(call: Call) -> dict[str, Any]:
    """End an active GTT."""
    call.platform.triggers.cancel_gtt(call.caller, call.body["trigger_id"])
    return {"status": "success", "trigger_id": call.body["trigger_id"]}


@gtt.post("/gttorderbook", Keyed(), reply=fields.BOOK, sandboxed=True)
def book(call: Call) -> dict[str, Any]:
    """Active GTTs, newest first."""
    rows = [fields.row(trigger) for trigger in call.platform.triggers.gtt_book(call.caller)]
    return {"status": "success", "data": rows}

"""Order endpoints."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from restx_api import errors
from restx_api.door import Call, Subject
from restx_api.errors import Answer, Style
from restx_api.fields import orders as fields
from services.gate import Admission
from services.triggers import keep_with

orders = Subject("Orders")

_TRADE: dict[str, Any] = {"style": Style.A, "scope": "trade", "sandboxed": True}


@orders.post("/placeorder", fields.GuardedOrder(), reply=fields.PLACED, limit="order", **_TRADE)
def placeorder(call: Call) -> Answer:
    """Place one order. `stoploss`, `target` and `trailing_sl` (a price, or a distance such as "12.5pt") end the
    position that it opens; they arm when it has filled."""
    request, exits = fields.order_request(call.body), fields.exits(call.body)
    admission = Admission(key=call.key, body_hash=call.body_hash)
    triggers = call.platform.triggers
    if exits:
        guard = triggers.exits_of(call.caller, request, exits)
        admission = replace(admission, beside=partial(keep_with, guard))
    placed = call.platform.order_plans.place(call.caller, request, admission)
    guards = triggers.guarding(placed.intent_id) if exits else []
    return errors.placed(placed, request.symbol, guards=guards)


@orders.post(
    "/modifyorder",
    fields.ModifyOrder(),
    reply=fields.PLACED,
    limit="order",
    subject="orderid",
    held="live",
    **_TRADE,
)
def modifyorder(call: Call) -> Answer:
    """Replace the price, quantity, trigger and price type of a working order; quantity is the total."""
    order_id = call.body["orderid"]
    terms = fields.order_terms(call.body)
    placed = call.platform.orders.modify(call.caller, order_id, terms, key=call.key, body_hash=call.body_hash)
    return errors.placed(placed, order_id, done="Order modified")


@orders.post(
    "/cancelorder",
    fields.OrderId(),
    reply=fields.PLACED,
    limit="order",
    subject="orderid",
    held="live",
    **_TRADE,
)
def cancelorder(call: Call) -> Answer:
    """Cancel a working order."""
    order_id = call.body["orderid"]
    placed = call.platform.orders.cancel(call.caller, order_id, key=call.key, body_hash=call.body_hash)
    return errors.placed(placed, order_id, done="Order cancelled")


@orders.post("/cancelallorder", fields.All(), reply=fields.ALL_CANCELLED, held="live", **_TRADE)
def cancelallorder(call: Call) -> dict[str, Any]:
    """Cancel every order that is open or waits for its trigger. `strategy` is a label, not a filter."""
    swept = call.platform.sweeps.cancel_all(call.caller, key=call.key, body_hash=call.body_hash)
    return fields.all_cancelled(swept, on_paper=call.on_paper)


@orders.post("/closeposition", fields.All(), reply=fields.ALL_CLOSED, held="live", **_TRADE)
def closeposition(call: Call) -> Answer | dict[str, Any]:
    """Close every position of the account with MARKET orders. `strategy` is a label, not a filter."""
    swept = call.platform.sweeps.close_all(
        call.caller, call.body["strategy"], key=call.key, body_hash=call.body_hash
    )
    if swept.failed and not call.on_paper:
        return errors.not_all_closed(swept.failed, len(swept.done))
    return fields.all_closed(swept, on_paper=call.on_paper)


@orders.post(
    "/orderstatus",
    fields.OrderId(),
    reply=fields.STATUS,
    style=Style.A,
    sandboxed=True,
    subject="orderid",
)
def orderstatus(call: Call) -> dict[str, Any]:
    """One order, by any id it was ever known by."""
    order = call.platform.orders.status(call.caller, call.body["orderid"])
    return {"status": "success", "data": fields.order_status(order, on_paper=call.on_paper)}

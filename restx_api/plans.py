"""Requests that become several orders, or none: smart, basket, split."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from restx_api import errors
from restx_api.door import Call, Subject
from restx_api.errors import Answer, Style
from restx_api.fields import orders
from restx_api.fields import plans as fields

plans = Subject("Orders")

_TRADE: dict[str, Any] = {"style": Style.A, "scope": "trade", "sandboxed": True}


@plans.post("/placesmartorder", fields.SmartOrder(), reply=orders.PLACED, limit="smart_order", **_TRADE)
def placesmartorder(call: Call) -> Answer:
    """Bring the net position of a symbol and product to `position_size`, with one order or none."""
    request, target = orders.order_request(call.body), call.body["position_size"]
    placed = call.platform.smart_orders.place(
        call.caller, request, target, key=call.key, body_hash=call.body_hash
    )
    return errors.placed(placed, request.symbol)


@plans.post("/basketorder", fields.Basket(), reply=fields.BASKET, **_TRADE)
def basketorder(call: Call) -> dict[str, Any]:
    """Place several orders, BUYs first; each stands alone, and the reply says what became of each."""
    plan = call.platform.order_plans.basket(
        call.caller, fields.basket_requests(call.body), key=call.key, body_hash=call.body_hash
    )
    if plan.approval_id is not None:
        return errors.queued(plan.approval_id)
    return fields.basket(plan.legs, on_paper=call.on_paper)


@plans.post("/splitorder", fields.SplitOrder(), reply=fields.SPLIT, **_TRADE)
def splitorder(call: Call) -> dict[str, Any]:
    """Place one order as children of `splitsize` units and a rest, 100 at most."""
    request, size = orders.order_request(call.body), call.body["splitsize"]
    plan = call.platform.order_plans.split(
        call.caller, request, Decimal(size), key=call.key, body_hash=call.body_hash
    )
    if plan.approval_id is not None:
        return errors.queued(plan.approval_id)
    return fields.split(plan.legs, request.quantity, size)

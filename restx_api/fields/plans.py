"""Requests that become several orders, or none: smart, basket, split."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from marshmallow import RAISE, Schema, validates_schema

from domain.model import OrderRequest
from restx_api.fields import orders, records
from restx_api.fields.base import EXCHANGES, Action, Choice, Keyed, Number, Several, Text, Whole, symbol
from restx_api.fields.shapes import BOOLEAN, INTEGER, NUMBER, STRING, array, obj, one_of, sandboxed, success
from services.orders import Placed

Legs = Iterable[tuple[OrderRequest, Placed]]


class SmartOrder(orders.PlaceOrder):
    """A target for a net position. Side and quantity count only when the position and the target are both zero."""

    quantity = Number(least=0, required=True)
    position_size = Number(required=True)

    @validates_schema
    def _whole_target(self, given: dict[str, Any], **kwargs: Any) -> None:
        orders.whole_unless_crypto(given["position_size"], given["exchange"], "position_size")


class BasketItem(Schema):
    """One order of a basket."""

    class Meta:
        unknown = RAISE

    exchange = Choice(EXCHANGES, required=True)
    symbol = symbol()
    action = Action(required=True)
    quantity = Number(above=0, required=True)
    pricetype = Choice(orders.PRICE_TYPES, load_default="MARKET")
    product = Choice(orders.PRODUCTS, load_default="MIS")
    price = Number(least=0, load_default=0)
    trigger_price = Number(least=0, load_default=0)
    disclosed_quantity = Whole(least=0, load_default=0)

    @validates_schema
    def _whole(self, given: dict[str, Any], **kwargs: Any) -> None:
        orders.whole_unless_crypto(given["quantity"], given["exchange"])


class Basket(Keyed):
    """Several orders; one that is malformed refuses them all."""

    strategy = Text(most=128, required=True)
    orders = Several(BasketItem, least=0)


class SplitOrder(orders.PlaceOrder):
    """One order, sent as children of `splitsize` and a rest."""

    splitsize = Whole(least=1, required=True)


def basket_requests(given: dict[str, Any]) -> list[OrderRequest]:
    """The orders of a basket, in the order given."""
    return [orders.order_request({**item, "strategy": given["strategy"]}) for item in given["orders"]]


def outcome(placed: Placed) -> dict[str, Any]:
    """What became of one order among several."""
    if placed.state == "accepted":
        more = {"orderids": list(placed.order_ids)} if placed.order_ids else {}
        return {"status": "success", "orderid": placed.order_id, **more}
    if placed.state == "refused":
        kept = {"orderid": placed.order_id} if placed.order_id else {}
        return {"status": "error", "message": placed.message, **kept}
    more = {"orderids": list(placed.order_ids)} if placed.order_ids else {}
    status = "success" if placed.state == "partial" else "pending"
    return {"status": status, "orderid": placed.order_id, "message": placed.message, **more}


def summary(results: list[dict[str, Any]]) -> dict[str, int]:
    """How many there are, went well, and did not; what is pending is neither."""
    words = [row["status"] for row in results]
    return {"total": len(words), "success": words.count("success"), "failed": words.count("error")}


def basket(legs: Legs, *, on_paper: bool) -> dict[str, Any]:
    """A basket's reply, in the order in which the orders were sent."""
    rows = [
        {
            "symbol": request.symbol,
            "exchange": request.exchange,
            "product": request.product,
            **outcome(placed),
        }
        for request, placed in legs
    ]
    if on_paper:
        for number, row in enumerate(rows, 1):
            if row["status"] == "success":
                row.update(batch_order=True, is_last_order=number == len(rows))
    return {"status": "success", "results": rows, "summary": summary(rows)}


def children(legs: Legs) -> list[dict[str, Any]]:
    """The children of a split, numbered from 1."""
    return [
        {"order_num": number, "quantity": records.quantity(request.quantity), **outcome(placed)}
        for number, (request, placed) in enumerate(legs, 1)
    ]


def split(legs: Legs, total: Decimal, size: int) -> dict[str, Any]:
    """A split's reply."""
    rows = children(legs)
    return {
        "status": "success",
        "total_quantity": records.quantity(total),
        "split_size": size,
        "results": rows,
        "summary": summary(rows),
    }


OUTCOME = {"status": one_of("success", "error", "pending")}
_TOLD = {"orderid": STRING, "message": STRING, "orderids": array(STRING)}
SUMMARY = obj({"total": INTEGER, "success": INTEGER, "failed": INTEGER})
CHILD = obj({**OUTCOME, "order_num": INTEGER, "quantity": NUMBER}, _TOLD)
QUEUED = {"message": STRING, "pending_order_id": INTEGER}
_ITEM = obj(
    {**OUTCOME, "symbol": STRING, "exchange": one_of(*EXCHANGES), "product": one_of(*orders.PRODUCTS)},
    {**_TOLD, "batch_order": BOOLEAN, "is_last_order": BOOLEAN},
)
BASKET = sandboxed(success({}, {"results": array(_ITEM), "summary": SUMMARY, **QUEUED}))
SPLIT = sandboxed(
    success(
        {},
        {
            "total_quantity": NUMBER,
            "split_size": INTEGER,
            "results": array(CHILD),
            "summary": SUMMARY,
            **QUEUED,
        },
    )
)

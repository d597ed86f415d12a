"""Placing, changing and ending orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from domain.errors import InvalidRequest
from domain.model import Exchange, Order, OrderRequest, OrderType, Product, Side
from restx_api.fields import records
from restx_api.fields.base import EXCHANGES, Action, Choice, Keyed, Number, Text, Whole, label, symbol
from restx_api.fields.shapes import (
    INTEGER,
    NUMBER,
    STRING,
    Shape,
    array,
    data,
    obj,
    one_of,
    sandboxed,
    success,
)
from services.orders import OrderTerms
from services.sweeps import Swept
from services.triggers import Exits, read_level

PRICE_TYPES = tuple(kind.value for kind in OrderType)
PRODUCTS = tuple(product.value for product in Product)


def whole_unless_crypto(quantity: Decimal, exchange: str, field: str = "quantity") -> None:
    """Raises ValidationError for a fraction of what trades in whole units."""
    if exchange != Exchange.CRYPTO and quantity != quantity.to_integral_value():
        raise ValidationError("Fractional quantity is only allowed on CRYPTO.", field)


class ExitLevel(fields.Field[Any]):
    """A price above 0 ("1450.5"), or a distance from the entry's average price ("12.5pt")."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = format(Decimal(repr(value)), "f") if type(value) in (int, float) else value
        try:
            return read_level(self.name or "", text if isinstance(text, str) else "")
        except InvalidRequest as error:
            raise ValidationError(str(error)) from error

    def shape(self) -> dict[str, Any]:
        text = {
            "type": "string",
            "pattern": "^[0-9]{1,9}(\\.[0-9]{1,8})?( ?(pt|pts|points))?$",
            "example": "12.5pt",
        }
        return {
            "anyOf": [{"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 999999999}, text]
        }


class PlaceOrder(Keyed):
    """One order."""

    strategy = Text(most=128, required=True)
    exchange = Choice(EXCHANGES, required=True)
    symbol = symbol()
    action = Action(required=True)
    quantity = Number(above=0, required=True)
    pricetype = Choice(PRICE_TYPES, load_default="MARKET")
    product = Choice(PRODUCTS, load_default="MIS")
    price = Number(least=0, load_default=0)
    trigger_price = Number(least=0, load_default=0)
    disclosed_quantity = Whole(least=0, load_default=0)
    underlying_ltp = Number(allow_none=True, load_default=None)

    @validates_schema
    def _whole(self, given: dict[str, Any], **kwargs: Any) -> None:
        whole_unless_crypto(given["quantity"], given["exchange"])


class GuardedOrder(PlaceOrder):
    """One order, with a stop, a target or a trailing stop for the position that it opens."""

    stoploss = ExitLevel(load_default=None)
    target = ExitLevel(load_default=None)
    trailing_sl = ExitLevel(load_default=None)


class ModifyOrder(Keyed):
    """The full new terms of a working order."""

    strategy = label()
    exchange = Choice(EXCHANGES, required=True)
    symbol = symbol()
    orderid = Text(least=1, most=64, required=True)
    action = Action(required=True)
    product = Choice(PRODUCTS, required=True)
    pricetype = Choice(PRICE_TYPES, required=True)
    price = Number(least=0, required=True)
    quantity = Number(above=0, required=True)
    disclosed_quantity = Whole(least=0, required=True)
    trigger_price = Number(least=0, required=True)

    @validates_schema
    def _whole(self, given: dict[str, Any], **kwargs: Any) -> None:
        whole_unless_crypto(given["quantity"], given["exchange"])


class OrderId(Keyed):
    """Which order."""

    strategy = label()
    orderid = Text(least=1, most=64, required=True)


class All(Keyed):
    """Everything of the account: the strategy is a label, not a filter, and other fields are refused."""

    strategy = label()


def order_request(given: dict[str, Any]) -> OrderRequest:
    """The domain's request; a price of zero means none."""
    return OrderRequest(
        symbol=given["symbol"],
        exchange=Exchange(given["exchange"]),
        side=Side(given["action"]),
        quantity=given["quantity"],
        order_type=OrderType(given["pricetype"]),
        product=Product(given["product"]),
        price=given["price"] or None,
        trigger_price=given["trigger_price"] or None,
        disclosed_quantity=Decimal(given["disclosed_quantity"]),
        strategy=given["strategy"],
    )


def exits(given: dict[str, Any]) -> Exits:
    """What is to end the position; false when nothing is asked for."""
    return Exits(stop=given["stoploss"], target=given["target"], trail=given["trailing_sl"])


def order_terms(given: dict[str, Any]) -> OrderTerms:
    """The new terms of a modify; a price of zero means none."""
    return OrderTerms(
        quantity=given["quantity"],
        order_type=OrderType(given["pricetype"]),
        price=given["price"] or None,
        trigger_price=given["trigger_price"] or None,
        disclosed_quantity=Decimal(given["disclosed_quantity"]),
    )


def all_cancelled(swept: Swept, *, on_paper: bool) -> dict[str, Any]:
    """Cancel-all's reply: failures are ids live, ids with their reasons on paper."""
    done, failed = len(swept.done), len(swept.failed)
    message = f"Canceled {done} orders. Failed to cancel {failed} orders."
    if on_paper and not done and not failed:
        message = "No open orders to cancel"
    rows: list[Any] = [{"orderid": order_id, "message": why} for order_id, why in swept.failed]
    return {
        "status": "success",
        "canceled_orders": swept.done,
        "failed_cancellations": rows if on_paper else [order_id for order_id, _ in swept.failed],
        "message": message,
    }


def all_closed(swept: Swept, *, on_paper: bool) -> dict[str, Any]:
    """Close-all's reply."""
    if not on_paper:
        return {"status": "success", "message": "All Open Positions Squared Off"}
    done, failed = len(swept.done), len(swept.failed)
    if not done and not failed:
        return {"status": "success", "message": "No open positions to close"}
    more = f" (Failed to close {failed} positions)" if failed else ""
    return {
        "status": "success",
        "message": f"Closed {done} positions{more}",
        "closed_positions": done,
        "failed_closures": failed,
        "failed": [{"symbol": symbol, "message": why} for symbol, why in swept.failed],
    }


def order_row(order: Order, *, on_paper: bool) -> dict[str, Any]:
    """One order. A paper MARKET order shows the price it filled at; a live one shows 0."""
    reference = order.average_price if on_paper and not order.order_type.has_price else None
    row = {
        "orderid": order.order_id,
        "symbol": order.symbol,
        "exchange": order.exchange,
        "action": order.side,
        "quantity": records.quantity(order.quantity),
        "price": records.average(reference, order.exchange) if reference else records.price(order.price),
        "trigger_price": records.price(order.trigger_price),
        "pricetype": order.order_type,
        "product": order.product,
        "order_status": records.order_status(order.state),
        "average_price": records.average(order.average_price, order.exchange),
        "filled_quantity": records.quantity(order.filled),
        "pending_quantity": records.quantity(order.pending),
        "rejection_reason": order.reason,
        "strategy": order.strategy,
        "timestamp": records.ist(order.updated_at),
    }
    if order.state in records.UNCERTAIN:
        row["state"] = order.state
    return row


def order_status(order: Order, *, on_paper: bool) -> dict[str, Any]:
    """One order in full: the price type under both of its public names, the average unrounded."""
    average = round(records.price(order.average_price), 6)
    row = order_row(order, on_paper=on_paper)
    return {**row, "price_type": order.order_type, "average_price": average}


_ROW = {
    "orderid": STRING,
    "symbol": STRING,
    "exchange": one_of(*EXCHANGES),
    "action": one_of("BUY", "SELL"),
    "quantity": NUMBER,
    "price": NUMBER,
    "trigger_price": NUMBER,
    "pricetype": one_of(*PRICE_TYPES),
    "product": one_of(*PRODUCTS),
    "order_status": one_of("open", "complete", "rejected", "cancelled", "trigger pending"),
    "average_price": NUMBER,
    "filled_quantity": NUMBER,
    "pending_quantity": NUMBER,
    "rejection_reason": STRING,
    "strategy": STRING,
    "timestamp": STRING,
}

ROW: Shape = obj(_ROW, {"state": one_of("PENDING", "UNKNOWN")})
STATUS = sandboxed(data(obj({**_ROW, "price_type": one_of(*PRICE_TYPES)}, {"state": STRING})))
PLACED = sandboxed(
    obj(
        {"status": one_of("success", "pending")},
        {
            **dict.fromkeys(("orderid", "message", "state"), STRING),
            **dict.fromkeys(("orderids", "exit_trigger_ids"), array(STRING)),
            "pending_order_id": INTEGER,
        },
    )
)
CANCELLED = sandboxed(obj({"status": one_of("success")}, {"orderid": STRING, "message": STRING}))
ALL_CANCELLED = sandboxed(
    success(
        {
            "canceled_orders": array(STRING),
            "failed_cancellations": array({"anyOf": [STRING, obj({"orderid": STRING, "message": STRING})]}),
            "message": STRING,
        }
    )
)
ALL_CLOSED = sandboxed(
    success(
        {"message": STRING},
        {
            "closed_positions": INTEGER,
            "failed_closures": INTEGER,
            "failed": array(obj({"symbol": STRING, "message": STRING})),
        },
    )
)

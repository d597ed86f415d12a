"""Books, positions, holdings, funds and margin."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from marshmallow import Schema

from domain.model import (
    Exchange,
    Funds,
    Holding,
    Margin,
    Order,
    OrderRequest,
    OrderState,
    OrderType,
    Position,
    Product,
    Side,
    Trade,
)
from restx_api.fields import orders, records
from restx_api.fields.base import (
    EXCHANGES,
    Action,
    Choice,
    Keyed,
    Number,
    Several,
    Text,
    Whole,
    label,
    symbol,
)
from restx_api.fields.shapes import INTEGER, NUMBER, STRING, array, data, obj, one_of, sandboxed, success


class OpenPosition(Keyed):
    """Which position."""

    strategy = label()
    symbol = symbol()
    exchange = Choice(EXCHANGES, required=True)
    product = Choice(orders.PRODUCTS, required=True)


class MarginPosition(Schema):
    """One order of a margin question."""

    symbol = Text(least=1, most=50, required=True)
    exchange = Choice(EXCHANGES, required=True)
    action = Action(required=True)
    product = Choice(orders.PRODUCTS, required=True)
    pricetype = Choice(orders.PRICE_TYPES, required=True)
    quantity = Whole(least=1, required=True)
    price = Number(least=0, load_default=0)
    trigger_price = Number(least=0, load_default=0)


class MarginOf(Keyed):
    """What 1 to 50 orders together would block."""

    positions = Several(MarginPosition, least=1, most=50)


def margin_requests(given: dict[str, Any]) -> list[OrderRequest]:
    """The orders of a margin question, in the order given."""
    return [
        OrderRequest(
            symbol=row["symbol"],
            exchange=Exchange(row["exchange"]),
            side=Side(row["action"]),
            quantity=Decimal(row["quantity"]),
            order_type=OrderType(row["pricetype"]),
            product=Product(row["product"]),
            price=row["price"] or None,
            trigger_price=row["trigger_price"] or None,
        )
        for row in given["positions"]
    ]


def margin(found: Margin) -> dict[str, Any]:
    row = {
        "total_margin_required": records.money(found.total),
        "span_margin": records.money(found.span),
        "exposure_margin": records.money(found.exposure),
    }
    return row if found.benefit is None else {**row, "margin_benefit": records.money(found.benefit)}


def order_book(book: Sequence[Order], *, on_paper: bool) -> dict[str, Any]:
    """Newest first (`book` is oldest first), with the counts that clients show above the table."""
    rows = [orders.order_row(order, on_paper=on_paper) for order in reversed(book)]
    sides = [order.side for order in book]
    words = [row["order_status"] for row in rows]
    statistics = {
        "total_buy_orders": sides.count(Side.BUY),
        "total_sell_orders": sides.count(Side.SELL),
        "total_completed_orders": words.count(records.order_status(OrderState.COMPLETE)),
        "total_open_orders": words.count(records.order_status(OrderState.OPEN)),
        "total_rejected_orders": words.count(records.order_status(OrderState.REJECTED)),
        "total_trigger_pending_orders": words.count(records.order_status(OrderState.TRIGGER_PENDING)),
    }
    return {"orders": rows, "statistics": statistics}


def trade(fill: Trade) -> dict[str, Any]:
    """One fill."""
    paid = records.average(fill.price, fill.exchange)
    return {
        "orderid": fill.order_id,
        "tradeid": fill.trade_id,
        "symbol": fill.symbol,
        "exchange": fill.exchange,
        "product": fill.product,
        "action": fill.side,
        "quantity": records.quantity(fill.quantity),
        "price": paid,
        "average_price": paid,
        "trade_value": records.money(fill.price * fill.quantity),
        "strategy": fill.strategy,
        "timestamp": records.ist(fill.traded_at),
    }


def position(held: Position) -> dict[str, Any]:
    """One position. `pnl` is what it made today, booked and open together; its percent is of the open cost."""
    realised, unrealised = held.realised or Decimal(0), held.unrealised or Decimal(0)
    cost = abs(held.quantity * held.contract_value) * (held.average_price or 0)
    return {
        "symbol": held.symbol,
        "exchange": held.exchange,
        "product": held.product,
        "quantity": records.quantity(held.quantity),
        "average_price": records.average(held.average_price, held.exchange),
        "ltp": records.seen(held.last_price),
        "pnl": records.money(realised + unrealised),
        "pnlpercent": records.money(unrealised / cost * 100) if cost else 0.0,
        "unrealized_pnl": records.money(unrealised),
        "today_realized_pnl": records.money(realised),
        "total_pnl_today": records.money(realised + unrealised),
        "lot_size": float(held.contract_value),
    }


def position_totals(book: Sequence[Position]) -> dict[str, Any]:
    """The sums that stand beside the rows, from exact amounts."""
    unrealised = sum((held.unrealised or Decimal(0) for held in book), Decimal(0))
    realised = sum((held.realised or Decimal(0) for held in book), Decimal(0))
    return {
        "total_pnl": records.money(unrealised + realised),
        "total_unrealized_pnl": records.money(unrealised),
        "total_today_realized_pnl": records.money(realised),
        "total_pnl_today": records.money(unrealised + realised),
    }


def pnl_row(held: Position) -> dict[str, Any]:
    """What one symbol made today."""
    row = position(held)
    kept = ("symbol", "exchange", "product", "quantity", "unrealized_pnl", "today_realized_pnl")
    return {**{name: row[name] for name in kept}, "pnl": row["pnl"], "total_pnl_today": row["pnl"]}


def holdings(book: Sequence[Holding]) -> dict[str, Any]:
    """Delivery shares and their sums. A holding without a price counts at cost."""
    rows, value, cost = [], Decimal(0), Decimal(0)
    for held in book:
        paid = held.quantity * held.average_price
        known = held.last_price is not None and records.seen(held.last_price) > 0
        worth = held.quantity * Decimal(repr(held.last_price)) if known else paid
        value, cost = value + worth, cost + paid
        rows.append(_holding(held, paid, worth))
    statistics = {
        "totalholdingvalue": records.money(value),
        "totalinvvalue": records.money(cost),
        "totalprofitandloss": records.money(value - cost),
        "totalpnlpercentage": records.money((value - cost) / cost * 100) if cost else 0.0,
    }
    return {"holdings": rows, "statistics": statistics}


def _holding(held: Holding, paid: Decimal, worth: Decimal) -> dict[str, Any]:
    return {
        "symbol": held.symbol,
        "exchange": held.exchange,
        "product": held.product,
        "quantity": records.quantity(held.quantity),
        "average_price": records.average(held.average_price, held.exchange),
        "ltp": records.seen(held.last_price),
        "current_value": records.money(worth),
        "pnl": records.money(worth - paid),
        "pnlpercent": records.money((worth - paid) / paid * 100) if paid else 0.0,
        "settlement_date": "" if held.settles_on is None else held.settles_on.isoformat(),
    }


def live_funds(money: Funds) -> dict[str, str]:
    """Two-decimal strings, as clients of live brokers expect."""
    return {
        "availablecash": f"{money.available:.2f}",
        "collateral": f"{money.collateral:.2f}",
        "m2mrealized": f"{money.realised:.2f}",
        "m2munrealized": f"{money.unrealised:.2f}",
        "utiliseddebits": f"{money.used:.2f}",
    }


def paper_funds(money: Funds) -> dict[str, Any]:
    """Numbers, and what only the paper exchange keeps."""
    total = money.total_realised if money.total_realised is not None else money.realised
    return {
        "availablecash": records.money(money.available),
        "collateral": records.money(money.collateral),
        "m2mrealized": records.money(money.realised),
        "m2munrealized": records.money(money.unrealised),
        "utiliseddebits": records.money(money.used),
        "grossexposure": records.money(money.used),
        "today_realized_pnl": records.money(money.realised),
        "total_realized_pnl": records.money(total),
        "totalpnl": records.money(total + money.unrealised),
        "charges": records.money(money.charges),
        "last_reset": "" if money.last_reset is None else records.ist(money.last_reset),
        "reset_count": money.reset_count or 0,
    }


_WHERE = {
    "symbol": STRING,
    "exchange": one_of(*EXCHANGES),
    "product": one_of(*orders.PRODUCTS),
    "quantity": NUMBER,
}
_TODAY = {"pnl": NUMBER, "unrealized_pnl": NUMBER, "today_realized_pnl": NUMBER, "total_pnl_today": NUMBER}
_COUNTS = (
    "total_buy_orders",
    "total_sell_orders",
    "total_completed_orders",
    "total_open_orders",
    "total_rejected_orders",
    "total_trigger_pending_orders",
)
_TOTALS = ("total_pnl", "total_unrealized_pnl", "total_today_realized_pnl", "total_pnl_today")
_FIVE = ("availablecash", "collateral", "m2mrealized", "m2munrealized", "utiliseddebits")
_SUMS = ("totalholdingvalue", "totalinvvalue", "totalprofitandloss", "totalpnlpercentage")
_AMOUNT = {"anyOf": [STRING, NUMBER]}

ORDER_BOOK = sandboxed(
    data(obj({"orders": array(orders.ROW), "statistics": obj(dict.fromkeys(_COUNTS, INTEGER))}))
)
TRADE_BOOK = sandboxed(
    data(
        array(
            obj(
                {
                    **_WHERE,
                    "orderid": STRING,
                    "tradeid": STRING,
                    "action": one_of("BUY", "SELL"),
                    "price": NUMBER,
                    "average_price": NUMBER,
                    "trade_value": NUMBER,
                    "strategy": STRING,
                    "timestamp": STRING,
                }
            )
        )
    )
)
POSITION_BOOK = sandboxed(
    data(
        array(
            obj(
                {
                    **_WHERE,
                    **_TODAY,
                    "average_price": NUMBER,
                    "ltp": NUMBER,
                    "pnlpercent": NUMBER,
                    "lot_size": NUMBER,
                }
            )
        ),
        dict.fromkeys(_TOTALS, NUMBER),
    )
)
PNL = sandboxed(data(array(obj({**_WHERE, **_TODAY})), dict.fromkeys(_TOTALS, NUMBER)))
HOLDINGS = sandboxed(
    data(
        obj(
            {
                "holdings": array(
                    obj(
                        {
                            **_WHERE,
                            "average_price": NUMBER,
                            "ltp": NUMBER,
                            "current_value": NUMBER,
                            "pnl": NUMBER,
                            "pnlpercent": NUMBER,
                            "settlement_date": STRING,
                        }
                    )
                ),
                "statistics": obj(dict.fromkeys(_SUMS, NUMBER)),
            }
        )
    )
)
FUNDS = sandboxed(
    data(
        obj(
            dict.fromkeys(_FIVE, _AMOUNT),
            {
                **dict.fromkeys(("grossexposure", "today_realized_pnl", "total_realized_pnl"), NUMBER),
                **dict.fromkeys(("totalpnl", "charges"), NUMBER),
                "last_reset": STRING,
                "reset_count": INTEGER,
            },
        )
    )
)
OPEN_POSITION = sandboxed(success({"quantity": NUMBER}))
MARGIN = data(
    obj(
        {"total_margin_required": NUMBER, "span_margin": NUMBER, "exposure_margin": NUMBER},
        {"margin_benefit": NUMBER},
    )
)

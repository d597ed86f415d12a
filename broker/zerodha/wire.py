"""Kite Connect v3 on paper: our records to forms, its JSON rows to our records. Nothing here sends.

Sources: the broker's SDK (kiteconnect 5.2.2, read 2026-11-22) and its published samples, tests/samples/zerodha.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import orjson

from broker import fields, rows
from broker.codes import CodeTable
from broker.fields import FieldError, Row
from broker.interface import InstrumentLookup
from domain import market, model
from domain.conversion import ConvertPosition
from domain.model import CASH, Exchange, OrderState, OrderType, Product, Side

SIDE = CodeTable({side: side.value for side in Side})
ORDER_TYPE = CodeTable({kind: kind.value for kind in OrderType})
PRODUCT = CodeTable(
    {product: product.value for product in Product},
    # Products of the broker's own screens that the public API has no word for; read, never sent.
    also={"CO": Product.INTRADAY, "BO": Product.INTRADAY, "MTF": Product.DELIVERY},
)
STATE = CodeTable(
    {
        OrderState.OPEN: "OPEN",
        OrderState.TRIGGER_PENDING: "TRIGGER PENDING",
        OrderState.COMPLETE: "COMPLETE",
        OrderState.CANCELLED: "CANCELLED",
        OrderState.REJECTED: "REJECTED",
        OrderState.PENDING: "PUT ORDER REQ RECEIVED",
    },
    also={
        "VALIDATION PENDING": OrderState.PENDING,
        "OPEN PENDING": OrderState.PENDING,
        "AMO REQ RECEIVED": OrderState.PENDING,
        "UPDATE": OrderState.OPEN,
        "MODIFY PENDING": OrderState.OPEN,
        "MODIFY VALIDATION PENDING": OrderState.OPEN,
        "CANCEL PENDING": OrderState.OPEN,
        "CANCELLED AMO": OrderState.CANCELLED,
    },
)
EXCHANGE = CodeTable(
    {e: e.value for e in (*CASH, *(Exchange(x) for x in ("NFO", "BFO", "CDS", "BCD", "MCX", "NCO")))}
)

QUOTE = {name: name for name in ("last_price", "open", "high", "low", "close", "volume", "average_price")}
QUOTE |= {name: name for name in ("bid", "ask", "bid_quantity", "ask_quantity", "last_quantity")}
QUOTE |= {"open_interest": "oi"}
_OWN_PRODUCTS = frozenset(product.value for product in Product)


# -- domain → wire
def order_form(order: model.PlaceOrder) -> dict[str, str]:
    """The body of a placement. `market_protection` -1 lets the broker bound market orders by its own table."""
    return {
        "tradingsymbol": order.instrument.broker_symbol,
        "exchange": EXCHANGE.write(order.instrument.exchange),
        "transaction_type": SIDE.write(order.side),
        "product": PRODUCT.write(order.product),
        **_terms(order),
        "tag": order.client_order_id,
        **({"algo_id": order.algo_id} if order.algo_id else {}),
    }


def modify_form(change: model.ModifyOrder) -> dict[str, str]:
    """The body of a modification: the full new terms."""
    return _terms(change)


def _terms(order: model.PlaceOrder | model.ModifyOrder) -> dict[str, str]:
    terms = {
        "order_type": ORDER_TYPE.write(order.order_type),
        "quantity": rows.plain(order.quantity),
        "disclosed_quantity": rows.plain(order.disclosed_quantity),
        "validity": "DAY",
    }
    if order.order_type.has_price and order.price is not None:
        terms["price"] = rows.plain(order.price)
    if order.order_type.has_trigger and order.trigger_price is not None:
        terms["trigger_price"] = rows.plain(order.trigger_price)
    if order.order_type in (OrderType.MARKET, OrderType.STOP_MARKET):
        terms["market_protection"] = "-1"
    return terms


def margin_row(order: model.PlaceOrder) -> dict[str, object]:
    """One element of a margin question; numbers are numbers here, the body is JSON."""
    return {
        "exchange": EXCHANGE.write(order.instrument.exchange),
        "tradingsymbol": order.instrument.broker_symbol,
        "transaction_type": SIDE.write(order.side),
        "variety": "regular",
        "product": PRODUCT.write(order.product),
        "order_type": ORDER_TYPE.write(order.order_type),
        "quantity": float(order.quantity),
        "price": float(order.price or 0),
        "trigger_price": float(order.trigger_price or 0),
    }


def convert_form(wish: ConvertPosition, *, carried: bool) -> dict[str, str]:
    """The side is the position's. Source: kiteconnect 5.2.2 `convert_position`, read 2026-11-25."""
    return {
        "exchange": wish.instrument.broker_exchange,
        "tradingsymbol": wish.instrument.broker_symbol,
        "transaction_type": SIDE.write(wish.side),
        "position_type": "overnight" if carried else "day",
        "quantity": str(int(wish.quantity)),
        "old_product": PRODUCT.write(wish.product),
        "new_product": PRODUCT.write(wish.to_product),
    }


def gtt_form(wish: model.PlaceGtt, legs: Sequence[model.GttLeg]) -> dict[str, str]:
    """The body of a trigger; `legs` are limits, as the broker takes nothing else. Two parts are JSON in the form."""
    instrument = wish.instrument
    name = {"exchange": EXCHANGE.write(instrument.exchange), "tradingsymbol": instrument.broker_symbol}
    condition = name | {
        "trigger_values": [float(leg.trigger_price) for leg in legs],
        "last_price": float(wish.last_price),
    }
    orders = [
        name
        | {
            "transaction_type": SIDE.write(leg.side),
            "quantity": int(leg.quantity),
            "order_type": ORDER_TYPE.write(leg.order_type),
            "product": PRODUCT.write(leg.product),
            "price": float(leg.price or 0),
        }
        for leg in legs
    ]
    return {
        "type": wish.kind.value,
        "condition": orjson.dumps(condition).decode(),
        "orders": orjson.dumps(orders).decode(),
    }


def quote_key(instrument: model.Instrument) -> str:
    return f"{instrument.broker_exchange}:{instrument.broker_symbol}"


# -- wire → domain
def parse_order(row: Row, find: InstrumentLookup) -> model.Order:
    """Read one order-book row, or the `data` of an order frame or postback: they are the same row.

    `order_timestamp` is when the API took it; the exchange's times are null until it answered.
    """
    state, word = _state(row)
    symbol, exchange = _symbol(row, find)
    quantity, filled = fields.quantity(row, "quantity"), fields.quantity(row, "filled_quantity")
    if filled > quantity:
        raise FieldError("filled_quantity exceeds quantity")
    price, trigger = fields.positive(row, "price"), fields.positive(row, "trigger_price")
    kind, product = ORDER_TYPE.get(row.get("order_type")), PRODUCT.get(row.get("product"))
    if kind is None or product is None:
        state, word = OrderState.UNKNOWN, f"{word} ({row.get('order_type')} {row.get('product')})"
    placed = fields.ist_time(row, "order_timestamp")
    return model.Order(
        order_id=fields.text(row, "order_id"),
        client_order_id=rows.our_tag(row.get("tag")),
        symbol=symbol,
        exchange=exchange,
        side=SIDE.read(row.get("transaction_type")),
        quantity=quantity,
        filled=filled,
        order_type=kind or rows.kind_by_prices(price, trigger),
        product=product or rows.product_by_exchange(exchange),
        state=state,
        status_word=word,
        price=price,
        trigger_price=trigger,
        average_price=fields.positive(row, "average_price"),
        disclosed_quantity=fields.maybe_decimal(row, "disclosed_quantity") or Decimal(0),
        reason=fields.maybe_text(row, "status_message") if state is OrderState.REJECTED else "",
        placed_at=placed,
        updated_at=max(placed, _maybe_time(row, "exchange_update_timestamp") or placed),
    )


def parse_trade(row: Row, find: InstrumentLookup) -> model.Trade:
    """Read one trade-book row. `average_price` is this fill's price."""
    symbol, exchange = _symbol(row, find)
    return model.Trade(
        trade_id=fields.text(row, "trade_id"),
        order_id=fields.text(row, "order_id"),
        symbol=symbol,
        exchange=exchange,
        side=SIDE.read(row.get("transaction_type")),
        product=PRODUCT.read(row.get("product")),
        quantity=fields.quantity(row, "quantity"),
        price=fields.decimal(row, "average_price"),
        traded_at=_maybe_time(row, "fill_timestamp") or fields.ist_time(row, "exchange_timestamp"),
    )


def parse_positions(payload: object, find: InstrumentLookup) -> list[model.Position]:
    """The net list. Products that only the broker's screens have are left out: no call here can close them."""
    net = fields.rows(fields.row(payload).get("net"))
    return [
        _position(row, find) for row in net if row.get("product") in _OWN_PRODUCTS or _unknown_product(row)
    ]


def _position(row: Row, find: InstrumentLookup) -> model.Position:
    symbol, exchange = _symbol(row, find)
    quantity = fields.decimal(row, "quantity")
    average = fields.positive(row, "average_price") if quantity else None
    last = fields.positive(row, "last_price")
    multiplier = fields.positive(row, "multiplier") or Decimal(1)
    pnl = fields.maybe_decimal(row, "pnl")
    unrealised = None
    if not quantity:
        unrealised = Decimal(0)
    elif average is not None and last is not None:
        unrealised = (last - average) * quantity * multiplier
    return model.Position(
        symbol=symbol,
        exchange=exchange,
        product=PRODUCT.read(row.get("product")),
        quantity=quantity,
        average_price=average,
        last_price=float(last) if last is not None else None,
        realised=pnl - unrealised if pnl is not None and unrealised is not None else None,
        unrealised=unrealised,
        contract_value=multiplier,
    )


def parse_carried(payload: object, wish: ConvertPosition) -> tuple[Decimal, Decimal]:
    """Units carried and opened today, of the net row of a position; 0 and 0 where there is none.

    `overnight_quantity` is what came over, signed. Source: https://kite.trade/forum/discussion/9835, read 2026-11-25.
    """
    named = (wish.instrument.broker_exchange, wish.instrument.broker_symbol, wish.product.value)
    for row in fields.rows(fields.row(payload).get("net")):
        if (row.get("exchange"), row.get("tradingsymbol"), row.get("product")) == named:
            whole = fields.decimal(row, "quantity") * wish.side.sign
            return rows.carried(whole, fields.decimal(row, "overnight_quantity") * wish.side.sign)
    return Decimal(0), Decimal(0)


def parse_holding(row: Row, find: InstrumentLookup) -> model.Holding:
    """One holding. `quantity` is the net of delivered and T+1 shares; pledged ones are counted apart."""
    symbol, exchange = _symbol(row, find)
    last = fields.positive(row, "last_price")
    pledged = fields.maybe_decimal(row, "collateral_quantity") or Decimal(0)
    return model.Holding(
        symbol=symbol,
        exchange=exchange,
        quantity=fields.quantity(row, "quantity") + pledged,
        average_price=fields.decimal(row, "average_price"),
        last_price=float(last) if last is not None else None,
    )


def parse_funds(payload: object) -> model.Funds:
    """Equity and commodity together. `available.cash` has been seen 0 on funded accounts, so it is not used."""
    available = used = collateral = realised = unrealised = Decimal(0)
    segments = [fields.row(part) for part in fields.row(payload).values() if part]
    if not segments:
        raise FieldError("no segment")
    for segment in segments:
        have, spent = fields.row(segment.get("available")), fields.row(segment.get("utilised"))
        pledged = fields.decimal(have, "collateral")
        debits = fields.decimal(spent, "debits")
        available += fields.decimal(segment, "net") - pledged
        used += debits
        collateral += pledged
        realised += fields.decimal(spent, "m2m_realised")
        unrealised += fields.decimal(spent, "m2m_unrealised")
    return model.Funds(
        available=available, used=used, collateral=collateral, realised=realised, unrealised=unrealised
    )


def parse_margin(payload: object) -> model.Margin:
    """A list for one order, `{initial, final}` for a basket: only `final` has the spread's benefit."""
    if isinstance(payload, list):
        parts = fields.rows(payload)
        return _margin(parts, sum((fields.decimal(part, "total") for part in parts), Decimal(0)), None)
    basket = fields.row(payload)
    initial, final = fields.row(basket.get("initial")), fields.row(basket.get("final"))
    total = fields.decimal(final, "total")
    return _margin([final], total, fields.decimal(initial, "total") - total)


def _margin(parts: Sequence[Row], total: Decimal, benefit: Decimal | None) -> model.Margin:
    def of(name: str) -> Decimal:
        return sum((fields.decimal(part, name) for part in parts), Decimal(0))

    return model.Margin(total=total, span=of("span"), exposure=of("exposure"), benefit=benefit)


def parse_quote(row: Row, instrument: model.Instrument, read_at: datetime) -> market.Quote:
    """One value of `/quote`. Indices have no depth, volume or trade time."""
    bids, asks = parse_levels(row)
    best: dict[str, object] = {}
    for side, levels in (("bid", bids), ("ask", asks)):
        if levels:
            best |= {side: levels[0].price, f"{side}_quantity": levels[0].quantity}
    at = _maybe_time(row, "last_trade_time") or _maybe_time(row, "timestamp") or read_at
    return rows.quote({**row, **fields.row(row.get("ohlc")), **best}, QUOTE, instrument, at)


def parse_depth(row: Row, instrument: model.Instrument, read_at: datetime) -> market.Depth:
    bids, asks = parse_levels(row)
    return market.Depth(
        quote=parse_quote(row, instrument, read_at),
        bids=bids,
        asks=asks,
        total_buy_quantity=fields.whole(row, "buy_quantity"),
        total_sell_quantity=fields.whole(row, "sell_quantity"),
        upper_circuit=fields.real(row, "upper_circuit_limit") or None,
        lower_circuit=fields.real(row, "lower_circuit_limit") or None,
    )


def parse_levels(row: Row) -> tuple[tuple[market.DepthLevel, ...], ...]:
    """Bids and asks, best first, as many rows as the broker sends (zero-filled); both empty for an index."""
    depth = fields.row(row.get("depth") or {"buy": [], "sell": []})
    return tuple(
        tuple(rows.level(one, "price", "quantity", "orders") for one in fields.rows(depth.get(side)))
        for side in ("buy", "sell")
    )


def parse_candle(bar: object, daily: bool) -> market.Candle:
    """[time, open, high, low, close, volume, oi]. A day is stamped at IST midnight, ours at 00:00 UTC of that date."""
    if not isinstance(bar, list) or len(bar) < 6:
        raise FieldError("not a candle")
    row = dict(zip(("time", "open", "high", "low", "close", "volume", "oi"), bar, strict=False))
    start = datetime.fromisoformat(fields.text(row, "time"))
    if daily:
        start = datetime(start.year, start.month, start.day, tzinfo=UTC)
    opened, high, low, close = (float(fields.decimal(row, name)) for name in ("open", "high", "low", "close"))
    at, volume, interest = int(start.timestamp()), fields.whole(row, "volume"), fields.whole(row, "oi")
    return market.Candle(at, opened, high, low, close, volume, interest)


def parse_gtt(row: Row, find: InstrumentLookup) -> model.Gtt:
    condition = fields.row(row.get("condition"))
    symbol, exchange = _symbol(condition, find)
    triggers = condition.get("trigger_values")
    orders = fields.rows(row.get("orders"))
    if not isinstance(triggers, list) or len(triggers) != len(orders):
        raise FieldError("trigger_values and orders differ in number")
    return model.Gtt(
        trigger_id=fields.text(row, "id"),
        kind=model.GttKind(fields.text(row, "type")),
        status=fields.text(row, "status").lower(),
        symbol=symbol,
        exchange=exchange,
        legs=tuple(_gtt_leg(order, trigger) for order, trigger in zip(orders, triggers, strict=True)),
        last_price=fields.positive(condition, "last_price"),
        created_at=_maybe_time(row, "created_at"),
        updated_at=_maybe_time(row, "updated_at"),
        expires_at=_maybe_time(row, "expires_at"),
    )


def _gtt_leg(order: Row, trigger: object) -> model.GttLeg:
    return model.GttLeg(
        trigger_price=fields.decimal({"trigger_values": trigger}, "trigger_values"),
        side=SIDE.read(order.get("transaction_type")),
        quantity=fields.quantity(order, "quantity"),
        product=PRODUCT.read(order.get("product")),
        order_type=ORDER_TYPE.read(order.get("order_type")),
        price=fields.positive(order, "price"),
    )


def _state(row: Row) -> tuple[OrderState, str]:
    word = fields.text(row, "status")
    return STATE.get(word) or OrderState.UNKNOWN, word


def _symbol(row: Row, find: InstrumentLookup) -> tuple[str, Exchange]:
    return rows.named(fields.text(row, "exchange"), fields.text(row, "tradingsymbol"), find, EXCHANGE)


def _unknown_product(row: Row) -> bool:
    """Whether a product is in no list at all; such a row must fail the read, not vanish from it."""
    return PRODUCT.get(row.get("product")) is None


def _maybe_time(row: Row, name: str) -> datetime | None:
    return fields.ist_time(row, name) if row.get(name) else None

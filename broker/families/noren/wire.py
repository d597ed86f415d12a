"""Noren's words and rows: our records to `jData`, its rows of strings to our records. Nothing here sends.

Sources: norenrestapi 0.0.37, norenrestapioauth 0.0.41, NorenRestApiPy 0.0.22, read 2026-11-24; order triggers:
https://finserv-docs.pages.dev/gtt and https://zebumyntapi.web.app/OAuth/GTT%20Order, read 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import quote_plus

import orjson

from broker import fields, rows
from broker.codes import CodeTable
from broker.fields import FieldError, Row
from broker.interface import InstrumentLookup
from domain import market, model
from domain.clock import IST
from domain.conversion import ConvertPosition
from domain.model import Exchange, OrderState, OrderType, Product, Side

SIDE = CodeTable({Side.BUY: "B", Side.SELL: "S"})
ORDER_TYPE = CodeTable(
    {
        OrderType.MARKET: "MKT",
        OrderType.LIMIT: "LMT",
        OrderType.STOP_LIMIT: "SL-LMT",
        OrderType.STOP_MARKET: "SL-MKT",
    }
)
PRODUCT = CodeTable(
    {Product.DELIVERY: "C", Product.CARRY: "M", Product.INTRADAY: "I"},
    # Cover, bracket and margin-funded orders of the houses' own screens; read, never sent.
    also={"H": Product.INTRADAY, "B": Product.INTRADAY, "F": Product.DELIVERY},
)
STATE = CodeTable(
    {
        OrderState.OPEN: "OPEN",
        OrderState.PENDING: "PENDING",
        OrderState.TRIGGER_PENDING: "TRIGGER PENDING",
        OrderState.COMPLETE: "COMPLETE",
        OrderState.CANCELLED: "CANCELED",
        OrderState.REJECTED: "REJECTED",
    },
    also={
        "NEW": OrderState.OPEN,
        "REPLACED": OrderState.OPEN,
        "OPEN PENDING": OrderState.PENDING,
        "MODIFY PENDING": OrderState.OPEN,
        "CANCEL PENDING": OrderState.OPEN,
        "AFTER MARKET ORDER REQ RECEIVED": OrderState.PENDING,
        "CANCELLED": OrderState.CANCELLED,
        "REJECT": OrderState.REJECTED,
    },
)
REPORT = CodeTable({OrderState.REJECTED: "Rejected", OrderState.CANCELLED: "Canceled"})
EXCHANGE = CodeTable(
    {Exchange(name): name for name in ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX")}
    | {Exchange.NCDEX: "NCX"}
)

QUOTE = {
    "last_price": "lp", "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "bid": "bp1",
    "ask": "sp1", "bid_quantity": "bq1", "ask_quantity": "sq1", "open_interest": "oi", "last_quantity": "ltq",
    "average_price": "ap",
}  # fmt: skip
_OWN_PRODUCTS = frozenset({"C", "M", "I"})
_WHEN = "%H:%M:%S %d-%m-%Y"
_ABOVE, _BELOW = "LTP_A_O", "LTP_B_O"


def body(data: dict[str, object], key: str = "") -> bytes:
    """`jData=<json>`, with `&jKey=` where the call is keyed. The JSON is not url-encoded, but for the ampersand."""
    text = b"jData=" + orjson.dumps(data).replace(b"&", b"%26")
    return text + (f"&jKey={key}".encode() if key else b"")


# -- domain → wire
def order_data(order: model.PlaceOrder) -> dict[str, object]:
    """What is placed, without who places it."""
    return {
        "trantype": SIDE.write(order.side),
        "prd": PRODUCT.write(order.product),
        **_terms(order),
        "trgprc": rows.plain(order.trigger_price),
        "remarks": order.client_order_id,
        **({"algo_id": order.algo_id} if order.algo_id else {}),
    }


def modify_data(change: model.ModifyOrder) -> dict[str, object]:
    """A trigger price of 0 on a limit is refused ("Trigger price invalid"), so it is sent for stops alone."""
    trigger = {"trgprc": rows.plain(change.trigger_price)} if change.order_type.has_trigger else {}
    return {"norenordno": change.order_id, **_terms(change), **trigger}


def _terms(order: model.PlaceOrder | model.ModifyOrder) -> dict[str, object]:
    return {
        "exch": EXCHANGE.write(order.instrument.exchange),
        "tsym": quote_plus(order.instrument.broker_symbol),
        "qty": rows.plain(order.quantity),
        "dscqty": rows.plain(order.disclosed_quantity),
        "prctyp": ORDER_TYPE.write(order.order_type),
        "prc": rows.plain(order.price if order.order_type.has_price else None),
        "ret": "DAY",
    }


def margin_data(order: model.PlaceOrder) -> dict[str, object]:
    """One order of a margin question."""
    asked = _terms(order) | {"trgprc": rows.plain(order.trigger_price), "prd": PRODUCT.write(order.product)}
    asked["trantype"] = SIDE.write(order.side)
    return {name: asked[name] for name in asked if name not in ("dscqty", "ret")}


def convert_data(wish: ConvertPosition, *, carried: bool) -> dict[str, object]:
    """The side is the position's. Source: https://finserv-docs.pages.dev/orders_and_trades/product_conversion, read
    2026-11-25; the houses' builds of NorenRestApiPy spell `postype` DAY and CF."""
    return {
        "exch": EXCHANGE.write(wish.instrument.exchange),
        "tsym": quote_plus(wish.instrument.broker_symbol),
        "qty": rows.plain(wish.quantity),
        "prd": PRODUCT.write(wish.to_product),
        "prevprd": PRODUCT.write(wish.product),
        "trantype": SIDE.write(wish.side),
        "postype": "CF" if carried else "DAY",
    }


def gtt_data(wish: model.PlaceGtt, leg: model.GttLeg) -> dict[str, object]:
    """One trigger with its order: above the last price or below it, by where the trigger lies."""
    return {
        "tsym": quote_plus(wish.instrument.broker_symbol),
        "exch": EXCHANGE.write(wish.instrument.exchange),
        "ai_t": _ABOVE if leg.trigger_price > wish.last_price else _BELOW,
        "validity": "GTT",
        "d": rows.plain(leg.trigger_price),
        "remarks": "",
        "trantype": SIDE.write(leg.side),
        "prctyp": ORDER_TYPE.write(leg.order_type),
        "prd": PRODUCT.write(leg.product),
        "ret": "DAY",
        "qty": rows.plain(leg.quantity),
        "prc": rows.plain(leg.price),
        "dscqty": "0",
    }


# -- wire → domain
def parse_order(row: Row, find: InstrumentLookup) -> model.Order:
    """Read one OrderBook row, or an `om` frame, which names the product `pcode`.

    `fillshares` and `avgprc` are absent, not zero, on an untouched order.
    """
    word = fields.text(row, "status")
    state = STATE.get(word) or REPORT.get(row.get("reporttype")) or OrderState.UNKNOWN
    symbol, exchange = _symbol(row, find)
    quantity, filled = fields.quantity(row, "qty"), fields.maybe_decimal(row, "fillshares") or Decimal(0)
    if not 0 <= filled <= quantity:
        raise FieldError("fillshares is not within qty")
    price, trigger = fields.positive(row, "prc"), fields.positive(row, "trgprc")
    code = row.get("prd") or row.get("pcode")
    kind, product = ORDER_TYPE.get(row.get("prctyp")), PRODUCT.get(code)
    if kind is None or product is None:
        state, word = OrderState.UNKNOWN, f"{word} ({row.get('prctyp')} {code})"
    kind = kind or rows.kind_by_prices(price, trigger)
    updated = fields.ist_time(row, "norentm", _WHEN)
    return model.Order(
        order_id=fields.text(row, "norenordno"),
        client_order_id=rows.our_tag(row.get("remarks")),
        symbol=symbol,
        exchange=exchange,
        side=SIDE.read(row.get("trantype")),
        quantity=quantity,
        filled=filled,
        order_type=kind,
        product=product or rows.product_by_exchange(exchange),
        state=state,
        status_word=word,
        price=price if kind.has_price else None,
        trigger_price=trigger,
        average_price=fields.positive(row, "avgprc"),
        disclosed_quantity=fields.maybe_decimal(row, "dscqty") or Decimal(0),
        reason=fields.maybe_text(row, "rejreason") if state is OrderState.REJECTED else "",
        placed_at=min(_epoch(row, "ordenttm") or updated, updated),
        updated_at=updated,
    )


def parse_trade(row: Row, find: InstrumentLookup) -> model.Trade:
    """Read one TradeBook row: `flqty` and `flprc` are this fill's, `fillshares` and `avgprc` the whole order's."""
    symbol, exchange = _symbol(row, find)
    return model.Trade(
        trade_id=fields.text(row, "flid"),
        order_id=fields.text(row, "norenordno"),
        symbol=symbol,
        exchange=exchange,
        side=SIDE.read(row.get("trantype")),
        product=PRODUCT.read(row.get("prd")),
        quantity=fields.quantity(row, "flqty"),
        price=fields.decimal(row, "flprc"),
        traded_at=fields.ist_time(row, "fltm", "%d-%m-%Y %H:%M:%S"),
    )


def parse_positions(payload: object, find: InstrumentLookup) -> list[model.Position]:
    """Net positions. Products of the houses' own screens are left out: no call here can close them."""
    rows = fields.rows(payload)
    return [
        _position(row, find)
        for row in rows
        if row.get("prd") in _OWN_PRODUCTS or PRODUCT.get(row.get("prd")) is None
    ]


def parse_carried(payload: object, wish: ConvertPosition) -> tuple[Decimal, Decimal]:
    """Units carried and opened today of a position; 0 and 0 where there is none. `cf` is what came over."""
    one = wish.instrument
    for row in fields.rows(payload):
        if (row.get("exch"), row.get("tsym"), PRODUCT.get(row.get("prd"))) == (
            one.broker_exchange,
            one.broker_symbol,
            wish.product,
        ):
            bought, sold = (fields.maybe_decimal(row, name) for name in ("cfbuyqty", "cfsellqty"))
            came_in = (bought or Decimal(0)) - (sold or Decimal(0))
            whole = fields.decimal(row, "netqty") * wish.side.sign
            return rows.carried(whole, came_in * wish.side.sign)
    return Decimal(0), Decimal(0)


def _position(row: Row, find: InstrumentLookup) -> model.Position:
    """`netavgprc` is 0 on a closed row; profit is `rpnl` booked and `urmtom` open."""
    symbol, exchange = _symbol(row, find)
    quantity = fields.decimal(row, "netqty")
    last = fields.positive(row, "lp")
    instrument = find(fields.text(row, "exch"), fields.text(row, "tsym"))
    return model.Position(
        symbol=symbol,
        exchange=exchange,
        product=PRODUCT.read(row.get("prd")),
        quantity=quantity,
        average_price=fields.positive(row, "netavgprc") if quantity else None,
        last_price=float(last) if last is not None else None,
        realised=fields.maybe_decimal(row, "rpnl"),
        unrealised=fields.maybe_decimal(row, "urmtom") if quantity else Decimal(0),
        contract_value=instrument.contract_value if instrument else Decimal(1),
    )


def parse_holding(
    row: Row, find: InstrumentLookup, parts: Sequence[str], less: Sequence[str]
) -> model.Holding:
    """One holding under its NSE name where it has one. Shares stand in several pots; a pot not named is empty."""
    listed = fields.rows(row.get("exch_tsym"))
    if not listed:
        raise FieldError("exch_tsym is empty")
    home = next((one for one in listed if one.get("exch") == "NSE"), listed[0])
    symbol, exchange = _symbol(home, find)

    def pot(name: str) -> Decimal:
        return fields.maybe_decimal(row, name) or Decimal(0)

    whole = sum((pot(name) for name in parts), max(pot("npoadqty"), pot("dpqty")))
    gone = sum((pot(name) for name in less), Decimal(0))
    return model.Holding(
        symbol=symbol,
        exchange=exchange,
        quantity=whole - gone,
        average_price=fields.decimal(row, "upldprc"),
        sold_today=gone,
    )


def parse_funds(payload: object) -> model.Funds:
    """Limits: what is there less what is used. `rpnl` counts losses as positive here, unlike in positions."""
    row = fields.row(payload)
    used = fields.maybe_decimal(row, "marginused") or Decimal(0)
    paid_in = fields.maybe_decimal(row, "payin") or Decimal(0)
    return model.Funds(
        available=fields.decimal(row, "cash") + paid_in - used,
        used=used,
        collateral=fields.maybe_decimal(row, "brkcollamt") or Decimal(0),
        realised=-(fields.maybe_decimal(row, "rpnl") or Decimal(0)),
        unrealised=fields.maybe_decimal(row, "unmtom") or Decimal(0),
    )


def parse_quote(row: Row, instrument: model.Instrument, read_at: datetime) -> market.Quote:
    """GetQuotes; `c` is the previous close. What did not happen today is absent."""
    return rows.quote(row, QUOTE, instrument, _traded_at(row) or read_at)


def parse_depth(row: Row, instrument: model.Instrument, read_at: datetime) -> market.Depth:
    bids, asks = (
        tuple(rows.level(row, f"{side}p{n}", f"{side}q{n}", f"{side}o{n}") for n in range(1, 6))
        for side in "bs"
    )
    return market.Depth(
        quote=parse_quote(row, instrument, read_at),
        bids=bids,
        asks=asks,
        total_buy_quantity=fields.whole(row, "tbq"),
        total_sell_quantity=fields.whole(row, "tsq"),
        upper_circuit=fields.real(row, "uc") or None,
        lower_circuit=fields.real(row, "lc") or None,
    )


def parse_bar(row: Row) -> market.Candle:
    """One TPSeries row; `ssboe` is the epoch second at which the bar opened."""
    opened, high, low, close = (float(fields.decimal(row, name)) for name in ("into", "inth", "intl", "intc"))
    start = int(fields.decimal(row, "ssboe"))
    return market.Candle(start, opened, high, low, close, fields.whole(row, "intv"), fields.whole(row, "oi"))


def parse_day(text: object) -> market.Candle | None:
    """One EODChartData row, which is JSON inside a string. Rows of zeros are days without trade: None."""
    row = fields.row(orjson.loads(text) if isinstance(text, str) else text)
    day = datetime.strptime(fields.text(row, "time"), "%d-%b-%Y").replace(tzinfo=UTC)
    opened, high, low, close = (float(fields.decimal(row, name)) for name in ("into", "inth", "intl", "intc"))
    if not (opened or high or low or close):
        return None
    volume, interest = fields.whole(row, "intv"), fields.whole(row, "oi")
    return market.Candle(int(day.timestamp()), opened, high, low, close, volume, interest)


def trigger_id(row: Row) -> str:
    """The id of an order trigger, which the servers spell in two ways."""
    return fields.text(row, "al_id" if "al_id" in row else "Al_id")


def parse_gtt(row: Row, find: InstrumentLookup) -> model.Gtt:
    """Read one pending trigger; field names come in either case."""
    low = {name.lower(): value for name, value in row.items()}
    symbol, exchange = _symbol(low, find)
    leg = model.GttLeg(
        trigger_price=fields.decimal(low, "d"),
        side=SIDE.read(low.get("trantype")),
        quantity=fields.quantity(low, "qty"),
        product=PRODUCT.read(low.get("prd")),
        order_type=ORDER_TYPE.read(low.get("prctyp")),
        price=fields.positive(low, "prc"),
    )
    return model.Gtt(
        trigger_id=trigger_id(row),
        kind=model.GttKind.SINGLE,
        status="active",
        symbol=symbol,
        exchange=exchange,
        legs=(leg,),
    )


def _symbol(row: Row, find: InstrumentLookup) -> tuple[str, Exchange]:
    return rows.named(fields.text(row, "exch"), fields.text(row, "tsym"), find, EXCHANGE)


def _epoch(row: Row, name: str) -> datetime | None:
    value = row.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 11:
        return datetime.fromtimestamp(int(value), IST)
    return None


def _traded_at(row: Row) -> datetime | None:
    """Of the last trade: a time and a date in two fields, else the feed's epoch."""
    if row.get("ltt") and row.get("ltd"):
        return fields.ist_time({"at": f"{row['ltt']} {row['ltd']}"}, "at", _WHEN)
    return _epoch(row, "ft")

"""XTS's words and rows: our records to its JSON, its rows to our records. Nothing here sends.

Sources: xts-api-client 0.1.26 and the vendor's documents as its houses repeat them, read 2026-11-24. Order calls
name segments, market data calls number them. The vendor's misspellings (`LastTradedQunatity`, `dataReponse`) are on
the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from broker import fields, rows
from broker.codes import CodeTable
from broker.fields import FieldError, Row
from broker.interface import InstrumentLookup
from domain import market, model
from domain.clock import IST
from domain.conversion import ConvertPosition
from domain.model import Exchange, OrderState, OrderType, Product, Side

SIDE = CodeTable({Side.BUY: "BUY", Side.SELL: "SELL"})
ORDER_TYPE = CodeTable(
    {
        OrderType.MARKET: "MARKET",
        OrderType.LIMIT: "LIMIT",
        OrderType.STOP_LIMIT: "STOPLIMIT",
        OrderType.STOP_MARKET: "STOPMARKET",
    }
)
PRODUCT = CodeTable(
    {Product.DELIVERY: "CNC", Product.CARRY: "NRML", Product.INTRADAY: "MIS"},
    # Cover, bracket and margin-funded orders of the houses' own screens; read, never sent.
    also={"CO": Product.INTRADAY, "BO": Product.INTRADAY, "MTF": Product.DELIVERY},
)
STATE = CodeTable(
    {
        OrderState.PENDING: "PendingNew",
        OrderState.OPEN: "New",
        OrderState.TRIGGER_PENDING: "Trigger Pending",
        OrderState.COMPLETE: "Filled",
        OrderState.CANCELLED: "Cancelled",
        OrderState.REJECTED: "Rejected",
    },
    also={
        "Open": OrderState.OPEN,
        "Replaced": OrderState.OPEN,
        "PartiallyFilled": OrderState.OPEN,
        "PendingReplace": OrderState.OPEN,
        "PendingCancel": OrderState.OPEN,
        "Canceled": OrderState.CANCELLED,
    },
)
SEGMENT = CodeTable(
    {
        Exchange.NSE: "NSECM",
        Exchange.NFO: "NSEFO",
        Exchange.CDS: "NSECD",
        Exchange.BSE: "BSECM",
        Exchange.BFO: "BSEFO",
        Exchange.MCX: "MCXFO",
    }
)
NUMBERS = {"NSECM": 1, "NSEFO": 2, "NSECD": 3, "BSECM": 11, "BSEFO": 12, "MCXFO": 51}
SEGMENT_NAMES = {number: name for name, number in NUMBERS.items()}

_NET_QUANTITY = ("Quantity", "NetQty", "netQty", "NetQuantity", "net_qty")
_UNTOUCHED = frozenset({"new", "open", "replaced"})
_TIMES = ("%d-%m-%Y %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")
_1980 = int(datetime(1980, 1, 1, tzinfo=IST).timestamp())
_WALL = 19_800
"""Charts stamp IST wall time as if it were UTC."""
_NINE, _QUARTER_PAST = 9 * 3600, 9 * 3600 + 900
_OPEN_AT_NINE = frozenset({"NSECD", "3", "MCXFO", "51"})

QUOTE = {
    "last_price": "LastTradedPrice", "open": "Open", "high": "High", "low": "Low", "close": "Close",
    "volume": "TotalTradedQuantity", "last_quantity": "LastTradedQunatity", "average_price": "AverageTradedPrice",
    "bid": "BidPrice", "ask": "AskPrice", "bid_quantity": "BidSize", "ask_quantity": "AskSize",
    "open_interest": "OpenInterest",
}  # fmt: skip


# -- domain → wire
def named(instrument: model.Instrument) -> dict[str, object]:
    """An instrument as order calls name it."""
    token = int(instrument.broker_token)
    return {"exchangeSegment": instrument.broker_exchange, "exchangeInstrumentID": token}


def numbered(instrument: model.Instrument) -> dict[str, object]:
    """An instrument as market data calls number it."""
    return named(instrument) | {"exchangeSegment": NUMBERS[instrument.broker_exchange]}


def order_data(order: model.PlaceOrder) -> dict[str, object]:
    return {
        **named(order.instrument),
        "productType": PRODUCT.write(order.product),
        "orderType": ORDER_TYPE.write(order.order_type),
        "orderSide": SIDE.write(order.side),
        "timeInForce": "DAY",
        "disclosedQuantity": int(order.disclosed_quantity),
        "orderQuantity": int(order.quantity),
        **dict(zip(("limitPrice", "stopPrice"), _prices(order), strict=True)),
        "orderUniqueIdentifier": order.client_order_id,
    }


def convert_data(wish: ConvertPosition) -> dict[str, object]:
    """`isDayWise` false: of the net position, as the net book shows it. Source: xts-api-client 0.1.26
    `convert_position`, read 2026-11-25."""
    asked = {
        "targetQty": int(wish.quantity),
        "isDayWise": False,
        "oldProductType": PRODUCT.write(wish.product),
    }
    return named(wish.instrument) | asked | {"newProductType": PRODUCT.write(wish.to_product)}


def modify_data(change: model.ModifyOrder, tag: str) -> dict[str, object]:
    """All terms anew, and the tag that the order was placed with, as the vendor's library sends it; "" is left out."""
    return {
        "appOrderID": int(change.order_id),
        "modifiedProductType": PRODUCT.write(change.product),
        "modifiedOrderType": ORDER_TYPE.write(change.order_type),
        "modifiedOrderQuantity": int(change.quantity),
        "modifiedDisclosedQuantity": int(change.disclosed_quantity),
        **dict(zip(("modifiedLimitPrice", "modifiedStopPrice"), _prices(change), strict=True)),
        "modifiedTimeInForce": "DAY",
        **({"orderUniqueIdentifier": tag} if tag else {}),
    }


def margin_data(order: model.PlaceOrder) -> dict[str, object]:
    """One order of a margin question, which spells everything in its own way."""
    limit, stop = _prices(order)
    return {
        "exchange": NUMBERS[order.instrument.broker_exchange],
        "exchangeInstrumentId": int(order.instrument.broker_token),
        "productType": PRODUCT.write(order.product),
        "orderType": ORDER_TYPE.write(order.order_type),
        "orderSide": SIDE.write(order.side),
        "quantity": int(order.quantity),
        "price": limit,
        "stopPrice": stop,
        "orderSessionType": 1,
    }


def _prices(order: model.PlaceOrder | model.ModifyOrder) -> tuple[float, float]:
    limit = order.price if order.order_type.has_price else None
    stop = order.trigger_price if order.order_type.has_trigger else None
    return float(limit or 0), float(stop or 0)


# -- wire → domain
def words(answer: Row) -> str:
    """What a failure says; a "Bad Request" names its fields further in."""
    told, result = fields.maybe_text(answer, "description"), answer.get("result")
    listed = result.get("errors") if isinstance(result, dict) else None
    more = (
        [one.get("messages") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    )
    named = [str(text) for texts in more if isinstance(texts, list) for text in texts]
    return f"{told}: {', '.join(named)}" if named else told


def refuses_token(told: str, status: int) -> bool:
    """Whether a failure, its words in lower case, is the end of a session. Houses use its codes in two ways."""
    return "invalid token" in told or "token expired" in told or status == 401


def order_id(row: Row) -> str:
    """An AppOrderID, which some rows carry as 1110016421.0."""
    number = fields.decimal(row, "AppOrderID")
    if number <= 0 or number != int(number):
        raise FieldError("AppOrderID is no order number")
    return str(int(number))


def parse_order(row: Row, find: InstrumentLookup) -> model.Order:
    """Read one row of the order book. A stop that nothing happened to yet waits for its trigger."""
    word = fields.text(row, "OrderStatus")
    state = STATE.get(word) or OrderState.UNKNOWN
    symbol, exchange = _symbol(row, find)
    quantity = fields.quantity(row, "OrderQuantity")
    filled = fields.maybe_decimal(row, "CumulativeQuantity") or Decimal(0)
    if not 0 <= filled <= quantity:
        raise FieldError("CumulativeQuantity is not within OrderQuantity")
    price, trigger = fields.positive(row, "OrderPrice"), fields.positive(row, "OrderStopPrice")
    kind, product = ORDER_TYPE.get(row.get("OrderType")), PRODUCT.get(row.get("ProductType"))
    if kind is None or product is None:
        state, word = OrderState.UNKNOWN, f"{word} ({row.get('OrderType')} {row.get('ProductType')})"
    kind = kind or rows.kind_by_prices(price, trigger)
    if kind.has_trigger and not filled and word.lower() in _UNTOUCHED:
        state = OrderState.TRIGGER_PENDING
    placed = moment(row, "OrderGeneratedDateTime")
    return model.Order(
        order_id=order_id(row),
        client_order_id=rows.our_tag(row.get("OrderUniqueIdentifier")),
        symbol=symbol,
        exchange=exchange,
        side=SIDE.read(row.get("OrderSide")),
        state=state,
        status_word=word,
        order_type=kind,
        product=product or rows.product_by_exchange(exchange),
        quantity=quantity,
        filled=filled,
        price=price if kind.has_price else None,
        trigger_price=trigger,
        average_price=fields.positive(row, "OrderAverageTradedPrice"),
        disclosed_quantity=fields.maybe_decimal(row, "OrderDisclosedQuantity") or Decimal(0),
        reason=fields.maybe_text(row, "CancelRejectReason") if state is OrderState.REJECTED else "",
        placed_at=placed,
        updated_at=max(
            placed, moment(row, "LastUpdateDateTime") if row.get("LastUpdateDateTime") else placed
        ),
    )


def parse_trade(row: Row, find: InstrumentLookup) -> model.Trade:
    """Read one fill: `LastTraded…` are its own, `Order…` the whole order's."""
    symbol, exchange = _symbol(row, find)
    return model.Trade(
        trade_id=fields.text(row, "ExecutionID"),
        order_id=order_id(row),
        symbol=symbol,
        exchange=exchange,
        side=SIDE.read(row.get("OrderSide")),
        product=PRODUCT.read(row.get("ProductType")),
        quantity=fields.quantity(row, "LastTradedQuantity"),
        price=fields.decimal(row, "LastTradedPrice"),
        traded_at=moment(row, "LastExecutionTransactTime"),
    )


def parse_position(row: Row, find: InstrumentLookup) -> model.Position:
    """Read one net position; servers spell two of its fields in several ways. There is no last price in it."""
    symbol, exchange = _symbol(row, find)
    instrument = find(fields.text(row, "ExchangeSegment"), _token(row))
    quantity = fields.decimal(row, next((name for name in _NET_QUANTITY if name in row), _NET_QUANTITY[0]))
    side = "BuyAveragePrice" if quantity > 0 else "SellAveragePrice"
    return model.Position(
        symbol=symbol,
        exchange=exchange,
        product=PRODUCT.read(row.get("ProductType")),
        quantity=quantity,
        average_price=fields.positive(row, side) if quantity else None,
        realised=fields.maybe_decimal(row, "RealizedMTM"),
        unrealised=fields.maybe_decimal(row, "UnrealizedMTM") if quantity else Decimal(0),
        contract_value=instrument.contract_value if instrument else Decimal(1),
    )


def parse_holdings(payload: object, find: InstrumentLookup) -> list[model.Holding]:
    """Holdings by ISIN, each under its NSE name where it has one; None in place of the table is none held."""
    table = fields.row(payload)["RMSHoldings"]
    held = fields.row(table)["Holdings"] if table is not None else None
    return [_holding(isin, fields.row(one), find) for isin, one in fields.row(held or {}).items()]


def _holding(isin: str, row: Row, find: InstrumentLookup) -> model.Holding:
    homes = (("NSECM", "ExchangeNSEInstrumentId"), ("BSECM", "ExchangeBSEInstrumentId"))
    found = (find(segment, fields.text(row, name)) for segment, name in homes if row.get(name))
    instrument = next((one for one in found if one is not None), None)
    return model.Holding(
        symbol=instrument.symbol if instrument else isin,
        exchange=instrument.exchange if instrument else Exchange.NSE,
        quantity=fields.quantity(row, "HoldingQuantity"),
        average_price=fields.decimal(row, "BuyAvgPrice"),
    )


def parse_funds(payload: object) -> model.Funds:
    """The limits of all segments together; rows of single segments may be zero beside them."""
    table = fields.rows(fields.row(payload)["BalanceList"])
    whole = next((row for row in table if row.get("limitHeader") == "ALL|ALL|ALL"), None)
    if whole is None:
        raise FieldError("no limits of all segments")
    limits = fields.row(fields.row(whole["limitObject"])["RMSSubLimits"])

    def shown(name: str) -> Decimal:
        """What the server has no number for, it writes as NaN."""
        return Decimal(0) if limits.get(name) == "NaN" else fields.maybe_decimal(limits, name) or Decimal(0)

    return model.Funds(
        available=fields.decimal(limits, "netMarginAvailable"),
        used=fields.decimal(limits, "marginUtilized"),
        collateral=shown("collateral"),
        realised=shown("RealizedMTM"),
        unrealised=shown("UnrealizedMTM"),
    )


def parse_margin(payload: object) -> model.Margin:
    answer = fields.row(fields.row(payload)["brokerageDeatils"])
    if answer.get("IsValid") is not True:
        raise FieldError("the margin is not valid")
    return model.Margin(total=fields.decimal(answer, "MarginRequired"))


def touchline(row: Row) -> dict[str, object]:
    """The flat fields of a market data object, whether the server nests them or not."""
    inner = row.get("Touchline")
    flat = {**row, **fields.row(inner)} if inner is not None else dict(row)
    for name, side in (("BidInfo", "Bid"), ("AskInfo", "Ask")):
        if isinstance(best := flat.get(name), Mapping):
            flat |= {f"{side}Price": best.get("Price"), f"{side}Size": best.get("Size")}
    return flat


def parse_quote(flat: Row, instrument: model.Instrument, read_at: datetime) -> market.Quote:
    """A quote from `touchline` fields; `Close` is the previous close."""
    traded = traded_at(flat)
    at = datetime.fromtimestamp(traded, IST) if traded else read_at
    return rows.quote(flat, QUOTE, instrument, at)


def parse_depth(row: Row, instrument: model.Instrument, read_at: datetime) -> market.Depth:
    flat = touchline(row)
    return market.Depth(
        quote=parse_quote(flat, instrument, read_at),
        bids=levels(row, "Bids"),
        asks=levels(row, "Asks"),
        total_buy_quantity=fields.whole(flat, "TotalBuyQuantity"),
        total_sell_quantity=fields.whole(flat, "TotalSellQuantity"),
    )


def levels(row: Row, side: str) -> tuple[market.DepthLevel, ...]:
    listed = fields.rows(row.get(side) or [])
    return tuple(rows.level(one, "Price", "Size", "TotalOrders") for one in listed[:5])


def traded_at(flat: Row) -> int:
    """Epoch seconds of the last trade; 0 when there was none. Quotes count from 1980 in Indian time."""
    seconds = fields.whole(flat, "LastTradedTime") or fields.whole(flat, "LastUpdateTime")
    return seconds + _1980 if seconds > 0 else 0


def parse_bars(payload: object, interval: str, step: int) -> list[market.Candle]:
    """The bars of `dataReponse`, stamped within or at the end of each. `step` is seconds; days have UTC midnight."""
    answer = fields.row(payload)
    opens = _NINE if str(answer.get("exchangeSegment")) in _OPEN_AT_NINE else _QUARTER_PAST
    found = []
    for text in fields.text(answer, "dataReponse").split(","):
        if not text:
            continue
        cells = dict(zip(("at", "o", "h", "l", "c", "v", "oi"), text.split("|"), strict=False))
        wall = int(fields.decimal(cells, "at"))
        midnight = wall - wall % 86_400
        start = midnight
        if interval != "D":
            first = midnight + opens
            start = first + (wall - first) // step * step - _WALL
        opened, high, low, close = (float(fields.decimal(cells, name)) for name in "ohlc")
        volume, interest = fields.whole(cells, "v"), fields.whole(cells, "oi")
        found.append(market.Candle(start, opened, high, low, close, volume, interest))
    return found


def moment(row: Row, name: str) -> datetime:
    """A time in one of the forms that the servers write, as aware IST."""
    return fields.ist_time(row, name, *_TIMES)


def chart_time(day: datetime) -> str:
    return day.strftime("%b %d %Y %H%M%S")


def _token(row: Row) -> str:
    return fields.text(
        row, "ExchangeInstrumentID" if "ExchangeInstrumentID" in row else "ExchangeInstrumentId"
    )


def _symbol(row: Row, find: InstrumentLookup) -> tuple[str, Exchange]:
    segment = fields.text(row, "ExchangeSegment")
    instrument = find(segment, _token(row))
    if instrument is not None:
        return instrument.symbol, instrument.exchange
    return fields.maybe_text(row, "TradingSymbol") or _token(row), SEGMENT.read(segment)

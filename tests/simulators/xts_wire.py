"""XTS's spellings, rows and objects as its servers write them."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from html import escape

from broker.paper.booked import Line
from domain.clock import IST
from domain.market import Candle, Depth, DepthLevel
from domain.model import Exchange, Instrument, InstrumentKind, OrderState, OrderType, Product, Side, Trade
from tests.simulators.exchange import Entry, Held

INTERACTIVE = {
    "POST user/session": "login", "DELETE user/session": "logout", "GET thirdparty": "login page",
    "POST orders": "place", "PUT orders": "modify", "DELETE orders": "cancel", "GET orders": "orders",
    "POST orders/cancelall": "cancel all", "GET orders/trades": "trades", "GET portfolio/positions": "positions",
    "GET portfolio/holdings": "holdings", "GET user/balance": "funds", "GET user/profile": "profile",
    "POST orders/margindetails": "margin", "PUT portfolio/positions/convert": "convert",
}  # fmt: skip
MARKET = {
    "POST auth/login": "login", "DELETE auth/logout": "logout", "POST instruments/quotes": "quotes",
    "GET instruments/ohlc": "candles", "POST instruments/master": "instruments",
    "GET instruments/indexlist": "indices", "POST instruments/subscription": "subscribe",
    "PUT instruments/subscription": "unsubscribe", "GET config/clientConfig": "config",
    "GET search/instruments": "search",
}  # fmt: skip
"""What a route of the order service is for, and of the market data service."""
SEGMENTS = {"NSECM": 1, "NSEFO": 2, "NSECD": 3, "BSECM": 11, "BSEFO": 12, "MCXFO": 51}
HOMES = {
    Exchange.NSE: "NSECM", Exchange.NSE_INDEX: "NSECM", Exchange.NFO: "NSEFO", Exchange.CDS: "NSECD",
    Exchange.BSE: "BSECM", Exchange.BSE_INDEX: "BSECM", Exchange.BFO: "BSEFO", Exchange.MCX: "MCXFO",
}  # fmt: skip
INDICES = {
    "NIFTY": ("NIFTY 50", 26000), "BANKNIFTY": ("NIFTY BANK", 26001), "INDIAVIX": ("INDIA VIX", 26002),
    "SENSEX": ("SENSEX", 1), "BANKEX": ("BANKEX", 12),
}  # fmt: skip
SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}
PRODUCTS = {Product.DELIVERY: "CNC", Product.CARRY: "NRML", Product.INTRADAY: "MIS"}
TYPES = {
    OrderType.MARKET: "Market", OrderType.LIMIT: "Limit",
    OrderType.STOP_LIMIT: "StopLimit", OrderType.STOP_MARKET: "StopMarket",
}  # fmt: skip
STATUS = {
    OrderState.PENDING: "PendingNew", OrderState.OPEN: "New", OrderState.TRIGGER_PENDING: "New",
    OrderState.COMPLETE: "Filled", OrderState.CANCELLED: "Cancelled", OrderState.REJECTED: "Rejected",
    OrderState.EXPIRED: "Cancelled",
}  # fmt: skip
EPOCH_1980 = 315_532_800 - 19_800
WALL = 19_800


class Scrip:
    """One instrument under XTS's names. Numbers repeat between segments, as they do in life."""

    def __init__(self, instrument: Instrument, number: int) -> None:
        self.instrument = instrument
        self.segment = HOMES[instrument.exchange]
        self.number, self.name = number, instrument.name
        self.symbol = self.shown = instrument.symbol
        if instrument.kind is InstrumentKind.INDEX:
            self.name, self.number = INDICES[instrument.symbol]
            self.symbol = self.shown = self.name
        elif instrument.expiry is None:
            self.symbol = f"{instrument.symbol}-EQ" if self.segment == "NSECM" else instrument.symbol
        else:
            strike = digits(instrument.strike) if instrument.strike else ""
            self.symbol = f"{self.name}{instrument.expiry:%y%b}{strike}{instrument.kind.value}".upper()
            self.shown = (
                f"{self.name} {instrument.expiry:%d%b%Y} {instrument.kind.value} {strike}".upper().strip()
            )

    @property
    def key(self) -> tuple[int, int]:
        return SEGMENTS[self.segment], self.number

    def master_row(self) -> str:
        one = self.instrument
        if one.expiry is None:
            series = "SPOT" if one.kind is InstrumentKind.INDEX else "EQ" if self.segment == "NSECM" else "A"
            cells: list[object] = [8, self.name, self.symbol, series, f"{self.name}-{series}",
                                   f"11001{self.number:08}", 99999, "0.05", 500000, digits(one.tick_size), one.lot_size,
                                   1, self.shown, "INE000000000", 1, 1, self.symbol, 0, -1, -1]  # fmt: skip
        else:
            future = one.kind is InstrumentKind.FUTURE
            series = ("FUT" if future else "OPT") + ("IDX" if self.name in INDICES else "STK")
            numerator = 1 if self.segment in ("NSEFO", "BSEFO") else 4
            tail = [] if future else [digits(one.strike or Decimal(0)), {"CE": 3, "PE": 4}[one.kind.value]]
            cells = [1 if future else 2, self.name, self.symbol, series, f"{self.name}-{series}",
                     f"26001{self.number:08}", 99999, "0.05", 1801, digits(one.tick_size), one.lot_size, 1, -1,
                     self.name, f"{one.expiry}T14:30:00", *tail, self.shown, numerator, 1, self.symbol]  # fmt: skip
        return "|".join(map(str, [self.segment, self.number, *cells]))

    def spread_row(self) -> str:
        """A calendar spread beside a future."""
        cells = self.master_row().split("|")
        return "|".join([cells[0], f"9{cells[1]}", "4", *cells[3:]])


def digits(value: Decimal) -> str:
    return f"{value.normalize():f}" if value else "0"


def clock(at: datetime, iso: bool) -> str:
    local = at.astimezone(IST)
    return (
        f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond // 1000:03}" if iso else f"{local:%d-%m-%Y %H:%M:%S}"
    )


def stamp(at: datetime) -> int:
    """Seconds since 1980 in Indian time."""
    return int(at.timestamp()) - EPOCH_1980


# -- rows
def order_row(entry: Entry, scrip: Scrip, modified: bool, iso: bool) -> dict[str, object]:
    order = entry.order
    status = STATUS[order.state]
    if order.state in (OrderState.OPEN, OrderState.TRIGGER_PENDING):
        status = "PartiallyFilled" if order.filled else "Replaced" if modified else status
        if order.state is OrderState.OPEN and order.order_type.has_trigger and not order.filled:
            status = "Triggered"
    return {
        "LoginID": entry.user,
        "ClientID": entry.user,
        "AppOrderID": int(order.order_id),
        "OrderReferenceID": "",
        "GeneratedBy": "TWSAPI",
        "ExchangeOrderID": f"11{order.order_id}",
        "OrderCategoryType": "NORMAL",
        "ExchangeSegment": scrip.segment,
        "ExchangeInstrumentID": scrip.number,
        "TradingSymbol": scrip.symbol,
        "OrderSide": SIDES[order.side],
        "OrderType": TYPES[order.order_type],
        "ProductType": PRODUCTS[order.product],
        "TimeInForce": "DAY",
        "OrderPrice": float(order.price or 0),
        "OrderQuantity": int(order.quantity),
        "OrderStopPrice": float(order.trigger_price or 0),
        "OrderStatus": status,
        "OrderAverageTradedPrice": f"{order.average_price:.2f}" if order.average_price else "",
        "LeavesQuantity": int(order.pending),
        "CumulativeQuantity": int(order.filled),
        "OrderDisclosedQuantity": int(order.disclosed_quantity),
        "OrderGeneratedDateTime": clock(order.placed_at, iso),
        "ExchangeTransactTime": clock(order.updated_at, iso),
        "LastUpdateDateTime": clock(order.updated_at, iso),
        "CancelRejectReason": order.reason,
        "OrderUniqueIdentifier": entry.tag,
        "MessageCode": 9004,
        "SequenceNumber": 0,
    }


def trade_row(trade: Trade, row: dict[str, object], iso: bool) -> dict[str, object]:
    return row | {
        "LastTradedPrice": float(trade.price),
        "LastTradedQuantity": int(trade.quantity),
        "LastExecutionTransactTime": clock(trade.traded_at, iso),
        "ExecutionID": trade.trade_id,
        "MessageCode": 9005,
    }


def position_row(line: Line, scrip: Scrip, last: float, id_name: str) -> dict[str, object]:
    worth = line.instrument.contract_value
    unrealised = Decimal(str(last)) * line.quantity * worth - line.cost
    average = f"{line.average or 0:.4f}"
    return {
        "AccountID": "SIM",
        "TradingSymbol": scrip.symbol,
        "ExchangeSegment": scrip.segment,
        id_name: str(scrip.number),
        "ProductType": PRODUCTS[line.product],
        "Marketlot": str(scrip.instrument.lot_size),
        "Multiplier": digits(worth),
        "BuyAveragePrice": average if line.quantity >= 0 else "0",
        "SellAveragePrice": average if line.quantity <= 0 else "0",
        "OpenBuyQuantity": digits(max(line.quantity, Decimal(0))),
        "OpenSellQuantity": digits(max(-line.quantity, Decimal(0))),
        "Quantity": digits(line.quantity),
        "RealizedMTM": f"{line.realised_today:.2f}",
        "UnrealizedMTM": f"{unrealised:.2f}",
        "MTM": f"{line.realised_today + unrealised:.2f}",
        "StatisticsLevel": "ParentLevel",
        "childPositions": {},
    }


def holding_row(held: Held, scrip: Scrip) -> dict[str, object]:
    return {
        "ISIN": "INE062A01020",
        "HoldingQuantity": int(held.quantity),
        "UsedQuantity": 0,
        "BuyAvgPrice": float(held.average_price),
        "ExchangeNSEInstrumentId": scrip.number if scrip.segment == "NSECM" else 0,
        "ExchangeBSEInstrumentId": scrip.number if scrip.segment == "BSECM" else 500112,
        "CollateralQuantity": 0,
        "IsCollateralHolding": False,
    }


def balance(user: str, available: Decimal, used: Decimal) -> dict[str, object]:
    def limits(free: str, gone: str) -> dict[str, object]:
        return {"AccountID": user, "RMSSubLimits": {
            "cashAvailable": free, "collateral": "0", "marginUtilized": gone, "netMarginAvailable": free,
            "MTM": "0", "UnrealizedMTM": "NaN", "RealizedMTM": "0"}}  # fmt: skip

    return {
        "BalanceList": [
            {"limitHeader": "CASH|NSE|MTF", "limitObject": limits("0", "0")},
            {"limitHeader": "ALL|ALL|ALL", "limitObject": limits(f"{available:.2f}", f"{used:.2f}")},
        ]
    }


# -- market data
def market_object(code: int, depth: Depth, scrip: Scrip, traded: bool) -> dict[str, object]:
    """What message `code` says of an instrument. 1512 is flat."""
    segment, number = scrip.key
    quote = depth.quote
    head: dict[str, object] = {
        "MessageCode": code,
        "ExchangeSegment": segment,
        "ExchangeInstrumentID": number,
    }
    at = stamp(quote.at) if traded else 0
    if code == 1510:
        return head | {"OpenInterest": quote.open_interest, "XMarketType": 0}
    if code == 1512:
        return head | {"LastTradedPrice": quote.last_price, "LastTradedQunatity": quote.last_quantity,
                       "LastUpdateTime": at, "PercentChange": 0.5, "Close": quote.close}  # fmt: skip
    index = scrip.instrument.kind is InstrumentKind.INDEX
    bids, asks = ([], []) if index else (_levels(depth.bids), _levels(depth.asks))
    touch: dict[str, object] = {
        "BidInfo": bids[0] if bids else {"Size": 0, "Price": 0, "TotalOrders": 0},
        "AskInfo": asks[0] if asks else {"Size": 0, "Price": 0, "TotalOrders": 0},
        "LastTradedPrice": quote.last_price, "LastTradedQunatity": quote.last_quantity, "LastTradedTime": at,
        "LastUpdateTime": at, "TotalBuyQuantity": depth.total_buy_quantity,
        "TotalSellQuantity": depth.total_sell_quantity, "TotalTradedQuantity": quote.volume,
        "AverageTradedPrice": quote.average_price, "Open": quote.open, "High": quote.high, "Low": quote.low,
        "Close": quote.close, "PercentChange": 0.5,
    }  # fmt: skip
    head |= {"ExchangeTimeStamp": at, "Touchline": touch}
    return head if code == 1501 else head | {"Bids": bids, "Asks": asks, "BookType": 1}


def _levels(levels: Iterable[DepthLevel]) -> list[dict[str, object]]:
    return [{"Size": each.quantity, "Price": each.price, "TotalOrders": each.orders} for each in levels]


def bars(candles: Iterable[Candle], interval: str, step: int) -> str:
    """Wall time labelled as UTC, at each bar's last second; equities leave the open interest empty."""
    told = []
    for bar in candles:
        at = bar.start + 86_399 if interval == "D" else bar.start + WALL + step - 1
        cells = (at, *bar[1:6], bar.open_interest or "")
        told.append("|".join(map(str, cells)))
    return ",".join(told)


def event(name: str, value: object) -> str:
    """A Socket.IO event whose argument is JSON text."""
    return "42" + json.dumps([name, json.dumps(value)])


def packet(code: int, key: tuple[int, int], price: float) -> bytes:
    """A binary packet: the known header, and a payload that nobody has documented."""
    return (
        struct.pack("<HHhihhH", 0, code, *key, 1, 1, 190)
        + struct.pack("<H", code)
        + struct.pack("<d", price) * 23
    )


def chart_day(text: str) -> datetime:
    return datetime.strptime(text, "%b %d %Y %H%M%S").replace(tzinfo=UTC)


def approval(back: str, session: str) -> str:
    """The login page of a house that posts its answer: one form with one button."""
    return (
        '<!doctype html><title>Approve</title><link rel="icon" href="data:,">'
        f'<form method="post" action="{escape(back)}">'
        f'<input type="hidden" name="session" value="{escape(session)}"><button>Approve</button></form>'
    )

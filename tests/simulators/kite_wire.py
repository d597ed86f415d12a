"""Kite's spellings, rows and packets as the broker writes them; written from its documents and SDK, not from ours."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from broker.paper.booked import Line
from domain.clock import IST
from domain.market import Candle, Depth, Quote, Tick
from domain.model import Exchange, Instrument, InstrumentKind, Order, OrderState, Trade
from tests.simulators.exchange import Entry, Held

SEGMENTS = {"NSE": 1, "NFO": 2, "CDS": 3, "BSE": 4, "BFO": 5, "BCD": 6, "MCX": 7, "INDICES": 9, "NCO": 12}
DIVISORS = {3: 10_000_000, 6: 10_000, 12: 10_000}
INDEX_NAMES = {"NIFTY": "NIFTY 50", "BANKNIFTY": "NIFTY BANK", "INDIAVIX": "INDIA VIX"}
INDEX_HOME = {Exchange.NSE_INDEX: "NSE", Exchange.BSE_INDEX: "BSE"}
WEEKLY_MONTHS = "123456789OND"
COLUMNS = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange"
)
STATUS = {
    OrderState.PENDING: "PUT ORDER REQ RECEIVED",
    OrderState.OPEN: "OPEN",
    OrderState.TRIGGER_PENDING: "TRIGGER PENDING",
    OrderState.COMPLETE: "COMPLETE",
    OrderState.CANCELLED: "CANCELLED",
    OrderState.REJECTED: "REJECTED",
    OrderState.EXPIRED: "CANCELLED",
}

_SIDES = ("quantity", "price", "value")
_POSITION_ZEROS = (
    *(f"{day}{side}_{name}" for day in ("", "day_") for side in ("buy", "sell") for name in _SIDES),
    "buy_m2m", "sell_m2m", "overnight_quantity",
)  # fmt: skip
_FUNDS_ZEROS = (
    "exposure", "m2m_realised", "m2m_unrealised", "option_premium", "payout", "span", "holding_sales",
    "turnover", "liquid_collateral", "stock_collateral", "delivery",
)  # fmt: skip


class Scrip:
    """One instrument under Kite's names."""

    def __init__(self, instrument: Instrument, number: int) -> None:
        self.instrument = instrument
        index = instrument.kind is InstrumentKind.INDEX
        self.exchange = INDEX_HOME.get(instrument.exchange, instrument.exchange.value)
        self.segment = "INDICES" if index else self.exchange
        self.exchange_token = number
        self.token = number * 256 + SEGMENTS[self.segment]
        self.symbol = _symbol(instrument)
        self.divisor = DIVISORS.get(self.token & 0xFF, 100)

    @property
    def key(self) -> str:
        return f"{self.exchange}:{self.symbol}"

    def csv(self) -> str:
        one = self.instrument
        kind, segment = "EQ", self.segment
        if one.expiry:
            kind = {"FUT": "FUT", "CE": "CE", "PE": "PE"}[one.kind.value]
            segment = f"{self.exchange}-{'FUT' if kind == 'FUT' else 'OPT'}"
        lot, tick = (0, 0) if segment == "INDICES" else (one.lot_size, one.tick_size)
        fields = (
            self.token, self.exchange_token, self.symbol, one.name, 0.0, one.expiry or "",
            float(one.strike or 0), tick, lot, kind, segment, self.exchange,
        )  # fmt: skip
        return ",".join(str(value) for value in fields)


def _symbol(one: Instrument) -> str:
    if one.kind is InstrumentKind.INDEX:
        return INDEX_NAMES.get(one.symbol, one.symbol)
    if one.expiry is None:
        return one.symbol
    month = one.expiry.strftime("%y%b").upper()
    if one.strike is None:
        return f"{one.name}{month}FUT"
    if one.name in ("NIFTY", "SENSEX"):
        month = f"{one.expiry:%y}{WEEKLY_MONTHS[one.expiry.month - 1]}{one.expiry:%d}"
    return f"{one.name}{month}{one.strike.normalize():f}{one.kind.value}"


def master(scrips: Iterable[Scrip]) -> bytes:
    return "\n".join([COLUMNS, *(scrip.csv() for scrip in scrips)]).encode() + b"\n"


def stamp(at: datetime) -> str:
    return at.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")


def number(value: Decimal | None) -> float | int:
    if value is None:
        return 0
    return int(value) if value == int(value) else float(value)


def order_row(
    entry: Entry, scrip: Scrip, order: Order | None = None, status: str | None = None
) -> dict[str, object]:
    """A row of `/orders`; with `status`, the state on the way that it had before the exchange answered."""
    order = order or entry.order
    early = status is not None
    final = order.state.is_final
    return {
        "placed_by": entry.user,
        "order_id": order.order_id,
        "exchange_order_id": None if early else f"1100{order.order_id}",
        "parent_order_id": None,
        "status": status or STATUS[order.state],
        "status_message": order.reason or None,
        "status_message_raw": order.reason or None,
        "order_timestamp": stamp(order.placed_at),
        "exchange_update_timestamp": None if early else stamp(order.updated_at),
        "exchange_timestamp": None if early else stamp(order.updated_at),
        "variety": entry.extra.get("variety", "regular"),
        "modified": False,
        "exchange": scrip.exchange,
        "tradingsymbol": scrip.symbol,
        "instrument_token": scrip.token,
        "order_type": order.order_type.value,
        "transaction_type": order.side.value,
        "validity": entry.extra.get("validity", "DAY"),
        "validity_ttl": 0,
        "product": order.product.value,
        "quantity": number(order.quantity),
        "disclosed_quantity": number(order.disclosed_quantity),
        "price": number(order.price),
        "trigger_price": number(order.trigger_price),
        "average_price": number(order.average_price),
        "filled_quantity": 0 if early else number(order.filled),
        "pending_quantity": number(Decimal(0) if final else order.quantity - order.filled),
        "cancelled_quantity": number(
            order.quantity - order.filled if order.state is OrderState.CANCELLED else Decimal(0)
        ),
        "market_protection": int(entry.extra.get("market_protection", "0")),
        "meta": {},
        "tag": entry.tag or None,
        "guid": f"guid{order.order_id}",
    }


def history_rows(entry: Entry, scrip: Scrip) -> list[dict[str, object]]:
    first = entry.history[0]
    early = [
        order_row(entry, scrip, first, word) for word in ("PUT ORDER REQ RECEIVED", "VALIDATION PENDING")
    ]
    return early + [order_row(entry, scrip, order) for order in entry.history]


def trade_row(trade: Trade, scrip: Scrip) -> dict[str, object]:
    return {
        "trade_id": trade.trade_id.lstrip("T"),
        "order_id": trade.order_id,
        "exchange": scrip.exchange,
        "tradingsymbol": scrip.symbol,
        "instrument_token": scrip.token,
        "product": trade.product.value,
        "average_price": number(trade.price),
        "quantity": number(trade.quantity),
        "exchange_order_id": f"1100{trade.order_id}",
        "transaction_type": trade.side.value,
        "fill_timestamp": stamp(trade.traded_at),
        "order_timestamp": stamp(trade.traded_at)[11:],
        "exchange_timestamp": stamp(trade.traded_at),
    }


def position_row(line: Line, scrip: Scrip, last: float) -> dict[str, object]:
    worth = line.instrument.contract_value
    unrealised = Decimal(str(last)) * line.quantity * worth - line.cost
    pnl = line.realised_today + unrealised
    row: dict[str, object] = dict.fromkeys(_POSITION_ZEROS, 0)
    return row | {
        "tradingsymbol": scrip.symbol,
        "exchange": scrip.exchange,
        "instrument_token": scrip.token,
        "product": line.product.value,
        "quantity": number(line.quantity),
        "multiplier": number(worth),
        "average_price": float(line.average or 0),
        "close_price": 0,
        "last_price": last,
        "value": float(-line.cost),
        "pnl": float(pnl),
        "m2m": float(pnl),
        "unrealised": float(pnl),
        "realised": 0,
    }


def holding_row(held: Held, scrip: Scrip, quote: Quote) -> dict[str, object]:
    last = quote.last_price
    return {
        "tradingsymbol": scrip.symbol,
        "exchange": scrip.exchange,
        "instrument_token": scrip.token,
        "isin": f"INE{scrip.exchange_token:06d}011",
        "product": "CNC",
        "price": 0,
        "quantity": number(held.quantity),
        "used_quantity": 0,
        "t1_quantity": 0,
        "realised_quantity": number(held.quantity),
        "authorised_quantity": 0,
        "authorised_date": "2026-01-01 00:00:00",
        "opening_quantity": number(held.quantity),
        "collateral_quantity": 0,
        "collateral_type": "",
        "discrepancy": False,
        "average_price": float(held.average_price),
        "last_price": last,
        "close_price": quote.close,
        "pnl": float((Decimal(str(last)) - held.average_price) * held.quantity),
        "day_change": last - quote.close,
        "day_change_percentage": (last - quote.close) / quote.close * 100,
    }


def segment_funds(net: Decimal, debits: Decimal) -> dict[str, object]:
    zero = dict.fromkeys(_FUNDS_ZEROS, 0)
    return {
        "enabled": True,
        "net": float(net),
        "available": {
            "adhoc_margin": 0,
            "cash": float(net + debits),
            "opening_balance": float(net + debits),
            "live_balance": float(net),
            "collateral": 0,
            "intraday_payin": 0,
        },
        "utilised": {"debits": float(debits), **zero},
    }


def quote_row(depth: Depth, scrip: Scrip) -> dict[str, object]:
    quote = depth.quote
    row: dict[str, object] = {
        "instrument_token": scrip.token,
        "timestamp": stamp(quote.at),
        "last_price": quote.last_price,
        "net_change": 0,
        "ohlc": {"open": quote.open, "high": quote.high, "low": quote.low, "close": quote.close},
    }
    if scrip.segment == "INDICES":
        return row
    sides = {"buy": depth.bids, "sell": depth.asks}
    return row | {
        "last_trade_time": stamp(quote.at),
        "last_quantity": quote.last_quantity,
        "buy_quantity": depth.total_buy_quantity,
        "sell_quantity": depth.total_sell_quantity,
        "volume": quote.volume,
        "average_price": quote.average_price,
        "oi": quote.open_interest,
        "oi_day_high": quote.open_interest,
        "oi_day_low": quote.open_interest,
        "lower_circuit_limit": depth.lower_circuit,
        "upper_circuit_limit": depth.upper_circuit,
        "depth": {
            side: [{"price": lv.price, "quantity": lv.quantity, "orders": lv.orders} for lv in levels]
            for side, levels in sides.items()
        },
    }


def candle_row(bar: Candle, daily: bool) -> list[object]:
    at = datetime.fromtimestamp(bar.start - (19800 if daily else 0), IST).strftime("%Y-%m-%dT%H:%M:%S%z")
    return [at, bar.open, bar.high, bar.low, bar.close, bar.volume]


# -- packets
def packet(scrip: Scrip, tick: Tick, mode: str) -> bytes:
    """One packet of a mode, big-endian: 8, 28/32 (indices) or 44/184 bytes."""

    def paise(price: float) -> int:
        return round(price * scrip.divisor)

    if mode == "ltp":
        return struct.pack(">II", scrip.token, paise(tick.last_price))
    if scrip.segment == "INDICES":
        prices = (paise(p) for p in (tick.last_price, tick.high, tick.low, tick.open, tick.close))
        body = struct.pack(">7I", scrip.token, *prices, abs(paise(tick.last_price - tick.close)))
        return body + (struct.pack(">I", tick.ltt // 1000) if mode == "full" else b"")
    body = struct.pack(
        ">11I", scrip.token, paise(tick.last_price), tick.last_quantity, paise(tick.average_price), tick.volume,
        tick.total_buy_quantity, tick.total_sell_quantity, paise(tick.open), paise(tick.high), paise(tick.low),
        paise(tick.close),
    )  # fmt: skip
    if mode == "quote":
        return body
    interest = tick.open_interest
    body += struct.pack(">5I", tick.ltt // 1000, interest, interest, interest, tick.timestamp // 1000)
    levels = (*tick.bids, *tick.asks)
    return body + b"".join(struct.pack(">IIH2x", lv.quantity, paise(lv.price), lv.orders) for lv in levels)


def frame(packets: list[bytes]) -> bytes:
    return struct.pack(">H", len(packets)) + b"".join(struct.pack(">H", len(p)) + p for p in packets)

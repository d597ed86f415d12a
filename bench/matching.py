"""Matching: ticks a second that the exchange's engine meets with 10,000 resting orders, one core, no disk."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from bench import Context, Figure, median_of
from broker.paper.charges import no_charges
from broker.paper.exchange import PaperExchange
from broker.paper.numbers import Numbers
from broker.paper.rules import Terms
from domain.market import Candle, Depth, DepthLevel, Quote, Tick
from domain.model import Exchange, Instrument, InstrumentKind, OrderType, PlaceOrder, Product, Side

_START = datetime(2026, 8, 24, 4, 0, tzinfo=UTC)
_MIDDLE = Decimal(1000)
_STEP = Decimal("0.05")
_INSTRUMENTS = 100
_LEVELS = 60
_ACCOUNTS = 20
_TICKS = 200_000
_CROSS_EVERY = 100


class _Silent:
    """A market that shows nothing until its ticks are handed over."""

    feed = "bench"

    def quote(self, instrument: Instrument, at: datetime) -> Quote | None:
        return None

    def depth(self, instrument: Instrument, at: datetime) -> Depth | None:
        return None

    def ticks(self, instruments: Iterable[Instrument], since: datetime, until: datetime) -> list[Tick]:
        return []

    def candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        return []

    def trading_day(self, at: datetime) -> date:
        return at.date()


def run(context: Context) -> list[Figure]:
    return median_of([_once() for _ in range(context.runs)])


def _once() -> list[Figure]:
    exchange = PaperExchange(_Silent(), Numbers(lambda _: 0, lambda _: 0), Terms(), no_charges)
    begun = time.perf_counter()
    orders = _fill_books(exchange)
    placing = (time.perf_counter() - begun) / orders
    exchange.take_changes()
    tape = _tape()
    begun = time.perf_counter()
    for number, tick in enumerate(tape, 1):
        exchange.on_tick(tick)
        if number % 1000 == 0:
            trades = len(exchange.outbox.changes.trades)
            assert trades == 1000 // _CROSS_EVERY, trades
            exchange.take_changes()
    spent = time.perf_counter() - begun
    left = sum(len(pair[0].live) for pair in exchange.books.values())
    how = f"{orders} resting orders at the start, {left} at the end; each {_CROSS_EVERY}th tick fills one; records made"
    return [
        Figure(
            name="matching", value=len(tape) / spent, unit="ticks/s", target=50_000, better="higher", how=how
        ),
        Figure(name="a quiet tick", value=_quiet(exchange) * 1e6, unit="us", how="crosses nothing"),
        Figure(name="placing an order that rests", value=placing * 1e6, unit="us", how="in the engine alone"),
    ]


def _quiet(exchange: PaperExchange) -> float:
    ticks = [_tick(number, _START + timedelta(hours=2), _MIDDLE) for number in range(_INSTRUMENTS)] * 200
    begun = time.perf_counter()
    for tick in ticks:
        exchange.on_tick(tick)
    return (time.perf_counter() - begun) / len(ticks)


def _fill_books(exchange: PaperExchange) -> int:
    placed = 0
    for number in range(_INSTRUMENTS):
        instrument = _instrument(number)
        for level in range(1, _LEVELS + 1):
            for side in Side:
                placed += 1
                order = PlaceOrder(
                    client_order_id=f"b{placed:015d}",
                    instrument=instrument,
                    side=side,
                    quantity=Decimal(10),
                    order_type=OrderType.LIMIT,
                    product=Product.INTRADAY,
                    price=_MIDDLE - _STEP * level * side.sign,
                )
                exchange.place(str(placed % _ACCOUNTS), order, _START)
    return placed


def _tape() -> list[Tick]:
    """Quiet ticks of every instrument in turn; each hundredth trades through the next order, a side in turn."""
    tape = []
    crossings = [0] * _INSTRUMENTS
    for number in range(_TICKS):
        at = _START + timedelta(seconds=1, milliseconds=number)
        if number % _CROSS_EVERY:
            tape.append(_tick(number % _INSTRUMENTS, at, _MIDDLE))
            continue
        which = number // _CROSS_EVERY % _INSTRUMENTS
        level, side = divmod(crossings[which], 2)
        crossings[which] += 1
        away = _STEP * (level + 1)
        tape.append(_tick(which, at, _MIDDLE - away if side else _MIDDLE + away, 0))
    return tape


def _tick(number: int, at: datetime, price: Decimal, spread: int = 0) -> Tick:
    when = int(at.timestamp() * 1000)
    bid, ask = float(price - _STEP * spread), float(price + _STEP * spread)
    return Tick(
        exchange="NSE",
        symbol=f"BENCH{number}",
        mode=3,
        last_price=float(price),
        ltt=when,
        timestamp=when,
        last_quantity=10,
        bid=bid,
        ask=ask,
        bid_quantity=10,
        ask_quantity=10,
        bids=(DepthLevel(bid, 10),),
        asks=(DepthLevel(ask, 10),),
    )


def _instrument(number: int) -> Instrument:
    symbol = f"BENCH{number}"
    return Instrument(
        symbol=symbol,
        exchange=Exchange.NSE,
        kind=InstrumentKind.EQUITY,
        name=symbol,
        lot_size=1,
        tick_size=_STEP,
        broker_symbol=symbol,
        broker_exchange="NSE",
        broker_token=symbol,
    )

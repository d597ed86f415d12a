"""Simulated market: what a quote, a step of ticks for a thousand instruments, and a chart cost on one core."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from bench import Context, Figure, median_of, percentile
from broker import facts
from broker.paper.simulated import SimulatedMarket
from domain.clock import IST
from domain.model import Exchange, Instrument, InstrumentKind
from domain.symbols import build

_NOON = datetime(2026, 11, 24, 12, 0, tzinfo=IST)
_EXPIRY = date(2026, 12, 1)
_STEP = timedelta(milliseconds=250)
_STEPS = 480


class _Noon:
    def now(self) -> datetime:
        return _NOON

    def monotonic(self) -> float:
        return 0.0


def run(context: Context) -> list[Figure]:
    shares, options = _shares(1000), _options()
    return median_of([_once(shares, options) for _ in range(context.runs)])


def _once(shares: list[Instrument], options: list[Instrument]) -> list[Figure]:
    market = SimulatedMarket(1, _Noon())
    how = "CPU time; each at a look of its own, in time order, over a minute"
    return [
        Figure(name="share quote", value=_quotes(market, shares[:300]), unit="us", target=30, how=how),
        Figure(name="option quote", value=_quotes(market, options), unit="us", target=60, how=how),
        *_ticks(shares),
        _chart(market, shares[0]),
    ]


def _quotes(market: SimulatedMarket, instruments: Sequence[Instrument]) -> float:
    def look(at: datetime) -> None:
        for one in instruments:
            market.quote(one, at)

    start = _NOON + timedelta(minutes=10, seconds=5)
    look(start)
    moments = [start + timedelta(seconds=3 * step) for step in range(1, 21)]
    spent = _cpu(lambda: [look(at) for at in moments])
    return spent / (len(moments) * len(instruments)) * 1e6


def _ticks(shares: Sequence[Instrument]) -> list[Figure]:
    market = SimulatedMarket(1, _Noon())
    since, spent, count = _NOON, [], 0
    market.ticks(shares, since - _STEP, since)
    for _ in range(_STEPS):
        begun = time.process_time()
        count += len(market.ticks(shares, since, since + _STEP))
        spent.append((time.process_time() - begun) * 1e3)
        since += _STEP
    how = f"CPU time; {len(shares)} shares, {_STEPS} steps of 250 ms, {count} ticks with five levels"
    return [
        Figure(name="ticks of a step p50", value=percentile(spent, 0.5), unit="ms", target=40, how=how),
        Figure(name="ticks of a step p99", value=percentile(spent, 0.99), unit="ms", how=how),
    ]


def _chart(market: SimulatedMarket, one: Instrument) -> Figure:
    days = 30
    start = _NOON.date() - timedelta(days=days)
    spent = _cpu(lambda: market.candles(one, "1m", start, _NOON.date() - timedelta(days=1)))
    how = f"CPU time; {days} days of 1m bars of a share, {days * 1440} bars, nothing at hand"
    return Figure(name="chart", value=spent * 1e3, unit="ms", how=how)


def _cpu(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _shares(count: int) -> list[Instrument]:
    listed = (each for each in facts.securities() if each.exchange is Exchange.NSE and each.type == "EQUITY")
    return [
        _instrument(each.symbol, Exchange.NSE, InstrumentKind.EQUITY, each.symbol, each.tick_size)
        for each, _ in zip(listed, range(count), strict=False)
    ]


def _options() -> list[Instrument]:
    return [
        _instrument(
            build("NIFTY", kind, _EXPIRY, Decimal(strike)),
            Exchange.NFO,
            kind,
            "NIFTY",
            Decimal("0.05"),
            Decimal(strike),
        )
        for strike in range(21_000, 27_000, 50)
        for kind in (InstrumentKind.CALL, InstrumentKind.PUT)
    ]


def _instrument(
    symbol: str,
    exchange: Exchange,
    kind: InstrumentKind,
    name: str,
    tick: Decimal,
    strike: Decimal | None = None,
) -> Instrument:
    return Instrument(
        symbol=symbol,
        exchange=exchange,
        kind=kind,
        name=name,
        lot_size=1 if strike is None else 65,
        tick_size=tick,
        broker_symbol=symbol,
        broker_exchange=exchange.value,
        broker_token=symbol,
        expiry=None if strike is None else _EXPIRY,
        strike=strike,
    )

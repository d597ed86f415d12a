"""The day's profit and loss as it went, minute by minute: fills against the bars of what was traded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from domain.calendar_day import day_start
from domain.clock import IST, Clock
from domain.errors import PlatformError
from domain.market import Candle
from domain.model import Position, Trade
from services.accounts import Caller
from services.history import History
from services.portfolio import Portfolio

MOST_SYMBOLS = 30
_MINUTE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """points  (epoch seconds, rupees), a minute apart, oldest first
    best, worst, now  rupees; drawdown is how far the worst fall from a high went, 0 or less
    missing    symbols whose bars could not be read, so that they are not in it
    told       what the positions say now, booked and open, rupees; None where the broker does not say
    before     the part of `told` that is not in the curve: what was carried in had gained before the first price
    """

    points: list[tuple[int, float]]
    best: float
    worst: float
    now: float
    drawdown: float
    missing: list[str]
    told: float | None = None
    before: float = 0.0


class PnlCurve:
    """Positions carried in from before count from the first price of the day."""

    def __init__(self, portfolio: Portfolio, history: History, clock: Clock) -> None:
        self._portfolio = portfolio
        self._history = history
        self._clock = clock

    def today(self, caller: Caller) -> Curve:
        """The curve of the account. Raises what reading trades and positions raises."""
        trades = self._portfolio.trades(caller)
        positions = self._portfolio.positions(caller)
        fills: dict[tuple[str, str], list[Trade]] = defaultdict(list)
        for trade in trades:
            fills[(trade.exchange.value, trade.symbol)].append(trade)
        for position in positions:
            if position.quantity:
                fills[(position.exchange.value, position.symbol)] += []
        lines, missing, before = [], [], 0.0
        for key, done in list(fills.items())[:MOST_SYMBOLS]:
            try:
                bars = self._bars(caller, *key)
            except PlatformError:
                missing.append(key[1])
                continue
            lines.append(line(done, held(positions, *key), value_of(positions, *key), bars))
            before += gained_before(done, positions, *key, lines[-1], bars)
        missing += [symbol for _, symbol in list(fills)[MOST_SYMBOLS:]]
        return replace(curve(lines, missing), told=told(positions), before=round(before, 2))

    def _bars(self, caller: Caller, exchange: str, symbol: str) -> list[Candle]:
        now = self._clock.now()
        began = day_start(now)
        bars = self._history.candles(caller, symbol, exchange, "1m", began.date(), now.astimezone(IST).date())
        return [bar for bar in bars if bar.start >= began.timestamp()]


def held(positions: Sequence[Position], exchange: str, symbol: str) -> Decimal:
    """Signed units of a symbol now, over its products."""
    named = [one for one in positions if (one.exchange.value, one.symbol) == (exchange, symbol)]
    return sum((one.quantity for one in named), Decimal(0))


def value_of(positions: Sequence[Position], exchange: str, symbol: str) -> float:
    """Rupees a point and unit of a symbol."""
    for one in positions:
        if (one.exchange.value, one.symbol) == (exchange, symbol):
            return float(one.contract_value)
    return 1.0


def told(positions: Sequence[Position]) -> float | None:
    """Rupees booked and open, None while a part of it is not known."""
    parts = [row.realised for row in positions] + [row.unrealised for row in positions if row.quantity]
    return None if None in parts else float(sum((part or Decimal(0) for part in parts), Decimal(0)))


def gained_before(
    trades: Sequence[Trade],
    positions: Sequence[Position],
    exchange: str,
    symbol: str,
    made: dict[int, float],
    bars: Sequence[Candle],
) -> float:
    """What a symbol's positions count beyond its line, rupees; 0 where nothing was carried in, or it is not known."""
    rows = [one for one in positions if (one.exchange.value, one.symbol) == (exchange, symbol)]
    quantity, traded = held(positions, exchange, symbol), sum(t.side.sign * t.quantity for t in trades)
    counted, last = told(rows), next((one.last_price for one in rows if one.quantity), None)
    if quantity == traded or not made or counted is None:
        return 0.0
    moved = 0.0 if last is None else float(quantity) * (float(last) - bars[-1].close)
    return counted - made[max(made)] - moved * value_of(positions, exchange, symbol)


def line(trades: Sequence[Trade], now: Decimal, value: float, bars: Sequence[Candle]) -> dict[int, float]:
    """One symbol's P&L by the minute. `now` is the quantity after all trades."""
    if not bars:
        return {}
    signed = [(_minute(t.traded_at), t.side.sign * float(t.quantity), float(t.price)) for t in trades]
    quantity = float(now) - sum(units for _, units, _ in signed)
    cash = -quantity * bars[0].open
    begin = bars[0].start if quantity else min((at for at, _, _ in signed), default=bars[0].start)
    pending = sorted(signed)
    made: dict[int, float] = {}
    for bar in bars:
        while pending and pending[0][0] <= bar.start:
            _, units, price = pending.pop(0)
            quantity += units
            cash -= units * price
        if bar.start >= begin:
            made[bar.start] = (cash + quantity * bar.close) * value
    return made


def curve(lines: Sequence[dict[int, float]], missing: list[str]) -> Curve:
    """The sum of the symbols' lines; between a symbol's bars its last value stands."""
    minutes = sorted({at for one in lines for at in one})
    last = [0.0] * len(lines)
    points: list[tuple[int, float]] = []
    peak = drawdown = 0.0
    for at in minutes:
        last = [one.get(at, before) for one, before in zip(lines, last, strict=True)]
        total = round(sum(last), 2)
        points.append((at, total))
        peak = max(peak, total)
        drawdown = min(drawdown, total - peak)
    totals = [total for _, total in points] or [0.0]
    return Curve(
        points=points,
        best=max(totals),
        worst=min(totals),
        now=totals[-1],
        drawdown=round(drawdown, 2),
        missing=missing,
    )


def _minute(moment: datetime) -> int:
    return int(moment.timestamp()) // _MINUTE * _MINUTE

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
    begun      rupees with which the day began: what was carried in had gained before, 0 where nothing was. The first
               high and the first low
    told       what the positions say now, booked and open, rupees; None where the broker does not say
    beside     the part of `told` that is not in the curve: that of the missing symbols
    """

    points: list[tuple[int, float]]
    best: float
    worst: float
    now: float
    drawdown: float
    missing: list[str]
    begun: float = 0.0
    told: float | None = None
    beside: float = 0.0


class PnlCurve:
    """Positions carried in from before count from their average price, as the positions themselves do."""

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
        lines: list[dict[int, float]] = []
        missing: list[tuple[str, str]] = []
        begun: list[float] = []
        for key, done in list(fills.items())[:MOST_SYMBOLS]:
            try:
                bars = self._bars(caller, *key)
            except PlatformError:
                missing.append(key)
                continue
            made = line(done, held(positions, *key), value_of(positions, *key), bars)
            begun.append(gained_before(done, positions, *key, made, bars))
            lines.append({at: value + begun[-1] for at, value in made.items()})
        missing += list(fills)[MOST_SYMBOLS:]
        beside = sum(told(rows_of(positions, *key)) or 0.0 for key in missing)
        found = curve(lines, [symbol for _, symbol in missing], begun)
        return replace(found, told=told(positions), beside=round(beside, 2))

    def _bars(self, caller: Caller, exchange: str, symbol: str) -> list[Candle]:
        now = self._clock.now()
        began = day_start(now)
        bars = self._history.candles(caller, symbol, exchange, "1m", began.date(), now.astimezone(IST).date())
        return [bar for bar in bars if bar.start >= began.timestamp()]


def held(positions: Sequence[Position], exchange: str, symbol: str) -> Decimal:
    """Signed units of a symbol now, over its products."""
    return sum((one.quantity for one in rows_of(positions, exchange, symbol)), Decimal(0))


def rows_of(positions: Sequence[Position], exchange: str, symbol: str) -> list[Position]:
    """The positions in a symbol, one for each product."""
    return [one for one in positions if (one.exchange.value, one.symbol) == (exchange, symbol)]


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
    rows = rows_of(positions, exchange, symbol)
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


def curve(lines: Sequence[dict[int, float]], missing: list[str], begun: Sequence[float] = ()) -> Curve:
    """The sum of the symbols' lines; between a symbol's bars its last value stands. `begun` is what each line counts
    before its first bar, 0 unless said."""
    minutes = sorted({at for one in lines for at in one})
    last = list(begun) or [0.0] * len(lines)
    points: list[tuple[int, float]] = []
    peak = start = round(sum(last), 2)
    drawdown = 0.0
    for at in minutes:
        last = [one.get(at, before) for one, before in zip(lines, last, strict=True)]
        total = round(sum(last), 2)
        points.append((at, total))
        peak = max(peak, total)
        drawdown = min(drawdown, total - peak)
    totals = [start, *(total for _, total in points)]
    return Curve(
        points=points,
        best=max(totals),
        worst=min(totals),
        now=totals[-1],
        drawdown=round(drawdown, 2),
        missing=missing,
        begun=start,
    )


def _minute(moment: datetime) -> int:
    return int(moment.timestamp()) // _MINUTE * _MINUTE

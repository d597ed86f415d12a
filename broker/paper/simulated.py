"""A market that never closes, computed from a seed: the same seed shows the same prices for ever."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from datetime import UTC, date, datetime

from broker.paper.market import day_start, rolling_day
from domain.clock import IST, Clock
from domain.model import Candle, Depth, DepthLevel, Instrument, InstrumentKind, Quote, StreamMode, Tick

STEP = 500
"""Milliseconds between two looks at the path."""


class SimulatedMarket:
    """Prices wander about `levels[(exchange, symbol)]`, else about a level of the instrument's own."""

    def __init__(
        self, seed: int, clock: Clock, levels: dict[tuple[str, str], float] | None = None, feed: str = "paper"
    ) -> None:
        self.feed = feed
        self._seed = seed
        self._clock = clock
        self._levels = levels or {}

    def trading_day(self, at: datetime) -> date:
        return rolling_day(at)

    def quote(self, instrument: Instrument, at: datetime) -> Quote | None:
        tick = self._tick(instrument, int(at.timestamp() * 1000) // STEP)
        return Quote(
            symbol=tick.symbol,
            exchange=instrument.exchange,
            last_price=tick.last_price,
            open=tick.open,
            high=tick.high,
            low=tick.low,
            close=tick.close,
            volume=tick.volume,
            at=datetime.fromtimestamp(tick.ltt / 1000, UTC),
            bid=tick.bid,
            ask=tick.ask,
            bid_quantity=tick.bid_quantity,
            ask_quantity=tick.ask_quantity,
        )

    def depth(self, instrument: Instrument, at: datetime) -> Depth | None:
        quote = self.quote(instrument, at)
        tick = self._tick(instrument, int(at.timestamp() * 1000) // STEP)
        return None if quote is None else Depth(quote=quote, bids=tick.bids, asks=tick.asks)

    def ticks(self, instruments: Iterable[Instrument], since: datetime, until: datetime) -> list[Tick]:
        first = int(since.timestamp() * 1000) // STEP + 1
        last = int(until.timestamp() * 1000) // STEP
        watched = list(instruments)
        return [self._tick(one, step) for step in range(first, last + 1) for one in watched]

    def candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        return []

    def _tick(self, instrument: Instrument, step: int) -> Tick:
        size = float(instrument.tick_size)
        base = self._levels.get((instrument.exchange, instrument.symbol)) or self._own_level(instrument)
        opening = int(day_start(rolling_day(datetime.fromtimestamp(step * STEP / 1000, IST))).timestamp())
        steps = [self._price(base, size, s) for s in (opening * 1000 // STEP, step)]
        last = steps[1]
        bids = tuple(DepthLevel(round(last - size * n, 4), 75 * instrument.lot_size, 1) for n in range(1, 6))
        asks = tuple(DepthLevel(round(last + size * n, 4), 75 * instrument.lot_size, 1) for n in range(1, 6))
        return Tick(
            exchange=instrument.exchange,
            symbol=instrument.symbol,
            mode=StreamMode.DEPTH,
            last_price=last,
            ltt=step * STEP,
            timestamp=step * STEP,
            open=steps[0],
            high=max(steps),
            low=min(steps),
            close=steps[0],
            volume=(step * STEP // 1000 - opening) * instrument.lot_size,
            bid=bids[0].price,
            ask=asks[0].price,
            bid_quantity=bids[0].quantity,
            ask_quantity=asks[0].quantity,
            bids=bids,
            asks=asks,
        )

    def _price(self, base: float, size: float, step: int) -> float:
        word = hashlib.blake2b(f"{self._seed}/{base}/{step}".encode(), digest_size=4).digest()
        noise = int.from_bytes(word, "big") / 2**32 - 0.5
        wave = math.sin(step / 2400) * 0.004 + noise * 0.0004
        return max(round(round(base * (1 + wave) / size) * size, 4), size)

    def _own_level(self, instrument: Instrument) -> float:
        if instrument.kind in (InstrumentKind.CALL, InstrumentKind.PUT):
            return 100.0
        word = hashlib.blake2b(instrument.name.encode(), digest_size=2).digest()
        return 100.0 + int.from_bytes(word, "big") % 2000

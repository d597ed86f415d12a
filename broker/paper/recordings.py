"""Recordings on disk as a market: which files there are, what they hold, and the clock that shows them again.

A file is named `<EXCHANGE>_<SYMBOL>[_<anything>].csv[.gz]`, e.g. NSE_RELIANCE_5m.csv.gz; its header says whether it
holds candles or ticks. Of several files of one instrument the finest is taken: ticks before bars, short bars first.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from broker.paper.replay import ReplayClock, ReplayMarket, TradingDays, hours_of
from broker.paper.tapes import CandleTape, Tape, TickTape, opened, read_candles, read_ticks
from domain.clock import Clock
from domain.model import Exchange, InstrumentKey

_ENDINGS = (".csv", ".csv.gz")


class Recordings(NamedTuple):
    """Tapes by instrument. `first` and `last` are the moments at which they begin and end."""

    tapes: dict[InstrumentKey, Tape]
    first: datetime
    last: datetime

    def market(self, calendar: TradingDays, clock: Clock, feed: str) -> ReplayMarket:
        """A market of these tapes, made anew; the tapes are shared."""
        return ReplayMarket(self.tapes, calendar, clock, feed)

    def clock(
        self, real: Clock, start: datetime | None, speed: float, booked: datetime | None
    ) -> ReplayClock:
        """Market time from `start` (None: the first moment), or from what was last booked when that is later.

        So a replay that was interrupted goes on where its book stands. Raises ValueError when the book is of a time
        after the recording.
        """
        begin = start or self.first
        if begin > self.last:
            raise ValueError(
                f"the recording ends at {self.last:%Y-%m-%d %H:%M} UTC, before {begin:%Y-%m-%d %H:%M}"
            )
        if booked is not None and booked > self.last:
            raise ValueError(
                f"the paper book was last changed at {booked:%Y-%m-%d %H:%M} UTC, after the recording's end: "
                "replay in a data directory of its own"
            )
        return ReplayClock(real, max(begin, booked or begin), speed)


def read_recordings(paths: Iterable[Path], calendar: TradingDays) -> Recordings:
    """The recordings of directories and files. Raises ValueError naming the file that cannot be used."""
    tapes: dict[InstrumentKey, Tape] = {}
    for path in _files(paths):
        key, tape = key_of(path), _read(path)
        known = tapes.get(key)
        if tape.days() and (known is None or tape.length < known.length):
            tapes[key] = tape
    if not tapes:
        raise ValueError("there is no recording <EXCHANGE>_<SYMBOL>.csv or .csv.gz in it")
    ends = [_ends(key, tape, calendar) for key, tape in tapes.items()]
    return Recordings(tapes, min(first for first, _ in ends), max(last for _, last in ends))


def key_of(path: Path) -> InstrumentKey:
    """The instrument that a file's name tells. ValueError when it tells none."""
    stem = path.name.removesuffix(".gz").removesuffix(".csv")
    for exchange in sorted(Exchange, key=lambda one: len(one.value), reverse=True):
        if stem.startswith(f"{exchange.value}_"):
            symbol = stem.removeprefix(f"{exchange.value}_").split("_")[0]
            if symbol:
                return InstrumentKey(exchange, symbol)
    raise ValueError(f"{path.name}: a name such as NSE_RELIANCE_5m.csv is needed, the exchange first")


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        found += [each for each in inside if not path.is_dir() or each.name.endswith(_ENDINGS)]
    return found


def _read(path: Path) -> Tape:
    with opened(path) as file:
        header = next(csv.reader(file), [])
    return TickTape(read_ticks(path)) if "last_price" in header else CandleTape(read_candles(path))


def _ends(key: InstrumentKey, tape: Tape, calendar: TradingDays) -> tuple[datetime, datetime]:
    """When the tape's first day opens, or its first price came if that was earlier, and when its last price came."""
    days = tape.days()
    opens, _ = hours_of(calendar, key.exchange, days[0])
    first, last = (
        list(tape.moments(day, lambda date_: hours_of(calendar, key.exchange, date_)))
        for day in (days[0], days[-1])
    )
    return min(opens, _moment(first[0].at)), _moment(last[-1].at)


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)

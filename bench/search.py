"""Finding instruments: the ranked search and one resolve over 100,000 instruments, in process."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta

from bench import Context, Figure, percentile
from broker import facts
from broker.paper.universe import universe
from config import SystemClock
from database.engine import open_database
from database.masters import MASTERS
from domain.calendar import Calendar
from domain.model import Exchange, Instrument
from services.instruments import Instruments

_DAY = date(2026, 8, 24)
_COUNT = 100_000
_HARD = (
    ("NIFTY 25000 CE", None),
    ("25000", None),
    ("NIFTY CE", None),
    ("NIFTY CE", "MCX"),
    ("CE", None),
    ("nifty", None),
    ("24500 PE NIFTY", None),
    ("29SEP26", None),
    ("100", "NFO"),
    ("RE", None),
)
_SETTLE = 50


def run(context: Context) -> list[Figure]:
    """Percentiles over words cut from the instruments themselves, mixed with the hard queries."""
    database = open_database("", "platform", context.scratch)
    MASTERS.create(database.engine)
    calendar = Calendar(facts.holidays(), facts.sessions())
    found = Instruments(database, context.scratch / "instruments", SystemClock(), lambda: calendar)
    rows = _hundred_thousand(calendar)
    context.say(f"building a master of {len(rows):,} instruments")
    found.load_rows("bench", rows, "bench")
    chosen = random.Random(7).sample(rows, 2000)
    figures = [*_searches(context, found, chosen), *_resolves(found, chosen)]
    found.close()
    database.close()
    return figures


def _searches(context: Context, found: Instruments, rows: list[Instrument]) -> Iterator[Figure]:
    queries = [*_typed(rows[:300]), *(_HARD * 30)]
    random.Random(7).shuffle(queries)
    for query, exchange in queries[:_SETTLE]:
        found.search("bench", query, exchange)
    spent: dict[tuple[str, str | None], list[float]] = {}
    used = time.thread_time()
    for number in range(context.runs):
        context.say(f"{len(queries):,} searches, run {number + 1} of {context.runs}")
        for query in queries:
            spent.setdefault(query, []).append(_timed(lambda query=query: found.search("bench", *query)))
    used = (time.thread_time() - used) * 1e3
    every = [value for values in spent.values() for value in values]
    hard = [value for query in _HARD for value in spent[query]]
    worst = max(_HARD, key=lambda query: percentile(spent[query], 0.5))
    how = f"{len(every):,} searches, a third of them hard, at most 500 results each"
    yield Figure(name="search p50", value=percentile(every, 0.5), unit="ms", how=how)
    yield Figure(name="search p95", value=percentile(every, 0.95), unit="ms", target=5.0, how=how)
    yield Figure(
        name="search, processor", value=used / len(every), unit="ms", how="mean processor time of one"
    )
    yield Figure(
        name="search p95, hard queries", value=percentile(hard, 0.95), unit="ms", how=f"slowest: {worst[0]!r}"
    )


def _resolves(found: Instruments, rows: list[Instrument]) -> Iterator[Figure]:
    cold = [_timed(lambda row=row: found.get("bench", row.exchange, row.symbol)) * 1e3 for row in rows]
    warm = [_timed(lambda row=row: found.get("bench", row.exchange, row.symbol)) * 1e3 for row in rows]
    token = [
        _timed(lambda row=row: found.find("bench", row.broker_exchange, row.broker_token)) * 1e3
        for row in rows
    ]
    how = f"{len(rows):,} symbols"
    yield Figure(
        name="resolve, first",
        value=percentile(cold, 0.5),
        unit="us",
        target=20.0,
        how=f"{how}, from the file",
    )
    yield Figure(
        name="resolve, again", value=percentile(warm, 0.5), unit="us", target=20.0, how=f"{how}, remembered"
    )
    yield Figure(
        name="resolve a token",
        value=percentile(token, 0.5),
        unit="us",
        target=20.0,
        how=f"{how}, from the file",
    )


def _timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def _typed(rows: Iterable[Instrument]) -> Iterator[tuple[str, str | None]]:
    """What people type: a beginning of a name, a symbol, a chain's words in any order."""
    chooser = random.Random(11)
    for row in rows:
        words = [row.name, *([f"{row.strike:f}", row.kind.value] if row.strike is not None else [])]
        chooser.shuffle(words)
        query = chooser.choice(
            (row.symbol, row.symbol[: chooser.randint(3, 8)], " ".join(words), row.name[:6])
        )
        yield query.lower(), chooser.choice((None, row.exchange.value))


def _hundred_thousand(calendar: Calendar) -> list[Instrument]:
    """The paper universe of two dates, and as many made-up shares as are missing."""
    rows = {row.key: row for day in (_DAY, _DAY + timedelta(days=70)) for row in universe(day, calendar)}
    gc.collect()
    share = rows[Exchange.NSE, "INFY"]  # type: ignore[index]
    for number in range(_COUNT - len(rows)):
        symbol = f"{number:X}BOND{number % 97}"
        made = replace(
            share,
            symbol=symbol,
            name=f"Bond {number} of {share.name}",
            broker_symbol=symbol,
            broker_token=symbol,
        )
        rows[made.key] = made
    return list(rows.values())[:_COUNT]

"""How long orders took, stage by stage, from the journal's own times."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from database import intents as rows
from database.engine import Database
from database.intents import Intent
from domain.clock import Clock
from domain.figures import inr
from domain.model import IntentState
from services.accounts import Caller
from services.request_log import quantile

_MOST = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Milliseconds of one stage."""

    name: str
    count: int
    p50: float
    p95: float
    p99: float
    slowest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerTimes:
    """One broker's answers: how many of each outcome, and its stages."""

    broker: str
    accepted: int
    refused: int
    unknown: int
    stages: list[Stage]
    histogram: list[tuple[str, int]]


_BOUNDS = (5, 10, 25, 50, 100, 250, 500, 1000, 5000)


class OrderLatency:
    """Of one account at a time."""

    def __init__(self, orders: Database, clock: Clock) -> None:
        self._db = orders
        self._clock = clock

    def by_broker(self, caller: Caller, hours: int = 24) -> list[BrokerTimes]:
        """Brokers by name; orders that never left are not counted."""
        since = self._clock.now() - timedelta(hours=hours)
        with self._db.read() as connection:
            found = rows.since(connection, caller.account.id, since)[-_MOST:]
        groups: dict[str, list[Intent]] = defaultdict(list)
        for intent in found:
            if intent.sent_at is not None:
                groups[intent.broker].append(intent)
        return [_times(broker, groups[broker]) for broker in sorted(groups)]


def _times(broker: str, intents: Sequence[Intent]) -> BrokerTimes:
    states = Counter(intent.state for intent in intents)
    wait = [_ms(one.created_at, one.sent_at) for one in intents if one.sent_at is not None]
    trip = [_ms(one.sent_at, one.settled_at) for one in intents if one.sent_at and one.settled_at]
    whole = [_ms(one.created_at, one.settled_at) for one in intents if one.settled_at is not None]
    return BrokerTimes(
        broker=broker,
        accepted=states[IntentState.ACCEPTED],
        refused=states[IntentState.REFUSED],
        unknown=states[IntentState.UNKNOWN] + states[IntentState.SENDING],
        stages=[
            _stage("Asked to sent, ours", wait),
            _stage("Sent to answered, the broker's", trip),
            _stage("Asked to answered", whole),
        ],
        histogram=_histogram(whole),
    )


def _ms(first: object, second: object) -> float:
    return (second - first).total_seconds() * 1000  # type: ignore[operator,no-any-return]


def _stage(name: str, times: list[float]) -> Stage:
    times = sorted(times)
    return Stage(
        name=name,
        count=len(times),
        p50=quantile(times, 0.5),
        p95=quantile(times, 0.95),
        p99=quantile(times, 0.99),
        slowest=times[-1] if times else 0.0,
    )


def _histogram(times: Sequence[float]) -> list[tuple[str, int]]:
    """(label, how many) by bounds in milliseconds."""
    counts = [0] * (len(_BOUNDS) + 1)
    for value in times:
        counts[sum(value >= bound for bound in _BOUNDS)] += 1
    labels = [f"under {inr(_BOUNDS[0], 0)} ms"]
    labels += [f"{inr(low, 0)} to {inr(high, 0)} ms" for low, high in itertools.pairwise(_BOUNDS)]
    return list(zip([*labels, f"over {inr(_BOUNDS[-1], 0)} ms"], counts, strict=True))

"""What Prometheus may read: this web process's requests, orders' stages, what is unsettled, and the stream role.

Nothing here is on a hot path: the thread that writes requests down counts them, the rest is looked up when asked.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from database import intents
from domain.model import IntentState
from services.order_stages import OrderStages, StageRow
from services.request_log import RequestRow, quantile

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from services.platform import Platform

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
_QUANTILES = (0.5, 0.95, 0.99)
_OPEN = (IntentState.PARKED, IntentState.QUEUED, IntentState.SENDING, IntentState.UNKNOWN)


class RequestCounts:
    """Answered requests by method, route and status, and how long they took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Counter[tuple[str, str, str]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: Counter[str] = Counter()

    def add(self, rows: Iterable[RequestRow]) -> None:
        with self._lock:
            for row in rows:
                seconds = row.micros / 1e6
                self._answers[(row.method, row.route, str(row.status))] += 1
                buckets = self._buckets.setdefault(row.route, [0] * (len(_BOUNDS) + 1))
                buckets[bisect_left(_BOUNDS, seconds)] += 1
                self._seconds[row.route] += seconds  # type: ignore[assignment]

    def families(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        answered = CounterMetricFamily(
            "openalgo_http_requests", "Answered requests", labels=["method", "route", "status"]
        )
        took = HistogramMetricFamily("openalgo_http_seconds", "Time to the answer", labels=["route"])
        with self._lock:
            for labels, count in self._answers.items():
                answered.add_metric(labels, count)
            for route, buckets in self._buckets.items():
                running, shown = 0, []
                for bound, count in zip((*map(str, _BOUNDS), "+Inf"), buckets, strict=True):
                    running += count
                    shown.append((bound, running))
                took.add_metric([route], shown, sum_value=self._seconds[route])
        yield from (answered, took)


class Metrics:
    """`collect` is what prometheus_client asks of a collector."""

    def __init__(self, platform: Platform, requests: RequestCounts) -> None:
        self._platform = platform
        self._requests = requests
        self._stages = OrderStages(platform.databases["orders"], platform.databases["logs"], platform.clock)

    def text(self) -> bytes:
        """Everything, in Prometheus's text format."""
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        registry = CollectorRegistry()
        ProcessCollector(namespace="openalgo_web", registry=registry)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        yield from self._requests.families()
        yield from self._orders()
        yield from self._stream()

    def _orders(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        waiting = GaugeMetricFamily("openalgo_unsettled_orders", "Requests not settled yet", labels=["state"])
        with self._platform.databases["orders"].read() as connection:
            states = Counter(intent.state for intent in intents.in_states(connection, *_OPEN))
        for state in _OPEN:
            waiting.add_metric([state.value.lower()], states[state])
        stage = GaugeMetricFamily(
            "openalgo_order_stage_seconds",
            "How long the orders settled in the last five minutes took",
            labels=["broker", "stage", "quantile"],
        )
        settled = GaugeMetricFamily(
            "openalgo_orders_settled", "Orders settled in the last five minutes", labels=["broker", "outcome"]
        )
        rows = self._stages.latest()
        for (broker, outcome), count in Counter((row.broker, row.outcome.lower()) for row in rows).items():
            settled.add_metric([broker, outcome], count)
        for broker in sorted({row.broker for row in rows}):
            for name, times in _times([row for row in rows if row.broker == broker]):
                for share in _QUANTILES:
                    stage.add_metric([broker, name, str(share)], quantile(times, share))
        yield from (waiting, settled, stage)

    def _stream(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        found = self._platform.snapshots.stats()
        yield GaugeMetricFamily(
            "openalgo_stream_up", "Whether the stream role answers", value=found is not None
        )
        if found is None:
            return
        for name, value in (
            ("clients", found.clients),
            ("unauthenticated_clients", found.unauthenticated),
            ("slow_clients", found.slow),
            ("topics", found.topics),
        ):
            yield GaugeMetricFamily(
                f"openalgo_stream_{name}", name.replace("_", " ").capitalize(), value=value
            )
        for name, value, words in (
            ("bus_messages", found.bus_messages, "Messages that came over the bus"),
            ("frames", found.frames, "Tick frames written to clients"),
            ("stalls", found.stalls, "How often a client could not keep up"),
        ):
            yield CounterMetricFamily(f"openalgo_stream_{name}", words, value=value)
        closes = CounterMetricFamily("openalgo_stream_closes", "Sockets closed by us", labels=["code"])
        for code, count in found.closes.items():
            closes.add_metric([str(code)], count)
        feeds = GaugeMetricFamily("openalgo_feed_live", "Whether a feed is live", labels=["feed"])
        for feed, state in found.feeds.items():
            feeds.add_metric([feed], state == "live")
        yield from (closes, feeds)


def _times(rows: list[StageRow]) -> Iterator[tuple[str, list[float]]]:
    """(stage, ascending seconds)"""
    yield "ours", sorted(row.ours_micros / 1e6 for row in rows)
    yield "broker", sorted(row.broker_micros / 1e6 for row in rows if row.broker_micros is not None)

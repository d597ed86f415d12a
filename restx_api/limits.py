"""How often a key may ask: a moving window a key and route, and a ceiling an address (contract 1.7).

Counts live in memory, one process; with a Redis address they are shared by all web processes. When Redis does not
answer, each process counts alone until it does.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from limits import RateLimitItem, parse_many
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from restx_api.errors import TooMany

log = logging.getLogger(__name__)

ADDRESS_FACTOR = 10
"""An address may ask this many times as often as one key on one route: an office of traders shares one."""

_SWEEP_SECONDS = 60.0


class Rate(NamedTuple):
    """At most `most` in any `seconds`."""

    most: int
    seconds: float


def rates(text: str) -> tuple[Rate, ...]:
    """Read `10 per second`, `100 per minute;1000 per hour`. Raises ValueError for anything else."""
    return tuple(Rate(item.amount, float(item.get_expiry())) for item in parse_many(text))


class Memory:
    """Moving windows in this process. Exact: no request is counted in two windows or none."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._now = monotonic
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, ...], list[deque[float]]] = {}
        self._longest: dict[tuple[str, ...], float] = {}
        self._swept = monotonic()

    def hit(self, bucket: tuple[str, ...], limits: Sequence[Rate]) -> float:
        """Count one request. 0 when it may pass, else the seconds until one may (it was then not counted)."""
        now = self._now()
        with self._lock:
            if now - self._swept > _SWEEP_SECONDS:
                self._sweep(now)
            windows = self._seen.get(bucket)
            if windows is None:
                windows = self._seen[bucket] = [deque() for _ in limits]
                self._longest[bucket] = max(rate.seconds for rate in limits)
            wait = 0.0
            for rate, times in zip(limits, windows, strict=True):
                while times and times[0] <= now - rate.seconds:
                    times.popleft()
                if len(times) >= rate.most:
                    wait = max(wait, times[0] + rate.seconds - now)
            if not wait:
                for times in windows:
                    times.append(now)
            return wait

    def _sweep(self, now: float) -> None:
        self._swept = now
        for bucket, windows in list(self._seen.items()):
            if all(not times or times[-1] <= now - self._longest[bucket] for times in windows):
                del self._seen[bucket], self._longest[bucket]


class Shared:
    """Moving windows in Redis, for several web processes; falls back to memory when Redis is away."""

    def __init__(self, url: str, alone: Memory, wall: Callable[[], float]) -> None:
        self._limiter = MovingWindowRateLimiter(RedisStorage(url, wrap_exceptions=True))
        self._alone = alone
        self._wall = wall
        self._items: dict[Rate, RateLimitItem] = {}

    def hit(self, bucket: tuple[str, ...], limits: Sequence[Rate]) -> float:
        """As Memory.hit; with several rates the earlier ones stay counted when a later one refuses."""
        try:
            for rate in limits:
                item = self._item(rate)
                if not self._limiter.hit(item, *bucket):
                    stats = self._limiter.get_window_stats(item, *bucket)
                    return max(0.001, stats.reset_time - self._wall())
        except StorageError as error:
            log.warning("rate limits are counted by this process alone: %s", error)
            return self._alone.hit(bucket, limits)
        return 0.0

    def _item(self, rate: Rate) -> RateLimitItem:
        if rate not in self._items:
            self._items[rate] = parse_many(f"{rate.most} per {int(rate.seconds)} second")[0]
        return self._items[rate]


_SETTING = {
    "api": "api_rate_limit",
    "order": "order_rate_limit",
    "smart_order": "smart_order_rate_limit",
    "greeks": "greeks_rate_limit",
    "telegram": "telegram_rate_limit",
    "whatsapp": "whatsapp_rate_limit",
    "portfolio": "portfolio_api_rate_limit",
    "tearsheet": "portfolio_tearsheet_rate_limit",
    "sip": "sip_api_rate_limit",
    "login": "login_rate_limit_min",
}


def classes(settings: object) -> dict[str, str]:
    """Rate class -> its limit string, from the settings' fields of those names."""
    return {
        "broadcast": "5 per minute",
        **{name: getattr(settings, field) for name, field in _SETTING.items()},
    }


class Limits:
    """The rates of every class, and where they are counted."""

    def __init__(self, classes: Mapping[str, str], counter: Memory | Shared) -> None:
        """`classes` maps a rate class (`api`, `order` …) to its limit string. Raises ValueError for a bad one."""
        self._rates = {name: rates(text) for name, text in classes.items()}
        self._counter = counter
        base = self._rates["api"]
        self._ceiling = tuple(Rate(rate.most * ADDRESS_FACTOR, rate.seconds) for rate in base)

    def address(self, address: str) -> None:
        """Count a request from an address, before its body is read. Raises TooMany."""
        self._hit(("address", address), self._ceiling)

    def key(self, key: str, address: str, route: str, rate_class: str) -> None:
        """Count a request of a key (of its address when it has none) on one route. Raises TooMany."""
        if not rate_class:
            return
        who = blake2b(key.encode(), digest_size=12).hexdigest() if key else address
        self._hit((who, route), self._rates[rate_class])

    def _hit(self, bucket: tuple[str, ...], limits: Sequence[Rate]) -> None:
        if wait := self._counter.hit(bucket, limits):
            raise TooMany(wait)

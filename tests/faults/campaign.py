"""A storm of faults, then a healed broker, then the verdict (RELIABILITY 4.4)."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.faults.driver import Driver
from tests.faults.ledger import Truth, Verdict, Wish, judge
from tests.faults.world import World

WRITES = "place|modify|cancel"
RESOLVED_WITHIN = 60.0
STORM: list[dict[str, Any]] = [
    {"match": WRITES, "action": "drop_after_accept", "probability": 0.08},
    {"match": WRITES, "action": "drop_before_accept", "probability": 0.03},
    {"match": WRITES, "action": "502_after", "probability": 0.03},
    {"match": WRITES, "action": "500_before", "probability": 0.02},
    {"match": WRITES, "action": "truncate_json", "probability": 0.03},
    {"match": WRITES, "action": "html_body", "probability": 0.03},
    {"match": WRITES, "action": "half_frame", "probability": 0.02},
    {"match": WRITES, "action": "wrong_type", "probability": 0.02},
    {"match": WRITES, "action": "accept_in_500", "probability": 0.02},
    {"match": WRITES, "action": "429", "probability": 0.02},
    {"match": WRITES, "action": "refuse_in_200", "probability": 0.03},
    {"match": "place", "action": "no_id", "probability": 0.02},
    {"match": WRITES, "action": "delay", "seconds": 1.0, "probability": 0.05},
    {"match": WRITES, "action": "timeout", "probability": 0.005},
    {"match": "place", "action": "book_lag", "seconds": 4.0, "probability": 0.2},
    {"match": "place", "action": "reject", "probability": 0.02},
    {"match": "cancel", "action": "late_fill_after_cancel", "probability": 0.05},
    {"match": "orders", "action": "bad_row", "probability": 0.02},
    {"match": "orders", "action": "unknown_status", "probability": 0.02},
    {"match": "orders", "action": "book_error", "probability": 0.1},
    {"match": "orders", "action": "truncate_json", "probability": 0.05},
    {"match": "update", "action": "dup_update", "probability": 0.1},
    {"match": "update", "action": "reorder", "probability": 0.1},
]


@dataclass(slots=True)
class Report:
    """What a campaign saw."""

    verdict: Verdict
    wishes: list[Wish]
    storm_seconds: float
    resolve_seconds: float
    faults: Counter[str]

    @property
    def told(self) -> Counter[str]:
        return Counter(wish.told for wish in self.wishes)


def run(
    world: World,
    drivers: list[Driver],
    orders: int,
    clients: int = 12,
    kill: str = "",
    *,
    early: bool = False,
) -> Report:
    """`orders` orders over all accounts under the storm, then healed and judged.

    kill   a role to kill in the storm
    early  do not wait for what is pending when something is wrong already
    """
    for driver in drivers:
        driver.learn_prices()
        told = world.faces[driver.broker].control("truth")
        driver.before = {order["order_id"] for order in told["orders"]}
    silent = next(iter(world.faces.values()))  # its sockets tell nothing: only its books do
    silent.control("ws_silent", silent=True)
    world.storm(STORM)
    begun = time.monotonic()
    if kill:
        threading.Timer(2.0, world.kill, (kill,)).start()
    _together(drivers, lambda driver: driver.run(orders // len(drivers), clients))
    storm = time.monotonic() - begun
    world.heal()
    silent.control("ws_silent", silent=False)
    if early:
        report = _judged(world, drivers, storm, 0.0, books=False)
        if any(report.verdict.found[word] for word in ("doubled", "ghost", "lie")):
            report.verdict.found["unresolved"].clear()
            return report
    return verdict_of(world, drivers, storm)


def verdict_of(world: World, drivers: list[Driver], storm_seconds: float) -> Report:
    """Wait until all is told, at most as long as P3 allows, and compare with the truth."""
    took: list[float] = []
    _together(drivers, lambda driver: took.append(driver.settle(RESOLVED_WITHIN)))
    return _judged(world, drivers, storm_seconds, max(took), books=True)


def _judged(world: World, drivers: list[Driver], storm: float, resolve: float, *, books: bool) -> Report:
    verdict, faults = Verdict(), Counter[str]()
    for driver in drivers:
        told = world.faces[driver.broker].control("truth")
        faults.update(action for _, action in told["faults"])
        orders = [order for order in told["orders"] if order["order_id"] not in driver.before]
        book = driver.book() if books else None
        judge(driver.wishes, Truth(orders, told["events"]), book, verdict)
    wishes = [wish for driver in drivers for wish in driver.wishes]
    return Report(verdict, wishes, storm, resolve, faults)


def drivers_of(world: World, seed: int, first: int = 1) -> list[Driver]:
    """One driver for each account that is logged in."""
    return [Driver(world.install.http, name, key, seed, first) for name, key in world.keys.items()]


def _together(drivers: list[Driver], work: Any) -> None:
    threads = [threading.Thread(target=work, args=(driver,)) for driver in drivers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

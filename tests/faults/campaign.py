"""A storm of faults, then a healed broker, then the verdict (RELIABILITY 4.4)."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.faults import paper
from tests.faults.driver import SYMBOLS, Driver
from tests.faults.ledger import Truth, Verdict, Wish, judge, judge_statuses
from tests.faults.world import PAPER, World

WRITES = "place|modify|cancel"
RESOLVED_WITHIN = 60.0
RATE = 12.0
"""Orders a second that the clients of one account wish for: a little above what a broker takes, so that some queue."""
CLIENTS = 20
STRETCH = 3.0
STORM: list[dict[str, Any]] = [
    {"match": WRITES, "action": "drop_after_accept", "probability": 0.08},
    {"match": WRITES, "action": "drop_before_accept", "probability": 0.04},
    {"match": WRITES, "action": "502_after", "probability": 0.03},
    {"match": WRITES, "action": "500_before", "probability": 0.03},
    {"match": "modify|cancel", "action": "drop_before_accept", "probability": 0.06},
    {"match": WRITES, "action": "truncate_json", "probability": 0.03},
    {"match": WRITES, "action": "html_body", "probability": 0.03},
    {"match": WRITES, "action": "half_frame", "probability": 0.02},
    {"match": WRITES, "action": "wrong_type", "probability": 0.02},
    {"match": WRITES, "action": "accept_in_500", "probability": 0.02},
    {"match": WRITES, "action": "429", "probability": 0.02},
    {"match": WRITES, "action": "refuse_in_200", "probability": 0.03},
    {"match": "place", "action": "no_id", "probability": 0.02},
    {"match": WRITES, "action": "delay", "seconds": 1.0, "probability": 0.05},
    {"match": WRITES, "action": "delay", "seconds": 3.0, "probability": 0.04},
    {"match": WRITES, "action": "timeout", "probability": 0.005},
    {"match": "place", "action": "book_lag", "seconds": 4.0, "probability": 0.3},
    {"match": "place", "action": "reject", "probability": 0.02},
    {"match": "cancel", "action": "late_fill_after_cancel", "probability": 0.05},
    {"match": "orders", "action": "bad_row", "probability": 0.02},
    {"match": "orders", "action": "unknown_status", "probability": 0.02},
    {"match": "orders", "action": "book_error", "probability": 0.1},
    {"match": "orders", "action": "truncate_json", "probability": 0.05},
    {"match": "update", "action": "dup_update", "probability": 0.1},
    {"match": "update", "action": "reorder", "probability": 0.1},
    {"match": "update", "action": "lose_update", "probability": 0.2},
]
SILENT: list[dict[str, Any]] = [{"match": "update", "action": "lose_update"}, *STORM]
"""Of a broker whose sockets tell nothing of orders: only its books do."""


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
    world: World, drivers: list[Driver], orders: int, kills: Sequence[str] = (), *, early: bool = False
) -> Report:
    """`orders` orders over all accounts under the storm, then healed and judged.

    kills  roles to kill in the storm, evenly over it
    early  end when something is wrong already, and do not wait for what is pending then
    """

    def prepare(driver: Driver) -> None:
        driver.learn_prices()
        driver.before = {order["order_id"] for order in world.truth(driver.broker)["orders"]}

    _together(drivers, prepare)
    silent, *others = world.faces
    world.faces[silent].control("ws_silent", silent=True)
    world.storm({silent: SILENT, **dict.fromkeys(others, STORM)})
    begun = time.monotonic()
    over, caught = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        beside = [pool.submit(_kill, world, drivers, kills, over)]
        if early:
            beside.append(pool.submit(_watch, world, drivers, over, caught))
        try:
            _together(
                drivers, lambda one: one.run(orders // len(drivers), CLIENTS, RATE, caught.is_set), caught
            )
        finally:
            over.set()
        for one in beside:
            one.result()
    storm = time.monotonic() - begun
    world.heal()
    world.faces[silent].control("ws_silent", silent=False)
    if early:
        report = _judged(world, drivers, storm, 0.0, books=False)
        if _wrong(report.verdict):
            report.verdict.found["unresolved"].clear()
            return report
    return verdict_of(world, drivers, storm)


def _watch(world: World, drivers: list[Driver], over: threading.Event, caught: threading.Event) -> None:
    """Say that something is wrong once two looks in a row found the same: one look may come between two steps."""
    before: set[str] = set()
    while not over.wait(2.0):
        now = _wrong(_judged(world, drivers, 0.0, 0.0, books=False).verdict)
        if before & now:
            caught.set()
            return
        before = now


def _wrong(verdict: Verdict) -> set[str]:
    """What waiting can not mend."""
    return {line for word, lines in verdict.found.items() if word != "unresolved" for line in lines}


def _kill(world: World, drivers: list[Driver], kills: Sequence[str], over: threading.Event) -> None:
    """kill -9 each role when its share of the orders was begun."""
    for number, role in enumerate(kills, 1):
        while min(driver.progress for driver in drivers) < number / (len(kills) + 1):
            if over.wait(0.05):
                return
        world.kill(role)


def stretch() -> float:
    """How much longer things may take on a machine that has more to do than processors to do it, at most threefold."""
    return min(STRETCH, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def verdict_of(world: World, drivers: list[Driver], storm_seconds: float) -> Report:
    """Wait until all is told, at most as long as P3 allows on this machine, and compare with the truth."""
    took: list[float] = []
    patience = RESOLVED_WITHIN * stretch()
    _together(drivers, lambda driver: took.append(driver.settle(patience)))
    return _judged(world, drivers, storm_seconds, max(took), books=True)


def _judged(world: World, drivers: list[Driver], storm: float, resolve: float, *, books: bool) -> Report:
    verdict, faults = Verdict(), Counter[str]()
    for driver in drivers:
        told = world.truth(driver.broker)
        faults.update(action for _, action in told["faults"])
        orders = [order for order in told["orders"] if order["order_id"] not in driver.before]
        book = driver.book() if books else None
        names = judge(list(driver.wishes), Truth(orders, told["events"]), book, verdict)
        if books:
            ours = (name for name, row in names.items() if name != row["order_id"])
            judge_statuses(names, driver.statuses(ours), verdict)
    wishes = [wish for driver in drivers for wish in driver.wishes]
    return Report(verdict, wishes, storm, resolve, faults)


def drivers_of(world: World, seed: int, first: int = 1) -> list[Driver]:
    """One driver for each account."""
    symbols = {PAPER: paper.symbols(24)}
    return [
        Driver(world.install.http, name, key, seed, first, symbols.get(name, SYMBOLS))
        for name, key in world.keys.items()
    ]


def _together(
    drivers: list[Driver], work: Callable[[Driver], object], stop: threading.Event | None = None
) -> None:
    """Do it for all at once; raises what one of them raised, or an interrupt, and then sets `stop` for the others."""
    with ThreadPoolExecutor(len(drivers)) as pool:
        try:
            list(pool.map(work, drivers))
        except BaseException:
            if stop is not None:
                stop.set()
            raise

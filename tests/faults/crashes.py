"""Kills processes while clients trade on live and paper accounts, then asks what became of every order."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import campaign, points, replay
from tests.faults.campaign import Report
from tests.faults.driver import Driver
from tests.faults.hosted import Hosted
from tests.faults.world import World

RATE = 20.0
CLIENTS = 8
ROLES = ("web", "worker", "exchange")
_ARMED = 8.0


@dataclass(slots=True)
class Toll:
    """What the kills did besides orders.

    ready     (what was killed, seconds until ready again)
    missed    points that were armed and that nothing came by
    strategy  what was wrong with the hosted strategy, after which kill
    replay    where the journal and the API differ at the end
    orphans   processes that outlived the install
    """

    ready: list[tuple[str, float]] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    strategy: list[str] = field(default_factory=list)
    replay: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)

    @property
    def slowest(self) -> float:
        return max((seconds for _, seconds in self.ready), default=0.0)


class Crashes:
    """A run of kills over one install, which runs a build with armed points (`points.patches`)."""

    def __init__(self, world: World, directory: Path, chance: random.Random) -> None:
        """`directory` is where the build was patched to look for armed points."""
        self._world = world
        self._directory = directory
        self._chance = chance
        self.toll = Toll()

    def run(self, kills: list[str], seed: int, spacing: float = 0.0) -> Report:
        """Kill these in order under orders, `spacing` seconds apart; the verdict when all is told."""
        hosted = Hosted(self._world.install)
        drivers = campaign.drivers_of(self._world, seed)
        for driver in drivers:
            driver.learn_prices()
        over = threading.Event()
        begun = time.monotonic()
        with ThreadPoolExecutor(len(drivers)) as pool:
            trading = [pool.submit(_trade, driver, over, len(drivers)) for driver in drivers]
            try:
                for number, what in enumerate(kills):
                    self._turn(what, spacing if number else 0.0, hosted)
            finally:
                over.set()
            for one in trading:
                one.result()
        report = campaign.verdict_of(self._world, drivers, time.monotonic() - begun)
        self._compare(drivers, hosted)
        self.toll.strategy += hosted.end()
        return report

    def _turn(self, what: str, spacing: float, hosted: Hosted) -> None:
        until = time.monotonic() + spacing
        self._kill(what)
        self.toll.strategy += [f"after {what}: {words}" for words in hosted.problems()]
        time.sleep(max(self._chance.uniform(0.2, 1.5), until - time.monotonic()))

    def _kill(self, what: str) -> None:
        before = {role: self._pid(role) for role in ROLES}
        if what in ROLES:
            self._world.kill(what)
        elif not self._armed(what):
            self.toll.missed.append(what)
            return
        since = time.monotonic()
        died = [what] if what in ROLES else self._died(before)
        for role in died:
            self.toll.ready.append((f"{what} ({role})", self._world.ready_again(role, before[role], since)))

    def _armed(self, point: str) -> bool:
        """Arm a point; whether some process came by and died."""
        armed = points.file_of(self._directory, point)
        armed.touch()
        until = time.monotonic() + _ARMED
        while armed.exists() and time.monotonic() < until:
            time.sleep(0.05)
        try:
            armed.unlink()
        except FileNotFoundError:
            return True
        return False

    def _died(self, before: dict[str, int]) -> list[str]:
        """The roles that run no more as they ran before."""
        until = time.monotonic() + 5
        while not (died := [role for role, pid in before.items() if self._pid(role) != pid]):
            if time.monotonic() > until:
                raise TimeoutError("a process took its point's file and lives")
            time.sleep(0.02)
        return died

    def _pid(self, role: str) -> int:
        found = self._world.role(role)
        return 0 if found is None else found.pid

    def _compare(self, drivers: list[Driver], hosted: Hosted) -> None:
        """Replay the journal, once every account was looked at again."""
        hosted.look_at_accounts()
        home = self._world.install.home
        for driver in drivers:
            self.toll.replay += replay.problems(home, driver.broker, driver.book())


def drawn(trials: int, chance: random.Random) -> list[str]:
    """What to kill, `trials` times: every role and point as often as another, in any order."""
    found: list[str] = []
    while len(found) < trials:
        found += chance.sample(points.KILLS, len(points.KILLS))
    return found[:trials]


def _trade(driver: Driver, over: threading.Event, accounts: int) -> None:
    driver.run(1_000_000, CLIENTS, RATE / accounts, over.is_set)

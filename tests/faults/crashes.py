"""Kills processes while clients trade, then asks what became of every order."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

from tests.faults import campaign, points
from tests.faults.campaign import Report
from tests.faults.driver import Driver
from tests.faults.world import World

RATE = 20.0
CLIENTS = 8
_ARMED = 8.0


class Crashes:
    """A run of kills. `ready` lists (what was killed, seconds until ready again)."""

    def __init__(self, world: World, directory: Path, chance: random.Random) -> None:
        """`directory` is where the build was patched to look for armed points."""
        self._world = world
        self._directory = directory
        self._chance = chance
        self.ready: list[tuple[str, float]] = []

    def run(self, trials: int, seed: int, spacing: float = 0.0) -> Report:
        """Kill `trials` times under orders; the verdict when all is told."""
        drivers = campaign.drivers_of(self._world, seed)
        for driver in drivers:
            driver.learn_prices()
        over = threading.Event()
        begun = time.monotonic()
        clients = [threading.Thread(target=_trade, args=(driver, over, len(drivers))) for driver in drivers]
        for client in clients:
            client.start()
        try:
            self._kill_often(trials, spacing)
        finally:
            over.set()
            for client in clients:
                client.join()
        return campaign.verdict_of(self._world, drivers, time.monotonic() - begun)

    def _kill_often(self, trials: int, spacing: float) -> None:
        left: list[str] = []
        for _ in range(trials):
            if not left:
                left = list(points.KILLS)
                self._chance.shuffle(left)
            next_at = time.monotonic() + spacing
            time.sleep(self._chance.uniform(0.2, 1.5))
            self._kill(left.pop())
            time.sleep(max(0.0, next_at - time.monotonic()))

    def _kill(self, what: str) -> None:
        if what in ("web", "worker", "exchange"):
            pid = self._world.kill(what)
            self.ready.append((what, self._world.ready_again(what, pid)))
            return
        before = {role: self._pid(role) for role in ("web", "worker")}
        armed = points.file_of(self._directory, what)
        armed.touch()
        until = time.monotonic() + _ARMED
        while armed.exists() and time.monotonic() < until:
            time.sleep(0.05)
        if armed.exists():
            armed.unlink(missing_ok=True)
            return
        time.sleep(0.3)
        died = [role for role, pid in before.items() if self._pid(role) != pid]
        for role in died or ["web"]:
            self.ready.append((what, self._world.ready_again(role, before[role])))

    def _pid(self, role: str) -> int:
        found = self._world.role(role)
        return 0 if found is None else found.pid


def _trade(driver: Driver, over: threading.Event, accounts: int) -> None:
    driver.run(1_000_000, CLIENTS, RATE / accounts, over.is_set)

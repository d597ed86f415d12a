"""Strategies of one user and keepers that come and go, over real processes."""

from __future__ import annotations

import io
import os
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from database import strategy_runs as run_rows
from database.engine import open_database
from database.metadata import LOGS
from domain.model import Exchange
from domain.strategies import Schedule, ScheduleKind, Strategy, StrategyState
from services.accounts import Caller
from services.market_calendar import MarketCalendar
from services.strategy_host import StrategyHost
from services.strategy_keeper import KeeperParts, StrategyKeeper
from services.strategy_keys import RunKeys
from services.strategy_launch import Addresses
from strategies import process
from tests.services.order_world import World

MANUAL = Schedule(kind=ScheduleKind.MANUAL)
LOOP = "import time\nprint('up')\nwhile True: time.sleep(0.05)"


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class Silent:
    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, topic: str) -> None:
        self.rung.append(topic)

    def note(self, *said: Any, **more: Any) -> None:
        """Nobody reads."""


@dataclass
class House:
    """Strategies of one user, and keepers that come and go."""

    host: StrategyHost
    parts: KeeperParts
    caller: Caller
    store: Any
    missing: list[str]
    holds: list[bool]
    keepers: list[StrategyKeeper]
    threads: list[threading.Thread]

    def keeper(self) -> StrategyKeeper:
        keeper = StrategyKeeper(self.parts, lambda connection: self.holds[-1])
        thread = threading.Thread(target=keeper.run)
        thread.start()
        self.keepers.append(keeper)
        self.threads.append(thread)
        return keeper

    def abandon(self) -> None:
        """As by kill -9: nothing is ended, nothing is written; the pipes are simply not read any more."""
        keeper = self.keepers.pop()
        keeper._end_all = lambda: None  # type: ignore[method-assign]
        keeper._pump.release = lambda *words: []  # type: ignore[method-assign]
        keeper.stop()
        self.threads.pop().join()
        for tap in keeper._pump._taps.values():
            os.close(tap.pipe)

    def add(self, code: str, **more: Any) -> str:
        schedule = more.pop("schedule", MANUAL)
        made = self.host.upload(self.caller, "s", "s.py", code.encode(), Exchange.NSE, schedule, **more)
        return made.id

    def add_zip(self, **files: str) -> str:
        """A strategy of several files, given by their names with _ for the dot."""
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            for name, text in files.items():
                archive.writestr(name.replace("_", "."), text)
        return self.host.upload(self.caller, "s", "s.zip", held.getvalue(), Exchange.NSE, MANUAL).id

    def get(self, strategy_id: str) -> Strategy:
        return self.host.get(self.caller, strategy_id)

    def until(self, strategy_id: str, *states: StrategyState, seconds: float = 20.0) -> Strategy:
        deadline = time.monotonic() + seconds
        while (found := self.get(strategy_id)).state not in states:
            assert time.monotonic() < deadline, (found.state, found.reason, self.log(strategy_id)[-800:])
            time.sleep(0.03)
        return found

    def log(self, strategy_id: str) -> str:
        folder = self.host.places(self.get(strategy_id)).logs
        return "".join(path.read_text() for path in sorted(folder.glob("*.log"))) if folder.exists() else ""

    def until_logged(self, strategy_id: str, words: str, seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.log(strategy_id):
            assert time.monotonic() < deadline, self.log(strategy_id)[-800:]
            time.sleep(0.03)

    def live(self) -> list[Any]:
        with self.store.read() as connection:
            return run_rows.live(connection)

    def close(self) -> None:
        for keeper, thread in zip(self.keepers, self.threads, strict=True):
            keeper.stop()
            thread.join()
        for run in self.live():
            if run.pid and run.started:
                process.kill_session(process.Identity(run.pid, run.started, run.boot))


@contextmanager
def opened(tmp_path: Path, world: World) -> Iterator[House]:
    """A house without a keeper; everything is ended afterwards."""
    clock, silent = RealClock(), Silent()
    world.accounts._clock = clock
    logs = open_database("", "logs", tmp_path)
    LOGS.create_all(logs.engine)
    calendar = MarketCalendar(world.platform, clock)
    host = StrategyHost(
        world.platform,
        logs,
        world.orders_db,
        tmp_path,
        clock,
        world.accounts._vault,
        world.accounts,
        calendar,
        silent,
        silent,
    )
    missing: list[str] = [""]
    parts = KeeperParts(
        store=world.platform,
        logs=logs,
        data_dir=tmp_path,
        clock=clock,
        bell=silent,
        keys=RunKeys(world.platform, world.accounts._vault, world.accounts, clock),
        values=host.values,
        readiness=SimpleNamespace(missing=lambda strategy: missing[-1]),  # type: ignore[arg-type]
        sessions=lambda exchange, day: calendar.sessions(exchange, day),
        addresses=Addresses(
            "http://127.0.0.1:5000", "https://public", "ws://127.0.0.1:8765", "127.0.0.1", 8765
        ),
    )
    caller = replace(world.caller, door="page")
    made = House(host, parts, caller, world.platform, missing, [True], [], [])
    try:
        yield made
    finally:
        made.close()
        logs.close()

"""Random starts, stops, kills and lost hosts: never two generations alive, and nobody left at the end."""

from __future__ import annotations

import os
import random
import secrets
import signal
import time
from pathlib import Path

import pytest

from domain.errors import InvalidRequest
from domain.strategies import RunLimits, StrategyState
from tests.services.strategy_house import LOOP, House

STUBBORN = (
    "import os, signal, time\nsignal.signal(15, lambda *_: None)\nos.fork()\nwhile True: time.sleep(0.05)"
)


def sessions(house: House) -> dict[str, set[int]]:
    """Strategy id -> sessions of processes that run its files, by what the system says."""
    found: dict[str, set[int]] = {}
    home = str(house.parts.data_dir / "strategies")
    for entry in Path("/proc").iterdir():
        try:
            command = (
                (entry / "cmdline").read_bytes().decode("utf-8", "replace") if entry.name.isdigit() else ""
            )
            stat = (entry / "stat").read_text() if home in command else ""
        except OSError:
            continue
        fields = stat.rpartition(") ")[2].split()
        if fields and fields[0] != "Z":
            strategy_id = command.split(home + "/", 1)[1].split("/", 1)[0]
            found.setdefault(strategy_id, set()).add(int(fields[3]))
    return found


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(5))
def test_never_two_generations_and_no_survivor(house: House, seed: int) -> None:
    live_through(house, random.Random(seed), int(os.environ.get("STEPS", "200")))


def test_never_two_generations_in_a_short_storm(house: House) -> None:
    """With every test run, from a seed of its own."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    live_through(house, random.Random(seed), 40)


def live_through(house: House, chance: random.Random, steps: int) -> None:
    """Starts, stops, kills and lost hosts, as chance has it; then everything is stopped."""
    house.keeper()
    codes = (LOOP, STUBBORN, "raise SystemExit(1)", "print('done')")
    ids = [house.add(code, limits=RunLimits(grace=1)) for code in codes]
    for _ in range(steps):
        strategy_id = chance.choice(ids)
        match chance.choices(("start", "stop", "kill", "host", "wait"), (5, 4, 3, 1, 2))[0]:
            case "start":
                try:
                    house.host.start(house.caller, strategy_id)
                except InvalidRequest:
                    continue
            case "stop":
                house.host.stop(house.caller, strategy_id)
            case "kill":
                for session in sessions(house).get(strategy_id, ()):
                    try:
                        os.kill(session, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
            case "host":
                house.abandon()
                house.keeper()
            case "wait":
                time.sleep(chance.random() * 0.5)
        time.sleep(chance.random() * 0.1)
        alive = sessions(house)
        assert all(len(each) <= 1 for each in alive.values()), alive
    for strategy_id in ids:
        house.host.stop(house.caller, strategy_id)
        house.until(strategy_id, StrategyState.STOPPED, seconds=60)
    deadline = time.monotonic() + 20
    while left := sessions(house):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    assert house.live() == []

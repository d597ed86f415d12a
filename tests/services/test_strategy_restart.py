"""A restart over real processes: one run after the other, never two, whoever dies on the way."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from domain.errors import InvalidRequest
from domain.strategies import Restart, Run, RunLimits, StrategyState
from services.strategy_keeper import StrategyKeeper
from strategies import process
from strategies.manager import RESTARTED, Act, Decision
from tests.services.strategy_house import LOOP, House

STUBBORN = "import signal, time\nsignal.signal(15, lambda *_: print('told'))\nprint('up')\nwhile True: time.sleep(0.05)"


def running(house: House, code: str = LOOP, **more: Any) -> tuple[str, Run]:
    strategy_id = house.add(code, **more)
    house.host.start(house.caller, strategy_id)
    house.until_logged(strategy_id, "up")
    house.until(strategy_id, StrategyState.RUNNING)
    (run,) = house.live()
    return strategy_id, run


def alive(run: Run) -> bool:
    assert run.pid is not None and run.started is not None
    return process.members(process.Identity(run.pid, run.started, run.boot)) != []


def followed(house: House, strategy_id: str, before: Run) -> None:
    """The next generation runs alone, and stays; the one before it is gone."""
    deadline = time.monotonic() + 20
    while not ((found := house.live()) and found[0].generation == 2 and found[0].started_at):
        assert len(found) <= 1
        assert time.monotonic() < deadline, (house.get(strategy_id), house.log(strategy_id)[-800:])
        time.sleep(0.02)
    assert not alive(before) and alive(found[0])
    time.sleep(1.5)
    (after,) = house.live()
    assert after.generation == 2 and alive(after), "one wish, one restart"
    assert house.until(strategy_id, StrategyState.RUNNING).is_restarting is False


def test_it_ends_and_then_starts_again_once(house: House) -> None:
    house.keeper()
    strategy_id, before = running(house, cancel_on_stop=True)
    house.host.restart(house.caller, strategy_id)
    house.host.restart(house.caller, strategy_id)
    followed(house, strategy_id, before)
    ended = house.host.runs(house.caller, strategy_id)[1]
    assert ended.reason == RESTARTED and ended.sweep == "", "its orders are left to the next run"
    assert any("Restart pressed" in note.words for note in house.host.notes(house.caller, strategy_id))


def test_one_that_does_not_end_is_killed_before_the_next_begins(house: House) -> None:
    house.keeper()
    strategy_id, before = running(house, STUBBORN, limits=RunLimits(grace=1))
    house.host.restart(house.caller, strategy_id)
    followed(house, strategy_id, before)


def test_what_does_not_run_is_not_restarted(house: House) -> None:
    strategy_id = house.add(LOOP)
    with pytest.raises(InvalidRequest, match="not running"):
        house.host.restart(house.caller, strategy_id)
    house.keeper()
    house.host.start(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.RUNNING)
    house.host.stop(house.caller, strategy_id)
    with pytest.raises(InvalidRequest, match="not running"):
        house.host.restart(house.caller, strategy_id)


def test_a_stop_after_the_wish_wins(house: House) -> None:
    house.keeper()
    strategy_id, before = running(house, STUBBORN, limits=RunLimits(grace=1))
    house.host.restart(house.caller, strategy_id)
    house.until_logged(strategy_id, "told")
    house.host.stop(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.STOPPED)
    time.sleep(1)
    assert house.live() == [] and not alive(before)


@pytest.mark.parametrize("restart", Restart)
@pytest.mark.parametrize("died", [False, True])
def test_a_wish_while_no_keeper_lives_is_kept(house: House, restart: Restart, died: bool) -> None:
    """Also when the run ends by itself before anybody reads the wish, and is not started again for that."""
    house.keeper()
    strategy_id, before = running(house, restart=restart)
    house.abandon()
    house.host.restart(house.caller, strategy_id)
    if died and before.pid:
        os.kill(before.pid, signal.SIGKILL)
    house.keeper()
    followed(house, strategy_id, before)


@pytest.mark.parametrize("died", [False, True])
def test_a_keeper_that_dies_after_it_told_the_run_to_end(house: House, died: bool) -> None:
    house.keeper()
    strategy_id, before = running(house, STUBBORN, limits=RunLimits(grace=2), restart=Restart.NEVER)
    house.host.restart(house.caller, strategy_id)
    house.until_logged(strategy_id, "told")
    house.abandon()
    assert house.live()[0].stopping is not None
    if died and before.pid:
        os.kill(before.pid, signal.SIGKILL)
    house.keeper()
    followed(house, strategy_id, before)


def test_a_keeper_that_dies_between_stop_and_start(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old run is closed, the new one has no row yet."""
    house.keeper()
    strategy_id, before = running(house, restart=Restart.NEVER)
    begun: list[str] = []

    def dies(self: StrategyKeeper, strategy: Any, decision: Decision) -> Decision:
        begun.append(strategy.id)
        return Decision(Act.REST, StrategyState.WAITING, "dying")

    with monkeypatch.context() as patched:
        patched.setattr(StrategyKeeper, "_begin", dies)
        house.host.restart(house.caller, strategy_id)
        deadline = time.monotonic() + 20
        while not begun:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        house.abandon()
    assert house.live() == [] and not alive(before)
    house.keeper()
    followed(house, strategy_id, before)

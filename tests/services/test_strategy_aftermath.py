"""What follows from how a strategy ends or waits: alerts, orders to look after, packages of its own."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from database import strategies as rows
from database import strategy_runs as run_rows
from domain.clock import IST
from domain.strategies import DAYS, Alert, Restart, Schedule, ScheduleKind, StrategyState, Window
from services import strategy_keeper, strategy_watch
from services.strategy_alerts import StrategyAlerts
from tests.services.strategy_house import LOOP, House, RealClock
from tests.strategies.test_packages import wheel


def test_a_bad_end_is_an_alert_with_its_reason_and_last_lines(house: House) -> None:
    house.keeper()
    strategy_id = house.add("print('before')\nraise ValueError('boom')", restart=Restart.NEVER)
    house.host.start(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.CRASHED)
    alerts = StrategyAlerts(house.store, RealClock())
    (alert,) = alerts.listed(house.caller.user_id)
    assert (alert.kind, alert.reason, alert.strategy_id) == ("failed", "exited 1", strategy_id)
    assert "ValueError: boom" in alert.tail
    assert f"alert|{house.caller.user_id}|" in house.parts.bell.rung
    assert alerts.unseen(house.caller.user_id) == 1 and alerts.unseen(house.caller.user_id + 1) == 0
    alerts.see(house.caller.user_id)
    assert alerts.unseen(house.caller.user_id) == 0
    assert alerts.listed(house.caller.user_id, alert.id) == []


def test_a_stop_and_a_good_end_are_no_alerts(house: House) -> None:
    house.keeper()
    for code in (LOOP, "print('done')"):
        strategy_id = house.add(code)
        house.host.start(house.caller, strategy_id)
        house.until(strategy_id, StrategyState.RUNNING, StrategyState.FINISHED)
        house.host.stop(house.caller, strategy_id)
        house.until(strategy_id, StrategyState.STOPPED)
    assert StrategyAlerts(house.store, RealClock()).listed(house.caller.user_id) == []


def test_not_starting_when_due_is_an_alert_after_a_while(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strategy_keeper, "_LATE", timedelta(seconds=1))
    house.missing.append("No session at zerodha: log in")
    house.keeper()
    strategy_id = house.add(LOOP)
    house.host.start(house.caller, strategy_id)
    alerts = StrategyAlerts(house.store, RealClock())
    deadline = time.monotonic() + 15
    while not alerts.listed(house.caller.user_id):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.5)
    (alert,) = alerts.listed(house.caller.user_id)
    assert (alert.kind, alert.reason) == ("late", "No session at zerodha: log in")


@pytest.mark.parametrize("crashed", [False, True])
def test_a_stop_leaves_its_orders_to_be_looked_after(house: House, crashed: bool) -> None:
    """In the run's row, with the end of the run: whatever dies then, somebody finds it."""
    house.keeper()
    code = "raise SystemExit(3)" if crashed else LOOP
    strategy_id = house.add(code, restart=Restart.NEVER, cancel_on_stop=True)
    house.host.start(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.CRASHED if crashed else StrategyState.RUNNING)
    with house.store.read() as connection:
        assert run_rows.to_sweep(connection) == []
    house.host.stop(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.STOPPED)
    with house.store.read() as connection:
        (run,) = run_rows.to_sweep(connection, strategy_id)
    assert (run.generation, run.sweep) == (1, "due")
    house.host.delete(house.caller, strategy_id)
    time.sleep(1.5)
    with house.store.read() as connection:
        assert rows.by_id(connection, strategy_id) is not None


def test_its_own_packages_are_installed_before_it_starts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits, with what happens shown, and then runs with them and without ours."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    wheel(house.parts.data_dir / "wheels", "fastmoney", "ANSWER = 42")
    house.keeper()
    code = (
        "import fastmoney, tools\nprint('answer', fastmoney.ANSWER, tools.NAME)\n"
        "try: import flask\nexcept ImportError: print('no flask')"
    )
    strategy_id = house.add_zip(
        main_py=code, tools_py="NAME = 'two files'", requirements_txt="fastmoney==1.0"
    )
    house.host.start(house.caller, strategy_id)
    assert "being installed" in house.until(strategy_id, StrategyState.WAITING).reason
    house.until(strategy_id, StrategyState.FINISHED, seconds=60)
    assert "answer 42 two files" in house.log(strategy_id) and "no flask" in house.log(strategy_id)
    waits = [note for note in house.host.notes(house.caller, strategy_id) if "being installed" in note.words]
    assert len(waits) == 1


def test_packages_that_cannot_be_had_are_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    house.keeper()
    strategy_id = house.add_zip(main_py="import fastmoney", requirements_txt="fastmoney==1.0")
    house.host.start(house.caller, strategy_id)
    deadline = time.monotonic() + 60
    while "could not be installed" not in (reason := house.get(strategy_id).reason):
        assert time.monotonic() < deadline, reason
        time.sleep(0.05)
    assert "fastmoney" in reason and house.host.runs(house.caller, strategy_id) == []


def test_what_it_took_is_kept_while_it_runs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strategy_watch, "_KEEP_EVERY", 0.5)
    house.keeper()
    strategy_id = house.add(LOOP)
    house.host.start(house.caller, strategy_id)
    begun, deadline = RealClock().now(), time.monotonic() + 20
    while len(samples := house.host.samples(house.caller, strategy_id, begun)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert samples[-1].memory > 1 << 20 and samples[-1].processes == 1 and samples[-1].cpu >= 0
    house.host.stop(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.STOPPED)
    (run,) = house.host.runs(house.caller, strategy_id)
    assert run.peak_memory > 1 << 20 and run.signal == signal.SIGTERM


def test_old_logs_go_while_it_runs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strategy_watch, "_TIDY_EVERY", 0.5)
    house.keeper()
    strategy_id = house.add(LOOP)
    house.host.start(house.caller, strategy_id)
    house.until_logged(strategy_id, "up")
    folder = house.host.places(house.get(strategy_id)).logs
    kept, old = folder / "kept.log", folder / "old.log.3"
    for path, days in ((kept, 6), (old, 8)):
        path.write_text("x\n")
        os.utime(path, (time.time() - days * 86400,) * 2)
    deadline = time.monotonic() + 20
    while old.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert kept.exists() and "up" in house.log(strategy_id)


def told_once(house: House) -> Alert:
    """The one alert, after two keepers one after the other had time to tell."""
    alerts = StrategyAlerts(house.store, RealClock())
    for _ in range(2):
        house.keeper()
        deadline = time.monotonic() + 20
        while not alerts.listed(house.caller.user_id):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1.0)
        house.abandon()
    (alert,) = alerts.listed(house.caller.user_id)
    return alert


def test_a_whole_window_that_nobody_kept_is_told_once(house: House) -> None:
    """The platform was off from before its start until after its end: nothing else would say that it did not run."""
    day = [name for name in DAYS if name != DAYS[datetime.now(IST).weekday()]]
    strategy_id = house.add(
        LOOP, schedule=Schedule(windows=(Window(start="10:00", stop="11:00"),), days=day[:1])
    )
    due = datetime.now(UTC) - timedelta(hours=3)
    house.store.write(lambda c: rows.change(c, strategy_id, next_start=due))
    alert = told_once(house)
    assert alert.kind == "late" and alert.reason.startswith("Missed: the whole window of ")
    assert f"{due.astimezone(IST):%H:%M}" in alert.reason
    notes = [note.words for note in house.host.notes(house.caller, strategy_id)]
    assert notes.count(alert.reason) == 1


def test_a_missed_start_is_told_once_whoever_keeps_them(house: House) -> None:
    at = datetime.now(UTC) - timedelta(hours=2)
    strategy_id = house.add(LOOP, schedule=Schedule(kind=ScheduleKind.ONCE, at=at))
    house.store.write(lambda c: rows.change(c, strategy_id, done_window=None))
    alert = told_once(house)
    assert alert.kind == "late" and alert.reason.startswith("Missed")
    assert house.host.runs(house.caller, strategy_id) == []

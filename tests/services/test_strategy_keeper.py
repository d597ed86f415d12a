"""The keeper over real processes: starts, crashes, limits, hangs, a host that is killed, a lease that is lost."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime

import pytest

from database import strategies as rows
from database import strategy_runs as run_rows
from database.api_keys import API_KEYS
from domain.errors import Unauthorized
from domain.roles import Role
from domain.strategies import Restart, RunLimits, StrategyState
from strategies import manager, process
from tests.services.strategy_house import LOOP, House


def test_it_starts_writes_and_stops_when_told(house: House) -> None:
    house.keeper()
    strategy_id = house.add(LOOP)
    begun = time.monotonic()
    house.host.start(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.RUNNING)
    house.until_logged(strategy_id, "up")
    assert time.monotonic() - begun < 5
    (run,) = house.live()
    house.host.stop(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.STOPPED)
    assert house.live() == [] and process.members(process.Identity(run.pid, run.started, run.boot)) == []
    assert "stopped by hand" in house.log(strategy_id)


def test_what_it_is_given_and_nothing_more(house: House) -> None:
    house.keeper()
    code = "import os\nfor name in sorted(os.environ): print(name, os.environ[name])"
    strategy_id = house.add(code)
    house.host.values.set(strategy_id, "LOTS", "2", secret=False)
    house.host.values.set(strategy_id, "TOKEN", "canary-4711", secret=True)
    house.host.start(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.FINISHED)
    log = house.log(strategy_id)
    given = {line.split(" ")[2]: line.split(" ", 3)[-1] for line in log.splitlines() if " -- " not in line}
    assert given["OPENALGO_HOST"] == "http://127.0.0.1:5000" and given["HOST_SERVER"] == "https://public"
    assert given["LOTS"] == "2" and given["TOKEN"] == "[hidden]"
    assert given["OPENALGO_API_KEY"] == given["OPENALGO_APIKEY"] == "[hidden]"
    assert not set(given) & {"APP_KEY", "FERNET_KEYS", "API_KEY_PEPPER", "DATABASE_URL", "LD_PRELOAD"}


def test_a_crash_is_told_with_its_last_lines_and_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager, "PAUSES", (0,))
    house.keeper()
    strategy_id = house.add("print('before')\nraise ValueError('boom')")
    house.host.start(house.caller, strategy_id)
    found = house.until(strategy_id, StrategyState.FAILED, seconds=60)
    assert "crash loop" in found.reason
    runs = house.host.runs(house.caller, strategy_id)
    assert [run.generation for run in runs] == [5, 4, 3, 2, 1]
    assert all(run.exit_code == 1 and "ValueError: boom" in run.tail for run in runs)
    assert any(note.kind == "err" for note in house.host.notes(house.caller, strategy_id))
    with house.store.read() as connection:
        revoked = connection.execute(API_KEYS.select().where(API_KEYS.c.strategy == strategy_id)).mappings()
        assert all(row["revoked_at"] is not None for row in revoked)


@pytest.mark.parametrize(
    ("code", "limits", "words"),
    [
        (
            "x = [bytearray(1 << 20) for _ in range(150)]\nimport time; time.sleep(60)",
            {"memory_mb": 64},
            "MB of memory",
        ),
        ("import os, time\nfor _ in range(4): os.fork()\ntime.sleep(60)", {"processes": 8}, "processes of 8"),
        ("import time\nprint('hang')\ntime.sleep(60)", {"heartbeat": 2}, "no sign of life"),
    ],
)
def test_a_limit_ends_it_and_says_which(house: House, code: str, limits: dict[str, int], words: str) -> None:
    house.keeper()
    strategy_id = house.add(code, limits=RunLimits(**limits), restart=Restart.NEVER)
    house.host.start(house.caller, strategy_id)
    found = house.until(strategy_id, StrategyState.CRASHED, seconds=30)
    assert words in found.reason
    assert words in house.log(strategy_id)


def test_what_is_missing_is_waited_for_and_then_it_starts(house: House) -> None:
    house.missing.append("The price feed does not answer yet")
    house.keeper()
    strategy_id = house.add(LOOP)
    house.host.start(house.caller, strategy_id)
    assert "price feed" in house.until(strategy_id, StrategyState.WAITING).reason
    house.missing.append("")
    house.until(strategy_id, StrategyState.RUNNING)


def test_a_killed_keepers_strategy_is_adopted_and_lost_no_line(house: House) -> None:
    house.keeper()
    code = "import time\nn = 0\nwhile True:\n    n += 1\n    print('line', n)\n    time.sleep(0.05)"
    strategy_id = house.add(code)
    house.host.start(house.caller, strategy_id)
    house.until_logged(strategy_id, "line 5")
    (before,) = house.live()
    house.abandon()
    time.sleep(0.5)
    house.keeper()
    house.until_logged(strategy_id, "Taken over")
    house.until_logged(strategy_id, "line 40")
    (after,) = house.live()
    assert (after.pid, after.generation) == (before.pid, before.generation)
    lines = [int(line.rsplit(" ", 1)[1]) for line in house.log(strategy_id).splitlines() if " line " in line]
    assert lines == list(range(1, len(lines) + 1))


def test_a_run_whose_keeper_died_before_writing_who_it_is_is_found(house: House) -> None:
    house.keeper()
    strategy_id = house.add(LOOP)
    house.host.start(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.RUNNING)
    (run,) = house.live()
    house.abandon()
    house.store.write(
        lambda c: run_rows.change_run(c, run.id, pid=None, started=None, boot="", started_at=None)
    )
    house.keeper()
    house.until_logged(strategy_id, "Taken over")
    assert house.live()[0].pid == run.pid


def test_what_died_while_nobody_looked_is_closed_and_started_again(house: House) -> None:
    house.keeper()
    strategy_id = house.add(LOOP)
    house.host.start(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.RUNNING)
    (run,) = house.live()
    house.abandon()
    os.kill(run.pid, signal.SIGKILL)
    house.keeper()
    deadline = time.monotonic() + 20
    while not (house.live() and house.live()[0].generation == 2 and house.live()[0].pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert house.live()[0].pid != run.pid


def test_stopped_while_the_keeper_was_away_it_is_ended_on_its_return(house: House) -> None:
    house.keeper()
    strategy_id = house.add(
        "import signal, time\nsignal.signal(15, lambda *_: None)\nprint('up')\nwhile True: time.sleep(1)",
        limits=RunLimits(grace=1),
    )
    house.host.start(house.caller, strategy_id)
    house.until_logged(strategy_id, "up")
    (run,) = house.live()
    house.abandon()
    house.host.stop(house.caller, strategy_id)
    house.keeper()
    house.until(strategy_id, StrategyState.STOPPED)
    assert house.live() == []
    assert not process.is_alive(process.Identity(run.pid, run.started, run.boot))


def test_a_keeper_without_the_lease_writes_nothing(house: House) -> None:
    house.keeper()
    strategy_id = house.add(LOOP)
    house.holds.append(False)
    house.host.start(house.caller, strategy_id)
    house.threads[0].join(10)
    assert not house.threads[0].is_alive()
    assert house.live() == []


def test_an_orderly_stop_ends_runs_and_the_next_keeper_starts_them(house: House) -> None:
    house.keeper()
    strategy_id = house.add(LOOP)
    house.host.start(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.RUNNING)
    house.keepers[0].stop()
    house.threads[0].join(10)
    assert house.live() == []
    house.keeper()
    house.until(strategy_id, StrategyState.RUNNING)
    assert house.live()[0].generation == 2


def test_its_key_works_for_its_run_only_and_lapses_without_a_keeper(house: House) -> None:
    house.keeper()
    strategy_id = house.add(LOOP)
    house.host.start(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.RUNNING)
    (run,) = house.live()
    key = house.parts.keys.opened(house.get(strategy_id), run)
    accounts = house.parts.keys._accounts
    caller = accounts.caller_of_key(key)
    assert (caller.door, caller.strategy, caller.account.id) == (
        "strategy",
        strategy_id,
        house.caller.account.id,
    )
    assert [each.id for each in house.host.listed(caller)] == [strategy_id]
    with house.store.read() as connection:
        until = connection.execute(API_KEYS.select().where(API_KEYS.c.id == run.key_id)).mappings().one()
    assert 0 < (until["expires_at"] - datetime.now(UTC)).total_seconds() <= 60
    house.host.stop(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.STOPPED)
    with pytest.raises(Unauthorized):
        accounts.caller_of_key(key)


def test_it_waits_while_its_owner_may_not_trade(house: House) -> None:
    """No run, and no key for one, until the owner may trade again."""
    accounts = house.parts.keys._accounts
    owner, other = house.caller.user_id, accounts.add_user("other", "a long password", role=Role.ADMIN)
    accounts.set_role(owner, Role.VIEWER)
    strategy_id = house.add(LOOP)
    house.keeper()
    house.host.start(house.caller, strategy_id)
    assert "may no longer trade" in house.until(strategy_id, StrategyState.WAITING).reason
    accounts.set_barred(accounts.user(owner).name, True)
    with house.store.read() as connection:
        assert connection.execute(API_KEYS.select()).all() == []
    accounts.set_barred(house.caller.username, False)
    accounts.set_role(owner, Role.TRADER)
    house.until(strategy_id, StrategyState.RUNNING)
    assert other.role is Role.ADMIN


def test_changed_files_are_not_run(house: House) -> None:
    strategy_id = house.add(LOOP)
    target = house.host.places(house.get(strategy_id)).version(1) / "s.py"
    target.chmod(0o600)
    target.write_text("print('other')")
    house.keeper()
    house.host.start(house.caller, strategy_id)
    assert "not as they were kept" in house.until(strategy_id, StrategyState.WAITING).reason


def test_a_deleted_one_goes_with_its_files(house: House) -> None:
    house.keeper()
    strategy_id = house.add(LOOP)
    house.host.start(house.caller, strategy_id)
    house.until(strategy_id, StrategyState.RUNNING)
    folder = house.host.places(house.get(strategy_id)).home
    house.host.delete(house.caller, strategy_id)
    deadline, left = time.monotonic() + 10, True
    while folder.exists() or left:  # its files go first, then its row
        assert time.monotonic() < deadline
        time.sleep(0.05)
        with house.store.read() as connection:
            left = rows.by_id(connection, strategy_id) is not None
    assert house.live() == []


def test_the_kill_switch_stops_every_strategy_of_the_account(house: House) -> None:
    house.keeper()
    ids = [house.add(LOOP) for _ in range(2)]
    for strategy_id in ids:
        house.host.start(house.caller, strategy_id)
    for strategy_id in ids:
        house.until(strategy_id, StrategyState.RUNNING)
    assert len(house.host.stop_account(house.caller.account.id)) == 2
    for strategy_id in ids:
        assert house.until(strategy_id, StrategyState.STOPPED).reason == "Kill switch"

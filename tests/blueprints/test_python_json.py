"""The JSON routes that scripts know: every field name, the five states, and what refuses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import ANY

import pytest

from database import leases
from database import strategies as rows
from database import strategy_runs as run_rows
from domain.strategies import Run, Sample, StrategyState, Wanted
from tests.blueprints.stage import Stage, Visitor
from tests.blueprints.test_python import CODE, as_json, upload

RECORD = {
    "id", "name", "file_name", "exchange", "status", "status_message", "is_running", "is_scheduled",
    "manually_stopped", "schedule_start_time", "schedule_stop_time", "schedule_days", "last_started",
    "last_stopped", "error_message", "paused_reason", "paused_message", "process_id", "created_at",
}  # fmt: skip
MORE = {
    "state", "reason_code", "version", "exit_code", "signal", "restarts_today", "rss_mb", "cpu_pct",
    "next_start_at", "next_stop_at",
}  # fmt: skip


@pytest.fixture(autouse=True)
def on_a_trading_day(stage: Stage) -> None:
    """The stage's own day is a holiday."""
    stage.clock.at += timedelta(days=1)


def put(stage: Stage, strategy_id: str, **values: Any) -> None:
    """As the worker writes what it saw."""
    stage.platform.databases["platform"].write(lambda c: rows.change(c, strategy_id, **values))


def record(owner: Visitor, strategy_id: str) -> dict[str, Any]:
    body = owner.get(f"/python/api/strategy/{strategy_id}").get_json()
    assert set(body) == {"status", "strategy"} and body["status"] == "success"
    found: dict[str, Any] = body["strategy"]
    return found


STATES = [
    (StrategyState.STARTING, Wanted.AUTO, "", "running", "Running"),
    (StrategyState.RUNNING, Wanted.NOW, "", "running", "Running"),
    (StrategyState.STOPPING, Wanted.STOPPED, "stopped by hand", "running", "Running"),
    (StrategyState.STOPPED, Wanted.STOPPED, "Stopped by asha", "manually_stopped", "Press Start"),
    (StrategyState.CRASHED, Wanted.STOPPED, "exited 1", "manually_stopped", "Press Start"),
    (StrategyState.CRASHED, Wanted.AUTO, "exited 1", "error", "exited 1"),
    (StrategyState.FAILED, Wanted.AUTO, "crash loop: 5 ends in 10 min", "error", "crash loop"),
    (StrategyState.PAUSED, Wanted.AUTO, "holiday", "paused", "NSE is closed today"),
    (StrategyState.PAUSED, Wanted.AUTO, "weekend", "paused", "NSE is closed today"),
    (StrategyState.SCHEDULED, Wanted.AUTO, "before_market", "scheduled", "Starts 2026-11-26 09:15:00"),
    (StrategyState.WAITING, Wanted.AUTO, "No session at zerodha: log in", "scheduled", "log in"),
    (StrategyState.FINISHED, Wanted.AUTO, "exited 0", "scheduled", "Starts 2026-11-26 09:15:00"),
]


@pytest.mark.parametrize(("state", "wanted", "reason", "status", "words"), STATES)
def test_ten_states_are_told_as_five(
    stage: Stage,
    owner: Visitor,
    state: StrategyState,
    wanted: Wanted,
    reason: str,
    status: str,
    words: str,
) -> None:
    strategy_id = upload(owner)
    put(stage, strategy_id, state=state, wanted=wanted, reason=reason)
    row = record(owner, strategy_id)
    assert (row["status"], row["state"], row["reason_code"]) == (status, state.value, reason)
    assert words in row["status_message"]
    assert row["is_running"] is (status == "running")
    assert row["manually_stopped"] is (wanted is Wanted.STOPPED)
    assert (row["error_message"] == reason) is (status == "error")
    assert (row["paused_reason"], bool(row["paused_message"])) == (
        (reason, True) if status == "paused" else (None, False)
    )


def test_every_field_of_a_record(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner, exchange="nse", schedule_start="09:30", schedule_stop="15:00")
    assert set(record(owner, strategy_id)) == RECORD | MORE
    now = stage.clock.now()
    run = Run(
        id=0, strategy_id=strategy_id, generation=1, version=1, token="t", log="l", created_at=now,
        started_at=now, pid=4242,
    )  # fmt: skip
    stage.platform.databases["platform"].write(lambda c: run_rows.open_run(c, run))
    sample = Sample(at=now, cpu=12.34, memory=50 << 20, processes=1)
    stage.platform.databases["logs"].write(lambda c: run_rows.add_samples(c, [(strategy_id, sample)]))
    put(stage, strategy_id, state=StrategyState.RUNNING, last_started=now, next_stop=now)
    row = record(owner, strategy_id)
    created = row.pop("created_at")
    assert created == "2026-11-25 12:00:00"
    assert row == {
        "id": strategy_id, "name": "First", "file_name": "first.py", "exchange": "NSE", "status": "running",
        "status_message": "Running", "is_running": True, "is_scheduled": True, "manually_stopped": False,
        "schedule_start_time": "09:30", "schedule_stop_time": "15:00",
        "schedule_days": ["mon", "tue", "wed", "thu", "fri"], "last_started": "2026-11-25 12:00:00",
        "last_stopped": None, "error_message": None, "paused_reason": None, "paused_message": None,
        "process_id": 4242, "state": "running", "reason_code": "", "version": 1, "exit_code": None,
        "signal": None, "restarts_today": 0, "rss_mb": 50.0, "cpu_pct": 12.3,
        "next_start_at": "2026-11-26 09:30:00", "next_stop_at": "2026-11-25 12:00:00",
    }  # fmt: skip


def test_status_counts_and_says_whether_somebody_looks_after_them(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    body = owner.get("/python/status").get_json()
    assert set(body) == {
        "running", "total", "scheduler_running", "current_ist_time", "platform", "master_contracts_ready",
        "master_contracts_message", "strategies",
    }  # fmt: skip
    assert (body["running"], body["total"], body["scheduler_running"]) == (0, 1, False)
    assert body["strategies"] == [{"id": strategy_id, "name": "First", "status": "scheduled"}]
    store = stage.platform.databases["platform"]
    store.write(lambda c: leases.take(c, "worker", "w", stage.clock.now(), timedelta(seconds=5)))
    put(stage, strategy_id, state=StrategyState.RUNNING)
    body = owner.get("/python/status").get_json()
    assert (body["running"], body["scheduler_running"]) == (1, True)


def test_answers_to_buttons(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    started = owner.post(f"/python/start/{strategy_id}").get_json()
    assert started == {"status": "success", "message": "Strategy started"}
    put(stage, strategy_id, state=StrategyState.RUNNING)
    again = owner.post(f"/python/start/{strategy_id}")
    assert again.status_code == 400 and again.get_json()["error_code"] == "STRATEGY_RUNNING"
    body = {"start_time": "10:00"}
    refused = as_json(owner, f"/python/schedule/{strategy_id}", body)
    assert (refused.status_code, refused.get_json()["error_code"]) == (400, "STRATEGY_RUNNING")
    stopped = owner.post(f"/python/stop/{strategy_id}").get_json()
    assert stopped == {"status": "success", "message": "Strategy stopped"}
    stopping = owner.post(f"/python/start/{strategy_id}")
    assert stopping.status_code == 400 and "still stopping" in stopping.get_json()["message"]


def test_an_error_is_cleared_only_when_there_is_one(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    none = as_json(owner, f"/python/clear-error/{strategy_id}", {})
    assert (none.status_code, none.get_json()["status"]) == (400, "error")
    put(stage, strategy_id, state=StrategyState.FAILED, reason="crash loop")
    assert as_json(owner, f"/python/clear-error/{strategy_id}", {}).status_code == 200
    assert record(owner, strategy_id)["error_message"] is None


def test_a_waiting_one_is_counted_when_contracts_are_asked_for(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    put(stage, strategy_id, state=StrategyState.WAITING, reason="No instruments of zerodha yet")
    body = as_json(owner, "/python/check-contracts", {}).get_json()
    assert body["data"] == {"started": 0, "waiting": 1} and set(body) == {"status", "message", "data"}


def test_source_export_and_logs(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    body = owner.get(f"/python/api/strategy/{strategy_id}/content").get_json()
    assert set(body) == {
        "status", "id", "name", "file_name", "content", "is_running", "line_count", "size_kb",
        "last_modified", "version",
    }  # fmt: skip
    assert body["content"].encode() == CODE and body["line_count"] == 2
    exported = owner.get(f"/python/export/{strategy_id}")
    assert exported.data == CODE
    assert exported.headers["Content-Disposition"].endswith(f"filename={strategy_id}.py")
    again = upload(owner, name="Again", code=exported.data)
    folder = stage.platform.settings.data_dir / "strategies"
    (folder / again / "logs" / "x.log").write_text("of the second\n")
    assert owner.get(f"/python/api/logs/{strategy_id}").get_json() == {"status": "success", "logs": []}
    (row,) = owner.get(f"/python/api/logs/{again}").get_json()["logs"]
    assert set(row) == {"name", "size_kb", "last_modified"}
    cleared = as_json(owner, f"/python/logs/{again}/clear", {}).get_json()
    assert (cleared["cleared_count"], cleared["total_size_mb"]) == (1, 0.0)


def test_exchanges_have_the_old_names(owner: Visitor) -> None:
    body = owner.get("/python/api/exchanges").get_json()
    assert set(body) == {"status", "exchanges", "default"}
    assert all(
        set(row) == {"value", "label", "description", "start_time", "end_time", "window", "is_24x7"}
        for row in body["exchanges"]
    )
    names = [row["value"] for row in body["exchanges"]]
    assert sorted(names) == sorted(["NSE", "BSE", "NFO", "BFO", "MCX", "BCD", "CDS", "NCO", "CRYPTO"])


@pytest.mark.parametrize("route", ["start", "stop", "delete", "export", "api/strategy", "api/logs"])
@pytest.mark.parametrize("strategy_id", ["none_1", "..", "%2e%2e", "a%5cb", "a%00"])
def test_ids_that_are_none_are_not_found(owner: Visitor, route: str, strategy_id: str) -> None:
    path = f"/python/{route}/{strategy_id}"
    answer = owner.get(path) if route.startswith(("api", "export")) else as_json(owner, path, {})
    assert answer.status_code in (404, 405), answer.text


def test_a_key_of_its_account_starts_and_stops_it(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    user = stage.accounts.user_named("asha")
    account = stage.accounts.accounts_of(user.id)[0]
    key = stage.accounts.create_key(
        user.id, account_id=account.id, name="bot", scopes=frozenset({"read", "trade"})
    )
    reader = stage.accounts.create_key(user.id, account_id=account.id, name="eye", scopes=frozenset({"read"}))

    def call(path: str, key: str, **body: Any) -> Any:
        return stage.app.test_client().post(f"/api/v1/{path}", json={"apikey": key, **body})

    started = call("strategies/start", key, strategy_id=strategy_id).get_json()
    assert started == {"status": "success", "data": {"armed": False, "reason": "", "next_start": ANY}}
    (row,) = call("strategies", reader).get_json()["data"]
    assert (row["strategy_id"], row["wanted"]) == (strategy_id, "auto")
    assert call("strategies/stop", reader, strategy_id=strategy_id).status_code == 403
    stopped = call("strategies/stop", key, strategy_id=strategy_id).get_json()
    assert stopped == {"status": "success", "data": {"was_running": False}}
    assert record(owner, strategy_id)["manually_stopped"]
    stage.owner("ravi")
    other = stage.accounts.user_named("ravi")
    theirs = stage.accounts.create_key(
        other.id,
        account_id=stage.accounts.accounts_of(other.id)[0].id,
        name="bot",
        scopes=frozenset({"read", "trade"}),
    )
    assert call("strategies/start", theirs, strategy_id=strategy_id).status_code == 404


def test_a_log_is_downloaded_whole(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    folder = stage.platform.settings.data_dir / "strategies" / strategy_id / "logs"
    (folder / "a.log").write_text("one\n" * 100_000)
    answer = owner.get(f"/python/{strategy_id}/logs/a.log")
    assert len(answer.data) == 400_000 and "attachment" in answer.headers["Content-Disposition"]
    assert owner.get(f"/python/{strategy_id}/logs/..%2f..%2fplatform.db").status_code == 404

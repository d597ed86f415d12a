"""Starts from the strategy pages: real money takes the account's name, typed; paper takes a press."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest

from database import strategies as rows
from domain.strategies import Strategy, StrategyState, Wanted
from services.accounts import Account
from strategies import support
from tests.blueprints.stage import Stage, Visitor
from tests.blueprints.test_python import CODE, upload


@pytest.fixture(autouse=True)
def on_a_trading_day(stage: Stage) -> None:
    """The stage's own day is a holiday."""
    stage.clock.at += timedelta(days=1)


@pytest.fixture
def family(stage: Stage, owner: Visitor) -> Account:
    """A live account, in front."""
    account = stage.live_account("zerodha")
    owner.post(f"/accounts/{account.id}/choose")
    return account


def found(stage: Stage, strategy_id: str) -> Strategy:
    return stage.platform.strategy_host.get(stage.accounts.caller_of_user(1), strategy_id)


def listed(stage: Stage) -> list[Strategy]:
    return stage.platform.strategy_host.listed(stage.accounts.caller_of_user(1))


def python_file() -> tuple[io.BytesIO, str]:
    return io.BytesIO(CODE), "first.py"


@pytest.mark.parametrize(
    "form", [{}, {"force": "1"}, {"confirm": "family"}, {"confirm": "Paper", "force": "1"}]
)
def test_a_start_on_a_live_account_without_its_name_starts_nothing(
    stage: Stage, owner: Visitor, family: Account, form: dict[str, str]
) -> None:
    strategy_id = upload(owner)
    owner.post(f"/python/{strategy_id}/stop")
    before = found(stage, strategy_id)
    answer = owner.post(f"/python/{strategy_id}/start", **form)
    assert answer.status_code == 422
    assert "type the account&#39;s name, Family" in answer.text and "Nothing was started" in answer.text
    assert found(stage, strategy_id) == before and before.wanted is Wanted.STOPPED
    assert ('name="force"' in answer.text) is ("force" in form)


def test_the_typed_name_starts_it(stage: Stage, owner: Visitor, family: Account) -> None:
    strategy_id = upload(owner)
    asked = owner.get(f"/python/{strategy_id}/start?force=1&from=list").text
    assert "Its orders are real." in asked and 'data-confirm="Family"' in asked
    answer = owner.post(f"/python/{strategy_id}/start", confirm=" Family ", **{"from": "list"})
    assert answer.status_code == 303 and answer.headers["Location"].endswith("/python/")
    assert found(stage, strategy_id).pressed_at is not None


def test_the_pages_buttons_lead_to_the_question_only_where_money_is_real(
    stage: Stage, owner: Visitor, family: Account
) -> None:
    live = upload(owner, name="With <money>")
    owner.post("/accounts/1/choose")
    paper = upload(owner, name="On paper")
    cards = owner.get("/python/").text
    assert f'href="/python/{live}/start?from=list"' in cards and f'action="/python/{live}/start"' not in cards
    assert f'action="/python/{paper}/start"' in cards
    page = owner.get(f"/python/{live}").text
    assert f'href="/python/{live}/start"' in page and f'href="/python/{live}/start?force=1"' in page
    assert f'action="/python/{live}/start"' not in page
    assert f'action="/python/{paper}/start"' in owner.get(f"/python/{paper}").text


def test_paper_needs_no_name(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    assert owner.post(f"/python/{strategy_id}/start").status_code == 303
    assert found(stage, strategy_id).state is StrategyState.SCHEDULED
    assert found(stage, strategy_id).pressed_at is not None


WINDOWS: dict[str, Any] = {"kind": "windows", "start": "10:00", "stop": "11:00", "days": ["mon"]}


def test_a_schedule_on_a_live_account_takes_the_name(stage: Stage, owner: Visitor, family: Account) -> None:
    strategy_id = upload(owner)
    before = found(stage, strategy_id)
    answer = owner.post(f"/python/{strategy_id}/schedule", **WINDOWS)
    assert answer.status_code == 422 and "type the account&#39;s name" in answer.text
    assert 'value="10:00"' in answer.text, "what was typed is still there"
    assert found(stage, strategy_id) == before
    assert owner.post(f"/python/{strategy_id}/schedule", kind="manual").status_code == 303
    assert owner.post(f"/python/{strategy_id}/schedule", confirm="Family", **WINDOWS).status_code == 303
    assert found(stage, strategy_id).schedule.windows[0].start == "10:00"


@pytest.mark.parametrize("more", [WINDOWS, {}])
def test_an_upload_that_is_armed_on_a_live_account_takes_the_name(
    stage: Stage, owner: Visitor, family: Account, more: dict[str, Any]
) -> None:
    assert "Type the account&#39;s name" in owner.get("/python/new").text.replace("'", "&#39;")
    answer = owner.post("/python/upload", strategy_file=python_file(), **more)
    assert answer.status_code == 422 and listed(stage) == []
    answer = owner.post("/python/upload", strategy_file=python_file(), kind="manual")
    assert answer.status_code == 303 and len(listed(stage)) == 1
    stage.clock.at += timedelta(seconds=2)
    answer = owner.post("/python/upload", strategy_file=python_file(), confirm="Family", **more)
    assert answer.status_code == 303 and len(listed(stage)) == 2


def test_a_copy_with_a_schedule_to_a_live_account_takes_the_name(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    account = stage.live_account("zerodha")
    owner.post(f"/accounts/{account.id}/choose")
    answer = owner.post(f"/python/{strategy_id}/copy", name="Two")
    assert answer.status_code == 422 and len(listed(stage)) == 1
    assert owner.post(f"/python/{strategy_id}/copy", name="Two", confirm="Family").status_code == 303
    assert {each.account_id for each in listed(stage)} == {1, account.id}


def test_restart_is_written_down_for_the_run_that_lives(stage: Stage, owner: Visitor) -> None:
    strategy_id = upload(owner)
    assert "/restart" not in owner.get(f"/python/{strategy_id}").text
    owner.post(f"/python/{strategy_id}/restart")
    assert "It is not running. Start it." in owner.get(f"/python/{strategy_id}").text
    assert found(stage, strategy_id).restart_of == 0
    lives = {"state": StrategyState.RUNNING, "generation": 3}
    stage.platform.databases["platform"].write(lambda c: rows.change(c, strategy_id, **lives))
    assert f'action="/python/{strategy_id}/restart"' in owner.get(f"/python/{strategy_id}").text
    assert owner.post(f"/python/{strategy_id}/restart").status_code == 303
    assert found(stage, strategy_id).restart_of == 3
    page = owner.get(f"/python/{strategy_id}").text
    assert "Restarting" in page and "/restart" not in page


def test_the_json_door_answers_as_its_contract_says(stage: Stage, owner: Visitor, family: Account) -> None:
    strategy_id = upload(owner)
    assert owner.post(f"/python/start/{strategy_id}").get_json()["status"] == "success"


def test_where_the_system_runs_none_it_says_so(
    stage: Stage, owner: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy_id = upload(owner)
    monkeypatch.setattr(support, "refusal", lambda: "Hosted strategies are not supported on this system (x).")
    before = found(stage, strategy_id)
    for path in (f"/python/{strategy_id}/start", f"/python/start/{strategy_id}"):
        answer = owner.post(path)
        assert answer.status_code == 501 and "not supported on this system" in answer.text
    answer = owner.post("/python/upload", strategy_file=python_file())
    assert answer.status_code == 501 and len(listed(stage)) == 1
    assert found(stage, strategy_id) == before

"""A kept login is used only while it is the present one, whoever changed it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from broker import catalog
from database import broker_sessions as rows
from domain.errors import SessionOver
from domain.roles import Role
from services.accounts import Account
from services.platform import Platform, build_platform
from tests.blueprints.stage import Hands, prepare, settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(tmp_path)
    return tmp_path


@pytest.fixture
def web(folder: Path) -> Iterator[Platform]:
    with closing(build_platform(settings(folder), clock=Hands())) as made:
        yield made


@pytest.fixture
def worker(folder: Path, web: Platform) -> Iterator[Platform]:
    """Another process, as far as the store can tell."""
    with closing(build_platform(settings(folder), clock=web.clock)) as made:
        yield made


@pytest.fixture
def account(web: Platform) -> Account:
    user = web.accounts.add_user("asha", "correct horse battery", role=Role.ADMIN)
    made = web.accounts.add_account(user.id, "Desk", "zerodha")
    log_in(web, made, "first")
    return made


def log_in(platform: Platform, account: Account, token: str) -> None:
    sealed = platform.vault.seal(json.dumps({"api_key": "k", "access_token": token}))
    platform.sessions._db.write(
        lambda c: rows.open_session(
            c, account.id, broker_user="AB1", tokens_cipher=sealed, urls={}, now=platform.clock.now(),
            expires_at=None,
        )
    )  # fmt: skip


def test_brokers_of_the_accounts_are_loaded_and_no_others(
    web: Platform, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(catalog, "load", loaded.append)
    web.sessions.load_brokers()
    assert loaded == [account.broker]


def test_one_login_is_one_broker(web: Platform, account: Account) -> None:
    assert web.sessions._live(account) is web.sessions._live(account)


def test_a_login_by_another_process_is_used_at_the_next_call(
    web: Platform, worker: Platform, account: Account
) -> None:
    assert web.sessions._live(account).session.tokens["access_token"] == "first"
    log_in(worker, account, "second")
    assert web.sessions._live(account).session.tokens["access_token"] == "second"


def test_a_login_that_another_process_ended_is_over_at_the_next_call(
    web: Platform, worker: Platform, account: Account
) -> None:
    web.sessions._live(account)
    worker.sessions.ended(account)
    with pytest.raises(SessionOver):
        web.sessions._live(account)
    assert web.sessions.state(account).word == "expired"

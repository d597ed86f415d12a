"""A login's daily end is told before it comes and when it comes, and the next login needs no restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from database import broker_sessions as rows
from domain.errors import SessionOver
from domain.roles import Role
from services.accounts import Account
from services.platform import Platform, build_platform
from services.session_watch import SessionWatch
from tests.blueprints.stage import Hands, prepare, settings

HOURS = timedelta(hours=10)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    prepare(tmp_path)
    with closing(build_platform(settings(tmp_path), clock=Hands())) as made:
        yield made


@pytest.fixture
def account(platform: Platform) -> Account:
    user = platform.accounts.add_user("asha", "correct horse battery", role=Role.ADMIN)
    made = platform.accounts.add_account(user.id, "Desk", "zerodha")
    log_in(platform, made, "first")
    return made


def log_in(platform: Platform, account: Account, token: str) -> None:
    now = platform.clock.now()
    sealed = platform.vault.seal(json.dumps({"api_key": "k", "access_token": token}))
    platform.sessions._db.write(
        lambda c: rows.open_session(
            c, account.id, broker_user="AB1", tokens_cipher=sealed, urls={}, now=now, expires_at=now + HOURS
        )
    )


def test_the_end_is_told_half_an_hour_before_and_when_it_comes(platform: Platform, account: Account) -> None:
    rung: list[int] = []
    watch = SessionWatch(platform.accounts.every_account, platform.sessions, rung.append)
    told = []
    for wait in (timedelta(), HOURS - timedelta(minutes=31), timedelta(minutes=1), timedelta(minutes=29),
                 timedelta(minutes=1), timedelta(minutes=1)):  # fmt: skip
        platform.clock.sleep(wait.total_seconds())  # type: ignore[attr-defined]
        watch.look()
        watch.look()
        told.append((platform.sessions.state(account).word, len(rung)))
    assert told == [("ok", 0), ("ok", 0), ("expiring", 1), ("expiring", 1), ("expired", 2), ("expired", 2)]
    assert set(rung) == {account.id}
    with pytest.raises(SessionOver):
        platform.sessions._live(account)
    log_in(platform, account, "second")
    watch.look()
    assert platform.sessions.state(account).word == "ok" and len(rung) == 2
    assert platform.sessions._live(account).session.tokens["access_token"] == "second"


def test_a_worker_that_starts_tells_of_an_end_that_is_near_and_not_of_an_old_one(
    platform: Platform, account: Account
) -> None:
    rung: list[int] = []

    def started() -> SessionWatch:
        return SessionWatch(platform.accounts.every_account, platform.sessions, rung.append)

    platform.clock.sleep((HOURS - timedelta(minutes=5)).total_seconds())  # type: ignore[attr-defined]
    started().look()
    assert rung == [account.id]
    platform.clock.sleep(3600)  # type: ignore[attr-defined]
    started().look()
    assert rung == [account.id]

"""A broker login of an earlier release's .env is taken over once, encrypted, and never over somebody's own."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import config
from domain.roles import Role
from services.platform import Platform, build_platform
from tests.blueprints.stage import Hands, prepare, settings

ZERODHA = {
    "broker_api_key": "kite-key",
    "broker_api_secret": "CNRY-kite-secret",
    "redirect_url": "http://127.0.0.1:5000/zerodha/callback",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(tmp_path)
    return tmp_path


@contextmanager
def started(folder: Path, *, user: bool = False, **changes: Any) -> Iterator[Platform]:
    """A start of the platform with these lines in its .env; with `user` somebody has set it up."""
    with closing(build_platform(settings(folder, **changes), clock=Hands())) as platform:
        if user:
            platform.accounts.add_user("asha", "correct horse battery", role=Role.ADMIN)
        yield platform


def fields_of(platform: Platform, account_id: int) -> dict[str, str]:
    return platform.sessions._credentials(account_id)


def test_it_waits_for_an_owner_and_is_taken_over_once(folder: Path) -> None:
    with started(folder, **ZERODHA) as platform:
        assert platform.env_import.look() is None
    with started(folder, user=True, **ZERODHA) as platform:
        account = platform.env_import.look()
        assert account is not None and (account.broker, account.name) == ("zerodha", "Zerodha")
        assert fields_of(platform, account.id) == {"api_key": "kite-key", "api_secret": "CNRY-kite-secret"}
        assert account.mode == "analyze" and not account.is_default
        assert platform.env_import.look() is None
    with started(folder, **{**ZERODHA, "broker_api_key": "another"}) as platform:
        assert platform.env_import.look() is None
        assert fields_of(platform, account.id)["api_key"] == "kite-key"
        assert len(platform.accounts.accounts_of(account.user_id)) == 2
    kept = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert b"CNRY-kite-secret" not in kept


def test_an_account_without_a_login_gets_it_and_one_with_a_login_keeps_its_own(folder: Path) -> None:
    with started(folder, user=True) as platform:
        user = platform.accounts.user_named("asha")
        first = platform.accounts.add_account(user.id, "Mine", "zerodha")
        platform.accounts.add_account(user.id, "Second", "zerodha")
        platform.sessions.save_credentials(first, {"api_key": "own", "api_secret": "own"})
    with started(folder, **ZERODHA) as platform:
        assert platform.env_import.look() == first
        assert fields_of(platform, first.id)["api_key"] == "own"


def test_joined_fields_and_the_market_pair_find_their_places(folder: Path) -> None:
    lines = {
        "broker_api_key": "interactive", "broker_api_secret": "s1", "broker_api_key_market": "market",
        "broker_api_secret_market": "s2", "redirect_url": "https://x.example/compositedge/callback",
    }  # fmt: skip
    with started(folder, user=True, **lines) as platform:
        account = platform.env_import.look()
        assert account is not None
        assert fields_of(platform, account.id) == {
            "api_key": "interactive", "api_secret": "s1", "api_key_market": "market", "api_secret_market": "s2",
            "redirect_url": "https://x.example/compositedge/callback",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"redirect_url": ""}, "REDIRECT_URL does not end in"),
        ({"redirect_url": "http://127.0.0.1:5000/<broker>/callback"}, "REDIRECT_URL does not end in"),
        ({"redirect_url": "http://127.0.0.1:5000/paper/callback"}, "REDIRECT_URL does not end in"),
        ({"broker_api_secret": ""}, "Fill in"),
    ],
)
def test_what_is_missing_is_told_and_can_be_mended(
    folder: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, str], words: str
) -> None:
    caplog.set_level(logging.WARNING)
    with started(folder, user=True, **{**ZERODHA, **changes}) as platform:
        assert platform.env_import.look() is None and platform.env_import.look() is None
    assert caplog.text.count(words) == 1 and "CNRY" not in caplog.text
    with started(folder, **ZERODHA) as platform:
        assert platform.env_import.look() is not None


def test_the_variables_are_read_and_hidden(tmp_path: Path) -> None:
    secrets = {name: name.lower().encode().hex() for name in config.variables() if name.startswith("BROKER_")}
    read = config.load(tmp_path, {**secrets, "REDIRECT_URL": "http://h/zerodha/callback"})
    assert read.broker_api_secret_market == secrets["BROKER_API_SECRET_MARKET"]
    assert set(secrets.values()) <= set(read.secret_values())
    assert json.dumps(sorted(secrets)).count("BROKER_API") == 4
    sample = config.load(tmp_path, {"BROKER_API_KEY": "YOUR_BROKER_API_KEY"})
    assert sample.broker_api_key == ""

"""A person who edits `.env` meets these rules."""

from __future__ import annotations

import os
from dataclasses import MISSING
from datetime import time
from pathlib import Path

import pytest

import config
from config import SettingsError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "data"


def load(home: Path, **environ: str) -> config.Settings:
    return config.load(home, environ)


def test_a_new_install_writes_private_fresh_secrets(home: Path, tmp_path: Path) -> None:
    first, other = load(home), load(tmp_path / "other")
    assert (home / ".env").stat().st_mode & 0o777 == 0o600
    assert (
        len({first.app_key, first.api_key_pepper, *first.fernet_keys, other.app_key, other.api_key_pepper})
        == 5
    )
    before = (home / ".env").read_bytes()
    assert load(home) == first
    assert (home / ".env").read_bytes() == before


def test_the_sample_equals_the_settings() -> None:
    sample = config.read_env_file(config.SAMPLE)
    assert list(sample) == list(config.variables())
    for name, item in config.variables().items():
        if item.default is MISSING:
            assert sample[name] == "", f"{name} must ship empty"
        elif sample[name]:
            assert item.metadata["read"](sample[name]) == item.default, name
        else:
            assert item.default in ("", (), None), name


def test_the_page_of_settings_has_every_variable() -> None:
    page = (config.ROOT / "docs" / "configuration.md").read_text()
    assert [row.split("`")[1] for row in page.splitlines() if row.startswith("| `")] == list(
        config.variables()
    )


def test_the_environment_wins_over_the_file(home: Path) -> None:
    load(home)
    assert load(home, FLASK_PORT="6001").flask_port == 6001
    assert config.load(home, {"FLASK_PORT": "6001"}, {"FLASK_PORT": "6002"}).flask_port == 6002


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLASK_PORT", "70000"),
        ("FLASK_PORT", "-1"),
        ("FLASK_PORT", "٥٠٠٠"),
        ("WEBSOCKET_PORT", "eight"),
        ("ZMQ_PORT", "65533"),
        ("PAPER_REPLAY", "no/such/place"),
        ("PAPER_REPLAY_FROM", "yesterday"),
        ("PAPER_REPLAY_SPEED", "0"),
        ("API_RATE_LIMIT", "lots"),
        ("ORDER_RATE_LIMIT", "0 per second"),
        ("ORDER_RATE_LIMIT", "10 per fortnight"),
        ("SESSION_EXPIRY_TIME", "25:00"),
        ("SESSION_EXPIRY_TIME", "3 am"),
        ("CORS_ENABLED", "maybe"),
        ("LOG_LEVEL", "LOUD"),
        ("DATABASE_URL", "mysql://root@localhost/x"),
        ("HOST_SERVER", "ftp://example.com"),
        ("WEBSOCKET_URL", "http://example.com"),
        ("TRUSTED_PROXIES", "everyone"),
        ("APP_KEY", "short"),
        ("FERNET_KEYS", "not-a-key"),
        ("WEB_WORKERS", "2"),
        ("WEBSOCKET_PORT", "5000"),
    ],
)
def test_a_wrong_value_names_its_variable(home: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}"):
        load(home, **{name: value})


@pytest.mark.parametrize("name", ["APP_KEY", "API_KEY_PEPPER"])
def test_a_missing_secret_names_its_variable(home: Path, name: str) -> None:
    load(home)
    env = home / ".env"
    env.write_text("".join(line for line in env.read_text().splitlines(True) if not line.startswith(name)))
    with pytest.raises(SettingsError, match=f"^{name} is missing"):
        load(home)


def test_an_error_shows_no_secret(home: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(home, APP_KEY="hunter2")
    assert "hunter2" not in str(caught.value)


def test_an_env_file_of_the_incumbent_is_understood(home: Path) -> None:
    home.mkdir()
    (home / ".env").write_text(
        "# comment\nAPP_KEY = '" + "a" * 64 + "'\nAPI_KEY_PEPPER=\"" + "b" * 64 + '"\n'
        "BROKER_API_KEY = 'x'\nDATABASE_URL = 'sqlite:///db/openalgo.db'\nFLASK_PORT='5050'\n"
        "SESSION_EXPIRY_TIME = '03:00'\nORDER_RATE_LIMIT=\"10 per second\"   # orders\n"
    )
    settings = load(home)
    assert (settings.flask_port, settings.database_url, settings.session_expiry_time) == (5050, "", time(3))
    assert settings.fernet_keys == load(home).fernet_keys


def test_stored_secrets_are_never_orphaned_by_a_fresh_key(home: Path) -> None:
    load(home)
    env = home / ".env"
    env.write_text(
        "".join(line for line in env.read_text().splitlines(True) if not line.startswith("FERNET"))
    )
    (home / "platform.db").touch()
    with pytest.raises(SettingsError, match=r"^FERNET_KEYS is missing"):
        load(home)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_is_named_with_its_owner(home: Path) -> None:
    load(home)
    (home / ".env").chmod(0)
    with pytest.raises(SettingsError, match=r"\.env cannot be read by uid .*chown"):
        load(home)


def test_the_words_for_an_unreadable_file_name_file_owner_and_remedy(home: Path) -> None:
    load(home)
    words = config._unreadable(home / ".env", PermissionError())
    assert str(home / ".env") in words and "0600" in words and "chown" in words


def test_public_addresses_follow_the_ports(home: Path) -> None:
    settings = load(
        home, FLASK_HOST_IP="0.0.0.0", FLASK_PORT="6001", WEBSOCKET_HOST="::", WEBSOCKET_PORT="6002"
    )
    assert settings.host_server == "http://127.0.0.1:6001"
    assert settings.websocket_url == "ws://[::1]:6002"
    assert load(home, HOST_SERVER="https://trade.example.com/").host_server == "https://trade.example.com"


def test_postgres_spellings(home: Path) -> None:
    assert load(home, DATABASE_URL="postgres://u:p@h/d").database_url == "postgresql://u:p@h/d"
    assert "p" in load(home, DATABASE_URL="postgres://u:p@h/d").secret_values()

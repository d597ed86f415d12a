"""The doctor names what is wrong and what to do, and changes nothing."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import config
from commands import doctor, locks
from commands.__main__ import main
from commands.doctor import Finding
from database import migrate
from strategies import sandbox, shelter


@pytest.fixture
def home(tmp_path: Path) -> Path:
    settings = config.load(tmp_path / "data", {})
    migrate.upgrade_all("", settings.data_dir)
    with (tmp_path / "data" / ".env").open("a") as file:
        file.write("FLASK_PORT=0\nWEBSOCKET_PORT=0\n")
    return settings.data_dir


def findings(home: Path, subject: str) -> list[Finding]:
    return [finding for finding in doctor.examine(home) if finding.subject == subject]


def test_a_good_install_is_not_red(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--data-dir", str(home)]) == 0
    shown = capsys.readouterr().out
    assert "BAD" not in shown and "orders, 0." in shown


def test_without_an_install_it_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--data-dir", str(tmp_path / "none")]) == 1
    assert "manage.py setup" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_a_damaged_store_is_red(home: Path) -> None:
    path = home / "orders.db"
    path.write_bytes(path.read_bytes()[:5000] + b"\xff" * 60_000)
    assert any(f.state == "bad" and "restore a backup" in f.words for f in findings(home, "stores"))


def test_a_wrong_setting_is_red_and_named(home: Path) -> None:
    with (home / ".env").open("a") as file:
        file.write("LOG_LEVEL=LOUD\n")
    (finding,) = findings(home, "settings")
    assert finding.state == "bad" and finding.words.startswith("LOG_LEVEL")


def test_an_open_env_file_and_a_likely_slip_are_noted(home: Path) -> None:
    with (home / ".env").open("a") as file:
        file.write("FLASK_PROT=1\nBROKER_API_KEY=theirs\n")
    (home / ".env").chmod(0o644)
    words = [finding.words for finding in findings(home, "settings")]
    assert any("chmod 600" in word for word in words)
    assert any("FLASK_PROT is not a setting; is FLASK_PORT meant?" in word for word in words)
    assert not any("BROKER_API_KEY" in word for word in words)


def test_a_taken_port_is_red_and_a_running_role_is_told(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held, (home / ".env").open("a") as file:
        port = held.getsockname()[1]
        file.write(f"WEBSOCKET_PORT={port}\n")
        file.flush()
        (finding,) = findings(home, "stream")
    assert finding.state == "bad" and str(port) in finding.words
    with locks.hold(home / "run" / "worker.lock"):
        (finding,) = findings(home, "running")
        assert "worker" in finding.words


@pytest.mark.parametrize(("abi", "state"), [(0, "note"), (6, "ok")])
def test_strategies_that_are_not_shut_in_are_noted(
    home: Path, monkeypatch: pytest.MonkeyPatch, abi: int, state: str
) -> None:
    monkeypatch.setattr(sandbox, "landlock_version", lambda: abi)
    (finding,) = findings(home, "strategies")
    assert finding.state == state
    assert (finding.words == shelter.OPEN) is (abi == 0)

"""`manage.py broker` logs an account in to a simulator, loads its master, and logs it out again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulators.faces import simulator

ROOT = Path(__file__).parents[2]


def manage(data: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "commands", *words, "--data-dir", str(data)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=ROOT, timeout=60)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    added = manage(
        tmp_path, "user", "add", "ann", "--password-stdin", "--admin", stdin="correct horse battery\n"
    )
    assert added.returncode == 0, added.stderr
    return tmp_path


@pytest.mark.parametrize("name", ["zerodha", "flattrade"])
def test_a_login_from_the_line_that_simulate_prints(data: Path, name: str) -> None:
    assert manage(data, "account", "add", "mine", "--user", "ann", "--broker", name).returncode == 0
    with simulator(name) as face:
        line = json.dumps(face.announcement())
        done = manage(data, "broker", "login", "mine", "--stdin", stdin=line)
        assert done.returncode == 0, done.stderr
        assert re.match(rf"mine at {name}: (ok|expiring) until", done.stdout), (
            "it expires at a time of the day"
        )
        assert "instruments" in done.stderr
        secrets = [face.credentials["api_secret"], *face.tokens]
        assert not [secret for secret in secrets if secret in done.stdout + done.stderr]
        assert manage(data, "broker", "logout", "mine").stdout.startswith(f"mine at {name}: expired")
        assert face.tokens.keys() <= {face.credentials["access_token"]}


def test_a_refused_login_says_the_brokers_words(data: Path) -> None:
    manage(data, "account", "add", "mine", "--user", "ann", "--broker", "zerodha")
    with simulator("zerodha") as face:
        told = face.announcement()
        told["credentials"] = {**face.credentials, "api_secret": "wrong"}
        done = manage(data, "broker", "login", "mine", "--stdin", stdin=json.dumps(told))
    assert done.returncode != 0
    assert "checksum" in done.stderr and "Traceback" not in done.stderr


def test_the_list_needs_no_install(tmp_path: Path) -> None:
    done = manage(tmp_path, "broker", "list")
    assert done.returncode == 0 and "zerodha" in done.stdout
    assert list(tmp_path.iterdir()) == []

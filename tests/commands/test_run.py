"""The platform as a person runs it: one command, one signal, and roles that come back."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]


class Install:
    """One install in a directory of its own, on free ports."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process: subprocess.Popen[str] | None = None
        self.http = self.feed = ""

    def start(self, *roles: str) -> Install:
        command = [sys.executable, "-P", "-m", "commands", "run", *roles, "--data-dir", str(self.home)]
        self.process = subprocess.Popen(
            [*command, "--port", "0", "--ws-port", "0"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=(self.home.parent / "err").open("a"),
            text=True,
        )
        assert self.process.stdout is not None
        ready = self.process.stdout.readline().split()
        assert ready[:1] == ["ready"], (self.home.parent / "err").read_text()
        self.http = next((word for word in ready if word.startswith("http")), "")
        self.feed = next((word for word in ready if word.startswith("ws")), "")
        return self

    def roles(self) -> dict[str, int]:
        assert self.process is not None
        found = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words = " ".join(child.cmdline()).split()
                if words[:1] == ["openalgo"]:
                    found[words[1]] = child.pid
        return found

    def all_roles(self) -> dict[str, int]:
        """The roles by their pids, once all four run."""
        eventually(lambda: set(self.roles()) == {"web", "stream", "exchange", "worker"}, 30)
        return self.roles()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def status(url: str) -> int:
    try:
        return int(urllib.request.urlopen(url, timeout=20).status)
    except urllib.error.HTTPError as error:
        return error.code


def eventually(check: Callable[[], bool], seconds: float = 10.0) -> float:
    begun = time.monotonic()
    while not check():
        assert time.monotonic() - begun < seconds
        time.sleep(0.02)
    return time.monotonic() - begun


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that `setup` made ready once, to be copied."""
    home = tmp_path_factory.mktemp("prepared") / "data"
    command = [sys.executable, "-P", "-m", "commands", "setup", "--for-run", "--data-dir", str(home)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    return home


@pytest.fixture
def install(tmp_path: Path, prepared: Path) -> Iterator[Install]:
    shutil.copytree(prepared, tmp_path / "data")
    made = Install(tmp_path / "data")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def test_ready_means_answered_and_one_signal_ends_all(install: Install) -> None:
    install.start()
    assert status(install.http) < 500
    host, port = install.feed.removeprefix("ws://").split(":")
    socket.create_connection((host, int(port)), timeout=5).close()
    pids = install.all_roles()
    assert install.stop() == 0
    assert not [name for name, pid in pids.items() if psutil.pid_exists(pid)]


def test_a_killed_role_is_back_and_no_request_is_refused_meanwhile(install: Install) -> None:
    install.start()
    for role, pid in install.all_roles().items():
        os.kill(pid, signal.SIGKILL)
        assert status(install.http) < 500, role
        eventually(lambda role=role, pid=pid: install.roles().get(role, pid) != pid, 30)  # type: ignore[misc]
    assert install.stop() == 0


def test_nothing_is_left_of_a_killed_supervisor(install: Install) -> None:
    install.start()
    pids = install.all_roles()
    assert install.process is not None
    install.process.kill()
    install.process.wait()
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids.values()), 5)
    install.start()
    assert install.stop() == 0


def test_a_second_run_of_the_same_install_is_refused_by_name(install: Install) -> None:
    install.start("web")
    assert install.process is not None
    second = subprocess.run(
        [sys.executable, "-P", "-m", "commands", "run", "--data-dir", str(install.home), "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert str(install.process.pid) in second.stderr and str(install.home) in second.stderr


def test_a_taken_port_is_named(install: Install) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        ran = subprocess.run(
            [
                sys.executable,
                "-P",
                "-m",
                "commands",
                "run",
                "--data-dir",
                str(install.home),
                "--port",
                str(port),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 1
    assert f"port {port} is taken by process {os.getpid()}" in ran.stderr


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("APP_KEY=", "APP_KEY is missing"),
        ("API_RATE_LIMIT=often", "API_RATE_LIMIT"),
        ("WEBSOCKET_PORT=eight", "WEBSOCKET_PORT"),
        ("DATABASE_URL=mysql://root:hunter2@localhost/x", "DATABASE_URL"),
    ],
)
def test_a_missing_or_wrong_setting_stops_the_start_and_is_named(
    install: Install, line: str, named: str
) -> None:
    env = install.home / ".env"
    name = line.split("=")[0]
    kept = [each for each in env.read_text().splitlines() if not each.startswith(f"{name}=")]
    env.write_text("\n".join([*kept, line]))
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "commands", "run", "--data-dir", str(install.home), "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode != 0 and named in ran.stderr
    assert "hunter2" not in ran.stderr and "Traceback" not in ran.stderr


def test_a_started_install_touches_nothing_the_second_time(install: Install) -> None:
    install.start()
    install.stop()
    before = (install.home / ".env").read_bytes()
    (install.home.parent / "err").write_text("")
    install.start()
    assert (install.home / ".env").read_bytes() == before
    words = (install.home.parent / "err").read_text()
    assert "stores" not in words and "instruments  " not in words
    assert install.stop() == 0


def test_every_log_line_is_json_and_shows_no_secret(install: Install) -> None:
    install.start()
    install.stop()
    env = dict(line.split("=", 1) for line in (install.home / ".env").read_text().splitlines() if "=" in line)
    text = (install.home.parent / "err").read_text() + "".join(
        p.read_text() for p in (install.home / "log").iterdir()
    )
    for name in ("APP_KEY", "API_KEY_PEPPER", "FERNET_KEYS"):
        assert env[name] not in text
    for path in (install.home / "log").iterdir():
        assert all(json.loads(line)["event"] for line in path.read_text().splitlines())

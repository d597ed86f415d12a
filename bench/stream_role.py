"""A stream role of its own for benches: real keys, real instruments, no other role beside it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

import psutil

import config
from database.migrate import upgrade_all
from services.accounts import Role
from services.platform import Platform, build_platform

ROOT = Path(__file__).resolve().parents[1]


class StreamRole:
    """Runs while entered. `key` belongs to one user's paper account, `instruments` are what it may subscribe.

    NSE comes first, as (exchange, symbol).
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = _free_port()
        self.key = ""
        self.instruments: list[tuple[str, str]] = []
        self.settings = config.load(home, environ={})

    def prepare(self) -> Platform:
        """Stores, a user with a key, the paper master. The caller closes what it gets."""
        upgrade_all(self.settings.database_url, self.home)
        platform = build_platform(self.settings, "tool")
        user = platform.accounts.add_user("bench", "correct horse battery", role=Role.ADMIN)
        self.key = platform.accounts.create_key(user.id)
        platform.instruments.load_paper()
        for exchange in ("NSE", "NFO"):
            rows = platform.instruments.rows("paper", exchange)
            self.instruments += [(exchange, row.symbol) for row in rows]
        return platform

    def __enter__(self) -> StreamRole:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        command = [sys.executable, "-P", "-m", "commands.role", "stream", "--data-dir", str(self.home)]
        with (self.home / "stream.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--ws-port", str(self.port)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "LOG_LEVEL": "WARNING", "LOG_TO_FILE": "FALSE"},
                stdout=log,
                stderr=log,
            )
        self.process = psutil.Process(self._process.pid)
        end = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError((self.home / "stream.log").read_text()[-3000:])
            time.sleep(0.02)

    def kill(self) -> None:
        """kill -9, as a crash."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)

    @property
    def memory(self) -> int:
        """Resident bytes."""
        return int(self.process.memory_info().rss)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

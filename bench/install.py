"""A throw-away install for benches: its own data, its own ports, limits out of the way, one user with a key."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
_LIMITS = dict.fromkeys(
    ("API_RATE_LIMIT", "ORDER_RATE_LIMIT", "SMART_ORDER_RATE_LIMIT"), "1000000 per second"
)


class Install:
    """Runs while entered. `http` and `feed` are addresses, `key` an API key of its one user's paper account."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self._environment = {**os.environ, **_LIMITS, "LOG_LEVEL": "WARNING", **settings}
        self.key = self.http = self.feed = ""
        self._ports = ("0", "0")

    def __enter__(self) -> Install:
        self.prepare()
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def prepare(self) -> None:
        """Make its user and the key, where that was not done in this home before."""
        self.home.mkdir(parents=True, exist_ok=True)
        kept = self.home / "bench-key"
        if not kept.exists():
            self.manage(
                "user", "add", "bench", "--password-stdin", "--admin", words="correct horse battery\n"
            )
            kept.write_text(self.manage("apikey", "create", "--user", "bench"))
        self.key = kept.read_text().strip()

    def manage(self, *words_of_verb: str, words: str = "") -> str:
        """Run a verb on this install; what it printed."""
        ran = subprocess.run(
            [*self._command(*words_of_verb)],
            input=words,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise RuntimeError(f"{' '.join(words_of_verb)}: {ran.stderr[-2000:]}")
        return ran.stdout

    def start(self) -> None:
        """Start the platform; returns when it said ready."""
        command = self._command("run", "--port", self._ports[0], "--ws-port", self._ports[1])
        log = self.home / "run.log"
        with log.open("a") as errors:
            self.process = subprocess.Popen(
                command, env=self._environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert self.process.stdout is not None
        try:
            words = self.process.stdout.readline().split()
        except BaseException:  # we are asked to end: nobody will call `stop`
            self.stop()
            raise
        if words[:1] != ["ready"]:
            self.process.wait()
            raise RuntimeError(log.read_text()[-3000:])
        self.http = next((word for word in words if word.startswith("http:")), "")
        self.feed = next((word for word in words if word.startswith("ws:")), "")

    def keep_ports(self) -> None:
        """Start again, from now on, where it can be reached now."""
        self._ports = (str(urlsplit(self.http).port), str(urlsplit(self.feed).port))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the web server."""
        parts = urlsplit(self.http)
        return parts.hostname or "", parts.port or 0

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, str(ROOT / "manage.py"), words[0], "--data-dir", str(self.home), *words[1:]]

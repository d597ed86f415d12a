"""Python packages that a strategy brings a list of: an environment of their own, made once per list.

Making one takes minutes, so it is done in a thread, and whoever wants to start meanwhile is told how far it is. Only
built packages are put in: nothing of them runs before the strategy's own sandbox is closed. The list names packages
and nothing else (see upload): no options, no addresses, no files of this machine.

Each attempt has a directory of its own, and counts once it bears a stamp, put there last: what a killed worker left
half made is never run, and an installer that outlives its worker writes beside the environment, not into it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from strategies.durable import sync_names, sync_tree
from strategies.upload import REQUIREMENTS

log = logging.getLogger(__name__)

_STAMP = "complete"
_LONGEST = 900
_KEPT_FAILURE = 2000
_AGAIN = 300.0
"""Seconds after which a failed install is tried again: the network may be back."""
_LONGEST_WORD = 100
_KEPT = 30 * 86400


@dataclass(slots=True)
class _Job:
    """One install. words: what it does now; problem: why it failed; ended: when, by the steady clock"""

    home: Path
    version: Path
    began: float
    words: str = ""
    problem: str = ""
    ended: float | None = None

    def is_over(self, version: Path) -> bool:
        """Whether another attempt is due: it succeeded and its work is gone, or it failed a while ago or elsewhere."""
        if self.ended is None:
            return False
        return not self.problem or self.version != version or time.monotonic() - self.ended > _AGAIN


class Packages:
    """Environments below one folder, named by the hash of the list and of this Python, and by the attempt.

    Wheels that lie in `wheels` are found too, so that a machine without a network can have packages.
    """

    def __init__(self, home: Path, wheels: Path) -> None:
        self._home = home
        self._wheels = wheels
        self._jobs: dict[str, _Job] = {}

    def python(self, version: Path) -> Path | None:
        """The interpreter for a version, None when the platform's own will do. Raises FileNotFoundError."""
        wanted = _list_of(version)
        if wanted is None:
            return None
        home = self._made(_name(wanted))
        if home is None:
            raise FileNotFoundError("its packages are not there any more")
        os.utime(home / _STAMP)
        return _interpreter(home)

    def _made(self, name: str) -> Path | None:
        """The environment of a list that is whole."""
        return next((stamp.parent for stamp in sorted(self._home.glob(f"{name}-*/{_STAMP}"))), None)

    def missing(self, version: Path) -> str:
        """Why a version's packages are not there, "" when they are; begins to fetch them.

        What failed is tried again after a while, and at once for another version with the same list.
        """
        wanted = _list_of(version)
        if wanted is None:
            return ""
        name = _name(wanted)
        if self._made(name) is not None:
            return ""
        job = self._jobs.get(name)
        if job is None or job.is_over(version):
            home = self._home / f"{name}-{secrets.token_hex(4)}"
            job = self._jobs[name] = _Job(home, version, time.monotonic())
            threading.Thread(target=self._make, args=(job, wanted), daemon=True).start()
        if job.problem:
            return f"Its packages could not be installed: {job.problem}"
        return f"Its packages are being installed: {job.words}" if job.words else _INSTALLING

    def _tidy(self) -> None:
        """Drop environments that no start has used for a month, and what attempts that were cut off left."""
        before, there = time.time() - _KEPT, set(self._home.glob("*"))
        making = {job.home for job in list(self._jobs.values()) if job.ended is None}
        for home in there - making:
            stamp = home / _STAMP
            if not stamp.exists() or stamp.stat().st_mtime < before:
                stamp.unlink(missing_ok=True)  # first: what is half dropped is not whole
                shutil.rmtree(home, ignore_errors=True)

    def _make(self, job: _Job, wanted: bytes) -> None:
        try:
            problem = self._install(job, wanted)
        except Exception as error:  # the thread's edge: an attempt that ends is said to have ended
            log.exception("packages of a strategy were not installed")
            problem = str(error) or type(error).__name__
        if problem:
            log.warning("packages of a strategy were not installed: %s", problem)
            shutil.rmtree(job.home, ignore_errors=True)
        job.problem, job.ended = problem, time.monotonic()

    def _install(self, job: _Job, wanted: bytes) -> str:
        """Make the environment; what went wrong, "" for nothing."""
        self._tidy()
        home = job.home
        home.mkdir(mode=0o700, parents=True)
        listed = home / REQUIREMENTS
        listed.write_bytes(wanted)
        beside = ["--find-links", str(self._wheels)] if self._wheels.is_dir() else []
        steps = (
            [sys.executable, "-m", "venv", "--without-pip", str(home)],
            [*_installer(str(_interpreter(home))), *beside, "--only-binary=:all:", "-r", str(listed)],
        )
        for step in steps:
            code, said = _run(step, home, job)
            if code:
                return said[-_KEPT_FAILURE:].strip() or f"{step[0]} ended with {code}"
        sync_tree(home)  # before the stamp: a power cut leaves no stamp on files that are not there
        (home / _STAMP).touch()
        sync_names(home, self._home.parent)
        return ""


_INSTALLING = "Its packages are being installed"


def _run(step: list[str], home: Path, job: _Job) -> tuple[int, str]:
    """Run one step, telling the job each line; (exit code, its last lines)."""
    said: list[str] = []
    with (
        subprocess.Popen(  # noqa: S603
            step,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=home,
        ) as process,
        _ended_in_time(process),
    ):
        assert process.stdout is not None
        for line in process.stdout:
            words = line.strip()
            if words:
                said = [*said[-20:], words]
                job.words = words.replace(str(home), "")[:_LONGEST_WORD]
    return process.returncode, "\n".join(said)


@contextmanager
def _ended_in_time(process: subprocess.Popen[str]) -> Iterator[None]:
    timer = threading.Timer(_LONGEST, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _list_of(version: Path) -> bytes | None:
    try:
        content = (version / REQUIREMENTS).read_bytes()
    except FileNotFoundError:
        return None
    lines = (line.split(b"#", 1)[0].strip() for line in content.splitlines())
    return content if any(lines) else None


def _name(wanted: bytes) -> str:
    return hashlib.sha256(sys.version.encode() + b"\0" + wanted).hexdigest()[:16]


def _interpreter(home: Path) -> Path:
    return home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _installer(python: str) -> list[str]:
    """uv where it is there, else the platform's own pip."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--python", python]
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    return [sys.executable, "-m", "pip", "--python", python, "install", *options]

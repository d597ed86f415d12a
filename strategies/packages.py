"""Python packages that a strategy brings a list of: an environment of their own, made once per list.

Making one takes minutes, so it is done in a thread, and whoever wants to start meanwhile is told to wait. Only built
packages are put in: nothing of them runs before the strategy's own sandbox is closed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from strategies.upload import REQUIREMENTS

log = logging.getLogger(__name__)

_LONGEST = 900
_KEPT_FAILURE = 4000


@dataclass(slots=True)
class _Job:
    thread: threading.Thread
    problem: str = ""


class Packages:
    """Environments below one folder, named by the hash of the list and of this Python."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._jobs: dict[str, _Job] = {}

    def python(self, version: Path) -> Path | None:
        """The interpreter for a version, None when the platform's own will do."""
        wanted = _list_of(version)
        return None if wanted is None else _interpreter(self._home / _name(wanted))

    def missing(self, version: Path) -> str:
        """Why a version's packages are not there, "" when they are; begins to fetch them."""
        wanted = _list_of(version)
        if wanted is None:
            return ""
        name = _name(wanted)
        home = self._home / name
        if (home / "complete").exists():
            return ""
        job = self._jobs.get(name)
        if job is None:
            job = _Job(threading.Thread(target=self._make, args=(name, home, wanted), daemon=True))
            self._jobs[name] = job
            job.thread.start()
        if job.problem:
            return f"Its packages could not be installed. {job.problem}"
        return "Its packages are being installed"

    def _make(self, name: str, home: Path, wanted: bytes) -> None:
        try:
            problem = _install(home, wanted)
        except (OSError, subprocess.SubprocessError) as error:
            problem = str(error)
        if problem:
            log.warning("packages of a strategy were not installed: %s", problem)
            shutil.rmtree(home, ignore_errors=True)
        self._jobs[name].problem = problem


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


def _install(home: Path, wanted: bytes) -> str:
    """Make the environment; what went wrong, "" for nothing."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o700, parents=True)
    listed = home / REQUIREMENTS
    listed.write_bytes(wanted)
    python = str(_interpreter(home))
    steps = (
        [sys.executable, "-m", "venv", "--without-pip", str(home)],
        [*_installer(python), "--only-binary=:all:", "-r", str(listed)],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, timeout=_LONGEST, cwd=home)  # noqa: S603
        if done.returncode:
            return (done.stderr or done.stdout)[-_KEPT_FAILURE:].strip()
    (home / "complete").touch()
    return ""


def _installer(python: str) -> list[str]:
    """uv where it is there, else the platform's own pip."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--quiet", "--python", python]
    return [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]

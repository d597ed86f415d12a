"""Brokers' own client libraries, each in an environment of its own under var/, run unmodified against a simulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
_IMPATIENT = ("--retries", "1", "--timeout", "15")
"""Without a network an installation fails within the minute, and the test says so."""


def python_with(name: str, *packages: str, bare: tuple[str, ...] = (), python: str = sys.executable) -> Path:
    """The interpreter of an environment that has these packages; made when it is not there. Skips when it cannot be.

    bare  packages put in without what they declare to need
    """
    home = ROOT / "var" / "sdk" / name
    inside = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = home / "installed.json"
    home.parent.mkdir(parents=True, exist_ok=True)
    with only_one(home.with_suffix(".lock")):
        return _made(name, home, inside, stamp, packages, bare, python)


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Let tests that run side by side make an environment once."""
    with path.open("a") as file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _made(
    name: str,
    home: Path,
    inside: Path,
    stamp: Path,
    packages: tuple[str, ...],
    bare: tuple[str, ...],
    python: str,
) -> Path:
    if stamp.exists() and json.loads(stamp.read_text()) == [*packages, *bare]:
        return inside
    # Our pip fills an environment of our Python; only another Python's gets one of its own, which takes seconds.
    ours = python == sys.executable
    pip = [python, "-m", "pip", "--python", str(inside)] if ours else [str(inside), "-m", "pip"]
    install = [*pip, "install", "-q", "--disable-pip-version-check", *_IMPATIENT]
    steps = (
        [python, "-m", "venv", "--clear", *(["--without-pip"] if ours else []), str(home)],
        [*install, *packages],
        *([[*install, "--no-deps", *bare]] if bare else []),
    )
    for step in steps:
        try:
            done = subprocess.run(step, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            pytest.skip(f"{name} could not be installed in five minutes")
        if done.returncode:
            pytest.skip(f"{name} could not be installed: {done.stderr.strip().splitlines()[-1:]}")
    stamp.write_text(json.dumps([*packages, *bare]))
    return inside


def newer_python() -> str:
    """A Python of 3.12 or above, which some libraries want: ours, one on the path, or one installed beside ours."""
    if sys.version_info >= (3, 12):
        return sys.executable
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    folders += sorted(Path(sys.base_prefix).parent.glob("3.1[2-9]*/bin"))
    for file in (folder / f"python3.{minor}" for folder in folders for minor in (12, 13, 14)):
        if file.exists() and subprocess.run([str(file), "-c", ""], capture_output=True).returncode == 0:
            return str(file)
    pytest.skip("this library needs Python 3.12, and there is none here")


@contextmanager
def simulated(name: str, *options: str) -> Iterator[dict[str, Any]]:
    """`manage.py simulate NAME` as a process of its own; what its line says."""
    command = [sys.executable, "-m", "commands", "simulate", name, "--still", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)


def run_script(python: Path, script: str, announced: dict[str, Any]) -> dict[str, Any]:
    """Run one of the scripts beside this file with an SDK's interpreter; what it found, as JSON on its last line."""
    done = subprocess.run(
        [str(python), str(HERE / script), json.dumps(announced)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{script}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found

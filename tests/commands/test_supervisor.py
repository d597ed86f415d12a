"""Roles come back when they end, end with their supervisor, and stop in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")

ROLE = """
import os, signal, sys, time
from pathlib import Path
from commands import lifeline
home, name, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
lifeline.die_with(int(sys.argv[4]))
log = home / "log"
def note(word):
    with log.open("a") as file: file.write(f"{word} {name} {os.getpid()}\\n")
def end(*_):
    note("ended"); sys.exit(0)
if how not in ("stubborn", "slow"): signal.signal(signal.SIGTERM, end)
else: signal.signal(signal.SIGTERM, lambda *_: note("asked"))
note("started")
if how == "config": sys.exit(78)
if how == "broken": sys.exit(3)
note("up")
if "--pulse" in sys.argv:
    from services import pulse
    pulse.EVERY = 0.1
    pulse.begin(int(sys.argv[-1]))
while True:
    time.sleep(0.05)
    if "--pulse" in sys.argv: pulse.beat()
"""
MAIN = """
import logging, os, sys
from commands.supervisor import Child, Supervisor
logging.basicConfig(level="INFO", format="%(message)s")
home = sys.argv[1]
def command(name, how): return [sys.executable, home + "/role.py", home, name, how, str(os.getpid())]
def child(name, how):
    return Child(name, command(name, how), grace=20 if how == "slow" else 0.5, pulse=how == "beating")
children = [child(*spec.split(":")) for spec in sys.argv[2:]]
def ready(): return all(f"up {c.name} " in open(home + "/log").read() for c in children)
sys.exit(Supervisor(children, ready, lambda: print("ready", flush=True), silence=2.0).run())
"""


class World:
    """A supervisor over small roles that write what happens to them into one file."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home / "log"
        self.log.touch()
        (home / "role.py").write_text(ROLE)
        self.process: subprocess.Popen[str] | None = None

    def start(self, *roles: str) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, str(self.home), *roles],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self.process

    def notes(self, word: str) -> list[str]:
        return [line.split()[1] for line in self.log.read_text().splitlines() if line.startswith(word)]

    def pids(self) -> dict[str, int]:
        lines = [line.split() for line in self.log.read_text().splitlines() if line.startswith("started")]
        return {name: int(pid) for _, name, pid in lines}

    def wait(self, until: Callable[[], bool], seconds: float = 10.0) -> float:
        begun = time.monotonic()
        while not until():
            assert time.monotonic() - begun < seconds, self.log.read_text()
            time.sleep(0.01)
        return time.monotonic() - begun


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_one_signal_stops_all_in_order_with_success(world: World) -> None:
    process = world.start("a:good", "b:good", "c:good")
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert world.notes("ended") == ["a", "b", "c"]
    assert all(gone(pid) for pid in world.pids().values())


def test_a_killed_role_is_back_within_a_second(world: World) -> None:
    world.start("a:good", "b:good")
    world.wait(lambda: len(world.notes("up")) == 2)
    first = world.pids()
    os.kill(first["b"], signal.SIGKILL)
    assert world.wait(lambda: world.notes("started").count("b") == 2) < 1.0
    assert world.pids()["a"] == first["a"]


def test_a_role_that_hangs_is_killed_and_started_again(world: World) -> None:
    process = world.start("a:beating", "b:good", "c:beating")
    world.wait(lambda: len(world.notes("up")) == 3)
    first = world.pids()
    time.sleep(2.5)
    assert world.pids() == first, "those that beat, and those that need not, stay"
    os.kill(first["a"], signal.SIGSTOP)
    assert world.wait(lambda: world.notes("started").count("a") == 2) > 1.0
    assert (world.pids()["b"], world.pids()["c"]) == (first["b"], first["c"]) and gone(first["a"])
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None and "a hangs: no sign of life for 2 s" in process.stderr.read()
    assert process.wait(10) == 0


def test_nobody_is_killed_because_the_supervisor_slept(world: World) -> None:
    process = world.start("a:beating")
    world.wait(lambda: len(world.notes("up")) == 1)
    time.sleep(0.5)
    first = world.pids()
    for one in (process.pid, first["a"]):
        os.kill(one, signal.SIGSTOP)
    time.sleep(5)
    os.kill(process.pid, signal.SIGCONT)
    time.sleep(0.5)
    os.kill(first["a"], signal.SIGCONT)
    time.sleep(2.5)
    assert world.pids() == first


def test_roles_end_with_a_killed_supervisor(world: World) -> None:
    process = world.start("a:good", "b:stubborn")
    world.wait(lambda: len(world.notes("up")) == 2)
    process.kill()
    process.wait()
    world.wait(lambda: all(gone(pid) for pid in world.pids().values()), 5.0)


def test_a_role_that_will_not_end_is_killed(world: World) -> None:
    process = world.start("a:stubborn", "b:good")
    world.wait(lambda: len(world.notes("up")) == 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert world.notes("asked") == ["a"] and world.notes("ended") == ["b"]


def test_the_second_signal_kills_at_once(world: World) -> None:
    process = world.start("a:slow", "b:slow")
    world.wait(lambda: len(world.notes("up")) == 2)
    process.send_signal(signal.SIGINT)
    world.wait(lambda: world.notes("asked") == ["a"])
    time.sleep(0.6)
    process.send_signal(signal.SIGINT)
    process.wait(5)
    assert world.notes("asked") == ["a"]
    assert all(gone(pid) for pid in world.pids().values())


def test_a_signal_sent_twice_at_once_counts_once(world: World) -> None:
    process = world.start("a:good", "b:good")
    world.wait(lambda: len(world.notes("up")) == 2)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert world.notes("ended") == ["a", "b"]


def test_a_role_that_starting_again_cannot_help_stops_the_start(world: World) -> None:
    process = world.start("a:good", "b:config")
    assert process.wait(10) == 1
    assert world.notes("started").count("b") == 1
    assert world.notes("ended") == ["a"]


def test_a_role_that_never_comes_up_stops_the_start(world: World) -> None:
    process = world.start("a:broken")
    _, words = process.communicate(timeout=20)
    assert process.returncode == 1
    assert world.notes("started") == ["a"] * 5
    assert "a cannot start: exit code 3" in words

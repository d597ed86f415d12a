"""Runs in control groups: used where a part of the tree was given to us, and only there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from domain.strategies import RunLimits
from strategies import sandbox
from strategies.cgroup import Groups
from tests.strategies.kit import Bench

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
CONTROLS = ("cgroup.procs", "cgroup.subtree_control")


def tree(folder: Path, group: str, controllers: str = "cpuset cpu io memory pids") -> tuple[Path, Path]:
    """A tree as the kernel shows it, and what /proc/self/cgroup says of us in it."""
    root = folder / "cgroup"
    base = root / group.strip("/")
    base.mkdir(parents=True)
    (root / "cgroup.controllers").write_text(controllers)
    for place in (base, base.parent):
        (place / "cgroup.controllers").write_text(controllers)
        for name in CONTROLS:
            (place / name).write_text("")
    own = folder / "own"
    own.write_text(f"4:memory:/elsewhere\n0::{group}\n")
    return root, own


def test_a_delegated_unit_is_found(tmp_path: Path) -> None:
    root, own = tree(tmp_path, "/system.slice/openalgo.service/platform")
    groups = Groups.found(root, own)
    assert groups is not None and groups.base == root / "system.slice/openalgo.service"
    assert groups.prepare()
    assert (groups.base / "cgroup.subtree_control").read_text() == "+cpu"


@pytest.mark.parametrize(
    ("group", "controllers"),
    [
        ("/", "cpu memory pids"),
        ("/system.slice/openalgo.service", "cpu memory pids"),
        ("/user.slice/session-2.scope", "cpu memory pids"),
        ("/system.slice/openalgo.service/platform", "cpu pids"),
        ("/system.slice/openalgo.service/platform", ""),
    ],
)
def test_what_was_not_given_is_not_taken(tmp_path: Path, group: str, controllers: str) -> None:
    root, own = tree(tmp_path, group, controllers)
    assert Groups.found(root, own) is None


def test_a_machine_without_the_unified_tree_has_none(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("4:memory:/x\n")
    assert Groups.found(tmp_path, own) is None
    assert Groups.found(tmp_path / "none", tmp_path / "nothing") is None


def test_a_run_gets_its_limits(tmp_path: Path) -> None:
    root, own = tree(tmp_path, "/openalgo.service/platform")
    groups = Groups.found(root, own)
    assert groups is not None
    group = groups.make("s_1", 3, RunLimits(memory_mb=256, processes=10, cpu=50))
    read = {path.name: path.read_text() for path in group.iterdir()}
    assert group.name == "strategy-s_1-3"
    assert (read["memory.max"], read["memory.oom.group"]) == (str(256 << 20), "1")
    assert (read["pids.max"], read["cpu.weight"], read["memory.swap.max"]) == ("80", "20", "0")
    assert read["cpu.max"] == "50000 100000"
    assert int(read["memory.high"]) < int(read["memory.max"])


def test_a_kill_for_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strategies.cgroup._GONE_WITHIN", 0.0)
    groups = Groups(tmp_path)
    assert groups.end("s_1", 1) is False
    group = groups.make("s_1", 1, RunLimits())
    (group / "memory.events").write_text("low 0\nhigh 12\nmax 3\noom 1\noom_kill 1\n")
    assert groups.end("s_1", 1) is True
    assert (group / "cgroup.kill").read_text() == "1"
    (group / "memory.events").write_text("oom_kill 0\n")
    assert groups.end("s_1", 1) is False


def test_the_launcher_enters_the_group_before_anything_else(bench: Bench, tmp_path: Path) -> None:
    group = tmp_path / "group"
    group.mkdir()
    (group / "cgroup.procs").write_text("")
    bench.group = group
    child = bench.start("import os\nprint(os.getpid())")
    text, end = bench.output(child)
    assert end.code == 0
    assert (group / "cgroup.procs").read_text() == text.strip()


def test_a_group_that_cannot_be_entered_is_a_start_refused(bench: Bench, tmp_path: Path) -> None:
    bench.group = tmp_path / "none"
    text, end = bench.output(bench.start("print('ran')"))
    assert end.code == 97 and "not started" in text and "ran" not in text


def test_what_is_held_is_said() -> None:
    without, within = sandbox.offers(), sandbox.offers(groups=True)
    assert without["memory"].startswith("rlimit") and within["memory"] == "its control group"
    assert "control group" in within["CPU"] and "priority" in without["CPU"]


@pytest.mark.skipif(Groups.found() is None, reason="no control groups were delegated to this process")
def test_the_kernel_holds_memory_and_tasks(bench: Bench) -> None:
    groups = Groups.found()
    assert groups is not None and groups.prepare()
    bench.group = groups.make("test", 1, RunLimits(memory_mb=64, processes=2))
    child = bench.start("x = bytearray(200 << 20)\nprint('got it')")
    text, end = bench.output(child)
    assert "got it" not in text and end.signal == 9
    assert groups.end("test", 1)

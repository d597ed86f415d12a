"""Control groups (v2) for runs, where a part of the tree is the platform's: the kernel holds memory, tasks and CPU.

systemd gives one by `Delegate=yes` and `DelegateSubgroup=platform` in the unit: the platform's own processes are in the
subgroup, and runs get groups beside it. Elsewhere nothing is touched, and the watch and the rlimits do what they can.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from domain.strategies import RunLimits

log = logging.getLogger(__name__)

SUBGROUP = "platform"
_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_NEEDED = ("memory", "pids", "cpu")
_WEIGHT = 20
"""Share of CPU beside the platform's 100, when there is not enough for all."""
_TASKS = 8
"""Threads count as tasks: so many for each process that is allowed."""
_GONE_WITHIN = 2.0


@dataclass(frozen=True, slots=True)
class Groups:
    """The group below which runs get theirs."""

    base: Path

    @classmethod
    def found(cls, root: Path = _ROOT, own: Path = _OWN) -> Groups | None:
        """None where no part of the tree is ours, or it can not hold memory, tasks and CPU."""
        group = _own_group(root, own)
        if group is None or group.name != SUBGROUP:
            return None
        base = group.parent
        offered = _read(base / "cgroup.controllers").split()
        if not all(name in offered for name in _NEEDED) or not _may_make(base):
            return None
        return cls(base)

    def prepare(self) -> bool:
        """Have the kernel count for groups below; False when it refuses."""
        try:
            for name in _NEEDED:
                (self.base / "cgroup.subtree_control").write_text(f"+{name}")
        except OSError as error:
            log.warning("control groups are not used: %s", error)
            return False
        return True

    def make(self, strategy_id: str, generation: int, limits: RunLimits) -> Path:
        """A run's group with its limits. Raises OSError."""
        group = self.of(strategy_id, generation)
        group.mkdir(exist_ok=True)
        memory = limits.memory_mb << 20
        for name, value in (
            ("memory.max", memory),
            ("memory.high", memory - memory // 16),
            ("memory.oom.group", 1),
            ("pids.max", _TASKS * limits.processes),
            ("cpu.weight", _WEIGHT),
            ("cpu.max", f"{limits.cpu * 1000} 100000"),
        ):
            (group / name).write_text(str(value))
        with contextlib.suppress(OSError):
            (group / "memory.swap.max").write_text("0")
        return group

    def of(self, strategy_id: str, generation: int) -> Path:
        return self.base / f"strategy-{strategy_id}-{generation}"

    def end(self, strategy_id: str, generation: int) -> bool:
        """Kill what is left in a run's group and drop it; whether the kernel had killed in it for memory."""
        group = self.of(strategy_id, generation)
        if not group.exists():
            return False
        events = dict(line.split() for line in _read(group / "memory.events").splitlines() if " " in line)
        with contextlib.suppress(OSError):
            (group / "cgroup.kill").write_text("1")
        until = time.monotonic() + _GONE_WITHIN
        while group.exists():
            with contextlib.suppress(OSError):
                group.rmdir()
                break
            if time.monotonic() > until:
                log.error("a strategy's control group does not empty: %s", group)
                break
            time.sleep(0.02)
        return int(events.get("oom_kill", "0")) > 0


def _own_group(root: Path, own: Path) -> Path | None:
    if sys.platform != "linux" or not (root / "cgroup.controllers").exists():
        return None
    for line in _read(own).splitlines():
        if line.startswith("0::/"):
            return root / line.removeprefix("0::/")
    return None


def _may_make(base: Path) -> bool:
    """Whether we may make groups here: directory and its controls are ours to write."""
    controls = (base, base / "cgroup.procs", base / "cgroup.subtree_control")
    return all(os.access(path, os.W_OK) for path in controls)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""

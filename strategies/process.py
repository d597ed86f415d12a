"""One strategy's processes: started in a group of their own, known again after the host was killed, ended for certain.

A process is known by its number, its start time and the machine's boot, so that a number used again is nobody's. It
cannot leave its session (see sandbox), so whatever it started is found by the session's number.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

LAUNCHER = Path(__file__).with_name("launch.py")
TOKEN = "OPENALGO_RUN_TOKEN"  # noqa: S105
_PIDFD_GET_INFO = 0xC040FF0B
_INFO_EXIT = 1 << 3
_KILLED_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a process is. started: clock ticks since boot (elsewhere than Linux: microseconds of the epoch)"""

    pid: int
    started: int
    boot: str


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended; both None when nobody could see it."""

    code: int | None = None
    signal: int | None = None

    @property
    def words(self) -> str:
        if self.signal is not None:
            return f"ended by {signal_name(self.signal)}"
        return "ended unseen" if self.code is None else f"exited {self.code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a run is made of.

    group      its control group, None where there are none
    run, read  folders whose files it may execute and read, or only read; `work` is its own
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    work: Path
    output: Path
    lock: Path
    pid_file: Path
    generation: int
    token: str
    run: tuple[Path, ...]
    read: tuple[Path, ...]
    memory: int
    files: int
    file_size: int
    processes: int
    group: Path | None = None

    def told(self) -> bytes:
        """What the launcher reads."""
        words: dict[str, Any] = {
            "command": self.command,
            "environment": self.environment,
            "work": str(self.work),
            "output": str(self.output),
            "lock": str(self.lock),
            "pid_file": str(self.pid_file),
            "generation": self.generation,
            "token": self.token,
            "group": "" if self.group is None else str(self.group),
            "run": [str(path) for path in self.run],
            "read": [str(path) for path in self.read],
            "limits": {
                "memory": self.memory,
                "files": self.files,
                "file_size": self.file_size,
                "processes": self.processes,
            },
        }
        return json.dumps(words).encode()


class Running(Protocol):
    """A run's leading process."""

    identity: Identity

    def poll(self) -> Exit | None:
        """How it ended; None while it lives."""


class Child:
    """A process that this one started."""

    def __init__(self, launch: Launch) -> None:
        """Raises OSError when it cannot be started."""
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", "-B", str(LAUNCHER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath},
            cwd="/",
            start_new_session=True,
        )
        identity = identify(self._process.pid)
        self.identity = identity or Identity(self._process.pid, 0, boot())
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(launch.told())

    def poll(self) -> Exit | None:
        """Ends what the group left behind before the number is given back."""
        if not self._has_ended():
            return None
        kill_session(self.identity)
        code = self._process.wait()
        return Exit(code=code) if code >= 0 else Exit(signal=-code)

    def _has_ended(self) -> bool:
        if self._process.returncode is not None:
            return True
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        with contextlib.suppress(ChildProcessError):
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return True


class Adopted:
    """A process that a host before this one started."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self._handle = _handle(identity)

    def poll(self) -> Exit | None:
        if is_alive(self.identity):
            return None
        kill_session(self.identity)
        found = _exit_of_zombie(self.identity) or _exit_of(self._handle)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        return found


def identify(pid: int) -> Identity | None:
    """The process of that number now, None when there is none."""
    if sys.platform == "linux":
        fields = _stat(pid)
        return None if fields is None else Identity(pid, int(fields[19]), boot())
    import psutil

    try:
        return Identity(pid, int(psutil.Process(pid).create_time() * 1e6), boot())
    except psutil.Error:
        return None


def is_alive(identity: Identity) -> bool:
    """Whether that very process is there and is more than a zombie."""
    if identity.boot != boot():
        return False
    if sys.platform == "linux":
        fields = _stat(identity.pid)
        return fields is not None and int(fields[19]) == identity.started and fields[0] not in ("Z", "X")
    return identify(identity.pid) == identity


def carries(identity: Identity, token: str) -> bool:
    """Whether a process was started for a run: False only when its environment names another."""
    try:
        environment = Path(f"/proc/{identity.pid}/environ").read_bytes()
    except OSError:
        return True
    name = TOKEN.encode() + b"="
    found = [word for word in environment.split(b"\0") if word.startswith(name)]
    return not found or found == [name + token.encode()]


def noted(pid_file: Path, token: str) -> Identity | None:
    """The process that left this note for this run, None when it left none or is gone."""
    try:
        pid, said = pid_file.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    identity = identify(int(pid)) if said == token and pid.isdigit() else None
    return identity if identity and is_alive(identity) and carries(identity, token) else None


def members(identity: Identity) -> list[int]:
    """Live processes of the session that a process leads, or led.

    The kernel gives a number to nobody else while a session goes by it; when somebody else has it, all are gone.
    """
    leader = identify(identity.pid)
    if identity.boot != boot() or (leader is not None and leader.started != identity.started):
        return []
    if sys.platform != "linux":
        return _members_elsewhere(identity)
    found = []
    for name in os.listdir("/proc"):
        fields = _stat(int(name)) if name.isdigit() else None
        if (
            fields is not None
            and int(fields[3]) == identity.pid
            and int(fields[19]) >= identity.started
            and fields[0] not in ("Z", "X")
        ):
            found.append(int(name))
    return found


def _members_elsewhere(identity: Identity) -> list[int]:
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == identity.pid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def terminate(identity: Identity) -> None:
    """Ask every process of the session to end; one that is stopped hears of it, too."""
    _signal(identity, signal.SIGTERM)
    _signal(identity, signal.SIGCONT)


def go_on(identity: Identity) -> None:
    """Let a session that was stopped run on."""
    _signal(identity, signal.SIGCONT)


def kill_session(identity: Identity) -> bool:
    """End every process of the session and see that none is left. False when one does not go."""
    until = time.monotonic() + _KILLED_WITHIN
    while _signal(identity, signal.SIGKILL):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def _signal(identity: Identity, number: int) -> int:
    """Signal every member; how many there were. The group goes first, at once, so that nothing is born between."""
    there = members(identity)
    if not there:
        return 0
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(identity.pid, number)
    for pid in there:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    return len(there)


def signal_group(identity: Identity, pids: Sequence[int], number: int) -> bool:
    """Signal a session's group while one of these members of it lives; whether one did. Does not look for others."""
    if not any(_of_session(identity, pid) for pid in pids):
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(identity.pid, number)
    return True


def taken(identity: Identity, pids: Sequence[int]) -> float:
    """CPU seconds that these members of a session have used, with their children that are gone."""
    found = [fields for pid in pids if (fields := _of_session(identity, pid))]
    return sum(_ticks(fields) for fields in found) / os.sysconf("SC_CLK_TCK")


def _of_session(identity: Identity, pid: int) -> list[str] | None:
    fields = _stat(pid)
    return fields if fields is not None and int(fields[3]) == identity.pid else None


def _ticks(fields: list[str]) -> int:
    """Its own and its waited-for children's, in user and system mode."""
    return sum(map(int, fields[11:15]))


def signal_name(number: int) -> str:
    """SIGKILL for 9; "signal 99" for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@cache
def boot() -> str:
    """Which boot of the machine this is."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        import psutil

        return str(int(psutil.boot_time()))


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on: state, ppid, pgrp, session, …; [19] is the start time."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    return text[text.rindex(b")") + 2 :].decode("ascii").split()


def _handle(identity: Identity) -> int | None:
    """A handle of a process that is not ours, by which the kernel tells later how it ended."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        handle = os.pidfd_open(identity.pid)
    except OSError:
        return None
    if is_alive(identity):
        return handle
    os.close(handle)
    return None


def _exit_of_zombie(identity: Identity) -> Exit | None:
    """How a process ended whose parent has not asked yet; None when it is gone altogether."""
    fields = _stat(identity.pid) if sys.platform == "linux" else None
    if fields is None or int(fields[19]) != identity.started or len(fields) < 50:
        return None
    return _told(int(fields[49]))


def _told(status: int) -> Exit:
    code = os.waitstatus_to_exitcode(status)
    return Exit(code=code) if code >= 0 else Exit(signal=-code)


def _exit_of(handle: int | None) -> Exit:
    """How a process that somebody else reaped ended. Linux 6.15 keeps that; older kernels say nothing."""
    if handle is None:
        return Exit()
    import fcntl

    asked = bytearray(struct.pack("<QQ12I", _INFO_EXIT, 0, *(0,) * 12))
    try:
        fcntl.ioctl(handle, _PIDFD_GET_INFO, asked)
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL, errno.ESRCH, errno.EBADF):
            return Exit()
        raise
    mask = struct.unpack_from("<Q", asked, 0)[0]
    status = struct.unpack_from("<i", asked, 60)[0]
    if not mask & _INFO_EXIT:
        return Exit()
    return _told(status)


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of one session hold and have used. cpu: seconds; memory: bytes resident"""

    processes: int
    cpu: float
    memory: int


def census(sessions: frozenset[int]) -> dict[int, Usage]:
    """Usage of each of these sessions, in one look at the system's processes."""
    if not sessions:
        return {}
    if sys.platform != "linux":
        return _census_elsewhere(sessions)
    page, tick = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
    totals: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        fields = _stat(int(name)) if name.isdigit() else None
        if fields is None or int(fields[3]) not in sessions or fields[0] in ("Z", "X"):
            continue
        total = totals.setdefault(int(fields[3]), [0, 0, 0])
        total[0] += 1
        total[1] += _ticks(fields)
        total[2] += int(fields[21])
    return {sid: Usage(count, ticks / tick, pages * page) for sid, (count, ticks, pages) in totals.items()}


def _census_elsewhere(sessions: frozenset[int]) -> dict[int, Usage]:
    import psutil

    totals: dict[int, Usage] = {}
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            session = os.getsid(each.pid)
            if session not in sessions or each.status() == psutil.STATUS_ZOMBIE:
                continue
            before, times = totals.get(session, Usage(0, 0.0, 0)), each.cpu_times()
            cpu = before.cpu + times.user + times.system
            totals[session] = Usage(before.processes + 1, cpu, before.memory + each.memory_info().rss)
    return totals


def has_begun(identity: Identity) -> bool:
    """Whether the launcher has become the strategy's program."""
    try:
        command = Path(f"/proc/{identity.pid}/cmdline").read_bytes()
    except OSError:
        return True
    return bool(command) and LAUNCHER.name.encode() not in command


def carrying(token: str) -> Identity | None:
    """The leader of a live process whose environment names a run; the leader itself may be gone.

    For a run of which nothing else is known.
    """
    if sys.platform != "linux":
        return None
    word = f"{TOKEN}={token}".encode()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if word in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                fields = _stat(int(name))
                if fields is not None:
                    session = int(fields[3])
                    return identify(session) or Identity(session, int(fields[19]), boot())
    return None

"""The first thing that runs in a strategy's process: shuts itself in, then becomes the strategy's Python.

Run by file name with `-I -S`; what to do comes on stdin as JSON, so that no secret stands on a command line. It never
returns: it is replaced, or it ends with EX_REFUSED after a line that says why.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

EX_REFUSED = 97


def main() -> None:
    """Take the output, the lock and the limits, and become the program."""
    spec: dict[str, Any] = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _take_output(spec["output"])
    try:
        _fence(spec["lock"], spec["generation"])
        _join(spec["group"])
        _say_who(spec["pid_file"], spec["token"])
        os.chdir(spec["work"])
        _shut_in(spec)
        os.execve(spec["command"][0], spec["command"], spec["environment"])  # noqa: S606
    except OSError as error:
        os.write(2, f"not started: {error}\n".encode())
        os._exit(EX_REFUSED)


def _take_output(path: str) -> None:
    """Hold the FIFO open for reading too: without a reader, printing waits and never fails."""
    pipe = os.open(path, os.O_RDWR)
    for number in (1, 2):
        os.dup2(pipe, number)
    if pipe > 2:
        os.close(pipe)


def _fence(path: str, generation: int) -> None:
    """Take the lock for as long as the program lives, unless a newer generation was named meanwhile.

    Read-only: the program inherits it and shall not write in it.
    """
    import fcntl

    lock = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError("an earlier run of this strategy is still alive") from error
    if os.pread(lock, 32, 0).decode() != str(generation):
        raise OSError("another run of this strategy was ordered meanwhile")
    os.set_inheritable(lock, True)


def _join(group: str) -> None:
    """Be counted in the run's control group, where there is one: before anything of it is loaded."""
    if group:
        with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write(str(os.getpid()))


def _say_who(path: str, token: str) -> None:
    """Leave a note for a host that dies before it has written down who was started."""
    fresh = f"{path}.new"
    with open(fresh, "w", encoding="ascii") as file:
        file.write(f"{os.getpid()} {token}\n")
    os.replace(fresh, path)


def _shut_in(spec: dict[str, Any]) -> None:
    from strategies import sandbox

    limits = spec["limits"]
    os.nice(sandbox.NICE)
    _prefer_to_end_us()
    sandbox.limit(
        memory=limits["memory"],
        files=limits["files"],
        file_size=limits["file_size"],
        processes=limits["processes"],
    )
    if sys.platform != "linux":
        return
    sandbox.forbid_new_privileges()
    sandbox.drop_capabilities()
    own = f"/proc/{os.getpid()}"
    sandbox.confine_files(
        (*sandbox.SYSTEM_RUN, *spec["run"]),
        (*sandbox.SYSTEM_READ, *spec["read"], own),
        (*sandbox.SYSTEM_WRITE, spec["work"]),
    )
    sandbox.filter_calls()


def _prefer_to_end_us() -> None:
    """When the machine runs out of memory, a strategy goes before the platform."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("500")
    except OSError:
        return


if __name__ == "__main__":
    main()

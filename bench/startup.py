"""How soon a warm start answers its first request, and what all roles hold when idle."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from bench import Context, Figure, median_of

ROOT = Path(__file__).resolve().parents[1]
_SETTLE = 8.0
_MIB = 1024 * 1024


def run(context: Context) -> list[Figure]:
    """A first run prepares the install; the measured ones find it prepared."""
    context.say("preparing an install")
    home = context.scratch / "install"
    stop(*start(home))
    runs = []
    for number in range(context.runs):
        context.say(f"warm start {number + 1} of {context.runs}")
        process, seconds = start(home)
        time.sleep(_SETTLE if number == 0 else 0)
        runs.append(
            [
                Figure(
                    name="warm start to first answer",
                    value=seconds,
                    unit="s",
                    target=3,
                    how="manage.py run, to `ready`",
                )
            ]
        )
        if number == 0:
            memory = held(process.pid)
        stop(process, seconds)
    return [*median_of(runs), *memory]


def start(home: Path) -> tuple[subprocess.Popen[str], float]:
    """The platform with its own data and free ports; seconds until it said ready."""
    command = [
        sys.executable,
        str(ROOT / "manage.py"),
        "run",
        "--data-dir",
        str(home),
        "--port",
        "0",
        "--ws-port",
        "0",
    ]
    log = (home.parent / "run.log").open("a")
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("ready"):
        process.wait()
        raise RuntimeError((home.parent / "run.log").read_text()[-3000:])
    return process, time.perf_counter() - begun


def stop(process: subprocess.Popen[str], _seconds: float) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def held(pid: int) -> list[Figure]:
    """Resident memory of the supervisor and its roles, each and together."""
    import psutil

    top = psutil.Process(pid)
    names = [(p, p.memory_info().rss / _MIB) for p in [top, *top.children(recursive=True)]]
    total = sum(size for _, size in names)
    figures = [
        Figure(
            name="resident, all roles idle",
            value=total,
            unit="MiB",
            target=350,
            how=f"{_SETTLE:.0f} s after ready",
        )
    ]
    for process, size in names:
        title = " ".join(process.cmdline())
        label = title.removeprefix("openalgo ").split()[0] if title.startswith("openalgo ") else "supervisor"
        figures.append(Figure(name=f"  {label}", value=size, unit="MiB"))
    return figures

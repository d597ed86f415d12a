"""How soon a warm start answers its first request, and what all roles hold when idle."""

from __future__ import annotations

import time

from bench import Context, Figure, median_of
from bench.install import Install

_SETTLE = 8.0
_MIB = 1024 * 1024


def run(context: Context) -> list[Figure]:
    """A first run prepares the install; the measured ones find it prepared."""
    context.say("preparing an install")
    with Install(context.scratch / "install") as install:
        time.sleep(_SETTLE)
        memory = held(install.process.pid)
    runs = []
    for number in range(context.runs):
        context.say(f"warm start {number + 1} of {context.runs}")
        begun = time.perf_counter()
        install.start()
        seconds = time.perf_counter() - begun
        install.stop()
        how = "manage.py run until `ready`"
        runs.append([Figure(name="warm start to first answer", value=seconds, unit="s", target=3, how=how)])
    return [*median_of(runs), *memory]


def held(pid: int) -> list[Figure]:
    """Resident memory of the supervisor and its roles, together and each."""
    import psutil

    top = psutil.Process(pid)
    sizes = [(_label(p.cmdline()), p.memory_info().rss / _MIB) for p in (top, *top.children(recursive=True))]
    total = sum(size for _, size in sizes)
    return [
        Figure(
            name="resident, all roles idle",
            value=total,
            unit="MiB",
            target=350,
            how=f"{_SETTLE:.0f} s after ready",
        ),
        *(Figure(name=f"  {label}", value=size, unit="MiB") for label, size in sizes),
    ]


def _label(command: list[str]) -> str:
    words = " ".join(command).split()
    return words[1] if words[:1] == ["openalgo"] else "supervisor"

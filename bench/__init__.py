"""One module a bench, with the driver it needs. Each measures and says how; none decides what is good elsewhere.

A bench is `run(context: Context) -> list[Figure]`. It is called by `manage.py bench NAME [--check]`.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number beside what it must reach.

    target  None for a figure that only explains the others
    how     what was measured, in a few words: clients, runs, what stands in the path
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    better: Literal["lower", "higher"] = "lower"
    how: str = ""

    @property
    def is_met(self) -> bool:
        if self.target is None:
            return True
        return self.value <= self.target if self.better == "lower" else self.value >= self.target


@dataclass(frozen=True, slots=True)
class Context:
    """What a bench may use.

    scratch  an empty directory, deleted afterwards
    runs     how often to repeat; figures are medians
    say      tells the person what is going on
    seed     of whatever is drawn by chance
    orders   how many a campaign places
    trials   how often a campaign kills a process
    """

    scratch: Path
    runs: int
    say: Callable[[str], None]
    seed: int = 0
    orders: int = 200
    trials: int = 6


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of them lie; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def disk_figures(directory: Path, seconds: float = 2.0) -> list[Figure]:
    """What this disk takes to make one small append durable. Durable figures mean little without it."""
    spent = []
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        sync = getattr(os, "fdatasync", os.fsync)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            file.write(b"x" * 512)
            file.flush()
            begun = time.perf_counter()
            sync(file.fileno())
            spent.append((time.perf_counter() - begun) * 1e3)
    how = f"{len(spent)} appends of 512 bytes"
    return [
        Figure(name="disk fdatasync p50", value=percentile(spent, 0.5), unit="ms", how=how),
        Figure(name="disk fdatasync p99", value=percentile(spent, 0.99), unit="ms", how=how),
    ]


def median_of(runs: Sequence[Sequence[Figure]]) -> list[Figure]:
    """Figure by figure the median of several runs, with every run's value told."""
    merged = []
    for same in zip(*runs, strict=True):
        values = [figure.value for figure in same]
        told = ", ".join(f"{value:.4g}" for value in values)
        first = same[0]
        merged.append(
            Figure(
                name=first.name,
                value=statistics.median(values),
                unit=first.unit,
                target=first.target,
                better=first.better,
                how=f"{first.how}; median of {told}" if len(values) > 1 else first.how,
            )
        )
    return merged

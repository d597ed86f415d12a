"""Loading a master: the largest real file, read, checked and swapped in a process of its own."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

from bench import Context, Figure

_ROOT = Path(__file__).resolve().parents[1]
_FILE = _ROOT.parent / "shared" / "data" / "instruments" / "upstox_complete_2025-08-20.json.gz"

_CHILD = """
import json, resource, sys, time
from pathlib import Path
from config import SystemClock
from broker import facts
from database.engine import open_database
from database.masters import MASTERS
from domain.calendar import Calendar
from services.instruments import Instruments

home = Path(sys.argv[1])
db = open_database("", "platform", home)
MASTERS.create(db.engine, checkfirst=True)
calendar = Calendar(facts.holidays(), facts.sessions())
instruments = Instruments(db, home / "instruments", SystemClock(), lambda: calendar)
started, used = time.perf_counter(), time.process_time()
report = instruments.load_file(Path(sys.argv[2]), "upstox") if sys.argv[2] else instruments.load_paper()
seconds, cpu = time.perf_counter() - started, time.process_time() - used
assert instruments.get(report.broker, "NSE", "INFY")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([seconds, cpu, peak, report.rows, report.read]))
"""


def run(context: Context) -> list[Figure]:
    """Wall time, processor time and peak memory of one load, medians over fresh processes."""
    figures = []
    if _FILE.exists():
        seconds, cpu, peak, rows, read = _loads(context, "real", str(_FILE))
        how = f"{rows:,.0f} of {read:,.0f} rows of the Upstox file, new process, checked and in use"
        figures += [
            Figure(name="real master", value=seconds, unit="s", target=4.0, how=how),
            Figure(name="real master, processor", value=cpu, unit="s", how="the same, processor time"),
            Figure(
                name="real master, peak",
                value=peak,
                unit="MiB",
                target=300.0,
                how="ru_maxrss of that process",
            ),
        ]
    else:
        context.say("the real master is not here: only the paper exchange's is measured")
    seconds, _, peak, rows, _ = _loads(context, "paper", "")
    how = f"{rows:,.0f} instruments from the facts, new process"
    return [
        *figures,
        Figure(name="paper master", value=seconds, unit="s", target=3.0, how=how),
        Figure(
            name="paper master, peak", value=peak, unit="MiB", target=300.0, how="ru_maxrss of that process"
        ),
    ]


def _loads(context: Context, name: str, file: str) -> list[float]:
    runs = []
    for number in range(context.runs):
        context.say(f"{name} master, run {number + 1} of {context.runs}")
        home = context.scratch / f"{name}-{number}"
        home.mkdir()
        child = subprocess.run(
            [sys.executable, "-c", _CHILD, str(home), file],
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        runs.append(json.loads(child.stdout))
    return [statistics.median(column) for column in zip(*runs, strict=True)]

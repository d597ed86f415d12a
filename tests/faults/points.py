"""Where a process can be made to die: named places between two steps of an order's way.

A patched build dies there once for each time it is armed: the place removes its file and kills its own process.
"""

from __future__ import annotations

from pathlib import Path

from tests.faults.world import Patch

_DIE = """
import os as _os
import signal as _signal


def _may_die(path: str) -> None:
    try:
        _os.unlink(path)
    except FileNotFoundError:
        return
    _os.kill(_os.getpid(), _signal.SIGKILL)

"""
_ORDERS, _EXCHANGE = "services/orders.py", "broker/paper/server.py"
_KEEP = "            self._ledger.save(changes)\n"
_PLACES = {
    "journalled, not sent": (_ORDERS, "            outcome = call()\n", "before"),
    "sent, not settled": (_ORDERS, "            outcome = call()\n", "after"),
    "settled, not told": (
        _ORDERS,
        "        settled = self._db.write(lambda connection: write_outcome(connection, intent, outcome, now))\n",
        "after",
    ),
    "book read, not settled": (
        "services/reconcile.py",
        "        for intent in intents:\n            self._settle(intent, book, broker)\n",
        "before",
    ),
    "paper order taken, not kept": (_EXCHANGE, _KEEP, "before"),
    "paper order kept, not told": (_EXCHANGE, _KEEP, "after"),
}
KILLS = (*_PLACES, "web", "worker", "exchange")


def file_of(directory: Path, point: str) -> Path:
    return directory / f"die-{point.replace(', ', '-').replace(' ', '-')}"


def patches(directory: Path) -> list[Patch]:
    """The places of every named point, armed by files in `directory`."""
    made: dict[tuple[str, str], dict[str, str]] = {}
    for point, (path, line, when) in _PLACES.items():
        made.setdefault((path, line), {})[when] = _call(line, str(file_of(directory, point)))
    found = [
        Patch(path, line, around.get("before", "") + line + around.get("after", ""))
        for (path, line), around in made.items()
    ]
    log = "log = logging.getLogger(__name__)\n"
    return [
        *found,
        *(Patch(path, log, log + _DIE) for path in sorted({path for path, _, _ in _PLACES.values()})),
    ]


def _call(line: str, file: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return f"{indent}_may_die({file!r})\n"

"""Which process a run is whose host was killed: by its row, by the note it left, or by the token it carries."""

from __future__ import annotations

from collections.abc import Callable

from domain.errors import Unavailable
from domain.strategies import Run
from strategies import process
from strategies.files import Places
from strategies.process import Identity


def found(places: Places, run: Run, wait: Callable[[float], object]) -> Identity | None:
    """Who a run's process is or was, None when it never came to be.

    A launcher that is on its way holds the lock or will be refused by it; `wait(seconds)` gives it a moment.
    """
    if run.pid is not None:
        identity = Identity(run.pid, run.started or 0, run.boot)
        return identity if not process.is_alive(identity) or process.carries(identity, run.token) else None
    noted = process.noted(places.pid_file(run.generation), run.token)
    if noted is not None:
        return noted
    try:
        places.name_generation(0)
    except Unavailable:
        wait(1.0)
        return process.noted(places.pid_file(run.generation), run.token) or process.carrying(run.token)
    return None

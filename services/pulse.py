"""A role's sign of life. Its main loop beats; the supervisor that listens ends and restarts a role that fell silent.

A crash ends a process and is seen; a process that hangs (stopped, deadlocked, its loop blocked) is seen by this alone.
"""

from __future__ import annotations

import contextlib
import os
import time

EVERY = 2.0


class _Line:
    """Where beats go: a pipe's end, -1 for nowhere."""

    descriptor = -1
    next_beat = 0.0


_line = _Line()


def begin(descriptor: int) -> None:
    """Beat into this pipe from now on. It is ours alone: no process that we start inherits it."""
    os.set_inheritable(descriptor, False)
    os.set_blocking(descriptor, False)
    _line.descriptor = descriptor


def beat() -> None:
    """Say that the main loop turns. Cheap enough for every turn; speaks every two seconds."""
    now = time.monotonic()
    if _line.descriptor < 0 or now < _line.next_beat:
        return
    _line.next_beat = now + EVERY
    with contextlib.suppress(OSError):  # nobody listens any more, or has not for long
        os.write(_line.descriptor, b".")


def keep_beating() -> None:
    """Beat for ever, for a role whose main loop is not ours. Run it in a daemon thread."""
    while True:
        beat()
        time.sleep(EVERY / 2)

"""Whether this system can run hosted strategies at all."""

from __future__ import annotations

import os
import sys


def refusal() -> str:
    """Why none can run here, "" when they can: a run needs POSIX sessions, pipes, locks and limits."""
    try:
        import fcntl
        import resource
    except ImportError:
        there = False
    else:
        there = hasattr(fcntl, "flock") and hasattr(resource, "setrlimit")
    if there and hasattr(os, "mkfifo") and sys.platform != "win32":
        return ""
    return f"Hosted strategies are not supported on this system ({sys.platform}). Linux runs them, also under WSL 2."

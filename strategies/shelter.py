"""What this machine holds hosted strategies to, and the words that warn of it where it does not shut them in."""

from __future__ import annotations

from strategies import sandbox
from strategies.cgroup import Groups
from strategies.support import refusal

OPEN = (
    "This machine does not shut strategies in: it has no Landlock, and they run as the platform's own user. "
    "One can read what the platform can, its keys among it. Upload only what you have read."
)


def offers() -> dict[str, str]:
    """What this machine holds a strategy to: part -> how, "" where it does not."""
    return sandbox.offers(groups=Groups.found() is not None)


def warning() -> str:
    """What whoever has strategies here must know, "" where they run and are shut in."""
    return refusal() or ("" if sandbox.landlock_version() > 0 else OPEN)

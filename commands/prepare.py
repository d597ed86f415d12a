"""What an install needs before it can run: secrets, stores at their schema, instruments, page assets.

`when_needed` is asked by every start: it looks at a few files and does nothing when all is there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import config
from database import revisions

STORES = ("platform", "orders", "paper", "logs")


def is_prepared(settings: config.Settings) -> bool:
    """Whether a start can go on at once. PostgreSQL is asked by the preparation itself."""
    if settings.database_url:
        return False
    return all(revisions.is_current(name, settings.data_dir) for name in STORES)


def when_needed(settings: config.Settings, data_dir: Path | None) -> None:
    """Prepare in a process of its own, whose memory goes with it. Raises SettingsError when it fails."""
    if is_prepared(settings):
        return
    where = [] if data_dir is None else ["--data-dir", str(settings.data_dir)]
    command = [sys.executable, "-P", "-m", "commands", "setup", "--for-run", *where]
    if subprocess.run(command, check=False).returncode:
        raise config.SettingsError("the install could not be prepared; see above")


def stores(settings: config.Settings) -> str:
    """Migrate every store; says which changed."""
    from database import migrate

    changed = migrate.upgrade_all(settings.database_url, settings.data_dir)
    return f"now at their newest schema: {', '.join(changed)}" if changed else "at their newest schema"


Step = Callable[[config.Settings], str]
NEEDED: dict[str, Step] = {"stores": stores}
LATER: dict[str, Step] = {}

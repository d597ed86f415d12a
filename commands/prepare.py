"""What an install needs before it can run: secrets, stores at their schema, instruments, page assets.

`when_needed` is asked by every start: it looks at a few files and does nothing when all is there.
"""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import config
from commands import interpreter
from database import revisions

STORES = ("platform", "orders", "paper", "logs")


def is_prepared(settings: config.Settings) -> bool:
    """Whether a start can go on at once. PostgreSQL is asked by the preparation itself."""
    if settings.database_url or not has_universe(settings):
        return False
    return all(revisions.is_current(name, settings.data_dir) for name in STORES)


def has_universe(settings: config.Settings) -> bool:
    """Whether the paper master that the store names is there. The worker keeps it fresh."""
    store = f"{(settings.data_dir / 'platform.db').as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(store, uri=True)) as connection:
            named = connection.execute("SELECT file FROM masters WHERE broker = 'paper'").fetchone()
    except sqlite3.Error:
        return False
    return named is not None and (settings.data_dir / "instruments" / "paper" / named[0]).exists()


def when_needed(settings: config.Settings, data_dir: Path | None) -> None:
    """Prepare in a process of its own, whose memory goes with it. Raises SettingsError when it fails."""
    if is_prepared(settings):
        return
    where = [] if data_dir is None else ["--data-dir", str(settings.data_dir)]
    command = interpreter.command("commands", "setup", "--for-run", *where)
    if subprocess.run(command, env=interpreter.environment(), check=False).returncode:
        raise config.SettingsError("the install could not be prepared; see above")


def stores(settings: config.Settings) -> str:
    """Migrate every store; says which changed."""
    from database import migrate

    changed = migrate.upgrade_all(settings.database_url, settings.data_dir)
    return f"now at their newest schema: {', '.join(changed)}" if changed else "at their newest schema"


def universe(settings: config.Settings) -> str:
    """Write the paper exchange's master file for today unless it is there."""
    from services.platform import build_platform

    platform = build_platform(settings)
    try:
        report = platform.load_paper()
    finally:
        platform.close()
    return f"{report.rows:,} paper instruments"


def assets(settings: config.Settings) -> str:
    """Build what the pages load, where a source changed since it was built."""
    from commands import assets as build

    if build.is_current():
        return "built"
    command = interpreter.command("commands", "assets")
    made = subprocess.run(command, env=interpreter.environment(), check=False).returncode == 0
    return "built" if made else "not built: the pages use what the release brought"


Step = Callable[[config.Settings], str]
NEEDED: dict[str, Step] = {"stores": stores, "instruments": universe}
LATER: dict[str, Step] = {"assets": assets}

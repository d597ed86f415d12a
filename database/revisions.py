"""Which schema step a store is at and which it should be at. Standard library only: every start asks."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

STEPS = Path(__file__).resolve().parent / "migrations"


def steps_of(name: str) -> list[str]:
    """The steps of a store, oldest first; a step's file name is its revision."""
    return sorted(path.stem for path in (STEPS / name).glob("[0-9]*_*.py"))


def head_of(name: str) -> str:
    """The newest step of a store."""
    return steps_of(name)[-1]


def is_current(name: str, data_dir: Path) -> bool:
    """Whether the SQLite store of that name exists and is at its newest step."""
    path = data_dir / f"{name}.db"
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
                (head_of(name),)
            ]
    except sqlite3.Error:
        return False

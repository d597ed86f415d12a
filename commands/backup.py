"""Copy the stores of an install into one archive, while it runs.

Keys and settings (.env, var/keys) stay out unless --with-keys: an archive with them opens every broker login.
The archive's stores are each consistent; put it back with `restore`.
"""

from __future__ import annotations

import argparse
import io
import json
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from datetime import datetime
from pathlib import Path

import config
from database import revisions

STORES = ("platform", "orders", "paper", "logs")
MANIFEST = "backup.json"
_PAGES = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", nargs="?", type=Path, help="default: <data dir>/backups/openalgo-<time>.tar.gz"
    )
    parser.add_argument(
        "--with-keys", action="store_true", help="add .env and keys/: keep such a file locked away"
    )
    parser.add_argument("--no-logs", action="store_true", help="leave out logs.db")


def run(args: argparse.Namespace) -> int:
    settings = config.load(args.data_dir)
    if settings.database_url:
        raise config.SettingsError("DATABASE_URL is PostgreSQL: back it up with pg_dump")
    now = config.SystemClock().now()
    target = args.file or settings.data_dir / "backups" / f"openalgo-{now:%Y%m%dT%H%M%SZ}.tar.gz"
    names = [name for name in STORES if not (args.no_logs and name == "logs")]
    env = config.places(args.data_dir).env_file if args.with_keys else None
    write(settings.data_dir, target, names, env, now)
    print(target)
    return 0


def write(data_dir: Path, target: Path, names: list[str], env: Path | None, now: datetime) -> None:
    """Write the archive whole or not at all, readable by its owner only. `env` asks for keys and settings too."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        draft = Path(scratch) / "draft"
        with tarfile.open(draft, "w:gz", compresslevel=3) as archive:
            held = {name: _add_store(archive, data_dir, name, Path(scratch)) for name in names}
            if env is not None:
                _add_keys(archive, data_dir, env)
            about = {"made_at": now.isoformat(), "stores": held, "keys": env is not None}
            _add_bytes(archive, MANIFEST, json.dumps(about, indent=1).encode())
        draft.chmod(0o600)
        draft.replace(target)


def _add_store(archive: tarfile.TarFile, data_dir: Path, name: str, scratch: Path) -> str:
    """Add a consistent copy of one store; its schema step."""
    copy = scratch / f"{name}.db"
    source = f"{(data_dir / f'{name}.db').as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(source, uri=True, timeout=30)) as live,
        closing(sqlite3.connect(copy)) as new,
    ):
        live.backup(new, pages=_PAGES)
        new.execute("PRAGMA journal_mode=DELETE")
        found = new.execute("SELECT version_num FROM alembic_version").fetchone()
    archive.add(copy, arcname=copy.name)
    copy.unlink()
    return str(found[0]) if found else ""


def _add_keys(archive: tarfile.TarFile, data_dir: Path, env: Path) -> None:
    archive.add(env, arcname=".env")
    for path in sorted((data_dir / "keys").rglob("*")):
        if path.is_file():
            archive.add(path, arcname=str(path.relative_to(data_dir)))


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    archive.addfile(entry, io.BytesIO(content))


def is_newer(revision: str, name: str) -> bool:
    """Whether a store of that schema step was written by a later release."""
    return revision != "" and revision not in revisions.steps_of(name)

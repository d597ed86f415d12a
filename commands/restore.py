"""Put an archive of `backup` in the place of an install's stores. The install must not be running.

What stood there is moved to <data dir>/backups/before-restore-<time>, never deleted. Each store is checked before
anything is moved; keys and settings in the archive are put back only with --with-keys.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path, PurePosixPath

import config
from commands import backup, locks, prepare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path)
    parser.add_argument("--with-keys", action="store_true", help="put back the archive's .env and keys/ too")


class Unfit(Exception):
    """The archive can't be used; `str(error)` says why. Nothing was changed."""


def run(args: argparse.Namespace) -> int:
    where = config.places(args.data_dir)
    where.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            for role in ("web", "worker", "stream", "exchange"):
                held.enter_context(locks.hold(where.data_dir / "run" / f"{role}.lock"))
            kept = restore(args.file, where, with_keys=args.with_keys)
        except locks.AlreadyRunning as error:
            print(f"error: stop the running install first (process {error.pid})", file=sys.stderr)
            return 1
        except (Unfit, OSError, tarfile.TarError) as error:
            print(f"error: {args.file}: {error}", file=sys.stderr)
            return 1
    prepare.when_needed(config.load(args.data_dir), args.data_dir)
    print(f"restored into {where.data_dir}; what stood there is in {kept}")
    return 0


def restore(file: Path, where: config.Places, *, with_keys: bool) -> Path:
    """Unpack, check, then swap; where the former stores are. Raises Unfit."""
    with tempfile.TemporaryDirectory(dir=where.data_dir) as scratch:
        fresh = Path(scratch)
        members = unpack(file, fresh)
        about = json.loads((fresh / backup.MANIFEST).read_text(encoding="utf-8"))
        for name, revision in about["stores"].items():
            check(fresh / f"{name}.db", name, revision)
        if with_keys and not about["keys"]:
            raise Unfit("it holds no keys; it was made without --with-keys")
        now = config.SystemClock().now()
        kept = where.data_dir / "backups" / f"before-restore-{now:%Y%m%dT%H%M%SZ}"
        kept.mkdir(mode=0o700, parents=True)
        for name in about["stores"]:
            swap(fresh / f"{name}.db", where.data_dir / f"{name}.db", kept)
        for member in members if with_keys else []:
            if member == ".env" or member.startswith("keys/"):
                target = where.env_file if member == ".env" else where.data_dir / member
                swap(fresh / member, target, kept)
    return kept


def unpack(file: Path, into: Path) -> list[str]:
    """Extract what `backup` writes and nothing else; the members' names. Raises Unfit."""
    stores = {f"{name}.db" for name in backup.STORES}
    with tarfile.open(file, "r:gz") as archive:
        members = archive.getmembers()
        for member in members:
            path = PurePosixPath(member.name)
            known = member.name in {*stores, ".env", backup.MANIFEST} or path.parts[0] == "keys"
            if not member.isreg() or not known or ".." in path.parts:
                raise Unfit(f"it is no backup of ours: {member.name!r}")
        if backup.MANIFEST not in {member.name for member in members}:
            raise Unfit("it is no backup of ours: no list of contents")
        archive.extractall(into, members=members, filter="data")
    return [member.name for member in members]


def check(path: Path, name: str, revision: str) -> None:
    """Raises Unfit for a damaged store or one of a later release."""
    if name not in backup.STORES or not path.is_file():
        raise Unfit(f"its {name} store is missing")
    if backup.is_newer(revision, name):
        raise Unfit(f"its {name} store has schema {revision}, which this release does not know")
    try:
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise Unfit(f"its {name} store is damaged: {error}") from error
    if found != "ok":
        raise Unfit(f"its {name} store is damaged: {found}")


def swap(fresh: Path, target: Path, kept: Path) -> None:
    """Move what stands at `target` (with a store's side files) into `kept`, and `fresh` there."""
    for old in (target, *(target.with_name(target.name + end) for end in ("-wal", "-shm"))):
        if old.exists():
            shutil.move(old, kept / old.name)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.move(fresh, target)
    target.chmod(0o600)

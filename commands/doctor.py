"""Look an install over: a line a check, with what to do about it. Exit code 1 when something is red.

It changes nothing, and may be run while the platform runs.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import config
from commands import locks, ports, prepare, probe
from commands.run import GRACE
from database import revisions
from strategies import shelter as shelters

_LOW_DISK, _NO_DISK = 1 << 30, 200 << 20
_FEW_FILES = 1024
_MARKS = {"ok": ("ok  ", "32"), "note": ("note", "33"), "bad": ("BAD ", "31")}


class Finding(NamedTuple):
    """What one check found. state: "ok", "note" (look at it some day) or "bad" (will not work)."""

    state: str
    subject: str
    words: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes nothing but --data-dir."""


def run(args: argparse.Namespace) -> int:
    findings = list(examine(args.data_dir))
    for finding in findings:
        mark, colour = _MARKS[finding.state]
        shown = f"\033[{colour}m{mark}\033[0m" if sys.stdout.isatty() else mark
        print(f"{shown} {finding.subject:<12} {finding.words}")
    return 1 if any(finding.state == "bad" for finding in findings) else 0


def examine(data_dir: Path | None) -> Iterator[Finding]:
    """Every check's findings. Without readable settings the others can't be made."""
    yield python()
    yield from zone()
    where = config.places(data_dir)
    if not where.env_file.exists():
        yield Finding("bad", "settings", f"there is no {where.env_file}: run `manage.py setup`")
        return
    try:
        settings = config.load(data_dir)
    except config.SettingsError as error:
        yield Finding("bad", "settings", str(error))
        return
    yield from env_file(where.env_file)
    for check in CHECKS:
        yield from check(settings)


def python() -> Finding:
    good = sys.version_info >= (3, 11)
    return Finding("ok" if good else "bad", "python", f"{sys.version.split()[0]} at {sys.executable}")


def zone() -> Iterator[Finding]:
    try:
        ZoneInfo("Asia/Kolkata")
    except ZoneInfoNotFoundError:
        yield Finding("bad", "zone", "no zone data for Asia/Kolkata: reinstall the package tzdata")


def env_file(path: Path) -> Iterator[Finding]:
    mode = path.stat().st_mode & 0o777
    if os.name != "nt" and mode & 0o077:
        yield Finding("note", "settings", f"{path} can be read by others (mode {mode:04o}): chmod 600 {path}")
    else:
        yield Finding("ok", "settings", str(path))
    known = config.variables()
    for name in config.read_env_file(path):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if name not in known and near:
            yield Finding("note", "settings", f"{name} is not a setting; is {near[0]} meant?")


def disk(settings: config.Settings) -> Iterator[Finding]:
    home = settings.data_dir
    free = shutil.disk_usage(home).free
    state = "bad" if free < _NO_DISK else "note" if free < _LOW_DISK else "ok"
    yield Finding(state, "disk", f"{free / 2**30:.1f} GB free for {home}")
    if not os.access(home, os.W_OK | os.X_OK):
        yield Finding("bad", "disk", f"{home} cannot be written by this user")
    elif os.name != "nt" and home.stat().st_mode & 0o077:
        yield Finding("note", "disk", f"{home} can be entered by others: chmod 700 {home}")


def stores(settings: config.Settings) -> Iterator[Finding]:
    if settings.database_url:
        yield from postgres(settings)
        return
    for name in prepare.STORES:
        path = settings.data_dir / f"{name}.db"
        if not path.exists():
            yield Finding("note", "stores", f"{name} is not made yet: run `manage.py setup`")
        elif (damage := damage_of(path)) != "ok":
            yield Finding("bad", "stores", f"{name}: {damage}; stop the platform and restore a backup")
        elif not revisions.is_current(name, settings.data_dir):
            yield Finding(
                "note", "stores", f"{name} is not at its newest schema; the next start brings it there"
            )
        else:
            yield Finding(
                "ok", "stores", f"{name}, {path.stat().st_size / 2**20:.1f} MiB, {revisions.head_of(name)}"
            )


def damage_of(path: Path) -> str:
    """ "ok", or what SQLite finds wrong with a store."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
            return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)


def postgres(settings: config.Settings) -> Iterator[Finding]:
    import psycopg

    try:
        with psycopg.connect(settings.database_url, connect_timeout=5) as connection:
            version = connection.info.server_version
        yield Finding("ok", "stores", f"PostgreSQL {version // 10000}.{version % 10000}")
    except psycopg.Error as error:
        yield Finding("bad", "stores", f"DATABASE_URL: {str(error).strip().splitlines()[0]}")


def redis(settings: config.Settings) -> Iterator[Finding]:
    if not settings.redis_url:
        return
    from redis import Redis, RedisError

    try:
        Redis.from_url(settings.redis_url, socket_connect_timeout=3).ping()
        yield Finding("ok", "redis", "answers")
    except (RedisError, ValueError) as error:
        yield Finding("bad", "redis", f"REDIS_URL: {error}")


def instruments(settings: config.Settings) -> Iterator[Finding]:
    files = sorted((settings.data_dir / "instruments" / "paper").glob("*.sqlite"))
    if files:
        yield Finding("ok", "instruments", f"paper master {files[-1].stem}")
    else:
        yield Finding("note", "instruments", "no paper master yet: run `manage.py setup`")


def assets(_settings: config.Settings) -> Iterator[Finding]:
    from commands import assets as built

    current = built.is_current()
    yield Finding(
        "ok" if current else "note",
        "pages",
        "built" if current else "sources changed: run `manage.py assets`",
    )


def files_allowed(_settings: config.Settings) -> Iterator[Finding]:
    if os.name == "nt":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = hard != resource.RLIM_INFINITY and hard <= _FEW_FILES
    words = f"up to {'any number of' if hard == resource.RLIM_INFINITY else hard} open files"
    yield Finding(
        "note" if few else "ok", "limits", words + (": raise LimitNOFILE or ulimit -Hn" if few else "")
    )


def shelter(_settings: config.Settings) -> Iterator[Finding]:
    """Whether uploaded strategies are shut in."""
    words = shelters.warning()
    yield Finding("note" if words else "ok", "strategies", words or f"shut in: {shelters.offers()['files']}")


def running(settings: config.Settings) -> Iterator[Finding]:
    """Which roles run; those that do must answer, and the ports of those that don't must be free."""
    on = {role: pid for role in GRACE if (pid := holder(settings, role))}
    words = ", ".join(f"{role} (supervisor {pid})" for role, pid in on.items())
    yield Finding("ok", "running", words or "nothing")
    for role, host, port, variable in (
        ("web", settings.flask_host_ip, settings.flask_port, "FLASK_PORT"),
        ("stream", settings.websocket_host, settings.websocket_port, "WEBSOCKET_PORT"),
    ):
        if role not in on:
            yield from is_free(role, host, port, variable)
        elif role == "web":
            good = probe.answers(host, port)
            yield Finding(
                "ok" if good else "note", role, f"port {port} {'answers' if good else 'does not answer'}"
            )


def holder(settings: config.Settings, role: str) -> int:
    """The supervisor's pid when the role runs, else 0."""
    path = settings.data_dir / "run" / f"{role}.lock"
    if not path.exists():
        return 0
    try:
        locks.hold(path, claim=False).close()
    except locks.AlreadyRunning as error:
        return error.pid or -1
    return 0


def is_free(role: str, host: str, port: int, variable: str) -> Iterator[Finding]:
    try:
        ports.check(host, port, variable, patience=0.0)
        yield Finding("ok", role, f"port {port} is free")
    except ports.PortTaken as error:
        yield Finding("bad", role, str(error))


CHECKS: tuple[Callable[[config.Settings], Iterator[Finding]], ...] = (
    disk,
    stores,
    redis,
    instruments,
    assets,
    files_allowed,
    shelter,
    running,
)

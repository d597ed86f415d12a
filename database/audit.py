"""The audit: rows that are only ever added, each holding the hash of the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, String, Table, Text, select

from database.engine import hold
from database.metadata import ORDERS
from database.prepared import Prepared, add_rows
from database.types import UtcTime, to_micros

AUDIT = Table(
    "audit",
    ORDERS,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("account_id", Integer),
    Column("user_id", Integer),
    Column("who", String(64), nullable=False),
    Column("door", String(16), nullable=False),
    Column("address", String(64), nullable=False),
    Column("strategy", String(128), nullable=False),
    Column("algo_id", String(32), nullable=False),
    Column("action", String(48), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_account_at", "account_id", "at"),
)

FIRST = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who did what, when, from where.

    subject  what it was done to (an intent, a key, a user); detail holds JSON values and no secret
    """

    at: datetime
    action: str
    who: str
    door: str
    detail: dict[str, Any]
    account_id: int | None = None
    user_id: int | None = None
    address: str = ""
    strategy: str = ""
    algo_id: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """An entry in the chain."""

    seq: int
    entry: Entry
    previous: str
    hash: str


_NAMES = tuple(field.name for field in fields(Entry))
_END = Prepared(select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1))


def digest(seq: int, entry: Entry, previous: str) -> str:
    """SHA-256 over the number, every field and the hash before."""
    values = {name: getattr(entry, name) for name in _NAMES}
    values["at"] = to_micros(entry.at)
    text = json.dumps([seq, previous, values], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def hold_end(connection: Connection) -> None:
    """Nobody else adds to the chain before this transaction ends."""
    hold(connection, "audit")


def end(connection: Connection) -> tuple[int, str]:
    """Number and hash of the newest row; (0, FIRST) before there is one."""
    rows = _END.rows(connection, {})
    return (int(rows[0]["seq"]), str(rows[0]["hash"])) if rows else (0, FIRST)


def linked(entries: list[Entry], newest: tuple[int, str]) -> list[dict[str, Any]]:
    """The rows that continue the chain after `newest`."""
    seq, previous = newest
    rows = []
    for entry in entries:
        seq += 1
        hashed = digest(seq, entry, previous)
        values = {name: getattr(entry, name) for name in _NAMES}
        values["detail"] = json.dumps(entry.detail, sort_keys=True)
        rows.append(values | {"seq": seq, "previous": previous, "hash": hashed})
        previous = hashed
    return rows


def append(connection: Connection, entries: list[Entry]) -> None:
    """Add entries to the end of the chain, in one transaction with whatever they are about."""
    if entries:
        hold_end(connection)
        add_linked(connection, linked(entries, end(connection)))


def add_linked(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Add what `linked` made. The end is held (`hold_end`) and is still the one they were linked to."""
    add_rows(connection, AUDIT, rows)


def chain(connection: Connection, after: int = 0, page: int = 1000) -> Iterator[Sealed]:
    """Every row from the oldest, read in pages."""
    while True:
        query = select(AUDIT).where(AUDIT.c.seq > after).order_by(AUDIT.c.seq).limit(page)
        rows = connection.execute(query).mappings().all()
        for row in rows:
            values = {name: row[name] for name in _NAMES} | {"detail": json.loads(row["detail"])}
            yield Sealed(seq=row["seq"], entry=Entry(**values), previous=row["previous"], hash=row["hash"])
        if len(rows) < page:
            return
        after = rows[-1]["seq"]


def latest(
    connection: Connection, account_id: int | None, limit: int, before: int | None = None
) -> list[Sealed]:
    """The newest rows, of one account or (None) of all; `before` pages backwards by number."""
    query = select(AUDIT)
    if account_id is not None:
        query = query.where(AUDIT.c.account_id == account_id)
    if before is not None:
        query = query.where(AUDIT.c.seq < before)
    found = []
    for row in connection.execute(query.order_by(AUDIT.c.seq.desc()).limit(limit)).mappings():
        values = {name: row[name] for name in _NAMES} | {"detail": json.loads(row["detail"])}
        found.append(
            Sealed(seq=row["seq"], entry=Entry(**values), previous=row["previous"], hash=row["hash"])
        )
    return found

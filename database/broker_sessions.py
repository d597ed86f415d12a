"""Live logins at brokers: one a broker account, tokens sealed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, ForeignKey, Integer, Table, Text, bindparam, delete, select, update

from database.accounts import ACCOUNTS
from database.engine import insert_once
from database.metadata import PLATFORM
from database.prepared import Prepared
from database.types import UtcTime

BROKER_SESSIONS = Table(
    "broker_sessions",
    PLATFORM,
    Column("account_id", ForeignKey(ACCOUNTS.c.id), primary_key=True),
    Column("serial", Integer, nullable=False),
    Column("broker_user", Text, nullable=False),
    Column("tokens_cipher", Text, nullable=False),
    Column("urls", Text, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("ended_at", UtcTime),
)


_NEWEST = Prepared(select(BROKER_SESSIONS).where(BROKER_SESSIONS.c.account_id == bindparam("account")))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One login. `serial` grows with each; `ended_at` None while it lives; `urls` overrides the manifest's."""

    account_id: int
    serial: int
    broker_user: str
    tokens_cipher: str
    urls: dict[str, str]
    opened_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None


def load(connection: Connection, account_id: int) -> SessionRow | None:
    """The account's newest login, ended or not."""
    rows = _NEWEST.rows(connection, {"account": account_id})
    return SessionRow(**(rows[0] | {"urls": json.loads(rows[0]["urls"])})) if rows else None


def open_session(
    connection: Connection,
    account_id: int,
    *,
    broker_user: str,
    tokens_cipher: str,
    urls: dict[str, str],
    now: datetime,
    expires_at: datetime | None,
) -> int:
    """Replace the account's login; returns the new serial."""
    values = {
        "broker_user": broker_user,
        "tokens_cipher": tokens_cipher,
        "urls": json.dumps(urls, sort_keys=True),
        "opened_at": now,
        "expires_at": expires_at,
        "ended_at": None,
    }
    if insert_once(connection, BROKER_SESSIONS, {"account_id": account_id, "serial": 1} | values):
        return 1
    query = update(BROKER_SESSIONS).where(BROKER_SESSIONS.c.account_id == account_id)
    query = query.values(**values, serial=BROKER_SESSIONS.c.serial + 1)
    return int(connection.execute(query.returning(BROKER_SESSIONS.c.serial)).scalar_one())


def replace_tokens(connection: Connection, account_id: int, serial: int, tokens_cipher: str) -> bool:
    """Keep other tokens of that very login; False when it was ended or replaced."""
    return _change(connection, account_id, serial, tokens_cipher=tokens_cipher)


def end(connection: Connection, account_id: int, serial: int, now: datetime) -> bool:
    """End that very login; False when it was ended or replaced already."""
    return _change(connection, account_id, serial, ended_at=now)


def _change(connection: Connection, account_id: int, serial: int, **values: object) -> bool:
    """Change that very login while it lasts."""
    query = update(BROKER_SESSIONS).where(
        BROKER_SESSIONS.c.account_id == account_id,
        BROKER_SESSIONS.c.serial == serial,
        BROKER_SESSIONS.c.ended_at.is_(None),
    )
    return connection.execute(query.values(**values)).rowcount == 1


def forget(connection: Connection, account_id: int) -> None:
    connection.execute(delete(BROKER_SESSIONS).where(BROKER_SESSIONS.c.account_id == account_id))

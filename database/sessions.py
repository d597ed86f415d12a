"""Browser sessions and the devices people have signed in from. A cookie's hash is kept, never the cookie."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from database.engine import insert_once
from database.metadata import PLATFORM
from database.types import UtcTime

SESSIONS = Table(
    "browser_sessions",
    PLATFORM,
    Column("hash", String(64), primary_key=True),
    Column("user_id", Integer, index=True),
    Column("data", Text, nullable=False),
    Column("address", String(64), nullable=False),
    Column("agent", String(256), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False, index=True),
)

DEVICES = Table(
    "known_devices",
    PLATFORM,
    Column("hash", String(64), primary_key=True),
    Column("user_id", Integer, primary_key=True),
    Column("agent", String(256), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("trusted_until", UtcTime),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One browser's session. `user_id` None until somebody signed in; `data` is JSON text."""

    hash: str
    user_id: int | None
    data: str
    address: str
    agent: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A browser that a user signed in from; until `trusted_until` it is not asked for a code."""

    hash: str
    user_id: int
    agent: str
    created_at: datetime
    seen_at: datetime
    trusted_until: datetime | None


def _session(row: RowMapping) -> SessionRow:
    return SessionRow(**row)


def find(connection: Connection, hashed: str, now: datetime) -> SessionRow | None:
    """The session of a hash, None when there is none or it has ended."""
    query = select(SESSIONS).where(SESSIONS.c.hash == hashed, SESSIONS.c.expires_at > now)
    row = connection.execute(query).mappings().first()
    return None if row is None else _session(row)


def add(connection: Connection, row: SessionRow) -> None:
    connection.execute(
        insert(SESSIONS).values(
            hash=row.hash,
            user_id=row.user_id,
            data=row.data,
            address=row.address,
            agent=row.agent,
            created_at=row.created_at,
            seen_at=row.seen_at,
            expires_at=row.expires_at,
        )
    )


def save(connection: Connection, hashed: str, data: str, now: datetime) -> bool:
    """Replace a session's data; False when it was ended meanwhile (it is not brought back)."""
    query = update(SESSIONS).where(SESSIONS.c.hash == hashed).values(data=data, seen_at=now)
    return connection.execute(query).rowcount == 1


def touch(connection: Connection, hashed: str, address: str, now: datetime) -> None:
    query = update(SESSIONS).where(SESSIONS.c.hash == hashed).values(address=address, seen_at=now)
    connection.execute(query)


def of_user(connection: Connection, user_id: int, now: datetime) -> list[SessionRow]:
    """Sessions that have not ended, the one seen last first."""
    query = select(SESSIONS).where(SESSIONS.c.user_id == user_id, SESSIONS.c.expires_at > now)
    rows = connection.execute(query.order_by(SESSIONS.c.seen_at.desc())).mappings()
    return [_session(row) for row in rows]


def end(connection: Connection, hashed: str) -> bool:
    return connection.execute(delete(SESSIONS).where(SESSIONS.c.hash == hashed)).rowcount == 1


def end_expired(connection: Connection, now: datetime) -> int:
    return connection.execute(delete(SESSIONS).where(SESSIONS.c.expires_at <= now)).rowcount


def device(connection: Connection, hashed: str, user_id: int) -> Device | None:
    query = select(DEVICES).where(DEVICES.c.hash == hashed, DEVICES.c.user_id == user_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else Device(**row)


def devices_of(connection: Connection, user_id: int) -> list[Device]:
    """The user's devices, the one seen last first."""
    query = select(DEVICES).where(DEVICES.c.user_id == user_id).order_by(DEVICES.c.seen_at.desc())
    return [Device(**row) for row in connection.execute(query).mappings()]


def keep_device(
    connection: Connection,
    hashed: str,
    user_id: int,
    agent: str,
    trusted_until: datetime | None,
    now: datetime,
) -> None:
    """Insert a device or renew it; a trust already given is kept unless a new one is."""
    changed = {"agent": agent, "seen_at": now}
    if trusted_until is not None:
        changed["trusted_until"] = trusted_until
    first = {"hash": hashed, "user_id": user_id, "created_at": now, "trusted_until": None}
    if not insert_once(connection, DEVICES, first | changed):
        where = (DEVICES.c.hash == hashed, DEVICES.c.user_id == user_id)
        connection.execute(update(DEVICES).where(*where).values(**changed))


def forget_device(connection: Connection, hashed: str, user_id: int) -> bool:
    query = delete(DEVICES).where(DEVICES.c.hash == hashed, DEVICES.c.user_id == user_id)
    return connection.execute(query).rowcount == 1


def distrust_devices(connection: Connection, user_id: int) -> None:
    """Ask every device of the user for a code again; they stay known."""
    query = update(DEVICES).where(DEVICES.c.user_id == user_id).values(trusted_until=None)
    connection.execute(query)

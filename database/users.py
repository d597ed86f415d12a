"""People who sign in. Names are unique without regard to case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Boolean, Column, Connection, Integer, String, Table, Text, func, insert, select, update

from database.engine import new_id
from database.metadata import PLATFORM
from database.types import UtcTime

USERS = Table(
    "users",
    PLATFORM,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("folded", String(64), nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("disabled_at", UtcTime),
    Column("totp_cipher", Text),
    Column("totp_enabled", Boolean, nullable=False, default=False),
    Column("totp_last_step", Integer),
    Column("recovery_hashes", Text, nullable=False, default=""),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """`disabled_at` None for a user who may sign in."""

    id: int
    name: str
    password_hash: str
    is_admin: bool
    created_at: datetime
    disabled_at: datetime | None
    totp_enabled: bool


_FIELDS = (
    USERS.c.id,
    USERS.c.name,
    USERS.c.password_hash,
    USERS.c.is_admin,
    USERS.c.created_at,
    USERS.c.disabled_at,
    USERS.c.totp_enabled,
)


def add(
    connection: Connection, name: str, folded: str, password_hash: str, is_admin: bool, now: datetime
) -> int:
    """Insert a user; IntegrityError when the name is taken."""
    values = {"name": name, "folded": folded, "password_hash": password_hash, "is_admin": is_admin}
    result = connection.execute(insert(USERS).values(**values, created_at=now, totp_enabled=False))
    return new_id(result)


def by_name(connection: Connection, folded: str) -> User | None:
    row = connection.execute(select(*_FIELDS).where(USERS.c.folded == folded)).mappings().first()
    return None if row is None else User(**row)


def by_id(connection: Connection, user_id: int) -> User | None:
    row = connection.execute(select(*_FIELDS).where(USERS.c.id == user_id)).mappings().first()
    return None if row is None else User(**row)


def every(connection: Connection) -> list[User]:
    return [User(**row) for row in connection.execute(select(*_FIELDS).order_by(USERS.c.id)).mappings()]


def count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(USERS)).scalar_one())


def set_password(connection: Connection, user_id: int, password_hash: str) -> None:
    connection.execute(update(USERS).where(USERS.c.id == user_id).values(password_hash=password_hash))

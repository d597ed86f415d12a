"""People who sign in. Names are unique without regard to case."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    func,
    insert,
    select,
    update,
)

from database.engine import new_id
from database.metadata import PLATFORM
from database.types import UtcTime
from domain.roles import Role

USERS = Table(
    "users",
    PLATFORM,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("folded", String(64), nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("role", String(8), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("disabled_at", UtcTime),
    Column("totp_cipher", Text),
    Column("totp_enabled", Boolean, nullable=False, default=False),
    Column("totp_last_step", Integer),
    Column("recovery_hashes", Text, nullable=False, default=""),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """`disabled_at` None for a user who may sign in. `role` is what they may do at most, at any account."""

    id: int
    name: str
    password_hash: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None
    totp_enabled: bool

    @property
    def is_admin(self) -> bool:
        """Whether they run the server."""
        return self.role is Role.ADMIN


_FIELDS = (
    USERS.c.id,
    USERS.c.name,
    USERS.c.password_hash,
    USERS.c.role,
    USERS.c.created_at,
    USERS.c.disabled_at,
    USERS.c.totp_enabled,
)


def _user(row: RowMapping) -> User:
    """Raises ValueError for a role that cannot be read, so that nobody acts on a guess."""
    return User(**{**row, "role": Role(row["role"])})


def add(connection: Connection, name: str, folded: str, password_hash: str, role: Role, now: datetime) -> int:
    """Insert a user; IntegrityError when the name is taken."""
    values = {"name": name, "folded": folded, "password_hash": password_hash, "role": role.value}
    result = connection.execute(insert(USERS).values(**values, created_at=now, totp_enabled=False))
    return new_id(result)


def by_name(connection: Connection, folded: str) -> User | None:
    row = connection.execute(select(*_FIELDS).where(USERS.c.folded == folded)).mappings().first()
    return None if row is None else _user(row)


def by_id(connection: Connection, user_id: int) -> User | None:
    row = connection.execute(select(*_FIELDS).where(USERS.c.id == user_id)).mappings().first()
    return None if row is None else _user(row)


def names(connection: Connection, ids: Collection[int]) -> dict[int, str]:
    """id -> name, of those that are known; in one query."""
    query = select(USERS.c.id, USERS.c.name).where(USERS.c.id.in_(ids))
    return {row.id: row.name for row in connection.execute(query)}


def every(connection: Connection) -> list[User]:
    return [_user(row) for row in connection.execute(select(*_FIELDS).order_by(USERS.c.id)).mappings()]


def count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(USERS)).scalar_one())


def set_password(connection: Connection, user_id: int, password_hash: str) -> None:
    connection.execute(update(USERS).where(USERS.c.id == user_id).values(password_hash=password_hash))


def set_role(connection: Connection, user_id: int, role: Role) -> None:
    connection.execute(update(USERS).where(USERS.c.id == user_id).values(role=role.value))


def set_disabled(connection: Connection, user_id: int, at: datetime | None) -> None:
    """Bar a user from `at` on; None lets them in again."""
    connection.execute(update(USERS).where(USERS.c.id == user_id).values(disabled_at=at))

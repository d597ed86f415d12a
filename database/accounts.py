"""Accounts: each is one broker login, or a paper account, of one user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    select,
    update,
)

from database.engine import new_id
from database.metadata import PLATFORM
from database.prepared import Row
from database.types import UtcTime
from database.users import USERS
from domain.model import Mode, OrderMode

PAPER = "paper"
"""The broker that is ours: where accounts in analyze mode trade."""

ACCOUNTS = Table(
    "accounts",
    PLATFORM,
    Column("id", Integer, primary_key=True),
    Column("user_id", ForeignKey(USERS.c.id), nullable=False, index=True),
    Column("name", String(64), nullable=False),
    Column("broker", String(32), nullable=False),
    Column("mode", String(8), nullable=False),
    Column("order_mode", String(12), nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
    Column("credentials_cipher", Text),
    UniqueConstraint("user_id", "name"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A paper account is always in ANALYZE mode; a live one is in the mode its owner chose."""

    id: int
    user_id: int
    name: str
    broker: str
    mode: Mode
    order_mode: OrderMode
    is_default: bool

    @property
    def is_paper(self) -> bool:
        """Whether it has no live side at all."""
        return self.broker == PAPER

    @property
    def venue(self) -> str:
        """The broker that orders of this account go to in its present mode."""
        return self.broker if self.mode is Mode.LIVE else PAPER


FIELDS = (
    ACCOUNTS.c.id,
    ACCOUNTS.c.user_id,
    ACCOUNTS.c.name,
    ACCOUNTS.c.broker,
    ACCOUNTS.c.mode,
    ACCOUNTS.c.order_mode,
    ACCOUNTS.c.is_default,
)


def from_row(row: RowMapping | Row) -> Account:
    """Raises ValueError for a mode that cannot be read, so that nothing trades on a guess."""
    return Account(
        id=row["id"],
        user_id=row["user_id"],
        name=row["name"],
        broker=row["broker"],
        mode=Mode(row["mode"]),
        order_mode=OrderMode(row["order_mode"]),
        is_default=row["is_default"],
    )


def add(
    connection: Connection, user_id: int, name: str, broker: str, mode: Mode, is_default: bool, now: datetime
) -> int:
    """Insert an account; IntegrityError when the user has one of that name."""
    values = {
        "user_id": user_id,
        "name": name,
        "broker": broker,
        "mode": mode.value,
        "is_default": is_default,
    }
    result = connection.execute(
        insert(ACCOUNTS).values(**values, order_mode=OrderMode.AUTO.value, created_at=now)
    )
    return new_id(result)


def by_id(connection: Connection, account_id: int) -> Account | None:
    query = select(*FIELDS).where(ACCOUNTS.c.id == account_id, ACCOUNTS.c.closed_at.is_(None))
    row = connection.execute(query).mappings().first()
    return None if row is None else from_row(row)


def every(connection: Connection) -> list[Account]:
    query = select(*FIELDS).where(ACCOUNTS.c.closed_at.is_(None)).order_by(ACCOUNTS.c.id)
    return [from_row(row) for row in connection.execute(query).mappings()]


def set_mode(connection: Connection, account_id: int, mode: Mode) -> None:
    connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(mode=mode.value))


def set_order_mode(connection: Connection, account_id: int, mode: OrderMode) -> None:
    connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(order_mode=mode.value))


def set_default(connection: Connection, user_id: int, account_id: int) -> None:
    """Make one of the user's accounts the default and the others not."""
    of = ACCOUNTS.c.user_id == user_id
    connection.execute(update(ACCOUNTS).where(of).values(is_default=ACCOUNTS.c.id == account_id))


def credentials(connection: Connection, account_id: int) -> str | None:
    """The sealed broker credentials, None when none were saved."""
    query = select(ACCOUNTS.c.credentials_cipher).where(ACCOUNTS.c.id == account_id)
    return connection.execute(query).scalar()


def set_credentials(connection: Connection, account_id: int, sealed: str | None) -> None:
    connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(credentials_cipher=sealed))

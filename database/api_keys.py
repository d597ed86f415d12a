"""API keys: found by fingerprint, revealed from ciphertext, shown by their last four."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    and_,
    bindparam,
    insert,
    select,
    update,
)

from database.accounts import ACCOUNTS, FIELDS, Account, from_row
from database.engine import new_id
from database.members import MEMBERS
from database.metadata import PLATFORM
from database.prepared import Prepared, Row
from database.types import UtcTime
from database.users import USERS
from domain.roles import Role

API_KEYS = Table(
    "api_keys",
    PLATFORM,
    Column("id", Integer, primary_key=True),
    Column("user_id", ForeignKey(USERS.c.id), nullable=False, index=True),
    Column("account_id", ForeignKey(ACCOUNTS.c.id), nullable=False),
    Column("name", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("cipher", Text, nullable=False),
    Column("last_four", String(4), nullable=False),
    Column("scopes", String(64), nullable=False),
    Column("addresses", Text, nullable=False),
    Column("strategy", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What may be shown of a key.

    scopes     of "read", "trade", "login"
    addresses  IP addresses or networks it may come from; empty means any
    strategy   the hosted run it was minted for, else ""
    """

    id: int
    user_id: int
    account_id: int
    name: str
    last_four: str
    scopes: frozenset[str]
    addresses: tuple[str, ...]
    strategy: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOwner:
    """Everything a request needs to know of a key, read in one query. `seat` is its maker's role at the account."""

    key: ApiKey
    account: Account
    username: str
    ceiling: Role
    seat: Role


_COLUMNS = tuple(column for column in API_KEYS.c if column.name not in ("fingerprint", "cipher"))
_LOOKUP = Prepared(
    select(
        *(column.label(f"key_{column.name}") for column in _COLUMNS),
        *FIELDS,
        USERS.c.name.label("username"),
        USERS.c.role.label("ceiling"),
        MEMBERS.c.role.label("seat"),
    )
    .join_from(API_KEYS, ACCOUNTS, API_KEYS.c.account_id == ACCOUNTS.c.id)
    .join(USERS, USERS.c.id == API_KEYS.c.user_id)
    .outerjoin(
        MEMBERS,
        and_(MEMBERS.c.account_id == API_KEYS.c.account_id, MEMBERS.c.user_id == API_KEYS.c.user_id),
    )
    .where(
        API_KEYS.c.fingerprint == bindparam("fingerprint"),
        API_KEYS.c.revoked_at.is_(None),
        ACCOUNTS.c.closed_at.is_(None),
        USERS.c.disabled_at.is_(None),
    )
)


def _key(row: RowMapping | Row, prefix: str = "") -> ApiKey:
    return ApiKey(
        id=row[prefix + "id"],
        user_id=row[prefix + "user_id"],
        account_id=row[prefix + "account_id"],
        name=row[prefix + "name"],
        last_four=row[prefix + "last_four"],
        scopes=frozenset(row[prefix + "scopes"].split()),
        addresses=tuple(row[prefix + "addresses"].split()),
        strategy=row[prefix + "strategy"],
        created_at=row[prefix + "created_at"],
        expires_at=row[prefix + "expires_at"],
        revoked_at=row[prefix + "revoked_at"],
    )


def owner_of(connection: Connection, fingerprint: str) -> KeyOwner | None:
    """Key, account and user behind a fingerprint; None when unknown, revoked, closed, disabled or without a seat."""
    rows = _LOOKUP.rows(connection, {"fingerprint": fingerprint})
    if not rows:
        return None
    row = rows[0]
    key, account = _key(row, "key_"), from_row(row)
    if account.user_id != key.user_id and row["seat"] is None:
        return None
    seat = Role.ADMIN if account.user_id == key.user_id else Role(row["seat"])
    return KeyOwner(
        key=key, account=account, username=row["username"], ceiling=Role(row["ceiling"]), seat=seat
    )


def add(
    connection: Connection,
    *,
    user_id: int,
    account_id: int,
    name: str,
    fingerprint: str,
    cipher: str,
    last_four: str,
    scopes: frozenset[str],
    addresses: tuple[str, ...],
    strategy: str,
    now: datetime,
    expires_at: datetime | None,
) -> int:
    result = connection.execute(
        insert(API_KEYS).values(
            user_id=user_id,
            account_id=account_id,
            name=name,
            fingerprint=fingerprint,
            cipher=cipher,
            last_four=last_four,
            scopes=" ".join(sorted(scopes)),
            addresses=" ".join(addresses),
            strategy=strategy,
            created_at=now,
            expires_at=expires_at,
        )
    )
    return new_id(result)


def of_user(connection: Connection, user_id: int) -> list[ApiKey]:
    """The user's keys that are not revoked, newest first; keys of hosted runs left out."""
    query = select(*_COLUMNS).where(
        API_KEYS.c.user_id == user_id, API_KEYS.c.revoked_at.is_(None), API_KEYS.c.strategy == ""
    )
    return [_key(row) for row in connection.execute(query.order_by(API_KEYS.c.id.desc())).mappings()]


def cipher_of(connection: Connection, user_id: int, key_id: int) -> str | None:
    """The sealed key, None when it is not the user's or is revoked."""
    query = select(API_KEYS.c.cipher).where(
        API_KEYS.c.id == key_id, API_KEYS.c.user_id == user_id, API_KEYS.c.revoked_at.is_(None)
    )
    return connection.execute(query).scalar()


def revoke(connection: Connection, user_id: int, key_id: int, now: datetime) -> bool:
    """End a key; False when there was none of the user's to end."""
    query = update(API_KEYS).where(
        API_KEYS.c.id == key_id, API_KEYS.c.user_id == user_id, API_KEYS.c.revoked_at.is_(None)
    )
    return connection.execute(query.values(revoked_at=now)).rowcount == 1


def extend(connection: Connection, key_id: int, expires_at: datetime) -> bool:
    """Move a key's end; False when it is revoked or unknown."""
    query = update(API_KEYS).where(API_KEYS.c.id == key_id, API_KEYS.c.revoked_at.is_(None))
    return connection.execute(query.values(expires_at=expires_at)).rowcount == 1

"""Replies kept under an Idempotency-Key, for requests that are not journalled under it themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from database.metadata import ORDERS
from database.types import UtcTime

KEPT_REPLIES = Table(
    "kept_replies",
    ORDERS,
    Column("account_id", Integer, primary_key=True, autoincrement=False),
    Column("idempotency_key", String(128), primary_key=True),
    Column("body_hash", String(64), nullable=False),
    Column("reply", Text),
    Column("claimed_at", UtcTime, nullable=False),
    Index("ix_kept_replies_claimed", "claimed_at"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReply:
    """`reply` is None while the request is under way, and for ever when its process died."""

    body_hash: str
    reply: str | None
    claimed_at: datetime


def claim(connection: Connection, account_id: int, key: str, body_hash: str, now: datetime) -> None:
    """Note that a request begins. IntegrityError when the account used the key before."""
    values = {"account_id": account_id, "idempotency_key": key, "body_hash": body_hash, "claimed_at": now}
    connection.execute(insert(KEPT_REPLIES).values(**values))


def load(connection: Connection, account_id: int, key: str) -> KeptReply | None:
    columns = (KEPT_REPLIES.c.body_hash, KEPT_REPLIES.c.reply, KEPT_REPLIES.c.claimed_at)
    row = connection.execute(select(*columns).where(*_is(account_id, key))).mappings().first()
    return None if row is None else KeptReply(**row)


def keep(connection: Connection, account_id: int, key: str, reply: str) -> None:
    connection.execute(update(KEPT_REPLIES).where(*_is(account_id, key)).values(reply=reply))


def release(connection: Connection, account_id: int, key: str) -> None:
    """Forget a request that did nothing."""
    connection.execute(delete(KEPT_REPLIES).where(*_is(account_id, key)))


def forget_before(connection: Connection, moment: datetime) -> int:
    """Drop old rows; returns how many."""
    return connection.execute(delete(KEPT_REPLIES).where(KEPT_REPLIES.c.claimed_at < moment)).rowcount


def _is(account_id: int, key: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return KEPT_REPLIES.c.account_id == account_id, KEPT_REPLIES.c.idempotency_key == key

"""Every try to sign in, kept as a row: what lockouts are counted from and what the security page lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from database.engine import new_id
from database.metadata import PLATFORM
from database.types import UtcTime

ATTEMPTS = Table(
    "login_attempts",
    PLATFORM,
    Column("id", Integer, primary_key=True),
    Column("subject", String(128), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("outcome", String(8), nullable=False),
    Column("address", String(64), nullable=False),
    Column("agent", String(256), nullable=False),
    Column("device", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_login_attempts_subject_at", "subject", "at"),
    Index("ix_login_attempts_address_at", "address", "at"),
    Index("ix_login_attempts_device_at", "device", "at"),
)

_COUNTED = ("trying", "wrong")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try.

    subject  the name that was typed, case-folded
    kind     "password", "code", "setup" or "again" (a fresh password asked of somebody signed in)
    outcome  "trying" until known, then "ok", "wrong"; "blocked" when it was not looked at
    device   hash of the known device it came from, "" for an unknown one
    """

    id: int
    subject: str
    kind: str
    outcome: str
    address: str
    agent: str
    device: str
    at: datetime


def add(
    connection: Connection,
    *,
    subject: str,
    kind: str,
    outcome: str,
    address: str,
    agent: str,
    device: str,
    at: datetime,
) -> int:
    values = {"subject": subject, "kind": kind, "outcome": outcome, "address": address, "agent": agent}
    return new_id(connection.execute(insert(ATTEMPTS).values(**values, device=device, at=at)))


def settle(connection: Connection, attempt_id: int, outcome: str) -> None:
    connection.execute(update(ATTEMPTS).where(ATTEMPTS.c.id == attempt_id).values(outcome=outcome))


def failures_of_device(connection: Connection, device: str, since: datetime) -> list[datetime]:
    """When tries from a known device went wrong (or are under way), oldest first."""
    return _failures(connection, ATTEMPTS.c.device == device, since)


def failures_of_subject(connection: Connection, subject: str, since: datetime) -> list[datetime]:
    """As above, for a name, from devices that are not known."""
    return _failures(connection, (ATTEMPTS.c.subject == subject) & (ATTEMPTS.c.device == ""), since)


def failures_of_address(connection: Connection, address: str, since: datetime) -> list[datetime]:
    """As above, for an address, whatever names were tried."""
    return _failures(connection, (ATTEMPTS.c.address == address) & (ATTEMPTS.c.device == ""), since)


def _failures(connection: Connection, of: object, since: datetime) -> list[datetime]:
    query = select(ATTEMPTS.c.at).where(of, ATTEMPTS.c.at > since, ATTEMPTS.c.outcome.in_(_COUNTED))  # type: ignore[arg-type]
    return list(connection.execute(query.order_by(ATTEMPTS.c.at)).scalars())


def latest(connection: Connection, *, subject: str | None = None, limit: int = 100) -> list[Attempt]:
    """Newest first; of one name when given."""
    query = select(ATTEMPTS).order_by(ATTEMPTS.c.id.desc()).limit(limit)
    if subject is not None:
        query = query.where(ATTEMPTS.c.subject == subject)
    return [_attempt(row) for row in connection.execute(query).mappings()]


def busiest_addresses(
    connection: Connection, since: datetime, limit: int = 50
) -> list[tuple[str, int, datetime]]:
    """Addresses with tries that failed or were blocked: address, how many, the newest; most first."""
    failed = ATTEMPTS.c.outcome.in_(("wrong", "blocked"))
    count = func.count().label("count")
    query = select(ATTEMPTS.c.address, count, func.max(ATTEMPTS.c.at, type_=UtcTime()))
    query = query.where(failed, ATTEMPTS.c.at > since).group_by(ATTEMPTS.c.address).order_by(count.desc())
    return [(address, number, at) for address, number, at in connection.execute(query.limit(limit))]


def forget_before(connection: Connection, moment: datetime) -> int:
    return connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.at < moment)).rowcount


def _attempt(row: RowMapping) -> Attempt:
    return Attempt(**row)

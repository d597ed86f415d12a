"""Who may do what only one process may do: a short lease, renewed often, with a token that only grows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, Integer, String, Table, select, update

from database.engine import insert_once
from database.metadata import PLATFORM
from database.types import UtcTime

LEASES = Table(
    "leases",
    PLATFORM,
    Column("name", String(32), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("token", Integer, nullable=False),
    Column("until", UtcTime, nullable=False),
)


def take(
    connection: Connection,
    name: str,
    holder: str,
    now: datetime,
    length: timedelta,
    *,
    is_gone: Callable[[str], bool] = lambda holder: False,
) -> int | None:
    """Take a lease that is free, over, already ours, or held by one that is gone; the token, None while another holds
    it."""
    row = connection.execute(select(LEASES).where(LEASES.c.name == name).with_for_update()).mappings().first()
    if row is None:
        first = {"name": name, "holder": holder, "token": 1, "until": now + length}
        return 1 if insert_once(connection, LEASES, first) else None
    if row["holder"] == holder and row["until"] > now:
        connection.execute(update(LEASES).where(LEASES.c.name == name).values(until=now + length))
        return int(row["token"])
    if row["until"] > now and not is_gone(row["holder"]):
        return None
    token = int(row["token"]) + 1
    changes = {"holder": holder, "token": token, "until": now + length}
    connection.execute(update(LEASES).where(LEASES.c.name == name).values(**changes))
    return token


def renew(connection: Connection, name: str, token: int, now: datetime, length: timedelta) -> bool:
    """Hold on; False when the token is no longer the newest."""
    query = update(LEASES).where(LEASES.c.name == name, LEASES.c.token == token)
    return connection.execute(query.values(until=now + length)).rowcount == 1


def holds(connection: Connection, name: str, token: int, now: datetime) -> bool:
    """Whether a token is still the newest and its time not over: asked inside a guarded write."""
    query = select(LEASES.c.until).where(LEASES.c.name == name, LEASES.c.token == token, LEASES.c.until > now)
    return connection.execute(query).first() is not None


def until(connection: Connection, name: str) -> datetime | None:
    """When a lease lapses unless it is renewed; None when nobody ever took it."""
    return connection.execute(select(LEASES.c.until).where(LEASES.c.name == name)).scalar()


def holder(connection: Connection, name: str) -> str:
    """Who holds a lease, or held it last; "" when nobody ever took it, or when it rests."""
    return connection.execute(select(LEASES.c.holder).where(LEASES.c.name == name)).scalar() or ""


def rest(connection: Connection, name: str, token: int, until: datetime) -> None:
    """End the holder's work but keep the lease from everybody until then."""
    query = update(LEASES).where(LEASES.c.name == name, LEASES.c.token == token)
    connection.execute(query.values(holder="", until=until))


def free(connection: Connection, name: str, now: datetime) -> None:
    """Let anybody take a lease at once, whoever holds it."""
    connection.execute(update(LEASES).where(LEASES.c.name == name).values(holder="", until=now))


def give_back(connection: Connection, name: str, token: int, now: datetime) -> None:
    """End the lease now, so that a successor need not wait."""
    query = update(LEASES).where(LEASES.c.name == name, LEASES.c.token == token)
    connection.execute(query.values(until=now))

"""Hosted strategies, their kept versions, and the values they are given. Files lie on disk, not here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Boolean,
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

from database.engine import put
from database.metadata import PLATFORM
from database.types import UtcTime, from_micros, to_micros
from domain.model import Exchange
from domain.strategies import (
    Restart,
    RunLimits,
    Schedule,
    ScheduleKind,
    Strategy,
    StrategyState,
    Version,
    Wanted,
    Window,
)

STRATEGIES = Table(
    "strategies",
    PLATFORM,
    Column("id", String(64), primary_key=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("account_id", Integer, nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("about", Text, nullable=False),
    Column("exchange", String(16), nullable=False),
    Column("entry", String(200), nullable=False),
    Column("version", Integer, nullable=False),
    Column("schedule", Text, nullable=False),
    Column("restart", String(16), nullable=False),
    Column("limits", Text, nullable=False),
    Column("cancel_on_stop", Boolean, nullable=False),
    Column("flatten_on_stop", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("modified_at", UtcTime, nullable=False),
    Column("deleted_at", UtcTime),
    Column("wanted", String(8), nullable=False),
    Column("pressed_at", UtcTime),
    Column("done_window", UtcTime),
    Column("generation", Integer, nullable=False),
    Column("restart_of", Integer, nullable=False, server_default="0"),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", UtcTime),
    Column("crashes", Text, nullable=False),
    Column("retry_at", UtcTime),
    Column("next_start", UtcTime),
    Column("next_stop", UtcTime),
    Column("last_started", UtcTime),
    Column("last_stopped", UtcTime),
)

VERSIONS = Table(
    "strategy_versions",
    PLATFORM,
    Column("strategy_id", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    Column("files", Text, nullable=False),
    Column("note", String(200), nullable=False),
    Column("made_by", String(64), nullable=False),
    Column("made_at", UtcTime, nullable=False),
)

VALUES = Table(
    "strategy_values",
    PLATFORM,
    Column("strategy_id", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("secret", Boolean, nullable=False),
    Column("cipher", Text, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedValue:
    """One variable of a strategy's environment; a secret one is never shown again."""

    name: str
    secret: bool
    cipher: str


_NAMES = tuple(field.name for field in fields(Strategy))


def add(connection: Connection, strategy: Strategy) -> None:
    """Insert; IntegrityError when there is one of that id."""
    connection.execute(insert(STRATEGIES).values(**_columns({n: getattr(strategy, n) for n in _NAMES})))


def change(connection: Connection, strategy_id: str, **values: Any) -> bool:
    """Set fields of a strategy, named as in `Strategy`; False when there is none."""
    query = update(STRATEGIES).where(STRATEGIES.c.id == strategy_id)
    return connection.execute(query.values(**_columns(values))).rowcount == 1


def by_id(connection: Connection, strategy_id: str, *, locked: bool = False) -> Strategy | None:
    """Deleted ones too. `locked`: nobody else changes it before the transaction ends."""
    query = select(STRATEGIES).where(STRATEGIES.c.id == strategy_id)
    row = connection.execute(query.with_for_update() if locked else query).mappings().first()
    return None if row is None else _strategy(row)


def every(
    connection: Connection, *, user_id: int | None = None, account_id: int | None = None
) -> list[Strategy]:
    """Those that are not deleted, by name; of one user, of one account, or all."""
    query = select(STRATEGIES).where(STRATEGIES.c.deleted_at.is_(None))
    if user_id is not None:
        query = query.where(STRATEGIES.c.user_id == user_id)
    if account_id is not None:
        query = query.where(STRATEGIES.c.account_id == account_id)
    rows = connection.execute(query.order_by(STRATEGIES.c.name, STRATEGIES.c.id)).mappings()
    return [_strategy(row) for row in rows]


def with_deleted(connection: Connection) -> list[Strategy]:
    """Everything the host has to look after."""
    return [_strategy(row) for row in connection.execute(select(STRATEGIES)).mappings()]


def forget(connection: Connection, strategy_id: str) -> None:
    """Drop a deleted strategy for good; its runs stay, for what they ordered."""
    for table in (VERSIONS, VALUES):
        connection.execute(delete(table).where(table.c.strategy_id == strategy_id))
    connection.execute(delete(STRATEGIES).where(STRATEGIES.c.id == strategy_id))


# -- versions
def add_version(connection: Connection, version: Version) -> None:
    values = {field.name: getattr(version, field.name) for field in fields(Version)}
    connection.execute(insert(VERSIONS).values(**values | {"files": json.dumps(version.files)}))


def versions_of(connection: Connection, strategy_id: str) -> list[Version]:
    """Newest first."""
    query = select(VERSIONS).where(VERSIONS.c.strategy_id == strategy_id).order_by(VERSIONS.c.number.desc())
    rows = connection.execute(query).mappings()
    return [Version(**{**row, "files": tuple(json.loads(row["files"]))}) for row in rows]


# -- values
def set_value(connection: Connection, strategy_id: str, value: SealedValue, now: datetime) -> None:
    values = {"name": value.name, "secret": value.secret, "cipher": value.cipher, "changed_at": now}
    put(connection, VALUES, {"strategy_id": strategy_id} | values)


def forget_value(connection: Connection, strategy_id: str, name: str) -> bool:
    query = delete(VALUES).where(VALUES.c.strategy_id == strategy_id, VALUES.c.name == name)
    return connection.execute(query).rowcount == 1


def values_of(connection: Connection, strategy_id: str) -> list[SealedValue]:
    """By name."""
    query = select(VALUES.c.name, VALUES.c.secret, VALUES.c.cipher)
    query = query.where(VALUES.c.strategy_id == strategy_id).order_by(VALUES.c.name)
    return [SealedValue(**row) for row in connection.execute(query).mappings()]


# -- shapes
def _columns(values: dict[str, Any]) -> dict[str, Any]:
    """Fields of a Strategy as their columns hold them."""
    held = dict(values)
    if "schedule" in held:
        held["schedule"] = _schedule_text(held["schedule"])
    if "limits" in held:
        held["limits"] = json.dumps(asdict(held["limits"]))
    if "crashes" in held:
        held["crashes"] = json.dumps([to_micros(moment) for moment in held["crashes"]])
    for name in ("exchange", "restart", "wanted", "state"):
        if name in held:
            held[name] = held[name].value
    return held


def _strategy(row: RowMapping) -> Strategy:
    read = dict(row)
    read |= {
        "exchange": Exchange(row["exchange"]),
        "schedule": _schedule(row["schedule"]),
        "restart": Restart(row["restart"]),
        "limits": _limits(row["limits"]),
        "wanted": Wanted(row["wanted"]),
        "state": StrategyState(row["state"]),
        "crashes": tuple(from_micros(micros) for micros in json.loads(row["crashes"])),
    }
    return Strategy(**read)


def _schedule_text(schedule: Schedule) -> str:
    return json.dumps(
        {
            "kind": schedule.kind.value,
            "windows": [[window.start, window.stop] for window in schedule.windows],
            "days": schedule.days,
            "at": None if schedule.at is None else to_micros(schedule.at),
            "every": schedule.every,
            "late": schedule.late,
        }
    )


@lru_cache(maxsize=1024)
def _limits(text: str) -> RunLimits:
    return RunLimits(**json.loads(text))


@lru_cache(maxsize=1024)
def _schedule(text: str) -> Schedule:
    """Cached: the keeper reads every row twice a second, and the same few texts stand in them."""
    held: dict[str, Any] = json.loads(text)
    windows: Sequence[Sequence[str]] = held["windows"]
    return Schedule(
        kind=ScheduleKind(held["kind"]),
        windows=tuple(Window(start=start, stop=stop) for start, stop in windows),
        days=tuple(held["days"]),
        at=None if held["at"] is None else from_micros(held["at"]),
        every=held["every"],
        late=held["late"],
    )

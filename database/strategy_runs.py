"""Runs of hosted strategies, what their host decided, and what they took.

A run's row is written before its process is started and closed after it is seen to be gone, so every process that
lives has a row that names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    update,
)

from database.engine import new_id
from database.metadata import LOGS, PLATFORM
from database.types import UtcTime
from domain.strategies import Note, Run, Sample

RUNS = Table(
    "strategy_runs",
    PLATFORM,
    Column("id", Integer, primary_key=True),
    Column("strategy_id", String(64), nullable=False, index=True),
    Column("generation", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("token", String(32), nullable=False),
    Column("log", String(128), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("window", UtcTime),
    Column("key_id", Integer),
    Column("pid", Integer),
    Column("started", BigInteger),
    Column("boot", String(64), nullable=False),
    Column("started_at", UtcTime),
    Column("stopping", UtcTime),
    Column("ended_at", UtcTime, index=True),
    Column("exit_code", Integer),
    Column("signal", Integer),
    Column("reason", Text, nullable=False),
    Column("tail", Text, nullable=False),
    Column("peak_memory", BigInteger, nullable=False),
    Column("cpu_seconds", Integer, nullable=False),
    Column("sweep", String(8), nullable=False, index=True),
    UniqueConstraint("strategy_id", "generation"),
)

NOTES = Table(
    "strategy_notes",
    PLATFORM,
    Column("id", Integer, primary_key=True),
    Column("strategy_id", String(64), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("words", Text, nullable=False),
)

SAMPLES = Table(
    "strategy_samples",
    LOGS,
    Column("id", Integer, primary_key=True),
    Column("strategy_id", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("cpu", Integer, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("processes", Integer, nullable=False),
    Index("ix_strategy_samples", "strategy_id", "at"),
)

_NAMES = tuple(field.name for field in fields(Run))
_MOST_NOTES = 300


def open_run(connection: Connection, run: Run) -> int:
    """Insert; its id. IntegrityError when the generation was used already."""
    values = {name: getattr(run, name) for name in _NAMES if name != "id"}
    return new_id(connection.execute(insert(RUNS).values(**values)))


def change_run(connection: Connection, run_id: int, **values: Any) -> None:
    connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(**values))


def live(connection: Connection) -> list[Run]:
    """Every run that nobody has seen end."""
    rows = connection.execute(select(RUNS).where(RUNS.c.ended_at.is_(None))).mappings()
    return [Run(**row) for row in rows]


def runs_of(connection: Connection, strategy_id: str, limit: int = 100) -> list[Run]:
    """Newest first."""
    query = select(RUNS).where(RUNS.c.strategy_id == strategy_id).order_by(RUNS.c.generation.desc())
    return [Run(**row) for row in connection.execute(query.limit(limit)).mappings()]


def counts(connection: Connection, since: datetime) -> dict[str, int]:
    """Strategy id -> runs begun since a moment."""
    query = select(RUNS.c.strategy_id, func.count()).where(RUNS.c.created_at >= since)
    return {row[0]: row[1] for row in connection.execute(query.group_by(RUNS.c.strategy_id))}


def to_sweep(connection: Connection, strategy_id: str | None = None) -> list[Run]:
    """Ended runs whose orders are still to be looked after, oldest first; of one strategy, or all."""
    query = select(RUNS).where(RUNS.c.sweep.in_(("due", "begun")), RUNS.c.ended_at.is_not(None))
    if strategy_id is not None:
        query = query.where(RUNS.c.strategy_id == strategy_id)
    return [Run(**row) for row in connection.execute(query.order_by(RUNS.c.id)).mappings()]


def keys_of(connection: Connection, strategy_id: str, upto: int | None = None) -> list[int]:
    """Ids of the keys that were minted for a strategy's runs; `upto` is the last generation that counts."""
    query = select(RUNS.c.key_id).where(RUNS.c.strategy_id == strategy_id, RUNS.c.key_id.is_not(None))
    if upto is not None:
        query = query.where(RUNS.c.generation <= upto)
    return [row[0] for row in connection.execute(query)]


# -- notes
def add_note(connection: Connection, strategy_id: str, note: Note) -> None:
    """Keep what was decided; the oldest go."""
    added = new_id(
        connection.execute(
            insert(NOTES).values(strategy_id=strategy_id, at=note.at, kind=note.kind, words=note.words[:2000])
        )
    )
    if added % 50 == 0:
        newest = select(NOTES.c.id).where(NOTES.c.strategy_id == strategy_id)
        kept = newest.order_by(NOTES.c.id.desc()).limit(_MOST_NOTES).scalar_subquery()
        connection.execute(delete(NOTES).where(NOTES.c.strategy_id == strategy_id, NOTES.c.id.not_in(kept)))


def notes_of(connection: Connection, strategy_id: str, limit: int = 100) -> list[Note]:
    """Newest first."""
    query = select(NOTES.c.at, NOTES.c.kind, NOTES.c.words).where(NOTES.c.strategy_id == strategy_id)
    return [
        Note(**row) for row in connection.execute(query.order_by(NOTES.c.id.desc()).limit(limit)).mappings()
    ]


# -- samples
def add_samples(connection: Connection, taken: Iterable[tuple[str, Sample]]) -> None:
    """CPU is kept in hundredths of a percent."""
    rows = [
        {
            "strategy_id": strategy_id,
            "at": sample.at,
            "cpu": round(sample.cpu * 100),
            "memory": sample.memory,
            "processes": sample.processes,
        }
        for strategy_id, sample in taken
    ]
    if rows:
        connection.execute(insert(SAMPLES), rows)


def samples_of(connection: Connection, strategy_id: str, since: datetime) -> list[Sample]:
    """Oldest first."""
    query = select(SAMPLES.c.at, SAMPLES.c.cpu, SAMPLES.c.memory, SAMPLES.c.processes)
    query = query.where(SAMPLES.c.strategy_id == strategy_id, SAMPLES.c.at >= since)
    rows = connection.execute(query.order_by(SAMPLES.c.at)).mappings()
    return [Sample(**{**row, "cpu": row["cpu"] / 100}) for row in rows]


def drop_samples(connection: Connection, before: datetime) -> None:
    connection.execute(delete(SAMPLES).where(SAMPLES.c.at < before))


def newest(connection: Connection, strategy_ids: Iterable[str]) -> dict[str, Run]:
    """Strategy id -> its newest run."""
    latest = (
        select(RUNS.c.strategy_id, func.max(RUNS.c.generation).label("generation"))
        .where(RUNS.c.strategy_id.in_(list(strategy_ids)))
        .group_by(RUNS.c.strategy_id)
        .subquery()
    )
    query = select(RUNS).join(
        latest, (RUNS.c.strategy_id == latest.c.strategy_id) & (RUNS.c.generation == latest.c.generation)
    )
    return {row["strategy_id"]: Run(**row) for row in connection.execute(query).mappings()}


def newest_samples(connection: Connection, since: datetime) -> dict[str, Sample]:
    """Strategy id -> its newest sample since a moment."""
    query = select(SAMPLES).where(SAMPLES.c.at >= since).order_by(SAMPLES.c.at)
    return {
        row["strategy_id"]: Sample(
            at=row["at"], cpu=row["cpu"] / 100, memory=row["memory"], processes=row["processes"]
        )
        for row in connection.execute(query).mappings()
    }

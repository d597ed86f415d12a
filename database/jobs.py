"""Work that takes longer than a request: rows whose progress anybody may watch, and that a reload does not lose."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Column, Connection, Index, Integer, String, Table, Text, insert, select, update

from database.engine import new_id
from database.metadata import PLATFORM
from database.types import UtcTime

JOBS = Table(
    "jobs",
    PLATFORM,
    Column("id", Integer, primary_key=True),
    Column("kind", String(24), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("state", String(8), nullable=False),
    Column("stage", String(64), nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("message", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Index("ix_jobs_kind_subject", "kind", "subject", "id"),
)

RUNNING, DONE, FAILED = "running", "done", "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work. `total` is 0 when nobody knows how much there is; `message` says what came of it."""

    id: int
    kind: str
    subject: str
    state: str
    stage: str
    done: int
    total: int
    message: str
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None


_NAMES = tuple(field.name for field in fields(Job))


def begin(connection: Connection, kind: str, subject: str, now: datetime) -> int:
    """A new running row; earlier ones of the same kind and subject that never ended are failed."""
    ended = {"state": FAILED, "message": "Interrupted.", "finished_at": now}
    of = (JOBS.c.kind == kind, JOBS.c.subject == subject, JOBS.c.state == RUNNING)
    connection.execute(update(JOBS).where(*of).values(**ended))
    values = {"kind": kind, "subject": subject, "state": RUNNING, "stage": "", "done": 0, "total": 0}
    statement = insert(JOBS).values(**values, message="", started_at=now, updated_at=now)
    return new_id(connection.execute(statement))


def progress(connection: Connection, job_id: int, stage: str, done: int, total: int, now: datetime) -> None:
    query = update(JOBS).where(JOBS.c.id == job_id, JOBS.c.state == RUNNING)
    connection.execute(query.values(stage=stage[:64], done=done, total=total, updated_at=now))


def finish(connection: Connection, job_id: int, state: str, message: str, now: datetime) -> None:
    query = update(JOBS).where(JOBS.c.id == job_id, JOBS.c.state == RUNNING)
    connection.execute(query.values(state=state, message=message, updated_at=now, finished_at=now))


def latest(connection: Connection, kind: str | None = None, limit: int = 50) -> list[Job]:
    """The newest rows, of one kind or (None) all."""
    query = select(*(JOBS.c[name] for name in _NAMES))
    if kind is not None:
        query = query.where(JOBS.c.kind == kind)
    return [
        Job(**row) for row in connection.execute(query.order_by(JOBS.c.id.desc()).limit(limit)).mappings()
    ]


def last_of(connection: Connection, kind: str, subject: str) -> Job | None:
    """The newest row of a kind and subject."""
    query = select(*(JOBS.c[name] for name in _NAMES)).where(JOBS.c.kind == kind, JOBS.c.subject == subject)
    row = connection.execute(query.order_by(JOBS.c.id.desc()).limit(1)).mappings().first()
    return None if row is None else Job(**row)

"""How long each settled order took, stage by stage: written in batches, away from the order path, kept for weeks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    String,
    Table,
    delete,
    func,
    select,
)

from database.metadata import LOGS
from database.prepared import add_rows
from database.types import UtcTime

STAGES = Table(
    "order_stages",
    LOGS,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("intent_id", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("account_id", Integer, nullable=False),
    Column("broker", String(32), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("ours_micros", BigInteger, nullable=False),
    Column("broker_micros", BigInteger),
    Index("ix_order_stages_at", "at"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """One settled intent.

    seq            of the journal's step that settled it: nothing is written twice
    ours_micros    from our row to the send, or to the end of one that was never sent
    broker_micros  from the send to the broker's answer; None for one that was never sent
    """

    seq: int
    intent_id: str
    at: datetime
    account_id: int
    broker: str
    kind: str
    outcome: str
    ours_micros: int
    broker_micros: int | None


def add_all(connection: Connection, rows: list[StageRow]) -> None:
    add_rows(connection, STAGES, [{name: getattr(row, name) for name in _NAMES} for row in rows])


_NAMES = tuple(field.name for field in fields(StageRow))


def newest(connection: Connection) -> int:
    """The highest step that is written; 0 for none."""
    return int(connection.execute(select(func.max(STAGES.c.seq))).scalar() or 0)


def since(connection: Connection, moment: datetime, limit: int) -> list[StageRow]:
    """Newest first."""
    query = select(STAGES).where(STAGES.c.at >= moment).order_by(STAGES.c.seq.desc()).limit(limit)
    return [StageRow(**row) for row in connection.execute(query).mappings()]


def forget_before(connection: Connection, moment: datetime) -> int:
    return connection.execute(delete(STAGES).where(STAGES.c.at < moment)).rowcount

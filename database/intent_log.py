"""The journal of requests read backwards: what was asked of an account, by whom, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select

from database.intents import INTENTS, Intent, from_row
from domain.model import IntentKind, IntentState, Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to look for; None and "" ask for everything. `words` are looked for in symbol, strategy and ids."""

    start: datetime | None = None
    end: datetime | None = None
    kind: IntentKind | None = None
    state: IntentState | None = None
    mode: Mode | None = None
    door: str = ""
    words: tuple[str, ...] = ()


def newest(
    connection: Connection, account_id: int, asked: Asked, before: tuple[datetime, str] | None, limit: int
) -> list[Intent]:
    """Newest first, from below `before` (a row's time and id) on."""
    query = select(INTENTS).where(INTENTS.c.account_id == account_id)
    for column, wanted in (
        (INTENTS.c.kind, asked.kind),
        (INTENTS.c.state, asked.state),
        (INTENTS.c.mode, asked.mode),
        (INTENTS.c.door, asked.door or None),
    ):
        if wanted is not None:
            query = query.where(column == str(wanted))
    if asked.start is not None:
        query = query.where(INTENTS.c.created_at >= asked.start)
    if asked.end is not None:
        query = query.where(INTENTS.c.created_at < asked.end)
    for word in asked.words:
        named = (
            INTENTS.c.symbol,
            INTENTS.c.strategy,
            INTENTS.c.id,
            INTENTS.c.broker_order_id,
            INTENTS.c.told_id,
        )
        query = query.where(or_(*(column.icontains(word, autoescape=True) for column in named)))
    if before is not None:
        at, intent_id = before
        query = query.where(
            or_(INTENTS.c.created_at < at, (INTENTS.c.created_at == at) & (INTENTS.c.id < intent_id))
        )
    query = query.order_by(INTENTS.c.created_at.desc(), INTENTS.c.id.desc()).limit(limit)
    return [from_row(row) for row in connection.execute(query).mappings()]

"""The journal: every wish that may reach a broker is a row here before any byte leaves.

A row is one intent. Its state moves only by conditional updates; only broker evidence leaves UNKNOWN.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    select,
    text,
    union_all,
    update,
)

from database.metadata import ORDERS
from database.prepared import Prepared, add_rows
from database.types import Money, Quantity, UtcTime
from domain.model import Exchange, IntentKind, IntentState, Mode, OrderType, Product, Side

_HAS_PLAN, _KNOWN, _CHANGES = (
    text(words) for words in ("plan_id IS NOT NULL", "broker_order_id IS NOT NULL", "target_order_id != ''")
)
_OTHERWISE = text("told_id IS NOT broker_order_id")
_OTHERWISE_POSTGRESQL = text("told_id IS DISTINCT FROM broker_order_id")
"""Most orders are told to the client under the broker's id; an index names only the others."""

INTENTS = Table(
    "intents",
    ORDERS,
    Column("id", String(16), primary_key=True),
    Column("account_id", Integer, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("state", String(10), nullable=False),
    Column("mode", String(8), nullable=False),
    Column("broker", String(32), nullable=False),
    Column("door", String(16), nullable=False),
    Column("user_id", Integer, nullable=False),
    Column("key_id", Integer),
    Column("address", String(64), nullable=False),
    Column("strategy", String(128), nullable=False),
    Column("algo_id", String(32), nullable=False),
    Column("plan_id", Integer),
    Column("leg", Integer),
    Column("symbol", String(64), nullable=False),
    Column("exchange", String(16), nullable=False),
    Column("side", String(4), nullable=False),
    Column("quantity", Quantity, nullable=False),
    Column("order_type", String(8), nullable=False),
    Column("product", String(8), nullable=False),
    Column("price", Money),
    Column("trigger_price", Money),
    Column("disclosed_quantity", Quantity, nullable=False),
    Column("reduces", Boolean, nullable=False),
    Column("target_order_id", String(64), nullable=False),
    Column("idempotency_key", String(128)),
    Column("body_hash", String(64), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("broker_order_id", String(64)),
    Column("told_id", String(64)),
    Column("code", String(64), nullable=False),
    Column("words", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Column("settled_at", UtcTime),
    Column("deadline", UtcTime),
    Column("to_product", String(8)),
    Column("held_from", Quantity),
    Column("held_to", Quantity),
    UniqueConstraint("account_id", "idempotency_key"),
    Index("ix_intents_state", "state", "account_id"),
    Index(
        "ix_intents_broker_order",
        "account_id",
        "broker_order_id",
        sqlite_where=_KNOWN,
        postgresql_where=_KNOWN,
    ),
    Index(
        "ix_intents_told",
        "account_id",
        "told_id",
        sqlite_where=_OTHERWISE,
        postgresql_where=_OTHERWISE_POSTGRESQL,
    ),
    Index("ix_intents_created", "account_id", "created_at"),
    Index("ix_intents_plan", "plan_id", sqlite_where=_HAS_PLAN, postgresql_where=_HAS_PLAN),
    Index(
        "ix_intents_target", "account_id", "target_order_id", sqlite_where=_CHANGES, postgresql_where=_CHANGES
    ),
)


STEPS = Table(
    "intent_steps",
    ORDERS,
    Column("seq", Integer, primary_key=True),
    Column("intent_id", String(16), nullable=False, index=True),
    Column("state", String(10), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("code", String(64), nullable=False),
    Column("words", Text, nullable=False),
)
"""Every state a row went through, in one numbering: the timeline of an order, and what the audit seals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One state that an intent entered; `seq` grows over all intents."""

    seq: int
    intent_id: str
    state: IntentState
    at: datetime
    code: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One journal row.

    id               the client_order_id: ours, unique for ever, in the broker's tag field
    mode, broker     where it went: fixed when the row is written, whatever the account does later
    target_order_id  the broker's order id that a MODIFY or CANCEL is about, else ""
    reduces          proven to shrink a readable position when it was gated
    broker_order_id  None until the broker told one
    told_id          the order id the client was told; None while none was
    code, words      why it was refused, or what was unreadable
    evidence         what the reconciler saw, JSON lines
    sent_at          when it was handed to the adapter; None while parked or queued
    deadline         when a queued or parked row lapses; None where it does not
    to_product       what a CONVERT turns `product` into; None for the other kinds
    held_from, held_to  signed units that its two lines held when it was asked for; None for the other kinds
    """

    id: str
    account_id: int
    kind: IntentKind
    state: IntentState
    mode: Mode
    broker: str
    door: str
    user_id: int
    symbol: str
    exchange: Exchange
    side: Side
    quantity: Decimal
    order_type: OrderType
    product: Product
    created_at: datetime
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    disclosed_quantity: Decimal = Decimal(0)
    reduces: bool = False
    key_id: int | None = None
    address: str = ""
    strategy: str = ""
    algo_id: str = ""
    plan_id: int | None = None
    leg: int | None = None
    target_order_id: str = ""
    idempotency_key: str | None = None
    body_hash: str = ""
    attempt: int = 1
    broker_order_id: str | None = None
    told_id: str | None = None
    code: str = ""
    words: str = ""
    evidence: str = ""
    sent_at: datetime | None = None
    settled_at: datetime | None = None
    deadline: datetime | None = None
    to_product: Product | None = None
    held_from: Decimal | None = None
    held_to: Decimal | None = None

    @property
    def public_id(self) -> str:
        """The order id a client knows: what it was told, else the broker's, else ours."""
        return self.told_id or self.broker_order_id or self.id


_NAMES = tuple(field.name for field in fields(Intent))
_BY_ID = select(INTENTS).where(INTENTS.c.id == bindparam("wanted"))


def from_row(row: RowMapping) -> Intent:
    """Raises ValueError for a word that is not known."""
    values: dict[str, Any] = {name: row[name] for name in _NAMES}
    values["kind"] = IntentKind(values["kind"])
    values["state"] = IntentState(values["state"])
    values["mode"] = Mode(values["mode"])
    values["exchange"] = Exchange(values["exchange"])
    values["side"] = Side(values["side"])
    values["order_type"] = OrderType(values["order_type"])
    values["product"] = Product(values["product"])
    values["to_product"] = Product(values["to_product"]) if values["to_product"] else None
    return Intent(**values)


def add(connection: Connection, intent: Intent) -> None:
    """Write the row. IntegrityError when the id or the account's idempotency key exists."""
    add_rows(connection, INTENTS, [{name: getattr(intent, name) for name in _NAMES}])
    _step(connection, intent.id, intent.state, intent.created_at, "", "")


def by_id(connection: Connection, intent_id: str) -> Intent | None:
    row = connection.execute(_BY_ID, {"wanted": intent_id}).mappings().first()
    return None if row is None else from_row(row)


def by_ids(connection: Connection, intent_ids: set[str]) -> dict[str, Intent]:
    """The rows of these ids, by id."""
    query = select(INTENTS).where(INTENTS.c.id.in_(sorted(intent_ids)))
    return {row["id"]: from_row(row) for row in connection.execute(query).mappings()}


def by_key(connection: Connection, account_id: int, key: str) -> Intent | None:
    """The intent an idempotency key was first used for."""
    query = select(INTENTS).where(INTENTS.c.account_id == account_id, INTENTS.c.idempotency_key == key)
    row = connection.execute(query).mappings().first()
    return None if row is None else from_row(row)


def _told_otherwise() -> ColumnElement[bool]:
    return INTENTS.c.told_id.is_distinct_from(INTENTS.c.broker_order_id)


def placing(connection: Connection, account_id: int, order_id: str) -> Intent | None:
    """The PLACE intent behind any id an order is known by: told, broker's, or ours."""
    ours = select(INTENTS.c.id).where(INTENTS.c.account_id == account_id)
    known = union_all(
        ours.where(INTENTS.c.id == order_id),
        ours.where(INTENTS.c.told_id == order_id, _told_otherwise()),
        ours.where(INTENTS.c.broker_order_id == order_id),
    )
    query = select(INTENTS).where(INTENTS.c.id.in_(known), INTENTS.c.kind == IntentKind.PLACE.value)
    row = connection.execute(query).mappings().first()
    return None if row is None else from_row(row)


def in_states(connection: Connection, *states: IntentState, account_id: int | None = None) -> list[Intent]:
    """Rows in any of the states, oldest first."""
    where: list[ColumnElement[bool]] = [INTENTS.c.state.in_([state.value for state in states])]
    if account_id is not None:
        where.append(INTENTS.c.account_id == account_id)
    rows = connection.execute(select(INTENTS).where(*where).order_by(INTENTS.c.created_at, INTENTS.c.id))
    return [from_row(row) for row in rows.mappings()]


def of_plan(connection: Connection, plan_id: int) -> list[Intent]:
    """The legs of a plan, in leg order."""
    query = select(INTENTS).where(INTENTS.c.plan_id == plan_id).order_by(INTENTS.c.leg, INTENTS.c.id)
    return [from_row(row) for row in connection.execute(query).mappings()]


def since(connection: Connection, account_id: int, moment: datetime) -> list[Intent]:
    """The account's intents made at or after a moment, oldest first."""
    query = select(INTENTS).where(INTENTS.c.account_id == account_id, INTENTS.c.created_at >= moment)
    return [from_row(row) for row in connection.execute(query.order_by(INTENTS.c.created_at)).mappings()]


def about(connection: Connection, account_id: int, broker_order_id: str) -> list[Intent]:
    """Changes and cancels asked of one order, oldest first."""
    query = select(INTENTS).where(
        INTENTS.c.account_id == account_id, INTENTS.c.target_order_id == broker_order_id, _CHANGES
    )
    # Sorted here: asked to sort, SQLite walks the account's whole history by time instead.
    found = [from_row(row) for row in connection.execute(query).mappings()]
    return sorted(found, key=lambda intent: intent.created_at)


def move(
    connection: Connection,
    intent_id: str,
    expected: IntentState,
    state: IntentState,
    now: datetime,
    **changes: Any,
) -> bool:
    """Move a row from the expected state; False when it was no longer there."""
    values = changes | {"state": state.value}
    where = {"moved": intent_id, "expected": expected.value}
    if _move(tuple(values)).count(connection, values | where) != 1:
        return False
    _step(connection, intent_id, state, now, changes.get("code", ""), changes.get("words", ""))
    return True


@cache
def _move(names: tuple[str, ...]) -> Prepared:
    """The conditional update of these columns, built once."""
    where = (INTENTS.c.id == bindparam("moved"), INTENTS.c.state == bindparam("expected"))
    return Prepared(update(INTENTS).where(*where).values({name: bindparam(name) for name in names}))


def _step(
    connection: Connection, intent_id: str, state: IntentState, at: datetime, code: str, words: str
) -> None:
    values = {"intent_id": intent_id, "state": state.value, "at": at, "code": code, "words": words}
    add_rows(connection, STEPS, [values])


def steps(connection: Connection, intent_id: str) -> list[Step]:
    """An intent's own timeline, oldest first."""
    query = select(STEPS).where(STEPS.c.intent_id == intent_id).order_by(STEPS.c.seq)
    return [_read_step(row) for row in connection.execute(query).mappings()]


def steps_after(connection: Connection, seq: int, limit: int) -> list[Step]:
    """Steps of all intents numbered above `seq`, in order."""
    return [_read_step(row) for row in _STEPS_AFTER.rows(connection, {"after": seq, "most": limit})]


_STEPS_AFTER = Prepared(
    select(STEPS)
    .where(STEPS.c.seq > bindparam("after"))
    .order_by(STEPS.c.seq)
    .limit(bindparam("most", type_=Integer))
)


def _read_step(row: RowMapping | dict[str, Any]) -> Step:
    return Step(**(dict(row) | {"state": IntentState(row["state"])}))


def tell(connection: Connection, intent_id: str, told_id: str) -> None:
    """Remember the id a client was told, if none was told before."""
    query = update(INTENTS).where(INTENTS.c.id == intent_id, INTENTS.c.told_id.is_(None))
    connection.execute(query.values(told_id=told_id))


def add_evidence(connection: Connection, intent_id: str, entry: dict[str, Any]) -> None:
    """Append one line to what the reconciler saw."""
    line = json.dumps(entry, sort_keys=True) + "\n"
    query = update(INTENTS).where(INTENTS.c.id == intent_id)
    connection.execute(query.values(evidence=INTENTS.c.evidence + line))


def claimed(connection: Connection, account_id: int, broker: str, order_ids: Iterable[str]) -> set[str]:
    """Those of these broker order ids that intents of this account are known to be."""
    found: set[str] = set()
    wanted = sorted(order_ids)
    for start in range(0, len(wanted), 500):
        asked = {"of": account_id, "house": broker, "wanted": wanted[start : start + 500]}
        found |= set(connection.execute(_CLAIMED, asked).scalars())
    return found


_HOUSE: BindParameter[str] = bindparam("house")
_CLAIMED = select(INTENTS.c.broker_order_id).where(
    INTENTS.c.account_id == bindparam("of"),
    INTENTS.c.broker_order_id.in_(bindparam("wanted", expanding=True)),
    INTENTS.c.broker == _HOUSE,
    INTENTS.c.kind == IntentKind.PLACE.value,
)


def renamed(connection: Connection, account_id: int) -> dict[str, str]:
    """Broker order id -> told id, of the account's orders whose told id is not the broker's."""
    query = select(INTENTS.c.broker_order_id, INTENTS.c.told_id).where(
        INTENTS.c.account_id == account_id,
        INTENTS.c.kind == IntentKind.PLACE.value,
        INTENTS.c.broker_order_id.is_not(None),
        INTENTS.c.told_id.is_not(None),
        _told_otherwise(),
    )
    return {row[0]: row[1] for row in connection.execute(query)}

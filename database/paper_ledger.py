"""The paper exchange's book: every row it must have to go on, and every entry that explains its money.

Written by the exchange's one process; anyone may read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Integer, RowMapping, Table, bindparam, func, select
from sqlalchemy.sql.dml import Insert

from database.engine import Database, upsert
from database.metadata import PAPER
from database.paper_tables import (
    ACCOUNTS,
    ANSWERS,
    DAYS,
    ENTRIES,
    HOLDINGS,
    INSTRUMENTS,
    LEDGER_ACCOUNTS,
    ORDERS,
    POSITIONS,
    TRADES,
    UPDATES,
)
from database.prepared import BulkInsert, Prepared
from domain.ledger import (
    Amounts,
    EntryKind,
    LedgerChanges,
    LedgerEntry,
    LedgerState,
    PaperAccount,
    PaperAnswer,
    PaperDay,
    PaperHolding,
    PaperOrder,
    PaperPosition,
    PaperTrade,
    PaperUpdate,
)
from domain.model import (
    FINAL_ORDER_STATES,
    Exchange,
    Instrument,
    InstrumentKind,
    IntentKind,
    Order,
    OrderState,
    OrderType,
    Product,
    Side,
    Trade,
)

_FINAL = [state.value for state in FINAL_ORDER_STATES]
_WRITER = 0x9A9E12
_ORDER_JSON = msgspec.json.Encoder()
_ORDER_READ = msgspec.json.Decoder(Order)
_UPDATES_SINCE = Prepared(
    select(UPDATES.c.seq, UPDATES.c.body)
    .where(UPDATES.c.account == bindparam("account"), UPDATES.c.seq > bindparam("since"))
    .order_by(UPDATES.c.seq)
    .limit(bindparam("most", type_=Integer))
)


class PaperLedger:
    """The exchange's store. `save` returns when everything is durable; nothing of a failed one is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._claimed: Connection | None = None
        dialect = database.engine.dialect
        self._insert = {
            table.name: BulkInsert(table, _upsert(table, dialect.name), dialect)
            for table in PAPER.sorted_tables
        }

    def claim(self) -> bool:
        """Become the one writer until this process ends; False while another is. For PostgreSQL.

        Where two write all the same (a file copied to another host), the gapless numbers of entries and updates
        clash and one of the two saves fails whole.
        """
        if self._database.is_sqlite:
            return True
        self._claimed = self._database.engine.connect()
        taken = self._claimed.exec_driver_sql(f"SELECT pg_try_advisory_lock({_WRITER})").scalar()
        self._claimed.commit()
        return bool(taken)

    def save(self, changes: LedgerChanges) -> None:
        """Keep one batch of changes in one transaction."""
        work = [(self._insert[name], rows) for name, rows in _rows(changes) if rows]

        def keep(connection: Connection) -> None:
            for insert, rows in work:
                insert.run(connection, rows)

        if work:
            self._database.write(keep)

    def load(self, since: datetime) -> LedgerState:
        """What the exchange goes on from; orders and trades since a moment, and all working orders."""
        with self._database.read() as connection:
            accounts = [_account(row) for row in connection.execute(select(ACCOUNTS)).mappings()]
            current = {account.name: account.generation for account in accounts}
            orders = connection.execute(_recent_orders(since)).mappings()
            trades = connection.execute(
                select(TRADES).where(TRADES.c.traded_at >= since).order_by(TRADES.c.trade_id)
            ).mappings()
            return LedgerState(
                accounts=accounts,
                instruments=[_instrument(r) for r in connection.execute(select(INSTRUMENTS)).mappings()],
                orders=[_order(row) for row in orders if _is_current(row, current)],
                trades=[_trade(row) for row in trades if _is_current(row, current)],
                positions=_positions(connection, current),
                holdings=_holdings(connection, current),
                balances=_balances(connection, current),
                numbers=_numbers(connection, current),
                answers=_answers(connection),
                last_change=connection.execute(select(func.max(ENTRIES.c.at))).scalar(),
            )

    def last_change(self) -> datetime | None:
        """When money last moved or an order last changed; None for an empty book."""
        with self._database.read() as connection:
            ends = [
                connection.execute(select(func.max(c))).scalar() for c in (ENTRIES.c.at, ORDERS.c.updated_at)
            ]
        return max((moment for moment in ends if moment is not None), default=None)

    def last_order(self, prefix: str) -> int:
        """The highest number given to order ids that begin with the prefix; 0 when none."""
        return self._last(ORDERS.c.order_id, prefix)

    def last_trade(self, prefix: str) -> int:
        """The same of trade ids."""
        return self._last(TRADES.c.trade_id, prefix)

    def answer(self, client_order_id: str) -> PaperAnswer | None:
        """What a request was told, however long ago; None for one that was never taken."""
        with self._database.read() as connection:
            found = connection.execute(
                select(ANSWERS).where(ANSWERS.c.client_order_id == client_order_id)
            ).mappings()
            row = found.first()
            if row is not None:
                return _answer(row)
            placed = connection.execute(
                select(ORDERS).where(ORDERS.c.client_order_id == client_order_id)
            ).mappings()
            row = placed.first()
            return None if row is None else _placed_answer(row)

    def updates(self, account: str, since: int, limit: int = 1000) -> list[PaperUpdate]:
        """Order transitions numbered above `since`, in order."""
        with self._database.read() as connection:
            found = _UPDATES_SINCE.rows(connection, {"account": account, "since": since, "most": limit})
        return [_update(account, row) for row in found]

    def entries(self, account: str, generation: int) -> list[LedgerEntry]:
        """Every booking of one generation, in order."""
        query = select(ENTRIES).where(ENTRIES.c.account == account, ENTRIES.c.generation == generation)
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query.order_by(ENTRIES.c.number)).mappings()]

    def trades(self, account: str, generation: int) -> list[PaperTrade]:
        """Every fill of one generation, oldest first."""
        query = select(TRADES).where(TRADES.c.account == account, TRADES.c.generation == generation)
        ordered = query.order_by(TRADES.c.traded_at, TRADES.c.trade_id)
        with self._database.read() as connection:
            return [_trade(row) for row in connection.execute(ordered).mappings()]

    def days(self, account: str, generation: int) -> list[PaperDay]:
        """How the account stood at the end of each trading day, oldest first."""
        query = select(DAYS).where(DAYS.c.account == account, DAYS.c.generation == generation)
        with self._database.read() as connection:
            return [PaperDay(**row) for row in connection.execute(query.order_by(DAYS.c.day)).mappings()]

    def _last(self, column: Column[str], prefix: str) -> int:
        query = select(func.max(column)).where(column >= prefix, column < prefix + ":")
        with self._database.read() as connection:
            last = connection.execute(query).scalar()
        return int(last.removeprefix(prefix)) if last else 0


def _upsert(table: Table, dialect: str) -> Insert:
    """INSERT, or for rows that change, INSERT ... ON CONFLICT DO UPDATE of all but the key."""
    if table not in (ACCOUNTS, INSTRUMENTS, ORDERS, POSITIONS, HOLDINGS, DAYS):
        return table.insert()
    key = [column.name for column in table.primary_key]
    return upsert(dialect, table, key, [column.name for column in table.columns])


def _rows(changes: LedgerChanges) -> Sequence[tuple[str, list[dict[str, Any]]]]:
    return (
        ("paper_accounts", [_plain(row) for row in changes.accounts]),
        ("paper_instruments", [_plain(row) for row in changes.instruments]),
        ("paper_orders", [_order_row(row) for row in changes.orders]),
        ("paper_trades", [_trade_row(row) for row in changes.trades]),
        ("paper_positions", [_plain(row) for row in changes.positions]),
        ("paper_holdings", [_plain(row) for row in changes.holdings]),
        ("paper_entries", [_entry_row(row) for row in changes.entries]),
        ("paper_updates", [_update_row(row) for row in changes.updates]),
        ("paper_answers", [_plain(row) for row in changes.answers]),
        ("paper_days", [_plain(row) for row in changes.days]),
    )


def _plain(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


_ORDER_COLUMNS = tuple(c.name for c in ORDERS.columns if c.name in Order.__slots__)
_KEPT_COLUMNS = tuple(
    c.name for c in ORDERS.columns if c.name in PaperOrder.__slots__ and c.name not in _ORDER_COLUMNS
)


def _order_row(kept: PaperOrder) -> dict[str, Any]:
    row = {name: getattr(kept.order, name) for name in _ORDER_COLUMNS}
    row.update((name, getattr(kept, name)) for name in _KEPT_COLUMNS)
    row["client_order_id"] = kept.order.client_order_id or None
    return row


def _trade_row(kept: PaperTrade) -> dict[str, Any]:
    return {
        **_plain(kept.trade),
        "account": kept.account,
        "generation": kept.generation,
        "realised": kept.realised,
    }


def _entry_row(entry: LedgerEntry) -> dict[str, Any]:
    row = _plain(entry)
    row.update(_plain(row.pop("amounts")))
    return row


def _update_row(update: PaperUpdate) -> dict[str, Any]:
    body = _ORDER_JSON.encode(update.order).decode()
    return {"account": update.account, "seq": update.seq, "body": body}


# -- rows to records
def _is_current(row: RowMapping, current: Mapping[str, int]) -> bool:
    return bool(current.get(row["account"]) == row["generation"])


def _recent_orders(since: datetime) -> Any:
    recent = (ORDERS.c.placed_at >= since) | ORDERS.c.state.not_in(_FINAL)
    return select(ORDERS).where(recent).order_by(ORDERS.c.order_id)


def _account(row: RowMapping) -> PaperAccount:
    return PaperAccount(**row)


def _instrument(row: RowMapping) -> Instrument:
    return Instrument(**{**row, "exchange": Exchange(row["exchange"]), "kind": InstrumentKind(row["kind"])})


def _order(row: RowMapping) -> PaperOrder:
    own = {name: row[name] for name in _ORDER_COLUMNS}
    own.update(
        exchange=Exchange(row["exchange"]),
        side=Side(row["side"]),
        product=Product(row["product"]),
        order_type=OrderType(row["order_type"]),
        state=OrderState(row["state"]),
        status_word=row["state"],
        client_order_id=row["client_order_id"] or "",
    )
    return PaperOrder(order=Order(**own), **{name: row[name] for name in _KEPT_COLUMNS})


def _trade(row: RowMapping) -> PaperTrade:
    own = {name: row[name] for name in Trade.__slots__}
    own.update(exchange=Exchange(row["exchange"]), side=Side(row["side"]), product=Product(row["product"]))
    return PaperTrade(
        account=row["account"], generation=row["generation"], trade=Trade(**own), realised=row["realised"]
    )


def _positions(connection: Connection, current: Mapping[str, int]) -> list[PaperPosition]:
    rows = connection.execute(select(POSITIONS)).mappings()
    return [
        PaperPosition(**{**row, "exchange": Exchange(row["exchange"]), "product": Product(row["product"])})
        for row in rows
        if _is_current(row, current)
    ]


def _holdings(connection: Connection, current: Mapping[str, int]) -> list[PaperHolding]:
    rows = connection.execute(select(HOLDINGS).where(HOLDINGS.c.quantity != 0)).mappings()
    return [
        PaperHolding(**{**row, "exchange": Exchange(row["exchange"])})
        for row in rows
        if _is_current(row, current)
    ]


def _balances(connection: Connection, current: Mapping[str, int]) -> dict[str, Amounts]:
    sums = [func.sum(ENTRIES.c[name]).label(name) for name in LEDGER_ACCOUNTS]
    query = select(ENTRIES.c.account, ENTRIES.c.generation, *sums)
    rows = connection.execute(query.group_by(ENTRIES.c.account, ENTRIES.c.generation)).mappings()
    return {
        row["account"]: Amounts(**{name: Decimal(row[name]) for name in LEDGER_ACCOUNTS})
        for row in rows
        if _is_current(row, current)
    }


def _numbers(connection: Connection, current: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    entries = select(ENTRIES.c.account, ENTRIES.c.generation, func.max(ENTRIES.c.number))
    updates = select(UPDATES.c.account, func.max(UPDATES.c.seq)).group_by(UPDATES.c.account)
    last_update = {row[0]: row[1] for row in connection.execute(updates)}
    found = connection.execute(entries.group_by(ENTRIES.c.account, ENTRIES.c.generation))
    return {
        account: (number, last_update.get(account, 0))
        for account, generation, number in found
        if current.get(account) == generation
    }


def _answers(connection: Connection, limit: int = 20_000) -> list[PaperAnswer]:
    answers = select(ANSWERS).order_by(ANSWERS.c.at.desc()).limit(limit)
    placed = (
        select(ORDERS)
        .where(ORDERS.c.client_order_id.is_not(None))
        .order_by(ORDERS.c.placed_at.desc())
        .limit(limit)
    )
    told = {row["client_order_id"]: _answer(row) for row in connection.execute(answers).mappings()}
    for row in connection.execute(placed).mappings():
        told.setdefault(row["client_order_id"], _placed_answer(row))
    return sorted(told.values(), key=lambda answer: answer.at)


def _answer(row: RowMapping) -> PaperAnswer:
    return PaperAnswer(**{**row, "kind": IntentKind(row["kind"])})


def _placed_answer(row: RowMapping) -> PaperAnswer:
    """A placed order is its own answer: accepted, under its id."""
    return PaperAnswer(
        client_order_id=row["client_order_id"],
        account=row["account"],
        kind=IntentKind.PLACE,
        order_id=row["order_id"],
        code="",
        words="",
        at=row["placed_at"],
    )


def _update(account: str, row: dict[str, Any]) -> PaperUpdate:
    return PaperUpdate(account=account, seq=row["seq"], order=_ORDER_READ.decode(row["body"]))


def _entry(row: RowMapping) -> LedgerEntry:
    own = {name: row[name] for name in LedgerEntry.__slots__ if name != "amounts"}
    own["kind"] = EntryKind(row["kind"])
    return LedgerEntry(**own, amounts=Amounts(**{name: row[name] for name in LEDGER_ACCOUNTS}))

"""What became of an order whose answer nobody could read: looked up in the broker's book, never sent again.

An intent leaves UNKNOWN only on broker evidence: our tag, else the one order that fits in symbol, side, quantity,
price, product and time, else three complete books over a long enough while in one broker session without any candidate.
A conversion has no row of its own at a broker: the positions must have moved by exactly it, with no fill beside.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy import Connection

from broker.interface import Broker
from database import events as event_rows
from database import intents as intent_rows
from database.engine import Database
from database.intents import Intent
from domain.calendar_day import day_start
from domain.clock import Clock
from domain.errors import PlatformError
from domain.model import IntentKind, IntentState, Order, OrderState, Position, Product, Trade
from services.accounts import Account
from services.order_updates import NOT_RECEIVED, OrderUpdates
from services.shared_reads import SharedReads

log = logging.getLogger(__name__)

ABANDONED = timedelta(seconds=20)
"""A row SENDING for longer has lost its sender: every send ends within 15 seconds."""
READS = 3
SHORTEST = 30.0
BEFORE = timedelta(seconds=10)
AFTER = timedelta(seconds=90)


class Sessions(Protocol):
    def broker_for(self, account: Account) -> Broker: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a book says of an intent: settle it in `state`, or (None) wait."""

    state: IntentState | None
    order_id: str = ""
    code: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """One complete look at an account. Positions and trades stay empty where no conversion is in doubt."""

    orders: Sequence[Order]
    positions: Sequence[Position] = ()
    trades: Sequence[Trade] = ()


class Reconciler:
    """Settles UNKNOWN intents. Any process may run it: rows move by compare-and-set."""

    def __init__(
        self,
        orders: Database,
        clock: Clock,
        account: Callable[[int], Account],
        sessions: Sessions,
        updates: OrderUpdates,
        tell: Callable[[int], None],
    ) -> None:
        """`tell` rings that an account's orders or positions changed."""
        self._db = orders
        self._clock = clock
        self._account = account
        self._sessions = sessions
        self._updates = updates
        self._tell = tell
        self._books: SharedReads[list[Order]] = SharedReads()

    def unknown(self, account_id: int | None = None) -> list[Intent]:
        """Intents whose outcome is not known, oldest first."""
        with self._db.read() as connection:
            return intent_rows.in_states(connection, IntentState.UNKNOWN, account_id=account_id)

    def abandon_lost(self) -> int:
        """Turn rows whose sender died into UNKNOWN; returns how many."""
        now = self._clock.now()
        with self._db.read() as connection:
            sending = intent_rows.in_states(connection, IntentState.SENDING)
        lost = [intent for intent in sending if now - (intent.sent_at or intent.created_at) > ABANDONED]
        words = "The process that sent this ended before an answer was kept."
        for intent in lost:
            self._db.write(
                lambda c, i=intent: intent_rows.move(  # type: ignore[misc]
                    c, i.id, IntentState.SENDING, IntentState.UNKNOWN, now, words=words
                )
            )
        return len(lost)

    def look(self, intent: Intent) -> None:
        """Read the book once for one intent and settle it if the book allows. Many at once share a reading."""
        self._look([intent])

    def sweep(self, account_id: int | None = None) -> int:
        """Read each concerned book once, of one account or (None) all, and settle what can be settled; returns how many
        still are unknown."""
        self.abandon_lost()
        groups: dict[tuple[int, str], list[Intent]] = {}
        for intent in self.unknown(account_id):
            groups.setdefault((intent.account_id, intent.broker), []).append(intent)
        for intents in groups.values():
            self._look(intents)
        return len(self.unknown(account_id))

    def _look(self, intents: Sequence[Intent]) -> None:
        first = intents[0]
        try:
            account = replace(self._account(first.account_id), mode=first.mode)
            broker = self._sessions.broker_for(account)
            key = (first.account_id, first.broker, first.mode, broker.session.opened_at)
            book = Books(orders=self._books.read(key, lambda: self._read_orders(first, broker)))
        except PlatformError as error:
            log.warning("book not read account=%s broker=%s: %s", first.account_id, first.broker, error)
            return
        if any(intent.kind is IntentKind.CONVERT for intent in intents):
            intents, book = self._with_positions(intents, book, broker)
        for intent in intents:
            self._settle(intent, book, broker)

    def _read_orders(self, intent: Intent, broker: Broker) -> list[Order]:
        """The account's whole book, once what is new in it is recorded."""
        orders = broker.fetch_orders()
        self._updates.apply(intent.account_id, intent.broker, intent.mode, orders, "reconcile")
        return orders

    @staticmethod
    def _with_positions(
        intents: Sequence[Intent], book: Books, broker: Broker
    ) -> tuple[Sequence[Intent], Books]:
        """The books that conversions are judged by. Conversions wait while those cannot be read; orders do not."""
        try:
            # In this order no fill can be in the positions and not among the trades.
            positions = broker.fetch_positions()
            return intents, replace(book, positions=positions, trades=broker.fetch_trades())
        except PlatformError as error:
            log.warning("positions not read account=%s: %s", intents[0].account_id, error)
            return [one for one in intents if one.kind is not IntentKind.CONVERT], book

    def _settle(self, intent: Intent, book: Books, broker: Broker) -> None:
        now = self._clock.now()
        session = broker.session.opened_at.isoformat()
        entry = {"at": now.isoformat(), "session": session, "rows": len(book.orders)}

        def work(connection: Connection) -> Verdict:
            event_rows.hold_account(connection, intent.account_id)
            current = intent_rows.by_id(connection, intent.id)
            if current is None or current.state is not IntentState.UNKNOWN:
                return Verdict(state=None)
            if current.kind is IntentKind.CONVERT:
                enough = _long_enough(current, entry, broker, now)
                verdict = _judge_conversion(current, book, now, enough=enough)
            else:
                verdict = self._judge(connection, current, book.orders, broker, entry, now)
            intent_rows.add_evidence(connection, intent.id, entry | {"verdict": verdict.code or "waiting"})
            if verdict.state is not None:
                changes: dict[str, Any] = {"code": verdict.code, "words": verdict.words, "settled_at": now}
                if verdict.order_id:
                    changes["broker_order_id"] = verdict.order_id
                intent_rows.move(connection, intent.id, IntentState.UNKNOWN, verdict.state, now, **changes)
            return verdict

        verdict = self._db.write(work)
        if verdict.state is not None:
            log.info(
                "unknown outcome settled account=%s intent=%s state=%s",
                intent.account_id,
                intent.id,
                verdict.state,
            )
            self._tell(intent.account_id)

    def _judge(
        self,
        connection: Connection,
        intent: Intent,
        book: Sequence[Order],
        broker: Broker,
        entry: dict[str, Any],
        now: datetime,
    ) -> Verdict:
        enough = _long_enough(intent, entry, broker, now)
        if intent.kind is not IntentKind.PLACE:
            verdict = _judge_change(intent, book)
        elif broker.manifest.limits.tag >= len(intent.id):
            verdict = _judge_tagged(intent, book)
        else:
            fits = [order.order_id for order in book if _fits(intent, order)]
            taken = intent_rows.claimed(connection, intent.account_id, intent.broker, fits)
            alike = [row for row in _unknown(connection, intent) if _same_terms(row, intent)]
            verdict = _judge_untagged(intent, book, taken, alike, enough=enough)
        if verdict.state is None and enough and (intent.sent_at or intent.created_at) < day_start(now):
            words = (
                "Its day ended before the broker's book told what became of it. Look at today's positions."
            )
            return Verdict(state=IntentState.EXPIRED, code="NOT_TOLD", words=words)
        if verdict.state is None and enough:
            return Verdict(
                state=IntentState.REFUSED,
                code=NOT_RECEIVED,
                words="The broker's book shows no trace of it: it was not received. Nothing was sent again.",
            )
        return verdict


def _unknown(connection: Connection, intent: Intent) -> list[Intent]:
    rows = intent_rows.in_states(connection, IntentState.UNKNOWN, account_id=intent.account_id)
    return [row for row in rows if row.kind is IntentKind.PLACE and row.broker == intent.broker]


def _judge_tagged(intent: Intent, book: Sequence[Order]) -> Verdict:
    for order in book:
        if order.client_order_id == intent.id:
            return Verdict(state=IntentState.ACCEPTED, order_id=order.order_id)
    return Verdict(state=None, code="absent")


def _judge_untagged(
    intent: Intent, book: Sequence[Order], taken: set[str], alike: Sequence[Intent], *, enough: bool
) -> Verdict:
    """Without a tag only terms and time speak. Intents of the same terms are told apart by the order they were sent in;
    while fewer orders fit than intents wait, nobody is given one until the book had long enough to fill."""
    fits = sorted(
        (order for order in book if order.order_id not in taken and _fits(intent, order)),
        key=lambda order: (order.placed_at, order.order_id),
    )
    place = [row.id for row in alike].index(intent.id)
    if place < len(fits) and (len(fits) == len(alike) or enough):
        return Verdict(state=IntentState.ACCEPTED, order_id=fits[place].order_id)
    return Verdict(state=None, code="ambiguous" if fits else "absent")


def _fits(intent: Intent, order: Order) -> bool:
    """Whether an order in the book can be this intent, by terms and time."""
    sent = intent.sent_at or intent.created_at
    return (
        (order.symbol, order.exchange, order.side, order.quantity, order.product, order.order_type)
        == (intent.symbol, intent.exchange, intent.side, intent.quantity, intent.product, intent.order_type)
        and (order.price or None) == intent.price
        and (order.trigger_price or None) == intent.trigger_price
        and sent - BEFORE <= order.placed_at <= sent + AFTER
    )


def _same_terms(one: Intent, other: Intent) -> bool:
    return all(
        getattr(one, name) == getattr(other, name)
        for name in (
            "symbol",
            "exchange",
            "side",
            "quantity",
            "product",
            "order_type",
            "price",
            "trigger_price",
        )
    )


def _judge_change(intent: Intent, book: Sequence[Order]) -> Verdict:
    order = next((row for row in book if row.order_id == intent.target_order_id), None)
    if order is None:
        return Verdict(state=None, code="absent")
    accepted = Verdict(state=IntentState.ACCEPTED, order_id=order.order_id)
    if intent.kind is IntentKind.CANCEL:
        if order.state is OrderState.CANCELLED:
            return accepted
    elif (order.quantity, order.price, order.trigger_price) == (
        intent.quantity,
        intent.price,
        intent.trigger_price,
    ):
        return accepted
    if order.state.is_final:
        words = f"The order ended as {order.state} before the change took hold."
        return Verdict(state=IntentState.REFUSED, code="TOO_LATE", words=words)
    return Verdict(state=None, code="absent")


def _judge_conversion(intent: Intent, book: Books, now: datetime, *, enough: bool) -> Verdict:
    """Both lines must have moved by exactly the conversion, or neither at all. With a fill in either since, or on a
    later day, nobody can tell the two apart, and nothing is guessed."""
    if day_start(now) > intent.created_at:
        words = (
            "Its day ended before the positions could tell whether it was made. Look at today's positions."
        )
        return Verdict(state=IntentState.EXPIRED, code="NOT_TOLD", words=words)
    assert intent.to_product is not None and intent.held_from is not None and intent.held_to is not None
    lines = (intent.product, intent.to_product)
    filled = any(
        (fill.symbol, fill.exchange) == (intent.symbol, intent.exchange)
        and fill.product in lines
        and fill.traded_at >= intent.created_at - BEFORE
        for fill in book.trades
    )
    units = intent.quantity * intent.side.sign
    held_from, held_to = (_held(book.positions, intent, product) for product in lines)
    left, came = intent.held_from - held_from, held_to - intent.held_to
    if not filled and left == came == units:
        return Verdict(state=IntentState.ACCEPTED)
    if not filled and left == came == 0:
        words = "The positions have not moved: it was not made. Nothing was sent again."
        state = IntentState.REFUSED if enough else None
        return Verdict(state=state, code=NOT_RECEIVED if enough else "unmoved", words=words if enough else "")
    return Verdict(state=None, code="ambiguous")


def _held(positions: Sequence[Position], intent: Intent, product: Product) -> Decimal:
    named = (intent.symbol, intent.exchange, product)
    rows = [row for row in positions if (row.symbol, row.exchange, row.product) == named]
    return sum((row.quantity for row in rows), Decimal(0))


def _long_enough(intent: Intent, entry: dict[str, Any], broker: Broker, now: datetime) -> bool:
    """Whether this is at least the third complete book, over long enough, in one and the same broker session."""
    lines = [json.loads(line) for line in intent.evidence.splitlines()]
    reads = [line for line in lines if line["session"] == entry["session"]]
    if len(reads) + 1 < READS:
        return False
    since = datetime.fromisoformat(reads[0]["at"])
    return (now - since).total_seconds() >= max(SHORTEST, 3 * broker.manifest.limits.book_lag)

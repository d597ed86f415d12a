"""Whether what we hold of a live account is what its broker holds: orders, fills, positions and GTTs.

An account may not trade before its first look in a process and a login; later looks adopt what was done elsewhere
and show differences. They never send an order.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy import Connection

from broker.interface import Broker
from database import conversions as conversion_rows
from database import events as event_rows
from database import intents as intent_rows
from database import settings as setting_rows
from database import triggers as trigger_rows
from database.engine import Database, hold
from database.intents import Intent
from domain.calendar_day import day_start
from domain.clock import IST, Clock
from domain.errors import PlatformError, Unavailable
from domain.model import Mode, Order, OrderState, Position, Product
from services.accounts import Account
from services.gtt_differences import GttDifference, compare
from services.order_updates import OrderUpdates
from services.sessions import SessionState

log = logging.getLogger(__name__)

UNSEEN = "Its day is over, and the broker's book does not show it any more."
Line = tuple[str, str, str]
"""(symbol, exchange, product)"""


class Sessions(Protocol):
    def broker_for(self, account: Account) -> Broker: ...
    def state(self, account: Account) -> SessionState: ...


class Reconciler(Protocol):
    def sweep(self, account_id: int | None = None) -> int: ...
    def unknown(self, account_id: int | None = None) -> list[Intent]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One position that our fills and conversions do not explain. Signed units; `ours` counts what was carried in."""

    symbol: str
    exchange: str
    product: str
    ours: Decimal
    theirs: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the last look at an account saw.

    at           None while it was never looked at
    orders       in the broker's book
    external     ids of those that were not placed through us
    gtts         where GTTs that the broker keeps for us differ from its list of them
    gtts_error   why that list could not be read, else ""; it keeps no order from being sent
    error        why the book or the positions could not be read, else ""
    """

    at: datetime | None = None
    orders: int = 0
    external: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    gtts: tuple[GttDifference, ...] = ()
    gtts_error: str = ""
    error: str = ""


class Reconciliation:
    """Looks at live accounts of one orders store. Any process may: what it keeps is derived."""

    def __init__(
        self,
        store: Database,
        orders: Database,
        clock: Clock,
        accounts: Callable[[], Iterable[Account]],
        sessions: Sessions,
        updates: OrderUpdates,
        reconciler: Reconciler,
    ) -> None:
        self._store = store
        self._db = orders
        self._clock = clock
        self._accounts = accounts
        self._sessions = sessions
        self._updates = updates
        self._reconciler = reconciler
        self._looked: dict[int, datetime] = {}
        self._locks: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)

    def require(self, account: Account) -> None:
        """Return once the account was looked at in this process and login. Raises Unavailable while it cannot be."""
        if account.mode is not Mode.LIVE:
            return
        opened = self._sessions.broker_for(account).session.opened_at
        if self._looked.get(account.id) == opened:
            return
        with self._locks[account.id]:
            if self._looked.get(account.id) == opened:
                return
            report = self.look(account)
        if report.error:
            raise Unavailable(
                f"{account.name} is not reconciled with its broker yet ({report.error}): nothing was sent."
            )

    def look(self, account: Account) -> Report:
        """Read the account's book and positions once, adopt what is new, and keep what differs."""
        now = self._clock.now()
        try:
            broker = self._sessions.broker_for(account)
            report = self._read(account, broker, now)
            if report.differences:  # a fill between the two reads looks like one
                report = self._read(account, broker, now)
            report = self._with_gtts(report, account, broker)
        except PlatformError as error:
            report = Report(at=now, error=str(error))
            log.warning("not reconciled account=%s: %s", account.id, error)
        else:
            self._looked[account.id] = broker.session.opened_at
        self._keep(account, report)
        for one in report.differences:
            log.warning("position differs account=%s %s", account.id, one)
        for gtt in report.gtts:
            log.warning("GTT differs account=%s %s", account.id, gtt)
        return report

    def look_at_all(self) -> int:
        """Look at every live account that is logged in; returns how many could not be read."""
        failed = 0
        for account in self._accounts():
            if account.mode is Mode.LIVE and self._sessions.state(account).word in ("ok", "expiring"):
                failed += bool(self.look(account).error)
        self._reconciler.sweep()
        return failed

    def look_now(self, account: Account) -> tuple[Report, list[Intent]]:
        """Look because somebody asks: at the account, and for what is unknown of it. The state afterwards."""
        if account.mode is Mode.LIVE:
            self.look(account)
        self._reconciler.sweep(account.id)
        return self.state(account)

    def state(self, account: Account) -> tuple[Report, list[Intent]]:
        """The last look, by any process, and the intents whose outcome is unknown."""
        with self._store.read() as connection:
            saved = setting_rows.load(connection, _name(account))
        return _report(saved or {}), self._reconciler.unknown(account.id)

    # -- inside
    def _read(self, account: Account, broker: Broker, now: datetime) -> Report:
        book = broker.fetch_orders()
        news = [*book, *self._ended_unseen(account, book, now)]
        self._updates.apply(account.id, account.venue, account.mode, news, "reconcile")
        return self._compare(account, book, broker.fetch_positions(), now)

    def _ended_unseen(self, account: Account, book: list[Order], now: datetime) -> list[Order]:
        """Orders of earlier days that we take for working and that are in no book any more: they ended, and nobody was
        told how. Today's may only be late."""
        shown = {order.order_id for order in book}
        with self._db.read() as connection:
            working = event_rows.working(connection, account.id, account.venue)
        return [
            replace(order, state=OrderState.EXPIRED, updated_at=now, reason=UNSEEN)
            for order in working
            if order.placed_at < day_start(now) and order.order_id not in shown
        ]

    def _compare(
        self, account: Account, book: list[Order], positions: list[Position], now: datetime
    ) -> Report:
        with self._db.read() as connection:
            shown = [order.order_id for order in book]
            ours = intent_rows.claimed(connection, account.id, account.venue, shown)
            fills = event_rows.net_fills(connection, account.id, account.venue, day_start(now))
            moved = conversion_rows.moved(connection, account.id, account.venue, day_start(now))
            fills |= {line: fills.get(line, Decimal(0)) + units for line, units in moved.items()}
            strange = [order for order in book if order.order_id not in ours]
            external = [o.order_id for o in strange if not _is_ours(connection, o.client_order_id)]
        held: dict[Line, Decimal] = defaultdict(Decimal)
        for position in positions:
            held[position.symbol, position.exchange.value, position.product.value] += position.quantity
        carried = self._carried(account, held, fills, now)
        return Report(
            at=now,
            orders=len(book),
            external=tuple(external),
            differences=tuple(_differences(held, fills, carried)),
        )

    def _with_gtts(self, report: Report, account: Account, broker: Broker) -> Report:
        """The report with what differs twice: a GTT that is placed or cancelled between two reads looks different."""
        if not broker.manifest.can.gtt:
            return report
        try:
            found = self._gtts(account, broker)
            again = self._gtts(account, broker) if found else []
        except PlatformError as error:
            log.warning("GTTs not read account=%s: %s", account.id, error)
            return replace(report, gtts_error=str(error))
        return replace(report, gtts=tuple(one for one in found if one in again))

    def _gtts(self, account: Account, broker: Broker) -> list[GttDifference]:
        there = broker.fetch_gtts()
        with self._db.read() as connection:
            kept = trigger_rows.at_broker(connection, account.id, account.venue)
        return compare(kept, there)

    def _carried(
        self, account: Account, held: Mapping[Line, Decimal], fills: Mapping[Line, Decimal], now: datetime
    ) -> dict[Line, Decimal]:
        """What each line held before today's fills, as the day's first look found it; intraday lines held nothing."""
        day, name = now.astimezone(IST).date().isoformat(), f"{_name(account)}/carried"
        with self._store.read() as connection:
            saved = setting_rows.load(connection, name)
        if saved is None or saved["day"] != day:
            lines = {line: held[line] - fills.get(line, Decimal(0)) for line in held}
            kept = {
                "|".join(line): str(units) for line, units in lines.items() if line[2] != Product.INTRADAY
            }
            found = {"day": day, "lines": kept}
            saved = self._store.write(lambda connection: _first_of_day(connection, name, found))
        return {_line(text): Decimal(units) for text, units in saved["lines"].items()}

    def _keep(self, account: Account, report: Report) -> None:
        value = {
            "at": report.at.isoformat() if report.at else None,
            "orders": report.orders,
            "external": list(report.external),
            "differences": [
                [one.symbol, one.exchange, one.product, str(one.ours), str(one.theirs)]
                for one in report.differences
            ],
            "gtts": [asdict(one) for one in report.gtts],
            "gtts_error": report.gtts_error,
            "error": report.error,
        }
        self._store.write(lambda connection: setting_rows.save(connection, _name(account), value))


def _first_of_day(connection: Connection, name: str, found: dict[str, Any]) -> Any:
    """Keep what a look found, unless another process looked first today; what is kept."""
    hold(connection, name)
    saved = setting_rows.load(connection, name)
    if saved is not None and saved["day"] == found["day"]:
        return saved
    setting_rows.save(connection, name, found)
    return found


def _is_ours(connection: Connection, tag: str) -> bool:
    """Whether an order carries the tag of an intent whose answer is still on its way."""
    return bool(tag) and intent_rows.by_id(connection, tag) is not None


def _name(account: Account) -> str:
    return f"reconciliation/{account.id}/{account.broker}"


def _line(text: str) -> Line:
    symbol, exchange, product = text.rsplit("|", 2)
    return symbol, exchange, product


def _differences(
    held: Mapping[Line, Decimal], fills: Mapping[Line, Decimal], carried: Mapping[Line, Decimal]
) -> Iterable[Difference]:
    nothing = Decimal(0)
    for line in sorted({*held, *fills, *carried}):
        ours, theirs = carried.get(line, nothing) + fills.get(line, nothing), held.get(line, nothing)
        if ours != theirs:
            symbol, exchange, product = line
            yield Difference(symbol=symbol, exchange=exchange, product=product, ours=ours, theirs=theirs)


def _report(saved: Mapping[str, Any]) -> Report:
    if not saved:
        return Report()
    return Report(
        at=datetime.fromisoformat(saved["at"]) if saved["at"] else None,
        orders=saved["orders"],
        external=tuple(saved["external"]),
        differences=tuple(
            Difference(symbol=s, exchange=e, product=p, ours=Decimal(ours), theirs=Decimal(theirs))
            for s, e, p, ours, theirs in saved["differences"]
        ),
        gtts=tuple(GttDifference(**one) for one in saved.get("gtts", ())),
        gtts_error=saved.get("gtts_error", ""),
        error=saved["error"],
    )

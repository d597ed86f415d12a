"""Webhooks as a door for orders: a stored strategy, a signal on disk before the answer, one order for each.

A 200 means that the signal will be acted on exactly once, or that its failure stands in its row: an order's key is its
signal's number, so neither a crash nor a second worker can place it twice.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from database import webhooks as rows
from database.engine import Database
from database.webhooks import DONE, FAILED, Mapping, Signal, Webhook
from domain.calendar_day import day_start
from domain.clock import IST, Clock
from domain.errors import (
    BrokerUnavailable,
    InvalidRequest,
    NotFound,
    PlatformError,
    Unauthorized,
    Unavailable,
)
from domain.model import CASH, Exchange, OrderRequest, Product, Side
from domain.roles import TRADE
from services.accounts import Accounts, Caller
from services.gate import Admission
from services.order_plans import OrderPlans
from services.orders import Orders, Placed
from services.plan_book import read_leg, write_leg
from services.plan_legs import refused
from services.smart_orders import SmartOrders

log = logging.getLogger(__name__)

MODES = ("LONG", "SHORT", "BOTH")
KINDS = ("strategy", "chartink")
EXCHANGES = frozenset(["NSE", "BSE", "NFO", "CDS", "BFO", "BCD", "MCX", "NCDEX"])
PATIENCE = timedelta(seconds=90)
"""How long a signal is kept trying while nothing can be sent."""
EVERY = timedelta(seconds=5)
TOO_LATE = "Not sent: it waited too long."
_NOTHING_SENT = (Unavailable.__name__, BrokerUnavailable.__name__)
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}(\.0{1,4})?", re.ASCII)
_KEYWORDS = (
    ("BUY", Side.BUY, True),
    ("SELL", Side.SELL, False),
    ("SHORT", Side.SELL, True),
    ("COVER", Side.BUY, False),
)
"""Keyword in a ChartInk scan's name, side, and whether it is an entry. The first that is found counts."""


class SignalRefused(PlatformError):
    """The signal cannot be taken; nothing was queued. `status` is the HTTP number the contract gives it."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a signal asks for. target None: a plain order; else the net position a smart order goes to."""

    request: OrderRequest
    target: Decimal | None


class Signals:
    """Webhooks of any user, and their queue."""

    def __init__(
        self,
        platform_store: Database,
        orders_store: Database,
        clock: Clock,
        accounts: Accounts,
        orders: Orders,
        plans: OrderPlans,
        smart: SmartOrders,
        trades_today: Callable[[Exchange, datetime], bool],
    ) -> None:
        """`trades_today(exchange, moment)` says whether an exchange trades on the moment's IST date."""
        self._platform = platform_store
        self._db = orders_store
        self._clock = clock
        self._accounts = accounts
        self._orders = orders
        self._plans = plans
        self._smart = smart
        self._trades_today = trades_today

    # -- stored strategies
    def create(
        self,
        caller: Caller,
        kind: str,
        name: str,
        *,
        platform: str = "tradingview",
        trading_mode: str = "LONG",
        intraday: bool = True,
        times: tuple[str, str, str] = ("09:15", "15:00", "15:15"),
    ) -> Webhook:
        """Store a strategy for the caller's account; it starts switched off. Raises InvalidRequest naming the field."""
        if kind not in KINDS:
            raise InvalidRequest("A webhook is of kind strategy or chartink.", "kind")
        if not 3 <= len(name.strip()) <= 50:
            raise InvalidRequest("A strategy's name has 3 to 50 characters.", "name")
        if trading_mode not in MODES:
            raise InvalidRequest("The trading mode is LONG, SHORT or BOTH.", "trading_mode")
        start, end, squareoff = _check_times(times) if intraday else ("", "", "")
        values = {
            "webhook_id": str(uuid.uuid4()),
            "user_id": caller.user_id,
            "account_id": caller.account.id,
            "kind": kind,
            "name": name.strip(),
            "platform": platform[:32],
            "is_active": False,
            "is_intraday": intraday,
            "trading_mode": trading_mode,
            "start_time": start,
            "end_time": end,
            "squareoff_time": squareoff,
            "created_at": self._clock.now(),
        }
        try:
            row_id = self._platform.write(lambda c: rows.add(c, values))
        except IntegrityError as error:
            raise InvalidRequest(f"You have a strategy named {name} already.", "name") from error
        return self.one(caller, row_id)

    def listed(self, caller: Caller, kind: str | None = None) -> list[Webhook]:
        """The user's stored strategies, newest first."""
        with self._platform.read() as connection:
            return rows.of_user(connection, caller.user_id, kind)

    def one(self, caller: Caller, row_id: int) -> Webhook:
        """Raises NotFound when it is not the user's."""
        with self._platform.read() as connection:
            webhook = rows.by_id(connection, row_id, caller.user_id)
        if webhook is None:
            raise NotFound("No such strategy.")
        return webhook

    def switch(self, caller: Caller, row_id: int, on: bool) -> Webhook:
        """Switch on or off."""
        self.one(caller, row_id)
        changes = {"is_active": on, "activated_at": self._clock.now() if on else None}
        self._platform.write(lambda c: rows.change(c, row_id, caller.user_id, **changes))
        return self.one(caller, row_id)

    def remove(self, caller: Caller, row_id: int) -> None:
        """Delete with its mappings; signals that came in stay on record."""
        if not self._platform.write(lambda c: rows.remove(c, row_id, caller.user_id)):
            raise NotFound("No such strategy.")

    def map_symbol(
        self, caller: Caller, row_id: int, symbol: str, exchange: str, quantity: Decimal, product: str
    ) -> Webhook:
        """Let a strategy trade a symbol. Raises InvalidRequest naming the field, InstrumentNotFound."""
        webhook = self.one(caller, row_id)
        account = self._accounts.account(webhook.account_id)
        if exchange not in EXCHANGES:
            raise InvalidRequest(f"exchange is one of {', '.join(sorted(EXCHANGES))}.", "exchange")
        allowed = {Product.INTRADAY, Product.DELIVERY if Exchange(exchange) in CASH else Product.CARRY}
        if product not in allowed:
            raise InvalidRequest(f"product on {exchange} is {' or '.join(sorted(allowed))}.", "product")
        instrument = self._orders.resolve(account, exchange, symbol)
        if quantity <= 0 or quantity % instrument.lot_size:
            raise InvalidRequest(f"quantity is a multiple of {instrument.lot_size}.", "quantity")
        values = {"symbol": symbol, "exchange": exchange, "quantity": quantity, "product": product}
        try:
            self._platform.write(lambda c: rows.add_mapping(c, row_id, values))
        except IntegrityError as error:
            raise InvalidRequest(f"{symbol} is mapped already.", "symbol") from error
        return self.one(caller, row_id)

    def unmap(self, caller: Caller, row_id: int, mapping_id: int) -> Webhook:
        """Raises NotFound."""
        self.one(caller, row_id)
        if not self._platform.write(lambda c: rows.remove_mapping(c, row_id, mapping_id)):
            raise NotFound("No such mapping.")
        return self.one(caller, row_id)

    def recent(self, caller: Caller, row_id: int, limit: int = 50) -> list[Signal]:
        """The newest signals of a strategy, with what became of each."""
        webhook = self.one(caller, row_id)
        with self._db.read() as connection:
            return rows.latest(connection, webhook.id, limit)

    # -- signals in
    def strategy_signal(self, webhook_id: str, payload: object) -> str:
        """Queue what a strategy webhook's body asks for; the symbol. Raises SignalRefused."""
        webhook = self._found(webhook_id, "strategy", "Invalid webhook ID")
        if not webhook.is_active:
            raise SignalRefused("Strategy is inactive")
        if not isinstance(payload, dict) or not payload:
            raise SignalRefused("No data received")
        wanted, entry = _strategy_order(webhook, payload)
        self._check_window(webhook, entry, inclusive=True)
        self._queue(webhook, [wanted], "webhook")
        return wanted.request.symbol

    def chartink_signal(self, webhook_id: str, payload: object) -> list[str]:
        """Queue what a ChartInk alert asks for; the symbols, empty when none is mapped or it is off.

        Raises SignalRefused. An inactive strategy is told apart by `inactive`.
        """
        webhook = self._found(webhook_id, "chartink", "Invalid webhook ID")
        if not webhook.is_active:
            raise SignalRefused("Strategy is inactive", 200)
        if not isinstance(payload, dict) or not payload:
            raise SignalRefused("No data received")
        side, entry = _scan(str(payload.get("scan_name") or ""))
        if not webhook.mappings:
            raise SignalRefused("No symbols configured for this strategy")
        self._check_window(webhook, entry, inclusive=False)
        symbols = [part.strip() for part in str(payload.get("stocks") or "").split(",")]
        found = [each for each in webhook.mappings if each.symbol in symbols]
        wanted = [
            _entry(webhook, each, side, each.quantity) if entry else _exit(webhook, each, side)
            for each in found
        ]
        self._queue(webhook, wanted, "chartink")
        return [each.symbol for each in found]

    # -- the queue, for the worker
    def drain(self, limit: int = 50) -> int:
        """Act on waiting signals; returns how many."""
        with self._db.read() as connection:
            waiting = rows.waiting(connection, limit)
        for signal in waiting:
            self._act(signal)
        return len(waiting)

    def square_off(self) -> int:
        """Queue the closing of intraday strategies whose time has come, once a day each; returns how many."""
        now = self._clock.now()
        local = now.astimezone(IST)
        with self._platform.read() as connection:
            due = [webhook for webhook in rows.active_intraday(connection) if self._is_due(webhook, local)]
        return sum(self._db.write(lambda c, w=webhook: self._queue_squareoff(c, w, now)) for webhook in due)  # type: ignore[misc]

    # -- inside
    def _found(self, webhook_id: str, kind: str, words: str) -> Webhook:
        with self._platform.read() as connection:
            webhook = rows.by_webhook_id(connection, webhook_id, kind)
        if webhook is None:
            raise SignalRefused(words, 404)
        return webhook

    def _check_window(self, webhook: Webhook, entry: bool, *, inclusive: bool) -> None:
        """Entries until the end, exits until the square-off; a strategy webhook's ends count, ChartInk's do not."""
        if not webhook.is_intraday:
            return
        now = self._clock.now().astimezone(IST).strftime("%H:%M")
        last = webhook.end_time if entry else webhook.squareoff_time
        if now < webhook.start_time:
            raise SignalRefused(f"Too early: signals are taken from {webhook.start_time} IST.")
        if now > last or (now == last and not inclusive):
            what = "Entry" if entry else "Exit"
            raise SignalRefused(f"{what} signals are not taken after {last} IST.")

    def _queue(self, webhook: Webhook, wanted: Sequence[Wanted], source: str) -> None:
        now = self._clock.now()

        def work(connection: Connection) -> None:
            for each in wanted:
                request = write_leg(each.request)
                if each.target is not None:
                    request |= {"target": str(each.target)}
                rows.queue(
                    connection, webhook, request, smart=each.target is not None, source=source, now=now
                )

        if wanted:
            self._db.write(work)

    def _act(self, signal: Signal) -> None:
        """Do what a signal asks for. It waits on while an order of a sender that died is being found out, and while
        nothing could be sent although it is young."""
        age = self._clock.now() - signal.received_at
        young = age < PATIENCE
        try:
            caller = self._accounts.caller_of_user(signal.user_id, signal.account_id, door="webhook")
            if TRADE not in caller.scopes:
                raise Unauthorized(f"{caller.username} may no longer trade on {caller.account.name}.")
            placed = self._send(caller, signal, attempts=1 + age // EVERY)
        except (Unavailable, BrokerUnavailable) as error:
            if not young:
                self._tell(signal, FAILED, "", str(error))
            return
        except PlatformError as error:
            log.warning("signal not acted on signal=%s: %s", signal.id, error)
            self._tell(signal, FAILED, "", str(error))
            return
        if young and placed.state == "pending" and not placed.order_id:
            return
        state = FAILED if placed.state == "refused" else DONE
        self._tell(signal, state, placed.order_id, placed.message)

    def _send(self, caller: Caller, signal: Signal, attempts: int) -> Placed:
        """Its order under its own key. A smart order that could send nothing is tried anew, under the next key.

        Raises Unavailable while there were as many `attempts` as there may be by now.
        """
        if self._is_late(signal):
            return self._late(caller, signal)
        key, request = f"signal:{signal.id}", read_leg(signal.request)
        if not signal.smart:
            return self._plans.place(caller, request, Admission(key=key, body_hash=key))
        target = Decimal(signal.request["target"])
        words = ""
        for attempt in range(attempts):
            own = key if attempt == 0 else f"{key}:{attempt}"
            placed = self._smart.place(caller, request, target, key=own, body_hash=key, hold=0.0)
            if placed.state != "refused" or placed.code not in _NOTHING_SENT:
                return placed
            words = placed.message
        raise Unavailable(words)

    def _is_late(self, signal: Signal) -> bool:
        """Whether it is too old to be begun: an entry after a while, an exit on another day."""
        now = self._clock.now()
        if signal.smart and Decimal(signal.request["target"]) == 0:
            return signal.received_at < day_start(now)
        return now - signal.received_at >= PATIENCE

    def _late(self, caller: Caller, signal: Signal) -> Placed:
        """What became of a signal that is not begun any more; the last of its tries counts."""
        key, attempt, placed = f"signal:{signal.id}", 0, refused("NOT_SENT", TOO_LATE)
        while told := self._plans.told(caller, f"{key}:{attempt}" if attempt else key, key):
            placed, attempt = told, attempt + 1
        return placed

    def _tell(self, signal: Signal, state: str, order_id: str, message: str) -> None:
        now = self._clock.now()
        self._db.write(lambda c: rows.acted(c, signal.id, state, order_id, message, now))

    def _is_due(self, webhook: Webhook, local: datetime) -> bool:
        hour, minute = (int(part) for part in webhook.squareoff_time.split(":"))
        due = datetime.combine(local.date(), time(hour, minute), IST)
        if local < due or (webhook.activated_at is not None and webhook.activated_at > due):
            return False
        return any(self._trades_today(mapping.exchange, local) for mapping in webhook.mappings)

    def _queue_squareoff(self, connection: Connection, webhook: Webhook, now: datetime) -> int:
        if not rows.claim_squareoff(connection, webhook.id, now.astimezone(IST).date()):
            return 0
        for mapping in webhook.mappings:
            wanted = _exit(webhook, mapping, Side.SELL)
            request = write_leg(wanted.request) | {"target": "0"}
            rows.queue(connection, webhook, request, smart=True, source="squareoff", now=now)
        return 1


def _check_times(times: tuple[str, str, str]) -> tuple[str, str, str]:
    start, end, squareoff = times
    for field, value in (("start_time", start), ("end_time", end), ("squareoff_time", squareoff)):
        if not _TIME.fullmatch(value):
            raise InvalidRequest(f"{field} is a time such as 09:15.", field)
    if not "09:15" <= start < end <= squareoff <= "15:30":
        raise InvalidRequest(
            "Times run 09:15 <= start < end <= square-off <= 15:30.",
            "start_time",
        )
    return start, end, squareoff


def _strategy_order(webhook: Webhook, payload: dict[str, Any]) -> tuple[Wanted, bool]:
    """What the decision table of the strategy webhook makes of a body, and whether it is an entry."""
    needed = ["symbol", "action"] + (["position_size"] if webhook.trading_mode == "BOTH" else [])
    missing = [name for name in needed if payload.get(name) in (None, "")]
    if missing:
        raise SignalRefused(f"Missing required fields: {', '.join(missing)}")
    action = str(payload["action"]).upper()
    if action not in ("BUY", "SELL"):
        raise SignalRefused("Invalid action: use BUY or SELL")
    side, size = Side(action), _size(payload.get("position_size"))
    mapping = next((each for each in webhook.mappings if each.symbol == payload["symbol"]), None)
    if mapping is None:
        raise SignalRefused(f"No mapping found for symbol {payload['symbol']}")
    if webhook.trading_mode == "BOTH":
        return _both(webhook, mapping, side, size)
    entry = side is (Side.BUY if webhook.trading_mode == "LONG" else Side.SELL)
    if not entry:
        return _exit(webhook, mapping, side), False
    return _entry(webhook, mapping, side, abs(size) or mapping.quantity), True


def _both(webhook: Webhook, mapping: Mapping, side: Side, size: Decimal) -> tuple[Wanted, bool]:
    if size * side.sign < 0:
        raise SignalRefused("position_size must be 0 or more for BUY and 0 or less for SELL")
    if size == 0:
        return _exit(webhook, mapping, side), False
    wanted = _entry(webhook, mapping, side, mapping.quantity)
    return replace(wanted, target=size), True


def _size(value: object) -> Decimal:
    text = str(value if value is not None else 0).strip()
    if isinstance(value, bool) or not _WHOLE.fullmatch(text):
        raise SignalRefused("position_size must be a whole number")
    return Decimal(text).to_integral_value()


def _scan(name: str) -> tuple[Side, bool]:
    """Side and whether it is an entry, from the keyword in a scan's name."""
    for keyword, side, entry in _KEYWORDS:
        if keyword in name.upper():
            return side, entry
    raise SignalRefused("No valid action keyword (BUY, SELL, SHORT, COVER) found in scan name")


def _entry(webhook: Webhook, mapping: Mapping, side: Side, quantity: Decimal) -> Wanted:
    request = OrderRequest(
        symbol=mapping.symbol,
        exchange=mapping.exchange,
        side=side,
        quantity=quantity,
        product=mapping.product,
        strategy=webhook.name,
    )
    return Wanted(request=request, target=None)


def _exit(webhook: Webhook, mapping: Mapping, side: Side) -> Wanted:
    return replace(_entry(webhook, mapping, side, Decimal(0)), target=Decimal(0))

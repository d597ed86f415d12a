"""A small world for the order path: real stores, gate and reconciler around a scripted broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from cryptography.fernet import Fernet

from broker.interface import Broker, BrokerSession
from broker.manifest import Capabilities, Limits, Login, Manifest
from database import controls
from database.crypto import Vault
from database.engine import Database, open_database
from database.metadata import ORDERS, PLATFORM
from domain.conversion import ConvertPosition
from domain.errors import BrokerUnavailable
from domain.model import (
    CancelOrder,
    Exchange,
    Instrument,
    InstrumentKind,
    ModifyOrder,
    Order,
    OrderRequest,
    OrderState,
    OrderType,
    PlaceOrder,
    Position,
    Product,
    Side,
    Trade,
)
from domain.outcomes import Accepted, Ambiguous, Outcome, Refused
from services.accounts import Accounts, Caller
from services.conversions import Conversions
from services.gate import Gate
from services.order_plans import OrderPlans
from services.order_updates import OrderUpdates
from services.orders import Orders
from services.plan_book import PlanBook
from services.portfolio import Portfolio
from services.reconcile import Reconciler
from services.risk import Facts
from services.smart_orders import SmartOrders
from services.sweeps import Sweeps

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)

RELIANCE = Instrument(
    symbol="RELIANCE",
    exchange=Exchange.NSE,
    kind=InstrumentKind.EQUITY,
    name="RELIANCE INDUSTRIES LTD",
    lot_size=1,
    tick_size=Decimal("0.10"),
    broker_symbol="RELIANCE",
    broker_exchange="NSE",
    broker_token="2885",
    freeze_quantity=10_000,
)
NIFTY_FUT = replace(
    RELIANCE,
    symbol="NIFTY29DEC26FUT",
    exchange=Exchange.NFO,
    kind=InstrumentKind.FUTURE,
    name="NIFTY",
    lot_size=65,
    expiry=date(2026, 12, 29),
    freeze_quantity=1800,
)
NIFTY = replace(RELIANCE, symbol="NIFTY", exchange=Exchange.NSE_INDEX, kind=InstrumentKind.INDEX)
CATALOG = {(i.exchange.value, i.symbol): i for i in (RELIANCE, NIFTY_FUT, NIFTY)}


@dataclass
class ManualClock:
    """Wall time stands still until it is moved; sleeping moves only the monotonic reading."""

    moment: datetime = NOW
    ticks: float = 0.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.ticks

    def sleep(self, seconds: float) -> None:
        self.ticks += seconds
        time.sleep(0.001)

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


MANIFEST = Manifest(
    name="scripted",
    title="Scripted",
    family="",
    docs="",
    urls={},
    can=Capabilities(
        exchanges=frozenset({Exchange.NSE, Exchange.NFO}),
        order_types=frozenset(OrderType),
        products=frozenset(Product),
        reads=frozenset({"orders", "trades", "positions"}),
        convert=True,
    ),
    limits=Limits(tag=16),
    login=Login(),
)


@dataclass
class Script:
    """What the broker does next and what really happened there."""

    answers: list[Callable[[], Outcome] | str] = field(default_factory=list)
    orders: dict[str, Order] = field(default_factory=dict)
    sent: list[PlaceOrder | ModifyOrder | CancelOrder | ConvertPosition] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    book_down: bool = False
    carries_tags: bool = True

    def hold(self, one: Instrument, product: Product, units: Decimal | int) -> None:
        """Let the position book show so many units more of a line."""
        for at, row in enumerate(self.positions):
            if (row.exchange, row.symbol, row.product) == (*one.key, product):
                self.positions[at] = replace(row, quantity=row.quantity + units)
                return
        self.positions.append(
            Position(symbol=one.symbol, exchange=one.exchange, product=product, quantity=Decimal(units))
        )

    def held(self, one: Instrument, product: Product) -> Decimal:
        """Units that it shows."""
        named = (*one.key, product)
        rows = [row for row in self.positions if (row.exchange, row.symbol, row.product) == named]
        return sum((row.quantity for row in rows), Decimal(0))


class ScriptedBroker(Broker):
    """Takes every order unless the script says otherwise: "lost" drops the request, "silent" the answer."""

    manifest = MANIFEST

    def __init__(self, script: Script, clock: ManualClock) -> None:
        session = BrokerSession(account="1", tokens={}, urls={}, opened_at=NOW)
        super().__init__(session, lambda exchange, token: None, clock)
        self.script = script

    def _place(self, order: PlaceOrder) -> Outcome:
        self.script.sent.append(order)
        answer = self.script.answers.pop(0) if self.script.answers else "take"
        if answer == "lost":
            return Ambiguous("connection reset")
        if callable(answer):
            return answer()
        order_id = f"B{len(self.script.orders) + 1}"
        self.script.orders[order_id] = Order(
            order_id=order_id,
            client_order_id=order.client_order_id if self.script.carries_tags else "",
            symbol=order.instrument.symbol,
            exchange=order.instrument.exchange,
            side=order.side,
            quantity=order.quantity,
            order_type=order.order_type,
            product=order.product,
            price=order.price,
            trigger_price=order.trigger_price,
            state=OrderState.OPEN,
            placed_at=self.clock.now(),
            updated_at=self.clock.now(),
        )
        return Ambiguous("timed out") if answer == "silent" else Accepted(order_id)

    def _modify(self, change: ModifyOrder) -> Outcome:
        self.script.sent.append(change)
        known = self.script.orders[change.order_id]
        self.script.orders[change.order_id] = replace(known, quantity=change.quantity, price=change.price)
        return Accepted(change.order_id)

    def _cancel(self, wish: CancelOrder) -> Outcome:
        self.script.sent.append(wish)
        known = self.script.orders.get(wish.order_id)
        if known is None or known.state.is_final:
            return Refused("NOT_CANCELLABLE", "not open")
        self.script.orders[wish.order_id] = replace(known, state=OrderState.CANCELLED)
        return Accepted(wish.order_id)

    def _convert(self, wish: ConvertPosition) -> Outcome:
        self.script.sent.append(wish)
        answer = self.script.answers.pop(0) if self.script.answers else "take"
        if answer == "lost":
            return Ambiguous("connection reset")
        if callable(answer):
            return answer()
        units = wish.quantity * wish.side.sign
        self.script.hold(wish.instrument, wish.product, -units)
        self.script.hold(wish.instrument, wish.to_product, units)
        return Ambiguous("timed out") if answer == "silent" else Accepted(wish.client_order_id)

    def _fetch_trades(self) -> list[Trade]:
        return self.script.trades

    def _fetch_orders(self) -> list[Order]:
        if self.script.book_down:
            raise BrokerUnavailable("scripted", text="no answer")
        return list(self.script.orders.values())

    def _fetch_positions(self) -> list[Position]:
        if self.script.book_down:
            raise BrokerUnavailable("scripted", text="no answer")
        return self.script.positions


class _Sessions:
    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    def broker_for(self, account: object) -> Broker:
        return self.broker

    data_broker_for = broker_for


class _Catalog:
    def get(self, broker: str, exchange: str, symbol: str) -> Instrument | None:
        return CATALOG.get((exchange, symbol))


class World:
    """Everything the order path needs, in one temporary directory, or in the schemas of `url` (PostgreSQL)."""

    url = ""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.platform = self._store("platform", folder)
        self.orders_db = self._store("orders", folder)
        vault = Vault((Fernet.generate_key().decode(),), "pepper")
        hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        self.accounts = Accounts(self.platform, vault, self.clock, self._open_controls, hasher)
        self.user = self.accounts.add_user("asha", "a long password")
        self.caller: Caller = self.accounts.caller_of_user(self.user.id)
        self.script = Script()
        self.broker = ScriptedBroker(self.script, self.clock)
        self.bells: list[int] = []
        self.facts = Facts()
        self.updates = OrderUpdates(self.orders_db, self.clock, self.bells.append)
        sessions = _Sessions(self.broker)
        self.reconciler = Reconciler(
            self.orders_db, self.clock, self.accounts.account, sessions, self.updates, self.bells.append
        )
        self.gate = Gate(self.orders_db, self.clock, lambda caller, request: self.facts)
        self.orders = Orders(
            self.orders_db,
            self.clock,
            _Catalog(),
            sessions,
            self.gate,
            look_again=self.reconciler.look,
            tell=self.bells.append,
            pause=self.clock.sleep,
        )
        self.conversions = Conversions(self.clock, sessions, self.gate, self.orders, lambda account: None)
        portfolio = Portfolio(self.orders_db, _Catalog(), sessions)
        self.plan_book = PlanBook(self.orders_db, self.clock, self.bells.append)
        self.plans = OrderPlans(self.plan_book, self.clock, self.accounts, self.orders)
        self.smart = self._smart_orders(sessions, portfolio)
        self.sweeps = Sweeps(
            self.orders_db,
            self.clock,
            self.accounts,
            sessions,
            self.orders,
            self.smart,
            self.plan_book,
            self.updates,
            self.clock.sleep,
        )

    def _smart_orders(self, sessions: Any, positions: Any) -> SmartOrders:
        return SmartOrders(
            self.orders_db,
            self.clock,
            self.accounts,
            sessions,
            positions,
            self.orders,
            self.plan_book,
            self.clock.sleep,
        )

    def _store(self, name: str, folder: Path) -> Database:
        store = open_database(self.url, name, folder)
        metadata = {"platform": PLATFORM, "orders": ORDERS}[name]
        metadata.create_all(store.engine)
        return store

    def _open_controls(self, account_id: int) -> None:
        self.orders_db.write(lambda c: controls.ensure(c, account_id, self.clock.now()))

    def limit(self, **limits: object) -> None:
        """Set limits of the account (or, with strategy=, of a strategy)."""
        row = controls.Controls(account_id=self.caller.account.id, **limits)  # type: ignore[arg-type]
        self.orders_db.write(lambda c: controls.save(c, row, self.clock.now()))

    def close(self) -> None:
        self.platform.close()
        self.orders_db.close()


def buy(quantity: int = 10, **changes: object) -> OrderRequest:
    """A MARKET buy of RELIANCE, changed as asked."""
    request = OrderRequest(
        symbol="RELIANCE", exchange=Exchange.NSE, side=Side.BUY, quantity=Decimal(quantity), strategy="test"
    )
    return replace(request, **changes)  # type: ignore[arg-type]

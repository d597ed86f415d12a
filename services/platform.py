"""The wiring diagram: every service, made once from the settings, in the order they need each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import zmq

from broker.interface import Broker, BrokerSession, InstrumentLookup
from broker.paper.client import Link, PaperBroker
from database import controls
from database.crypto import Vault
from database.engine import FILES, Database, open_database
from domain.clock import Clock
from services.accounts import Accounts
from services.approvals import Approvals
from services.audit import Audit
from services.bus import Bus
from services.event_bus import EventBus, order_topic
from services.facts import FactReader
from services.gate import Gate
from services.history import History
from services.instruments import Instruments
from services.kill_switch import KillSwitch
from services.market_calendar import MarketCalendar
from services.market_data import MarketData
from services.option_chain import OptionChains
from services.option_greeks import OptionGreeksDesk
from services.options import Options
from services.order_plans import OrderPlans
from services.order_updates import OrderUpdates
from services.orders import Orders
from services.plan_book import PlanBook
from services.portfolio import Portfolio
from services.reconcile import Reconciler
from services.sessions import Sessions
from services.smart_orders import SmartOrders
from services.snapshot import Snapshots
from services.tickets import Tickets
from services.triggers import Triggers

if TYPE_CHECKING:
    from config import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One process's services. `databases` by name of their store."""

    settings: Settings
    clock: Clock
    databases: dict[str, Database]
    vault: Vault
    bus: Bus
    event_bus: EventBus
    snapshots: Snapshots
    tickets: Tickets
    calendar: MarketCalendar
    instruments: Instruments
    accounts: Accounts
    sessions: Sessions
    portfolio: Portfolio
    market_data: MarketData
    history: History
    options: Options
    option_chains: OptionChains
    option_greeks: OptionGreeksDesk
    updates: OrderUpdates
    reconciler: Reconciler
    gate: Gate
    orders: Orders
    audit: Audit
    kill_switch: KillSwitch
    approvals: Approvals
    triggers: Triggers
    order_plans: OrderPlans
    smart_orders: SmartOrders

    def close(self) -> None:
        """Give back sockets, files and connections. Nothing may use the platform afterwards."""
        self.instruments.close()
        self.event_bus.close()
        self.bus.close()
        for database in self.databases.values():
            database.close()


def build_platform(settings: Settings, role: str = "web", clock: Clock | None = None) -> Platform:
    """Make every service of one process; `role` names the process's keys on the bus. Nothing is started."""
    from config import SystemClock

    clock = clock or SystemClock()
    databases = {
        name: open_database(settings.database_url, name, settings.data_dir)
        for name in FILES
        if name != "paper"
    }
    store, orders_store = databases["platform"], databases["orders"]
    vault = Vault(settings.fernet_keys, settings.api_key_pepper)
    bus = Bus(settings.data_dir, role, bus_tcp(settings))
    event_bus = EventBus(bus)
    calendar = MarketCalendar(store, clock)
    instruments = Instruments(store, settings.data_dir / "instruments", clock, calendar.current)
    accounts = Accounts(store, vault, clock, partial(_open_controls, orders_store, clock))
    link = Link(partial(bus.connect, zmq.DEALER, bus.addresses.exchange, "exchange"))

    def paper(session: BrokerSession, find: InstrumentLookup) -> Broker:
        return PaperBroker(session, find, clock, link)

    sessions = Sessions(store, vault, clock, instruments.find, paper)
    portfolio = Portfolio(orders_store, instruments, sessions)
    snapshots = Snapshots(bus)
    market_data = MarketData(instruments, sessions, clock, snapshots)

    def tell(account_id: int) -> None:
        event_bus.ring(order_topic(account_id))

    updates = OrderUpdates(orders_store, clock, tell)
    reconciler = Reconciler(orders_store, clock, accounts.account, sessions, updates)
    gate = Gate(orders_store, clock, FactReader(portfolio, market_data, clock).read)
    orders = Orders(orders_store, clock, instruments, sessions, gate, look_again=reconciler.look, tell=tell)
    options = Options(instruments, sessions, market_data)
    plan_book = PlanBook(orders_store, clock)
    order_plans = OrderPlans(plan_book, clock, accounts, orders)
    smart_orders = SmartOrders(orders_store, clock, sessions, portfolio, orders, plan_book)
    audit = Audit(orders_store, clock)
    return Platform(
        settings=settings,
        clock=clock,
        databases=databases,
        vault=vault,
        bus=bus,
        event_bus=event_bus,
        snapshots=snapshots,
        tickets=Tickets(settings.app_key, clock),
        calendar=calendar,
        instruments=instruments,
        accounts=accounts,
        sessions=sessions,
        portfolio=portfolio,
        market_data=market_data,
        history=History(instruments, sessions),
        options=options,
        option_chains=OptionChains(options, market_data, clock),
        option_greeks=OptionGreeksDesk(options, market_data, clock),
        updates=updates,
        reconciler=reconciler,
        gate=gate,
        orders=orders,
        order_plans=order_plans,
        smart_orders=smart_orders,
        audit=audit,
        triggers=Triggers(orders_store, clock, sessions, orders, market_data, audit),
        kill_switch=KillSwitch(orders_store, clock, accounts, orders, audit),
        approvals=Approvals(
            orders_store, clock, accounts, sessions, orders, order_plans, smart_orders, plan_book, audit
        ),
    )


def bus_tcp(settings: Settings) -> str:
    """The bus's TCP address, "" when it runs over local sockets."""
    return f"tcp://{settings.zmq_host}:{settings.zmq_port}" if settings.bus_transport == "tcp" else ""


def _open_controls(orders: Database, clock: Clock, account_id: int) -> None:
    orders.write(lambda connection: controls.ensure(connection, account_id, clock.now()))

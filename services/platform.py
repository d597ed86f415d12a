"""The wiring diagram: every service of a process, made once, from the settings and each other."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

import zmq

from broker.interface import Broker, BrokerSession, InstrumentLookup
from broker.paper.client import Link, PaperBroker
from broker.paper.simulated import SEED, SimulatedMarket
from database import controls
from database.crypto import Vault
from database.engine import FILES, Database, open_database
from domain.clock import IST, Clock
from domain.masters import LoadReport
from services.accounts import Accounts
from services.approvals import Approvals
from services.audit import Audit
from services.bus import Bus
from services.chart_settings import ChartSettings
from services.contract_sync import ContractSync
from services.conversions import Conversions
from services.egress import Egress
from services.env_import import EnvImport
from services.event_bus import EventBus, account_topic, order_topic
from services.facts import FactReader
from services.gate import Gate
from services.history import History
from services.instruments import Instruments
from services.jobs import Jobs
from services.kill_switch import KillSwitch
from services.market_calendar import MarketCalendar
from services.market_data import MarketData
from services.once import Once
from services.option_chain import OptionChains
from services.option_greeks import OptionGreeksDesk
from services.option_orders import OptionOrders
from services.options import Options
from services.order_plans import OrderPlans
from services.order_updates import OrderUpdates
from services.orders import Orders
from services.parked_gtts import ParkedGtts
from services.plan_book import PlanBook
from services.portfolio import Portfolio
from services.postbacks import Postbacks
from services.reconcile import Reconciler
from services.reconciliation import Reconciliation
from services.sessions import Sessions
from services.signals import Signals
from services.smart_orders import SmartOrders
from services.snapshot import Snapshots
from services.strategy_alerts import StrategyAlerts
from services.strategy_book import StrategyBook
from services.strategy_host import StrategyHost
from services.strategy_logs import StrategyLogs
from services.sweeps import Sweeps
from services.tickets import Tickets
from services.triggers import Triggers

if TYPE_CHECKING:
    from config import Settings


class Platform:
    """One process's services, each made when it is first asked for. Nothing is started here."""

    def __init__(self, settings: Settings, role: str, clock: Clock) -> None:
        """`role` names the process's keys on the bus."""
        self.settings = settings
        self.clock = clock
        self.databases: dict[str, Database] = {
            name: open_database(settings.database_url, name, settings.data_dir)
            for name in FILES
            if name != "paper"
        }
        self.vault = Vault(settings.fernet_keys, settings.api_key_pepper)
        self.bus = Bus(settings.data_dir, role, bus_tcp(settings))
        self.event_bus = EventBus(self.bus)
        store = self.databases["platform"]
        self.calendar = MarketCalendar(store, clock)
        self.instruments = Instruments(store, settings.data_dir / "instruments", clock, self.calendar.current)

    def close(self) -> None:
        """Give back sockets, files and connections. Nothing may use the platform afterwards."""
        self.instruments.close()
        self.event_bus.close()
        self.bus.close()
        for database in self.databases.values():
            database.close()

    def load_paper(self) -> LoadReport:
        """Write the paper exchange's master for today, with strikes around where its market stands."""
        today = self.instruments.today()
        return self.instruments.load_paper(today, SimulatedMarket(SEED, self.clock).levels(today))

    def tell(self, account_id: int) -> None:
        """Ring that an account has new order events."""
        self.event_bus.ring(order_topic(account_id))

    def tell_account(self, account_id: int) -> None:
        """Ring that an account's mode or broker login changed."""
        self.event_bus.ring(account_topic(account_id))

    @property
    def _store(self) -> Database:
        return self.databases["platform"]

    @property
    def _orders_store(self) -> Database:
        return self.databases["orders"]

    # -- who, and where their orders go
    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(
            self._store,
            self.vault,
            self.clock,
            partial(_open_controls, self._orders_store, self.clock),
            changed=self.tell_account,
        )

    @cached_property
    def chart_settings(self) -> ChartSettings:
        return ChartSettings(self._store)

    @cached_property
    def tickets(self) -> Tickets:
        return Tickets(self.settings.app_key, self.clock)

    @cached_property
    def sessions(self) -> Sessions:
        link = Link(partial(self.bus.connect, zmq.DEALER, self.bus.addresses.exchange, "exchange"))

        def paper(session: BrokerSession, find: InstrumentLookup) -> Broker:
            return PaperBroker(session, find, self.clock, link)

        return Sessions(
            self._store,
            self.vault,
            self.clock,
            self.instruments.find,
            paper,
            self.tell_account,
            counted=self.settings.data_dir / "pacing",
        )

    @cached_property
    def env_import(self) -> EnvImport:
        found = self.settings
        kept = {
            "BROKER_API_KEY": found.broker_api_key,
            "BROKER_API_SECRET": found.broker_api_secret,
            "BROKER_API_KEY_MARKET": found.broker_api_key_market,
            "BROKER_API_SECRET_MARKET": found.broker_api_secret_market,
            "REDIRECT_URL": found.redirect_url,
        }
        return EnvImport(self._store, self.accounts, self.sessions, kept)

    # -- the market
    @cached_property
    def snapshots(self) -> Snapshots:
        return Snapshots(self.bus)

    @cached_property
    def market_data(self) -> MarketData:
        return MarketData(self.instruments, self.sessions, self.clock, self.snapshots)

    @cached_property
    def history(self) -> History:
        return History(self.instruments, self.sessions, self.calendar)

    @cached_property
    def options(self) -> Options:
        return Options(self.instruments, self.sessions, self.market_data)

    @cached_property
    def option_chains(self) -> OptionChains:
        return OptionChains(self.options, self.market_data, self.clock)

    @cached_property
    def option_greeks(self) -> OptionGreeksDesk:
        return OptionGreeksDesk(self.options, self.market_data, self.clock)

    # -- orders
    @cached_property
    def portfolio(self) -> Portfolio:
        return Portfolio(self._orders_store, self.instruments, self.sessions)

    @cached_property
    def updates(self) -> OrderUpdates:
        return OrderUpdates(self._orders_store, self.clock, self.tell)

    @cached_property
    def postbacks(self) -> Postbacks:
        return Postbacks(self._orders_store, self.accounts, self.sessions, self.updates)

    @cached_property
    def reconciler(self) -> Reconciler:
        return Reconciler(
            self._orders_store, self.clock, self.accounts.account, self.sessions, self.updates, self.tell
        )

    @cached_property
    def reconciliation(self) -> Reconciliation:
        return Reconciliation(
            self._store,
            self._orders_store,
            self.clock,
            self.accounts.every_account,
            self.sessions,
            self.updates,
            self.reconciler,
        )

    @cached_property
    def gate(self) -> Gate:
        facts = FactReader(self.portfolio, self.market_data, self.clock)
        return Gate(self._orders_store, self.clock, facts.read)

    @cached_property
    def orders(self) -> Orders:
        return Orders(
            self._orders_store,
            self.clock,
            self.instruments,
            self.sessions,
            self.gate,
            look_again=self.reconciler.look,
            tell=self.tell,
            ready=self.reconciliation.require,
        )

    @cached_property
    def conversions(self) -> Conversions:
        return Conversions(self.clock, self.sessions, self.gate, self.orders, self.reconciliation.require)

    @cached_property
    def plan_book(self) -> PlanBook:
        return PlanBook(self._orders_store, self.clock, self.tell)

    @cached_property
    def order_plans(self) -> OrderPlans:
        return OrderPlans(self.plan_book, self.clock, self.accounts, self.orders)

    @cached_property
    def option_orders(self) -> OptionOrders:
        return OptionOrders(self.options, self.order_plans)

    @cached_property
    def once(self) -> Once:
        return Once(self._orders_store, self.clock)

    @cached_property
    def smart_orders(self) -> SmartOrders:
        return SmartOrders(
            self._orders_store,
            self.clock,
            self.accounts,
            self.sessions,
            self.portfolio,
            self.orders,
            self.plan_book,
        )

    @cached_property
    def sweeps(self) -> Sweeps:
        return Sweeps(
            self._orders_store,
            self.clock,
            self.accounts,
            self.sessions,
            self.orders,
            self.smart_orders,
            self.plan_book,
            self.updates,
        )

    @cached_property
    def triggers(self) -> Triggers:
        return Triggers(
            self._orders_store, self.clock, self.sessions, self.orders, self.market_data, self.audit
        )

    @cached_property
    def parked_gtts(self) -> ParkedGtts:
        return ParkedGtts(self.plan_book, self.accounts, self.triggers)

    # -- other people's programs
    @cached_property
    def strategy_host(self) -> StrategyHost:
        return StrategyHost(
            self._store,
            self.databases["logs"],
            self._orders_store,
            self.settings.data_dir,
            self.clock,
            self.vault,
            self.accounts,
            self.calendar,
            self.audit,
            self.event_bus,
        )

    @cached_property
    def strategy_book(self) -> StrategyBook:
        return StrategyBook(
            self._store,
            self.databases["logs"],
            self._orders_store,
            self.clock,
            self.accounts,
            self.market_data,
        )

    @cached_property
    def strategy_alerts(self) -> StrategyAlerts:
        return StrategyAlerts(self._store, self.clock)

    @cached_property
    def strategy_logs(self) -> StrategyLogs:
        return StrategyLogs(self.strategy_host)

    @cached_property
    def signals(self) -> Signals:
        return Signals(
            self._store,
            self._orders_store,
            self.clock,
            self.accounts,
            self.orders,
            self.order_plans,
            self.smart_orders,
            lambda exchange, at: self.calendar.is_trading_day(exchange, at.astimezone(IST).date()),
        )

    # -- work that takes long
    @cached_property
    def jobs(self) -> Jobs:
        return Jobs(self._store, self.clock, self.event_bus)

    @cached_property
    def contract_sync(self) -> ContractSync:
        return ContractSync(self.clock, self.accounts, self.sessions, self.instruments, self.jobs)

    # -- safety
    @cached_property
    def audit(self) -> Audit:
        return Audit(self._orders_store, self.clock)

    @cached_property
    def kill_switch(self) -> KillSwitch:
        return KillSwitch(
            self._orders_store,
            self.clock,
            self.accounts,
            self.sweeps,
            self.audit,
            self.strategy_host.stop_account,
        )

    @cached_property
    def egress(self) -> Egress:
        return Egress(self._store, self.clock, self.audit, self.settings.egress_check_url)

    @cached_property
    def approvals(self) -> Approvals:
        return Approvals(
            self._orders_store,
            self.clock,
            self.accounts,
            self.sessions,
            self.orders,
            self.order_plans,
            self.smart_orders,
            self.parked_gtts,
            self.plan_book,
            self.audit,
            self.tell,
        )


def build_platform(settings: Settings, role: str = "web", clock: Clock | None = None) -> Platform:
    """The services of one process; `clock` is the real one unless a test brings its own."""
    from config import SystemClock

    return Platform(settings, role, clock or SystemClock())


def bus_tcp(settings: Settings) -> str:
    """The bus's TCP address, "" when it runs over local sockets."""
    return f"tcp://{settings.zmq_host}:{settings.zmq_port}" if settings.bus_transport == "tcp" else ""


def _open_controls(orders: Database, clock: Clock, account_id: int) -> None:
    orders.write(lambda connection: controls.ensure(connection, account_id, clock.now()))

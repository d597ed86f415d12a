"""What strategies did: their newest runs and what they take, their orders, and the day's profit of those orders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal

from database import leases
from database import strategy_orders as order_rows
from database import strategy_runs as run_rows
from database.engine import Database
from database.strategy_orders import StrategyOrder
from domain.calendar import ROLL
from domain.clock import IST, Clock
from domain.errors import PlatformError
from domain.market import Quote
from domain.model import Exchange
from domain.strategies import Run, Sample, Strategy
from services.accounts import Accounts, Caller
from services.market_data import MarketData

_FRESH = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Overview:
    """A strategy beside its newest run. starts: how often it was started today"""

    strategy: Strategy
    run: Run | None
    sample: Sample | None
    starts: int


@dataclass(frozen=True, slots=True)
class Holding:
    """What today's orders of a strategy left of one instrument. quantity: signed; pnl: None without a price"""

    symbol: str
    exchange: str
    product: str
    quantity: Decimal
    spent: Decimal
    last: Decimal | None

    @property
    def pnl(self) -> Decimal | None:
        if self.quantity == 0:
            return -self.spent
        return None if self.last is None else self.last * self.quantity - self.spent


@dataclass(frozen=True, slots=True)
class Book:
    """Today's orders of a strategy, newest first, and what they left. Before charges."""

    orders: list[StrategyOrder]
    holdings: list[Holding]

    @property
    def rejected(self) -> int:
        return sum(order.state in ("REJECTED", "REFUSED") for order in self.orders)

    @property
    def pnl(self) -> Decimal | None:
        """None when a price is missing."""
        total = Decimal(0)
        for held in self.holdings:
            if held.pnl is None:
                return None
            total += held.pnl
        return total


class StrategyBook:
    """Reads only."""

    def __init__(
        self,
        store: Database,
        logs: Database,
        orders: Database,
        clock: Clock,
        accounts: Accounts,
        market_data: MarketData,
    ) -> None:
        self._db = store
        self._logs = logs
        self._orders = orders
        self._clock = clock
        self._accounts = accounts
        self._market_data = market_data

    def overview(self, strategies: list[Strategy]) -> list[Overview]:
        """In the same order."""
        now = self._clock.now()
        with self._db.read() as connection:
            runs = run_rows.newest(connection, [each.id for each in strategies])
            starts = run_rows.counts(connection, self.day_begins())
        with self._logs.read() as connection:
            samples = run_rows.newest_samples(connection, now - _FRESH)
        return [
            Overview(each, runs.get(each.id), samples.get(each.id), starts.get(each.id, 0))
            for each in strategies
        ]

    def is_kept(self) -> bool:
        """Whether a worker looks after strategies now."""
        with self._db.read() as connection:
            until = leases.until(connection, "worker")
        return until is not None and until > self._clock.now()

    def day_begins(self) -> datetime:
        """03:00 IST of the trading day that is on."""
        now = self._clock.now().astimezone(IST)
        day = now.date() if now.time() >= ROLL else now.date() - timedelta(days=1)
        return datetime.combine(day, time(ROLL.hour), IST)

    def orders(self, strategy: Strategy, upto: int | None = None) -> list[StrategyOrder]:
        """Today's orders of a strategy, newest first; no broker is asked. `upto`: of no run after that generation."""
        with self._db.read() as connection:
            keys = run_rows.keys_of(connection, strategy.id, upto)
        with self._orders.read() as connection:
            return order_rows.of_keys(connection, keys, self.day_begins())

    def book(self, strategy: Strategy) -> Book:
        """Today's orders and what they are worth at the last prices."""
        orders = self.orders(strategy)
        holdings = folded(orders)
        wanted = [(held.symbol, Exchange(held.exchange)) for held in holdings if held.quantity]
        prices = self._prices(strategy, wanted) if wanted else {}
        return Book(
            orders,
            [
                Holding(
                    each.symbol,
                    each.exchange,
                    each.product,
                    each.quantity,
                    each.spent,
                    prices.get((each.symbol, each.exchange)),
                )
                for each in holdings
            ],
        )

    def _prices(
        self, strategy: Strategy, wanted: list[tuple[str, Exchange]]
    ) -> dict[tuple[str, str], Decimal]:
        caller = self._caller(strategy)
        try:
            quotes = self._market_data.quotes(caller, wanted)
        except PlatformError:
            return {}
        return {
            (symbol, exchange.value): Decimal(str(quote.last_price))
            for (symbol, exchange), quote in zip(wanted, quotes, strict=True)
            if isinstance(quote, Quote)
        }

    def _caller(self, strategy: Strategy) -> Caller:
        return self._accounts.caller_of_user(strategy.user_id, strategy.account_id, door="worker")


def folded(orders: list[StrategyOrder]) -> list[Holding]:
    """Fills summed by instrument and product."""
    sums: dict[tuple[str, str, str], tuple[Decimal, Decimal]] = {}
    for order in orders:
        if not order.filled or order.average_price is None:
            continue
        key = order.symbol, order.exchange, order.product
        quantity, spent = sums.get(key, (Decimal(0), Decimal(0)))
        signed = order.filled if order.side == "BUY" else -order.filled
        sums[key] = quantity + signed, spent + signed * order.average_price
    return [Holding(*key, quantity, spent, None) for key, (quantity, spent) in sorted(sums.items())]

"""What becomes of a stopped strategy's orders: working ones are cancelled, what they left is closed, as it asked."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from database import strategy_runs as run_rows
from database.engine import Database
from domain.clock import Clock
from domain.errors import PlatformError
from domain.model import Exchange, Mode, OrderRequest, Product, Side
from domain.strategies import Note, Run, Strategy
from services.accounts import Accounts, Caller
from services.orders import Orders
from services.portfolio import Portfolio
from services.strategy_book import StrategyBook

log = logging.getLogger(__name__)

_WORKING = ("OPEN", "TRIGGER_PENDING", "PENDING", "UNKNOWN", "QUEUED", "PARKED")


class StrategySweep:
    """Works in a thread of its own, so that a slow broker holds up no other strategy; what it did is noted."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        accounts: Accounts,
        orders: Orders,
        portfolio: Portfolio,
        book: StrategyBook,
    ) -> None:
        self._db = store
        self._clock = clock
        self._accounts = accounts
        self._orders = orders
        self._portfolio = portfolio
        self._book = book

    def ended(self, strategy: Strategy, run: Run) -> None:
        """A run is over. Nothing is done when it ended by itself: it may be started again."""
        if run.stopping is not None and (strategy.cancel_on_stop or strategy.flatten_on_stop):
            threading.Thread(target=self._safely, args=(strategy,), name=f"sweep {strategy.id}").start()

    def _safely(self, strategy: Strategy) -> None:
        try:
            lines = self.sweep(strategy)
        except PlatformError as error:
            lines = [f"its orders could not be looked at: {error}"]
        except Exception:
            log.exception("sweeping after strategy id=%s failed", strategy.id)
            lines = ["its orders could not be looked at; see the platform's log"]
        now = self._clock.now()
        note = Note(at=now, kind="info", words="After the stop: " + ("; ".join(lines) or "nothing was open"))
        self._db.write(lambda c: run_rows.add_note(c, strategy.id, note))

    def sweep(self, strategy: Strategy) -> list[str]:
        """Cancel, then (when asked for) close; a line for each order."""
        caller = self._accounts.caller_of_user(strategy.user_id, strategy.account_id, door="worker")
        lines = self._cancel(caller, strategy)
        return lines + (self._close(caller, strategy) if strategy.flatten_on_stop else [])

    def _cancel(self, caller: Caller, strategy: Strategy) -> list[str]:
        lines = []
        for order in self._book.orders(strategy):
            if order.state not in _WORKING:
                continue
            try:
                at_venue = _at(caller, order.mode)
                lines.append(f"order {order.order_id} {self._orders.cancel(at_venue, order.order_id).state}")
            except PlatformError as error:
                lines.append(f"order {order.order_id} not cancelled: {error}")
        return lines

    def _close(self, caller: Caller, strategy: Strategy) -> list[str]:
        """Close what today's orders left, never more than the account holds."""
        lines = []
        for held in self._book.book(strategy).holdings:
            product, exchange = Product(held.product), Exchange(held.exchange)
            there = self._portfolio.open_quantity(caller, held.symbol, exchange, product)
            if held.quantity * there <= 0:
                continue
            request = OrderRequest(
                symbol=held.symbol,
                exchange=exchange,
                side=Side.SELL if held.quantity > 0 else Side.BUY,
                quantity=min(abs(held.quantity), abs(there)),
                product=product,
                strategy=strategy.name,
                reduce_only=True,
            )
            try:
                lines.append(f"{held.symbol} closed: {self._orders.place(caller, request).state}")
            except PlatformError as error:
                lines.append(f"{held.symbol} not closed: {error}")
        return lines


def _at(caller: Caller, mode: str) -> Caller:
    """The caller at the venue that an order went to, whatever the account's mode is now."""
    return replace(caller, account=replace(caller.account, mode=Mode(mode)))

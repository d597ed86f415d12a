"""What becomes of a stopped strategy's orders: working ones are cancelled, what they left is closed, as it asked.

What is to be done stands in the run's row, so a worker that dies in it is followed by one that goes on. Cancelling
twice changes nothing, and each closing order carries a key of its own: it is sent once, whoever asks again.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from sqlalchemy import Connection

from database import strategies as rows
from database import strategy_runs as run_rows
from database.engine import Database
from database.strategy_orders import StrategyOrder
from domain.clock import Clock
from domain.errors import PlatformError
from domain.model import Exchange, Mode, OrderRequest, Product, Side
from domain.strategies import Note, Run, Strategy, Sweep, Wanted
from services.accounts import Accounts, Caller
from services.gate import Admission
from services.order_plans import OrderPlans
from services.orders import Orders
from services.portfolio import Portfolio
from services.strategy_book import Holding, StrategyBook, folded
from strategies.manager import RESTARTED

log = logging.getLogger(__name__)

_WORKING = ("OPEN", "TRIGGER_PENDING", "PENDING", "UNKNOWN", "QUEUED", "PARKED")

GONE = "the platform was stopped"
"""Why a run was told to end that starts again with the platform."""


def sweep_of(strategy: Strategy, run: Run) -> Sweep:
    """Whether a stop asked for its orders to be looked after. What ends by itself or is restarted goes on with them."""
    ended = run.stopping is not None and run.reason not in (GONE, RESTARTED)
    stopped = strategy.wanted is Wanted.STOPPED or ended
    return "due" if stopped and (strategy.cancel_on_stop or strategy.flatten_on_stop) else ""


class StrategySweep:
    """Works in threads of its own, so that a slow broker holds up no other strategy; what it did is noted."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        accounts: Accounts,
        orders: Orders,
        plans: OrderPlans,
        portfolio: Portfolio,
        book: StrategyBook,
    ) -> None:
        self._db = store
        self._clock = clock
        self._accounts = accounts
        self._orders = orders
        self._plans = plans
        self._portfolio = portfolio
        self._book = book
        self._busy: set[int] = set()

    def look(self) -> None:
        """Begin what is to be done and is not being done. One thread calls this."""
        with self._db.read() as connection:
            runs = run_rows.to_sweep(connection)
        for run in runs:
            if run.id not in self._busy:
                self._busy.add(run.id)
                threading.Thread(target=self._safely, args=(run,), name=f"sweep {run.strategy_id}").start()

    def _safely(self, run: Run) -> None:
        try:
            with self._db.read() as connection:
                strategy = rows.by_id(connection, run.strategy_id)
            lines = ["its strategy is gone"]
            if strategy is not None:
                self._mark(run, "begun")
                lines = self.sweep(strategy, run)
        except PlatformError as error:
            lines = [f"its orders could not be looked at: {error}"]
        except Exception:
            log.exception("sweeping after strategy id=%s failed", run.strategy_id)
            lines = ["its orders could not be looked at; see the platform's log"]
        begins = "Gone on with after the worker was away" if run.sweep == "begun" else "After the stop"
        self._mark(run, "done", f"{begins}: " + ("; ".join(lines) or "nothing was open"))
        self._busy.discard(run.id)

    def _mark(self, run: Run, sweep: Sweep, words: str = "") -> None:
        note = Note(at=self._clock.now(), kind="info", words=words)

        def work(connection: Connection) -> None:
            run_rows.change_run(connection, run.id, sweep=sweep)
            if words:
                run_rows.add_note(connection, run.strategy_id, note)

        self._db.write(work)

    def sweep(self, strategy: Strategy, run: Run) -> list[str]:
        """Cancel, then (when asked for) close, at each venue that its orders of today went to; a line for each."""
        caller = self._accounts.caller_of_user(strategy.user_id, strategy.account_id, door="worker")
        caller = replace(caller, key_id=run.key_id, strategy=strategy.id)
        orders = self._book.orders(strategy, run.generation)
        lines = []
        for mode in sorted({order.mode for order in orders}):
            at_venue = replace(caller, account=replace(caller.account, mode=Mode(mode)))
            lines += self._cancel(at_venue, [order for order in orders if order.mode == mode])
            if strategy.flatten_on_stop:
                again = [each for each in self._book.orders(strategy, run.generation) if each.mode == mode]
                lines += self._close(at_venue, strategy, run, folded(again))
        return lines

    def _cancel(self, caller: Caller, orders: list[StrategyOrder]) -> list[str]:
        lines = []
        for order in orders:
            if order.state not in _WORKING:
                continue
            try:
                lines.append(f"order {order.order_id} {self._orders.cancel(caller, order.order_id).state}")
            except PlatformError as error:
                lines.append(f"order {order.order_id} not cancelled: {error}")
        return lines

    def _close(self, caller: Caller, strategy: Strategy, run: Run, holdings: list[Holding]) -> list[str]:
        """Close what its orders left, never more than the account holds."""
        lines = []
        for held in holdings:
            product, exchange = Product(held.product), Exchange(held.exchange)
            try:
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
                key = f"sweep-{run.id}-{caller.account.mode}-{exchange}-{held.symbol}-{product}"
                placed = self._plans.place(caller, request, Admission(key=key, body_hash="sweep"))
                lines.append(f"{held.symbol} closed: {placed.state}")
            except PlatformError as error:
                lines.append(f"{held.symbol} not closed: {error}")
        return lines

"""What a stop leaves of a strategy's orders, also when the worker dies in the middle: done or told, never twice."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from database import strategies as rows
from database import strategy_runs as run_rows
from database.engine import open_database
from database.metadata import LOGS
from domain.errors import BrokerUnavailable
from domain.model import Exchange, OrderState, OrderType, Position, Product
from domain.strategies import Run, Strategy, Sweep
from services.gate import Facts
from services.strategy_book import StrategyBook
from services.strategy_sweep import StrategySweep
from tests.services.order_world import World, buy


class Held:
    """The account's positions."""

    def __init__(self, world: World) -> None:
        self.world = world

    def open_quantity(self, caller: object, symbol: str, exchange: Exchange, product: Product) -> Decimal:
        if self.world.script.book_down:
            raise BrokerUnavailable("scripted", text="no answer")
        return sum((held.quantity for held in self.world.script.positions), Decimal(0))


class Desk:
    """One strategy whose newest run is over, and what its run ordered."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.logs = open_database("", "logs", folder)
        LOGS.create_all(self.logs.engine)
        now = world.clock.now()
        self.strategy = Strategy(
            id="s_1",
            user_id=world.user.id,
            account_id=world.caller.account.id,
            name="s",
            exchange=Exchange.NSE,
            entry="s.py",
            created_at=now,
            modified_at=now,
            cancel_on_stop=True,
            flatten_on_stop=True,
        )
        world.platform.write(lambda c: rows.add(c, self.strategy))
        self.run = self.add_run(1, 77, "due")

    def add_run(self, generation: int, key_id: int, sweep: Sweep) -> Run:
        now = self.world.clock.now()
        run = Run(
            id=0,
            strategy_id="s_1",
            generation=generation,
            version=1,
            token="t",
            log="l",
            created_at=now,
            ended_at=now,
            stopping=now,
            key_id=key_id,
            sweep=sweep,
        )
        return replace(run, id=self.world.platform.write(lambda c: run_rows.open_run(c, run)))

    def sweeper(self) -> StrategySweep:
        world = self.world
        market_data = None
        book = StrategyBook(
            world.platform,
            self.logs,
            world.orders_db,
            world.clock,
            world.accounts,
            market_data,  # type: ignore[arg-type]
        )
        return StrategySweep(
            world.platform,
            world.clock,
            world.accounts,
            world.orders,
            world.plans,
            Held(world),  # type: ignore[arg-type]
            book,
        )

    def look(self, sweeper: StrategySweep | None = None) -> str:
        """Have it looked after; the note that says what was done."""
        (sweeper or self.sweeper()).look()
        until = time.monotonic() + 10
        while any(thread.name.startswith("sweep") for thread in threading.enumerate()):
            assert time.monotonic() < until
            time.sleep(0.01)
        with self.world.platform.read() as connection:
            notes = run_rows.notes_of(connection, "s_1")
            assert run_rows.to_sweep(connection) == []
        return notes[0].words

    def order(self, key_id: int = 77, filled: bool = False, **changes: object) -> str:
        """An order of a run; it works, or it is filled and held."""
        world = self.world
        placed = world.orders.place(replace(world.caller, key_id=key_id), buy(**changes))  # type: ignore[arg-type]
        if filled:
            self.fill(list(world.script.orders)[-1])
        self.learn()
        return placed.order_id

    def fill(self, broker_id: str) -> None:
        script = self.world.script
        order = script.orders[broker_id]
        script.orders[broker_id] = replace(
            order, state=OrderState.COMPLETE, filled=order.quantity, average_price=Decimal(1400)
        )
        held = sum((each.quantity for each in script.positions), Decimal(0)) + (
            order.quantity if order.side.value == "BUY" else -order.quantity
        )
        script.positions = [
            Position(symbol="RELIANCE", exchange=Exchange.NSE, product=Product.INTRADAY, quantity=held)
        ]
        self.world.facts = Facts(position=held)

    def learn(self) -> None:
        """The platform hears of what the broker's book says."""
        account = self.world.caller.account
        orders = list(self.world.script.orders.values())
        self.world.updates.apply(account.id, account.broker, account.mode, orders, "book")

    def sales(self) -> list[Decimal]:
        return [order.quantity for order in self.world.script.orders.values() if order.side.value == "SELL"]


@pytest.fixture
def desk(world: World, tmp_path: Path) -> Desk:
    return Desk(world, tmp_path)


def test_what_works_is_cancelled_and_what_it_left_is_closed(desk: Desk) -> None:
    desk.order(quantity=10, filled=True)
    desk.order(quantity=5, order_type=OrderType.LIMIT, price=Decimal(1300))
    words = desk.look()
    assert "RELIANCE closed: accepted" in words and words.startswith("After the stop")
    assert desk.sales() == [10]
    states = [order.state for order in desk.world.script.orders.values()]
    assert states.count(OrderState.CANCELLED) == 1


def test_a_worker_that_died_in_the_middle_is_followed_and_nothing_is_sold_twice(desk: Desk) -> None:
    desk.order(quantity=10, filled=True)
    sweeper = desk.sweeper()
    sweeper.sweep(desk.strategy, desk.run)
    assert desk.sales() == [10]
    desk.world.platform.write(lambda c: run_rows.change_run(c, desk.run.id, sweep="begun"))
    words = desk.look()
    assert words.startswith("Gone on with after the worker was away")
    assert desk.sales() == [10]


def test_a_closing_order_of_unknown_outcome_is_not_sent_again(desk: Desk) -> None:
    desk.order(quantity=10, filled=True)
    desk.world.script.answers = ["silent"]
    desk.sweeper().sweep(desk.strategy, desk.run)
    words = desk.look()
    assert desk.sales() == [10]
    assert "RELIANCE closed" in words


def test_what_was_closed_is_not_closed_again_by_the_next_stop(desk: Desk) -> None:
    """The closing order counts as the strategy's own, so a position of somebody else's is left alone."""
    desk.order(quantity=10, filled=True)
    desk.look()
    desk.fill(list(desk.world.script.orders)[-1])
    desk.learn()
    desk.order(key_id=5, quantity=30, filled=True)
    desk.add_run(2, 78, "due")
    assert desk.look().endswith("nothing was open")
    assert desk.sales() == [10]


def test_orders_of_a_later_run_are_left_alone(desk: Desk) -> None:
    desk.add_run(2, 78, "")
    desk.order(key_id=78, quantity=10, filled=True)
    assert desk.look().endswith("nothing was open")
    assert desk.sales() == []


def test_a_book_that_cannot_be_read_is_told(desk: Desk) -> None:
    desk.order(quantity=10, filled=True)
    desk.world.script.book_down = True
    assert "RELIANCE not closed" in desk.look()
    assert desk.sales() == []

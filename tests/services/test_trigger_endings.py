"""An exit ends when its position was closed by something else, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from domain.model import OrderState, Side
from services.trigger_endings import APART, CLOSED, LOOKS
from services.triggers import Exits, Level
from tests.services.order_world import buy
from tests.services.test_trigger_faults import entering, later, news
from tests.services.test_triggers import TriggerWorld

STOP = Exits(stop=Level(price=Decimal(1390)))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[TriggerWorld]:
    made = TriggerWorld(tmp_path)
    yield made
    made.close()


def _closed_by_hand(world: TriggerWorld, units: int) -> None:
    """A person sells so much of the position, in the terminal of the broker."""
    known = next(iter(world.script.orders.values()))
    at = f"X{len(world.script.orders)}"
    world.script.orders[at] = replace(
        known, order_id=at, client_order_id="", side=Side.SELL, quantity=Decimal(units), filled=Decimal(0)
    )
    news(world, at, state=OrderState.COMPLETE, filled=Decimal(units))
    world.held -= units


def _looks(world: TriggerWorld, times: int = LOOKS) -> None:
    for _ in range(times):
        later(world, APART)


def test_an_exit_ends_when_its_position_was_closed_by_hand(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    _looks(world)
    assert world.trigger(trigger_id).state == "active"
    _closed_by_hand(world, 10)
    _looks(world)
    ended = world.trigger(trigger_id)
    assert (ended.state, ended.message) == ("cancelled", CLOSED)
    assert world.told == [CLOSED]
    world.held = Decimal(10)  # a later position of the same line
    world.see(1380.0)
    assert world.script.sent == []


def _sold_by(world: TriggerWorld, strategy: str, door: str, units: int) -> None:
    """An order of the same account sells so much, through this door, and is filled."""
    sale = replace(buy(units), side=Side.SELL, strategy=strategy)
    placed = world.orders.place(replace(world.caller, door=door), sale)
    news(world, placed.order_id, state=OrderState.COMPLETE, filled=Decimal(units))
    world.held -= units
    world.script.sent.clear()


def test_a_stop_outlives_the_sale_of_another_strategy(world: TriggerWorld) -> None:
    """Both together are flat, and each still has its position: the stop must be there when the other covers."""
    trigger_id = world.enter(STOP)
    _sold_by(world, "another", "api", 10)
    _looks(world, 6)
    assert world.trigger(trigger_id).state == "active"
    world.held = Decimal(10)
    world.see(1380.0)
    assert [order.quantity for order in world.script.sent] == [Decimal(10)]


@pytest.mark.parametrize(("strategy", "door"), [("test", "api"), ("another", "page")])
def test_a_sale_of_its_own_strategy_or_of_a_person_ends_it(
    world: TriggerWorld, strategy: str, door: str
) -> None:
    trigger_id = world.enter(STOP)
    _sold_by(world, strategy, door, 10)
    _looks(world)
    assert world.trigger(trigger_id).state == "cancelled"


def test_an_exit_of_what_is_left_open_stays(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    _looks(world)
    _closed_by_hand(world, 6)
    _looks(world, 5)
    assert world.trigger(trigger_id).state == "active"
    world.see(1380.0)
    assert [order.quantity for order in world.script.sent] == [Decimal(4)]


def test_a_position_that_cannot_be_read_or_shows_again_ends_nothing(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    _closed_by_hand(world, 0)
    world.script.book_down = True
    _looks(world, 6)
    world.script.book_down = False
    world.held = Decimal(0)  # a book that lags
    _looks(world, LOOKS - 1)
    world.held = Decimal(10)
    _looks(world, 6)
    assert world.trigger(trigger_id).state == "active"


def test_what_was_closed_while_nobody_watched_ends_after_a_start(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    world.see(1400.0)
    _closed_by_hand(world, 10)
    world.engine = world.start()
    _looks(world)
    assert world.trigger(trigger_id).state == "cancelled"


def test_an_exit_whose_order_still_fills_stays(world: TriggerWorld) -> None:
    trigger_id = entering(world)
    news(world, "B1", filled=Decimal(4), average_price=Decimal(1400))
    world.held = Decimal(4)
    _looks(world, 1)
    _closed_by_hand(world, 4)
    _looks(world, 6)
    assert world.trigger(trigger_id).state == "active"
    news(world, "B1", state=OrderState.CANCELLED, filled=Decimal(4), average_price=Decimal(1400))
    _looks(world, 2)
    assert world.trigger(trigger_id).state == "cancelled"


def test_a_stop_of_another_line_is_not_doubted(world: TriggerWorld) -> None:
    """A fill on the other side is an entry: it is no reason to read positions."""
    trigger_id = world.enter(STOP)
    _looks(world, 1)
    world.held = Decimal(0)
    world.orders.place(world.caller, buy(5))
    _looks(world, 6)
    assert world.trigger(trigger_id).state == "active"

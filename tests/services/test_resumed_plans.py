"""What a sender that died left: told as it is, finished where it is young, and never done again."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from domain.model import OrderState, PlaceOrder, Position, Product, Side
from tests.services.order_world import NIFTY_FUT, World, buy
from tests.services.test_order_plans import PlanWorld, held

FUTURE = {"symbol": NIFTY_FUT.symbol, "exchange": NIFTY_FUT.exchange, "product": Product.CARRY}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[PlanWorld]:
    made = PlanWorld(tmp_path)
    made.sweeps._smart = made.smart
    made.sweeps._sessions = made  # type: ignore[assignment]
    yield made
    made.close()


def _sent(world: World) -> list[tuple[Side, int]]:
    return [(one.side, int(one.quantity)) for one in world.script.sent if isinstance(one, PlaceOrder)]


def _dies_at_keep(world: PlanWorld) -> None:
    """The next sender ends after its order was taken, before that is remembered with its plan."""
    keep = world.plan_book.keep

    def dies(*args: object) -> object:
        world.plan_book.keep = keep  # type: ignore[method-assign]
        raise SystemExit

    world.plan_book.keep = dies  # type: ignore[method-assign,assignment]


def _dies_after(world: PlanWorld, orders: int) -> None:
    """The sender ends before it hands over one order more than these."""
    place = world.orders.place

    def dies(*args: object, **kwargs: object) -> object:
        if len(_sent(world)) == orders:
            world.orders.place = place  # type: ignore[method-assign]
            raise SystemExit
        return place(*args, **kwargs)  # type: ignore[arg-type]

    world.orders.place = dies  # type: ignore[method-assign,assignment]


def test_a_close_that_is_taken_up_opens_nothing(world: PlanWorld) -> None:
    """The exit was taken and filled; the position is flat by now."""
    world.script.positions = [held(30)]
    _dies_at_keep(world)
    with pytest.raises(SystemExit):
        world.sweeps.close_all(world.caller)
    world.clock.move(25)
    assert world.sweeps.resume() == 1
    assert _sent(world) == [(Side.SELL, 30)]


def test_a_position_that_closed_just_before_its_turn_is_not_sold_again(world: PlanWorld) -> None:
    """A stop fills between the reading of the positions and the leg's own look."""
    world.script.positions = [held(30)]
    hold = world.smart._hold

    def slowly(*args: object) -> object:
        world.script.positions = []
        return hold(*args)  # type: ignore[arg-type]

    world.smart._hold = slowly  # type: ignore[method-assign,assignment]
    swept = world.sweeps.close_all(world.caller)
    assert _sent(world) == []
    assert swept.failed == []


def test_a_leg_that_was_sent_is_not_told_as_unsent_when_its_plan_is_old(world: PlanWorld) -> None:
    _dies_at_keep(world)
    with pytest.raises(SystemExit):
        world.plans.split(world.caller, buy(40), Decimal(20), key="k", body_hash="h")
    world.clock.move(600)
    world.plans.resume()
    answer = world.plans.split(world.caller, buy(40), Decimal(20), key="k", body_hash="h")
    assert [(placed.state, placed.order_id) for _, placed in answer.legs] == [
        ("accepted", "B1"),
        ("refused", ""),
    ]
    assert len(_sent(world)) == 1


def test_a_leg_in_pieces_that_ran_out_of_time_tells_how_far_it_came(world: PlanWorld) -> None:
    world.limit(split_entries=True)
    _dies_after(world, 2)
    leg = buy(4095, **FUTURE)
    with pytest.raises(SystemExit):
        world.plans.basket(world.caller, [leg], key="k", body_hash="h")
    world.clock.move(600)
    world.plans.resume()
    ((_, placed),) = world.plans.basket(world.caller, [leg], key="k", body_hash="h").legs
    assert (placed.state, placed.order_ids) == ("partial", ("B1", "B2"))
    assert len(_sent(world)) == 2


def test_an_old_sweep_tells_the_exit_that_was_sent(world: PlanWorld) -> None:
    world.script.positions = [held(30)]
    _dies_at_keep(world)
    with pytest.raises(SystemExit):
        world.sweeps.close_all(world.caller, key="k", body_hash="h")
    world.clock.move(3600)
    world.sweeps.resume()
    swept = world.sweeps.close_all(world.caller, key="k", body_hash="h")
    assert (swept.done, swept.failed) == (["RELIANCE"], [])


def test_a_smart_exit_in_pieces_goes_on_where_its_sender_died(world: PlanWorld) -> None:
    """Two of three pieces are not the target: the rest of the position would stay open."""
    world.script.positions = [Position(**FUTURE, quantity=Decimal(4095))]  # type: ignore[arg-type]
    _dies_after(world, 2)
    ask = buy(0, **FUTURE)
    with pytest.raises(SystemExit):
        world.smart.place(world.caller, ask, Decimal(0), key="k", body_hash="h")
    world.clock.move(25)
    assert world.smart.resume() == 1
    assert _sent(world) == [(Side.SELL, 1755), (Side.SELL, 1755), (Side.SELL, 585)]
    placed = world.smart.place(world.caller, ask, Decimal(0), key="k", body_hash="h")
    assert (placed.state, placed.order_ids) == ("accepted", ("B1", "B2", "B3"))


def test_an_old_smart_exit_in_pieces_is_not_told_as_done(world: PlanWorld) -> None:
    world.script.positions = [Position(**FUTURE, quantity=Decimal(4095))]  # type: ignore[arg-type]
    _dies_after(world, 2)
    ask = buy(0, **FUTURE)
    with pytest.raises(SystemExit):
        world.smart.place(world.caller, ask, Decimal(0), key="k", body_hash="h")
    world.clock.move(600)
    assert world.smart.resume() == 1
    placed = world.smart.place(world.caller, ask, Decimal(0), key="k", body_hash="h")
    assert (placed.state, len(_sent(world))) == ("partial", 2)


def test_a_smart_entry_on_a_flat_position_is_not_undone_by_whoever_takes_it_up(world: PlanWorld) -> None:
    """Target 0 with a quantity, on a flat position, is an order of its own; what it bought is not to be sold."""
    world.limit(split_entries=True)
    _dies_after(world, 2)
    with pytest.raises(SystemExit):
        world.smart.place(world.caller, buy(4095, **FUTURE), Decimal(0), key="k", body_hash="h")
    world.clock.move(25)
    assert world.smart.resume() == 1
    assert _sent(world) == [(Side.BUY, 1755), (Side.BUY, 1755)]
    placed = world.smart.place(world.caller, buy(4095, **FUTURE), Decimal(0), key="k", body_hash="h")
    assert placed.state == "partial"
    assert all(order.state is OrderState.COMPLETE for order in world.script.orders.values())

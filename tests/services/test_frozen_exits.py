"""What is larger than the exchange takes in one order: exits go in pieces, entries where the account asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidRequest, RiskRefused
from domain.model import OrderRequest, OrderState, OrderType, PlaceOrder, Position, Product, Side
from domain.outcomes import Refused
from services.gate import Admission
from services.risk import Facts
from services.slicing import slices
from tests.services.order_world import NIFTY_FUT, World, buy
from tests.services.test_order_plans import PlanWorld


@pytest.fixture
def filling(tmp_path: Path) -> Iterator[PlanWorld]:
    made = PlanWorld(tmp_path)
    yield made
    made.close()


def future(quantity: int, side: Side = Side.BUY) -> OrderRequest:
    return buy(
        quantity, symbol=NIFTY_FUT.symbol, exchange=NIFTY_FUT.exchange, product=Product.CARRY, side=side
    )


def sent(world: World) -> list[int]:
    return [int(order.quantity) for order in world.script.sent if isinstance(order, PlaceOrder)]


@given(lots=st.integers(min_value=1, max_value=4000), most=st.none() | st.integers(65, 5000))
def test_pieces_are_whole_lots_below_the_freeze_and_add_up(lots: int, most: int | None) -> None:
    pieces = slices(Decimal(lots * 65), NIFTY_FUT, None if most is None else Decimal(most))
    assert sum(pieces) == lots * 65
    assert all(piece <= min(1800, most or 1800) and piece % 65 == 0 and piece > 0 for piece in pieces)


def _hold(world: World, quantity: int) -> None:
    world.script.positions = [
        Position(
            symbol=NIFTY_FUT.symbol,
            exchange=NIFTY_FUT.exchange,
            product=Product.CARRY,
            quantity=Decimal(quantity),
        )
    ]
    world.facts = Facts(position=Decimal(quantity))


@pytest.mark.parametrize("quantity", [4095, -4095])
def test_closing_sends_all_of_it(world: World, quantity: int) -> None:
    _hold(world, quantity)
    swept = world.sweeps.close_all(world.caller)
    assert (swept.done, swept.failed) == ([NIFTY_FUT.symbol], [])
    assert sent(world) == [1755, 1755, 585]


def test_the_largest_quantity_allowed_stops_no_exit(world: World) -> None:
    world.limit(max_quantity=Decimal(650))
    _hold(world, 1365)
    assert world.sweeps.close_all(world.caller).failed == []
    assert sent(world) == [650, 650, 65]


def test_a_refused_piece_is_told_with_what_was_taken(world: World) -> None:
    _hold(world, 4095)
    world.script.answers = ["take", lambda: Refused("MARGIN", "no margin")]
    swept = world.sweeps.close_all(world.caller)
    assert swept.done == []
    assert swept.failed == [(NIFTY_FUT.symbol, "1 of 3 orders were taken, then: no margin")]


def test_an_entry_is_refused_unless_the_account_splits(world: World) -> None:
    with pytest.raises(InvalidRequest, match="freeze quantity 1800"):
        world.plans.place(world.caller, future(4095))
    assert sent(world) == []
    world.limit(split_entries=True)
    placed = world.plans.place(world.caller, future(4095), Admission(key="k", body_hash="h"))
    assert (placed.state, placed.order_ids) == ("accepted", ("B1", "B2", "B3"))
    assert sent(world) == [1755, 1755, 585]
    again = world.plans.place(world.caller, future(4095), Admission(key="k", body_hash="h"))
    assert (again.order_ids, len(sent(world))) == (placed.order_ids, 3)


def test_the_whole_is_weighed_not_each_piece(world: World) -> None:
    world.limit(split_entries=True, max_quantity=Decimal(2000))
    with pytest.raises(RiskRefused, match="limit of 2000"):
        world.plans.place(world.caller, future(4095))
    assert sent(world) == []


def test_pieces_are_no_duplicates_of_each_other(world: World) -> None:
    world.limit(split_entries=True, duplicate_window_ms=60_000)
    assert world.plans.place(world.caller, future(4095)).state == "accepted"
    with pytest.raises(RiskRefused, match="same order"):
        world.plans.place(world.caller, future(1755))


def test_a_plain_order_that_closes_is_split_without_asking(world: World) -> None:
    _hold(world, 4095)
    assert world.plans.place(world.caller, future(4095, Side.SELL)).state == "accepted"
    assert sent(world) == [1755, 1755, 585]
    with pytest.raises(InvalidRequest, match="freeze"):  # the rest of the position is spoken for already
        world.plans.place(world.caller, future(4095, Side.SELL))


def test_a_smart_exit_is_split_and_a_smart_entry_is_not(filling: PlanWorld) -> None:
    _hold(filling, 4095)
    placed = filling.smart.place(filling.caller, future(0), Decimal(0))
    assert (placed.state, len(placed.order_ids)) == ("accepted", 3)
    assert sent(filling) == [1755, 1755, 585]
    with pytest.raises(InvalidRequest, match="freeze"):
        filling.smart.place(filling.caller, future(0), Decimal(9750))
    filling.limit(split_entries=True)
    assert filling.smart.place(filling.caller, future(0), Decimal(4095)).state == "accepted"
    assert sent(filling)[3:] == [1755, 1755, 585]


def test_a_basket_leg_is_split_where_the_account_asks(world: World) -> None:
    legs = [future(65), future(4095)]
    assert [placed.state for _, placed in world.plans.basket(world.caller, legs).legs] == [
        "accepted",
        "refused",
    ]
    world.limit(split_entries=True)
    answer = world.plans.basket(world.caller, legs)
    assert [len(placed.order_ids) for _, placed in answer.legs] == [0, 3]
    assert sent(world) == [65, 65, 1755, 1755, 585]


def test_two_sweeps_at_once_close_once(world: World) -> None:
    _hold(world, 1300)
    world.sweeps.close_all(world.caller, key="one")
    done = replace(world.script.orders["B1"], state=OrderState.COMPLETE, filled=Decimal(1300))
    world.script.orders["B1"] = done
    account = world.caller.account
    world.updates.apply(account.id, account.venue, account.mode, [done], "t")
    world.script.positions = [replace(world.script.positions[0], quantity=Decimal(0))]
    assert world.sweeps.close_all(world.caller, key="one").done == [NIFTY_FUT.symbol]
    assert world.sweeps.close_all(world.caller).done == []
    assert sent(world) == [1300]


def test_a_sweep_whose_sender_died_is_taken_up_without_repeating(world: World) -> None:
    for price in (1400, 1401, 1402):
        world.orders.place(world.caller, buy(order_type=OrderType.LIMIT, price=Decimal(price)))
    end, asked = world.orders.end, []

    def dies(*args: object, **kwargs: object) -> object:
        asked.append(kwargs["key"])
        if len(asked) == 2:
            raise SystemExit
        return end(*args, **kwargs)  # type: ignore[arg-type]

    world.orders.end = dies  # type: ignore[method-assign,assignment]
    with pytest.raises(SystemExit):
        world.sweeps.cancel_all(world.caller, key="k", body_hash="h")
    world.orders.end = end  # type: ignore[method-assign]
    assert world.sweeps.cancel_all(world.caller, key="k", body_hash="h").under_way == 2
    world.clock.move(25)
    assert world.sweeps.resume() == 1
    assert world.sweeps.cancel_all(world.caller, key="k", body_hash="h").done == ["B1", "B2", "B3"]
    assert len(world.script.sent) == 6
    assert {order.state for order in world.script.orders.values()} == {OrderState.CANCELLED}


def test_a_close_whose_sender_died_closes_what_is_left(filling: PlanWorld) -> None:
    _hold(filling, 4095)
    filling.sweeps._smart = filling.smart
    filling.sweeps._sessions = filling  # type: ignore[assignment]
    place = filling.orders.place

    def dies(*args: object, **kwargs: object) -> object:
        if len(sent(filling)) == 2:
            raise SystemExit
        return place(*args, **kwargs)  # type: ignore[arg-type]

    filling.orders.place = dies  # type: ignore[method-assign,assignment]
    with pytest.raises(SystemExit):
        filling.sweeps.close_all(filling.caller)
    filling.orders.place = place  # type: ignore[method-assign]
    filling.clock.move(25)
    assert filling.sweeps.resume() == 1
    assert sent(filling) == [1755, 1755, 585]
    assert filling.sweeps.resume() == 0

"""A position larger than the exchange takes in one order is closed in pieces."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.model import PlaceOrder, Position, Product
from domain.outcomes import Refused
from services.gate import slices
from tests.services.order_world import NIFTY_FUT, World


@given(lots=st.integers(min_value=1, max_value=4000))
def test_pieces_are_whole_lots_below_the_freeze_and_add_up(lots: int) -> None:
    pieces = slices(Decimal(lots * 65), NIFTY_FUT)
    assert sum(pieces) == lots * 65
    assert all(piece <= 1800 and piece % 65 == 0 and piece > 0 for piece in pieces)


def _hold(world: World, quantity: int) -> None:
    world.script.positions = [
        Position(
            symbol=NIFTY_FUT.symbol,
            exchange=NIFTY_FUT.exchange,
            product=Product.CARRY,
            quantity=Decimal(quantity),
        )
    ]
    world.facts = type(world.facts)(position=Decimal(quantity))


@pytest.mark.parametrize("quantity", [4095, -4095])
def test_closing_sends_all_of_it(world: World, quantity: int) -> None:
    _hold(world, quantity)
    swept = world.orders.close_all(world.caller)
    assert (swept.done, swept.failed) == ([NIFTY_FUT.symbol], [])
    sent = [order.quantity for order in world.script.sent if isinstance(order, PlaceOrder)]
    assert sent == [1755, 1755, 585]


def test_a_refused_piece_is_told_with_what_was_taken(world: World) -> None:
    _hold(world, 4095)
    world.script.answers = ["take", lambda: Refused("MARGIN", "no margin")]
    swept = world.orders.close_all(world.caller)
    assert swept.done == []
    assert swept.failed == [(NIFTY_FUT.symbol, "1 of 3 orders were taken, then: no margin")]

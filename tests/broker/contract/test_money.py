"""Money: what the broker holds for us, and what an order would block."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.errors import NotSupported
from domain.model import Exchange, Side
from tests.broker.contract.world import World


def test_funds_are_what_was_set(world: World) -> None:
    world.simulator.set_funds(123456.75)
    funds = world.broker.fetch_funds()
    assert funds.available == Decimal("123456.75")
    assert funds.used == 0


def test_what_orders_block_is_used_and_not_available(world: World) -> None:
    before = world.broker.fetch_funds()
    world.placed(world.request(lots=10))
    after = world.broker.fetch_funds()
    assert after.used > before.used
    assert after.available + after.used == before.available + before.used


def test_the_margin_of_one_order(world: World) -> None:
    request = world.request(lots=10)
    if "margin" not in world.can.reads:
        with pytest.raises(NotSupported):
            world.broker.fetch_margin([request])
        assert world.simulator.requests == []
        return
    margin = world.broker.fetch_margin([request])
    assert margin.total > 0
    assert world.taken() == []


def test_the_margin_of_a_basket_counts_every_leg(world: World) -> None:
    if "margin" not in world.can.reads or world.one_of(Exchange.NFO) is None:
        pytest.skip("not declared")
    one = world.one_of(Exchange.NFO)
    legs = [world.request(instrument=one), world.request(instrument=one, side=Side.SELL)]
    whole = world.broker.fetch_margin(legs)
    single = world.broker.fetch_margin(legs[:1])
    assert whole.total > single.total > 0

"""What many requests at the same moment must not do together: pass a limit that each of them alone keeps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import RiskRefused
from domain.model import OrderRequest, OrderType, PlaceOrder, Side
from services.risk import Facts
from tests.services.order_world import World, buy

AT_ONCE = 16


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def ask(world: World, request: OrderRequest) -> list[str]:
    """Place it from many threads; what each was told: a state, or the name of the limit."""
    told: list[str] = []
    begin = threading.Barrier(AT_ONCE)

    def place() -> None:
        begin.wait(20)
        try:
            told.append(world.orders.place(world.caller, request).state)
        except RiskRefused as refusal:
            told.append(refusal.limit)

    threads = [threading.Thread(target=place) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(told)


def sent(world: World) -> int:
    return sum(isinstance(one, PlaceOrder) for one in world.script.sent)


def test_together_they_stay_below_the_orders_of_a_day(world: World) -> None:
    world.limit(max_orders_per_day=5)
    assert ask(world, buy()) == ["accepted"] * 5 + ["max_orders_per_day"] * 11
    assert sent(world) == 5


def test_together_they_stay_below_the_open_orders(world: World) -> None:
    world.limit(max_open_orders=3)
    assert ask(world, buy(order_type=OrderType.LIMIT, price=Decimal(1400))) == (
        ["accepted"] * 3 + ["max_open_orders"] * 13
    )
    assert sent(world) == 3


def test_one_of_the_same_order_passes_a_duplicate_window(world: World) -> None:
    world.limit(duplicate_window_ms=2000)
    assert ask(world, buy()) == ["accepted"] + ["duplicate_window"] * 15
    assert sent(world) == 1


def test_the_sends_of_a_second_are_taken_once_each(world: World) -> None:
    world.limit(max_orders_per_second=4)
    assert ask(world, buy()) == ["accepted"] * 4 + ["queued"] * 12
    assert sent(world) == 4


def test_a_position_is_left_once_while_only_exits_are_taken(world: World) -> None:
    world.facts = Facts(position=Decimal(10))
    world.limit(max_day_loss=Decimal(1))
    world.facts = Facts(position=Decimal(10), last_price=Decimal(1400), day_pnl=Decimal(-100))
    exits = buy(10, side=Side.SELL, reduce_only=True)
    assert ask(world, exits) == ["accepted"] + ["max_day_loss"] * 15
    assert sent(world) == 1

"""A repeated Idempotency-Key hears what became of the first request, whatever the broker is like by then."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from broker.interface import Broker
from domain.errors import DuplicateKey, SessionOver
from domain.model import OrderType
from services.gate import Admission
from services.orders import OrderTerms
from tests.services.order_world import World, buy


def _log_out(world: World) -> None:
    def over(account: object) -> Broker:
        raise SessionOver("log in again")

    world.orders._sessions.broker_for = over  # type: ignore[method-assign]


def test_a_placed_order_is_told_again_after_the_session_ended(world: World) -> None:
    admission = Admission(key="k", body_hash="h")
    first = world.orders.place(world.caller, buy(), admission)
    _log_out(world)
    assert world.orders.place(world.caller, buy(), admission) == first
    with pytest.raises(SessionOver):
        world.orders.place(world.caller, buy(), Admission(key="another", body_hash="h"))


def test_another_body_is_refused_before_the_broker_is_asked(world: World) -> None:
    world.orders.place(world.caller, buy(), Admission(key="k", body_hash="h"))
    _log_out(world)
    with pytest.raises(DuplicateKey):
        world.orders.place(world.caller, buy(11), Admission(key="k", body_hash="other"))


@pytest.mark.parametrize("change", ["cancel", "modify"])
def test_a_change_is_told_again_while_the_book_is_down(world: World, change: str) -> None:
    placed = world.orders.place(world.caller, buy(order_type=OrderType.LIMIT, price=Decimal(100)))
    terms = OrderTerms(quantity=Decimal(5), order_type=OrderType.LIMIT, price=Decimal(101))
    changes: dict[str, Callable[[], object]] = {
        "cancel": lambda: world.orders.cancel(world.caller, placed.order_id, key="c", body_hash="h"),
        "modify": lambda: world.orders.modify(world.caller, placed.order_id, terms, key="c", body_hash="h"),
    }
    first = changes[change]()
    world.script.book_down = True
    _log_out(world)
    assert changes[change]() == first
    assert len(world.script.sent) == 2

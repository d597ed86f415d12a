"""A repeated Idempotency-Key hears what became of the first request, whatever the broker is like by then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from broker.interface import Broker
from domain.errors import DuplicateKey, InvalidRequest, SessionOver
from domain.model import OrderState, OrderType, Side
from services.gate import Admission
from services.orders import OrderTerms
from services.risk import Facts
from tests.services.order_world import CATALOG, RELIANCE, World, buy


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


def test_a_key_is_not_used_again_when_the_order_would_go_in_pieces_by_now(world: World) -> None:
    """It went in one order; since then the account's largest quantity was lowered."""
    world.facts = Facts(position=Decimal(1300))
    leave = buy(1300, side=Side.SELL, reduce_only=True)
    first = world.plans.place(world.caller, leave, Admission(key="k", body_hash="h"))
    world.limit(max_quantity=Decimal(650))
    assert world.plans.place(world.caller, leave, Admission(key="k", body_hash="h")) == first
    assert len(world.script.sent) == 1


def test_a_key_is_not_used_again_when_the_order_would_go_whole_by_now(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It went in pieces; since then the exchange's freeze quantity was raised."""
    world.limit(split_entries=True)
    admission = Admission(key="k", body_hash="h")
    first = world.plans.place(world.caller, buy(15_000), admission)
    assert len(first.order_ids) == 2
    larger = replace(RELIANCE, freeze_quantity=50_000)
    monkeypatch.setitem(CATALOG, ("NSE", "RELIANCE"), larger)
    assert world.plans.place(world.caller, buy(15_000), admission).order_ids == first.order_ids
    assert len(world.script.sent) == 2
    with pytest.raises(DuplicateKey):
        world.plans.place(world.caller, buy(15_001), Admission(key="k", body_hash="other"))


def test_an_ended_order_is_not_changed_and_none_below_what_is_filled(world: World) -> None:
    placed = world.orders.place(world.caller, buy(order_type=OrderType.LIMIT, price=Decimal(100)))
    account = world.caller.account

    def tell(state: OrderState, filled: int) -> None:
        news = replace(world.script.orders["B1"], state=state, filled=Decimal(filled))
        world.updates.apply(account.id, account.venue, account.mode, [news], "t")

    def ask(quantity: int) -> object:
        terms = OrderTerms(quantity=Decimal(quantity), order_type=OrderType.LIMIT, price=Decimal(101))
        return world.orders.modify(world.caller, placed.order_id, terms)

    tell(OrderState.OPEN, 6)
    with pytest.raises(InvalidRequest, match="6 are filled"):
        ask(5)
    tell(OrderState.COMPLETE, 10)
    with pytest.raises(InvalidRequest, match="COMPLETE"):
        ask(20)
    assert len(world.script.sent) == 1


def test_a_key_of_one_order_is_not_taken_for_a_basket(world: World) -> None:
    world.orders.place(world.caller, buy(), Admission(key="k", body_hash="h"))
    with pytest.raises(DuplicateKey):
        world.plans.basket(world.caller, [buy(1), buy(2)], key="k", body_hash="basket")
    assert len(world.script.sent) == 1

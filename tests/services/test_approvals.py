"""What waited for a person is weighed anew when it is approved, in time or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from domain.errors import InvalidRequest, RiskRefused, SessionOver
from domain.model import OrderState, OrderType, Side
from services.risk import Facts
from tests.services.order_world import buy
from tests.services.test_kill_and_audit import SafetyWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SafetyWorld]:
    made = SafetyWorld(tmp_path)
    made.semi_auto()
    yield made
    made.close()


def _parked(world: SafetyWorld, **changes: Any) -> int:
    approval_id = world.orders.place(world.caller, buy(**changes)).approval_id
    assert approval_id is not None
    return approval_id


@pytest.mark.parametrize(
    ("limits", "facts"),
    [
        ({"max_quantity": Decimal(5)}, Facts()),
        ({"max_value": Decimal(100)}, Facts(last_price=Decimal(1400))),
        ({"max_day_loss": Decimal(1000)}, Facts(day_pnl=Decimal(-1001))),
        ({"max_day_loss": Decimal(1000)}, Facts()),
        ({"price_collar_percent": Decimal(1)}, Facts(last_price=Decimal(1500))),
        ({"allowed_symbols": "NSE:SBIN"}, Facts()),
        ({"allowed_products": "CNC"}, Facts()),
    ],
)
def test_limits_hold_an_order_as_they_are_when_it_is_approved(
    world: SafetyWorld, limits: dict[str, Any], facts: Facts
) -> None:
    """The loss came, or the limit was set, while it waited."""
    approval_id = _parked(world, order_type=OrderType.LIMIT, price=Decimal(1400))
    world.limit(**limits)
    world.facts = facts
    with pytest.raises(RiskRefused):
        world.approvals.approve(world.caller, approval_id)
    assert world.approvals.waiting(world.caller) == 1
    world.send_queued()
    assert world.script.sent == []


def test_what_waits_does_not_count_against_itself(world: SafetyWorld) -> None:
    world.limit(max_open_orders=1, max_orders_per_day=1)
    approval_id = _parked(world)
    world.approvals.approve(world.caller, approval_id)
    world.send_queued()
    assert len(world.script.sent) == 1


def test_nothing_is_approved_once_its_day_is_over(world: SafetyWorld) -> None:
    """Also before the worker came by to say so."""
    order = _parked(world)
    basket = world.plans.basket(world.caller, [buy(2)]).approval_id
    world.clock.move(18 * 3600)
    for approval_id in (order, basket):
        assert approval_id is not None
        with pytest.raises(InvalidRequest, match="in time"):
            world.approvals.approve(world.caller, approval_id)
    world.send_queued()
    assert world.script.sent == []


def test_what_was_approved_and_cannot_be_sent_soon_is_not_sent_late(world: SafetyWorld) -> None:
    """The broker's session was over; tomorrow's login must not send yesterday's order."""
    approval_id = _parked(world)
    world.approvals.approve(world.caller, approval_id)
    broker = world.broker

    def over(account: object) -> object:
        raise SessionOver("log in again")

    world.broker_for = over  # type: ignore[method-assign]
    world.queue.drain()
    world.broker_for = lambda account: broker  # type: ignore[method-assign]
    world.clock.move(3600)
    world.send_queued()
    assert world.script.sent == []


def test_an_exit_is_approved_while_the_kill_switch_is_on(world: SafetyWorld) -> None:
    leave, enter = _parked(world, quantity=30, side=Side.SELL), _parked(world)
    world.clock.move(1)
    world.kill.engage(world.caller)
    world.hold(30)
    with pytest.raises(RiskRefused):
        world.approvals.approve(world.caller, enter)
    world.approvals.approve(world.caller, leave)
    world.send_queued()
    assert [one.side for one in world.script.sent] == [Side.SELL]  # type: ignore[union-attr]


def test_an_exit_whose_position_is_gone_is_approved_as_an_entry(world: SafetyWorld) -> None:
    world.hold(30)
    leave = _parked(world, quantity=30, side=Side.SELL, reduce_only=True)
    world.hold(0)
    world.limit(max_day_loss=Decimal(1000))
    world.facts = Facts(position=Decimal(0), day_pnl=Decimal(-2000))
    with pytest.raises(RiskRefused):
        world.approvals.approve(world.caller, leave)


def test_a_plan_that_only_closes_is_approved_while_the_kill_switch_is_on(world: SafetyWorld) -> None:
    to_flat = world.smart.place(world.caller, buy(0), Decimal(0)).approval_id
    to_more = world.smart.place(world.caller, buy(0), Decimal(50)).approval_id
    mixed = world.plans.basket(world.caller, [buy(5, side=Side.SELL), buy(5)]).approval_id
    closing = world.plans.basket(world.caller, [buy(10, side=Side.SELL), buy(5, side=Side.SELL)]).approval_id
    assert to_flat and to_more and mixed and closing
    world.clock.move(1)
    world.kill.engage(world.caller)
    world.hold(30)
    for entering in (to_more, mixed):
        with pytest.raises(RiskRefused, match="kill switch"):
            world.approvals.approve(world.caller, entering)
    assert world.script.sent == []
    world.approvals.approve(world.caller, closing)
    assert [int(one.quantity) for one in world.script.sent] == [10, 5]  # type: ignore[union-attr]
    for order_id in ("B1", "B2"):
        world.settle(order_id, OrderState.COMPLETE)
    world.hold(15)
    world.approvals.approve(world.caller, to_flat)
    assert [int(one.quantity) for one in world.script.sent] == [10, 5, 15]  # type: ignore[union-attr]
    assert {one.side for one in world.script.sent} == {Side.SELL}  # type: ignore[union-attr]
    assert world.approvals.waiting(world.caller) == 2

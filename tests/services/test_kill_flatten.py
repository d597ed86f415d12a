"""A kill switch that closes: nothing that waits, lags or was thrown before keeps a position open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from database import controls as control_rows
from database import intents as intent_rows
from domain.model import IntentState, Mode, OrderState, OrderType, PlaceOrder, Side
from domain.outcomes import Refused
from services.gate import Admission
from services.sweeps import TRIES
from tests.services.order_world import buy
from tests.services.test_kill_and_audit import SafetyWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SafetyWorld]:
    made = SafetyWorld(tmp_path)
    yield made
    made.close()


def _exits(world: SafetyWorld) -> list[int]:
    placed = [one for one in world.script.sent if isinstance(one, PlaceOrder)]
    return [int(one.quantity) for one in placed if one.side is Side.SELL]


def test_an_exit_that_waits_for_approval_does_not_hold_back_the_flattening(world: SafetyWorld) -> None:
    """Nothing is approved while the switch is on: what is parked can not close the position itself."""
    world.semi_auto()
    world.hold(30)
    assert world.orders.place(world.caller, buy(30, side=Side.SELL)).state == "parked"
    kill = world.kill.engage(world.caller, flatten=True)
    assert 30 in _exits(world), kill.report


def test_a_paper_order_does_not_hold_back_an_exit_of_the_live_account(world: SafetyWorld) -> None:
    world.semi_auto()
    paper = replace(world.caller, account=replace(world.caller.account, mode=Mode.ANALYZE))
    limit = buy(30, side=Side.SELL, order_type=OrderType.LIMIT, price=Decimal(1500))
    assert world.orders.place(paper, limit).state == "accepted"
    world.script.orders.clear()
    world.script.sent.clear()
    world.hold(30)
    world.clock.move(1)
    _killed(world)
    placed = world.orders.place(
        world.caller, buy(30, side=Side.SELL, reduce_only=True), Admission(approved=True)
    )
    assert placed.state == "accepted"


def _killed(world: SafetyWorld) -> None:
    """The switch of the account is on, and has done its work."""
    account_id, now = world.caller.account.id, world.clock.now()
    kill = control_rows.Kill(account_id=account_id, engaged_at=now, engaged_by="t", reason="", acted_at=now)
    world.orders_db.write(lambda c: control_rows.engage(c, kill))


def test_a_stop_whose_cancel_is_not_told_yet_does_not_hold_back_the_flattening(world: SafetyWorld) -> None:
    """The broker took the cancel; its news comes later over the socket, or never."""
    stop = buy(30, side=Side.SELL, order_type=OrderType.STOP_MARKET, trigger_price=Decimal(1300))
    world.orders.place(world.caller, stop)
    world.hold(30)
    world.clock.move(1)
    kill = world.kill.engage(world.caller, flatten=True)
    assert world.script.orders["B1"].state is OrderState.CANCELLED
    assert _exits(world) == [30, 30], kill.report
    assert "closed 1" in kill.report


def test_a_switch_that_acts_again_does_not_cancel_the_exits_that_wait_for_a_slot(world: SafetyWorld) -> None:
    world.limit(max_orders_per_second=1)
    world.script.answers = ["silent"]
    world.orders._look_again = lambda intent: None
    entry = buy(5, order_type=OrderType.LIMIT, price=Decimal(1300))
    assert world.orders.place(world.caller, entry).state == "pending"
    world.script.orders.clear()
    world.hold(30)
    world.clock.move(0.5)
    close_all = world.sweeps.close_all

    def later(*args: object, **kwargs: object) -> object:
        world.clock.move(0.01)
        return close_all(*args, **kwargs)  # type: ignore[arg-type]

    world.sweeps.close_all = later  # type: ignore[method-assign,assignment]
    kill = world.kill.engage(world.caller, flatten=True)
    assert kill.acted_at is None  # one order has no answer
    world.kill.act()
    with world.orders_db.read() as connection:
        waiting = intent_rows.in_states(connection, IntentState.QUEUED)
    assert [int(one.quantity) for one in waiting] == [30]


def test_a_switch_thrown_again_to_flatten_flattens(world: SafetyWorld) -> None:
    assert world.kill.engage(world.caller).acted_at is not None
    world.hold(30)
    world.clock.move(1)
    kill = world.kill.engage(world.caller, flatten=True)
    assert _exits(world) == [30]
    assert kill.flatten and kill.acted_at is not None
    world.kill.engage(world.caller, flatten=True)
    assert _exits(world) == [30]


def test_a_switch_that_was_thrown_anew_is_not_taken_for_done_by_the_old_ones_end(world: SafetyWorld) -> None:
    account_id = world.caller.account.id
    world.script.book_down = True
    old = world.kill.engage(world.caller)
    world.kill.release(world.caller)
    world.clock.move(1)
    world.kill.engage(world.caller)
    world.orders_db.write(lambda c: control_rows.acted(c, old, "nothing", world.clock.now()))
    with world.orders_db.read() as connection:
        kill = control_rows.killed(connection, account_id)
    assert kill is not None and kill.acted_at is None


def _refused() -> Refused:
    return Refused("RMS", "margin shortfall")


def test_an_exit_that_the_broker_refuses_is_tried_again_by_what_is_held_then(world: SafetyWorld) -> None:
    world.hold(30)
    world.script.answers = [_refused]
    kill = world.kill.engage(world.caller, flatten=True)
    assert kill.acted_at is None
    assert "RELIANCE: margin shortfall (1 of 8 tries; it is tried again)" in kill.report
    world.clock.move(1)
    world.kill.act()
    assert _exits(world) == [30]  # its pause is not over
    world.hold(12)  # somebody closed a part of it by hand
    world.clock.move(2)
    world.kill.act()
    world.switch().act()
    assert _exits(world) == [30, 12]
    [kill] = world.kill.listed()
    assert kill.acted_at is not None and "closed 1" in kill.report


def test_what_is_flat_by_the_next_try_is_left_alone(world: SafetyWorld) -> None:
    world.hold(30)
    world.script.answers = [_refused]
    world.kill.engage(world.caller, flatten=True)
    world.hold(0)
    world.clock.move(3)
    world.kill.act()
    assert _exits(world) == [30]
    assert world.kill.listed()[0].acted_at is not None


def test_an_exit_that_is_always_refused_is_given_up_visibly(world: SafetyWorld) -> None:
    world.hold(30)
    world.script.answers = [_refused] * 50
    world.kill.engage(world.caller, flatten=True)
    for _ in range(40):
        world.clock.move(31)
        world.kill.act()
    assert _exits(world) == [30] * TRIES
    [kill] = world.kill.listed()
    assert kill.acted_at is not None
    assert "8 of 8 tries; it is not tried again: close it by hand" in kill.report


def test_an_exit_that_the_exchange_rejects_after_it_was_taken_is_tried_again(world: SafetyWorld) -> None:
    world.hold(30)
    assert world.kill.engage(world.caller, flatten=True).acted_at is not None
    world.settle("B1", OrderState.REJECTED)
    world.clock.move(3)
    world.kill.act()
    world.clock.move(3)
    world.kill.act()
    assert _exits(world) == [30, 30]
    world.settle("B2", OrderState.COMPLETE)
    world.hold(0)
    world.clock.move(60)
    world.kill.act()
    assert _exits(world) == [30, 30]


def test_an_exit_that_somebody_cancels_is_not_sent_again(world: SafetyWorld) -> None:
    world.hold(30)
    world.kill.engage(world.caller, flatten=True)
    world.orders.cancel(world.caller, "B1")
    world.settle("B1", OrderState.CANCELLED)
    world.clock.move(60)
    world.kill.act()
    assert _exits(world) == [30]

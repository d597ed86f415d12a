"""Baskets, splits and smart orders: every leg reported, none repeated, targets reached one at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import BrokerUnavailable, DuplicateKey, InvalidRequest, Unavailable
from domain.model import Exchange, OrderState, OrderType, Position, Product, Side
from domain.outcomes import Accepted, Refused
from services.smart_orders import MATCHED, NOTHING_OPEN, difference
from tests.services.order_world import World, buy


class PlanWorld(World):
    """The order world with a broker whose MARKET orders fill at once, and plans on top."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.fills = True
        self.book_lag_reads = 0
        self.smart = self._smart_orders(self, self)
        place = self.broker._place

        def fill(order):  # type: ignore[no-untyped-def]
            outcome = place(order)
            if isinstance(outcome, Accepted) and self.fills and order.order_type is OrderType.MARKET:
                known = self.script.orders[outcome.order_id]
                done = replace(known, state=OrderState.COMPLETE, filled=known.quantity)
                self.script.orders[outcome.order_id] = done
                self.updates.apply(
                    self.caller.account.id, self.caller.account.venue, self.caller.account.mode, [done], "t"
                )
            return outcome

        self.broker._place = fill  # type: ignore[method-assign]

    def broker_for(self, account: object) -> object:
        return self.broker

    def open_quantity(self, caller: object, symbol: str, exchange: Exchange, product: Product) -> Decimal:
        if self.script.book_down:
            raise BrokerUnavailable("scripted", text="no answer")
        base = sum((p.quantity for p in self.script.positions), Decimal(0))
        return base + sum(
            (o.side.sign * o.filled for o in self.script.orders.values() if o.symbol == symbol), Decimal(0)
        )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[PlanWorld]:
    made = PlanWorld(tmp_path)
    yield made
    made.close()


def held(quantity: int) -> Position:
    return Position(
        symbol="RELIANCE", exchange=Exchange.NSE, product=Product.INTRADAY, quantity=Decimal(quantity)
    )


@pytest.mark.parametrize(
    ("side", "quantity", "target", "current", "result"),
    [
        ("BUY", 100, 0, 0, ("BUY", 100)),
        ("BUY", 0, 0, 0, NOTHING_OPEN),
        ("BUY", 100, 0, 75, ("SELL", 75)),
        ("SELL", 0, 0, -75, ("BUY", 75)),
        ("BUY", 100, 100, 100, MATCHED),
        ("SELL", 7, 100, 0, ("BUY", 100)),
        ("BUY", 7, -100, 0, ("SELL", 100)),
        ("BUY", 100, 100, -100, ("BUY", 200)),
        ("SELL", 100, -200, -100, ("SELL", 100)),
    ],
)
def test_the_nine_rows(side: str, quantity: int, target: int, current: int, result: object) -> None:
    request = buy(quantity, side=Side(side))
    order = difference(request, Decimal(target), Decimal(current))
    if isinstance(result, str):
        assert order == result
    else:
        assert not isinstance(order, str)
        assert (order.side.value, int(order.quantity)) == result


def test_a_target_is_reached_once_and_then_matched(world: PlanWorld) -> None:
    assert world.smart.place(world.caller, buy(), Decimal(50)).state == "accepted"
    again = world.smart.place(world.caller, buy(), Decimal(50))
    assert (again.state, again.message) == ("none", MATCHED)
    assert [order.quantity for order in world.script.sent] == [Decimal(50)]  # type: ignore[union-attr]


def test_many_targets_at_once_end_at_one_of_them_without_churn(world: PlanWorld) -> None:
    targets = [Decimal(10 * (n % 3)) + 10 for n in range(12)]
    threads = [
        threading.Thread(target=world.smart.place, args=(world.caller, buy(), target)) for target in targets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    position = world.open_quantity(None, "RELIANCE", Exchange.NSE, Product.INTRADAY)
    assert position in set(targets)


def test_an_unreadable_position_is_not_flat(world: PlanWorld) -> None:
    world.script.book_down = True
    with pytest.raises(BrokerUnavailable):
        world.smart.place(world.caller, buy(), Decimal(100))
    assert world.script.sent == []


def test_a_new_target_replaces_what_the_last_one_still_has_working(world: PlanWorld) -> None:
    limit = buy(order_type=OrderType.LIMIT, price=Decimal(1400))
    world.smart.place(world.caller, limit, Decimal(100))
    world.smart.place(world.caller, buy(), Decimal(30))
    assert world.script.orders["B1"].state is OrderState.CANCELLED
    assert world.open_quantity(None, "RELIANCE", Exchange.NSE, Product.INTRADAY) == 30


def test_an_earlier_order_that_will_not_end_stops_the_next(world: PlanWorld) -> None:
    limit = buy(order_type=OrderType.LIMIT, price=Decimal(1400))
    world.smart.place(world.caller, limit, Decimal(100))
    world.broker._cancel = lambda wish: Refused("NO", "no")  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        world.smart.place(world.caller, buy(), Decimal(30))
    assert len(world.script.orders) == 1


def test_the_same_smart_key_acts_once(world: PlanWorld) -> None:
    first = world.smart.place(world.caller, buy(), Decimal(50), key="k", body_hash="h")
    assert world.smart.place(world.caller, buy(), Decimal(50), key="k", body_hash="h") == first
    with pytest.raises(DuplicateKey):
        world.smart.place(world.caller, buy(), Decimal(60), key="k", body_hash="x")
    assert len(world.script.sent) == 1


def test_a_basket_buys_first_and_reports_each_leg(world: PlanWorld) -> None:
    legs = [buy(1, side=Side.SELL), buy(2), buy(3, symbol="NOPE"), buy(4, side=Side.SELL)]
    answer = world.plans.basket(world.caller, legs)
    assert [(r.side.value, int(r.quantity), p.state) for r, p in answer.legs] == [
        ("BUY", 2, "accepted"),
        ("BUY", 3, "refused"),
        ("SELL", 1, "accepted"),
        ("SELL", 4, "accepted"),
    ]


def test_a_split_has_equal_children_and_a_rest(world: PlanWorld) -> None:
    answer = world.plans.split(world.caller, buy(105), Decimal(20))
    assert [int(r.quantity) for r, _ in answer.legs] == [20, 20, 20, 20, 20, 5]
    with pytest.raises(InvalidRequest):
        world.plans.split(world.caller, buy(101), Decimal(1))


def test_a_plan_whose_sender_died_sends_only_what_is_missing(world: PlanWorld) -> None:
    place = world.orders.place
    sent = 0

    def dies(*args: object, **kwargs: object) -> object:
        nonlocal sent
        if sent == 2:
            raise SystemExit
        sent += 1
        return place(*args, **kwargs)  # type: ignore[arg-type]

    world.orders.place = dies  # type: ignore[method-assign,assignment]
    with pytest.raises(SystemExit):
        world.plans.split(world.caller, buy(60), Decimal(20), key="k", body_hash="h")
    world.orders.place = place  # type: ignore[method-assign]
    world.clock.move(25)
    assert world.plans.resume() == 1
    assert [int(order.quantity) for order in world.script.sent] == [20, 20, 20]  # type: ignore[union-attr]
    answer = world.plans.split(world.caller, buy(60), Decimal(20), key="k", body_hash="h")
    assert [placed.state for _, placed in answer.legs] == ["accepted"] * 3
    assert len(world.script.sent) == 3


def test_an_old_plan_is_reported_not_finished(world: PlanWorld) -> None:
    world.orders.place = lambda *a, **k: (_ for _ in ()).throw(SystemExit)  # type: ignore[method-assign,assignment]
    with pytest.raises(SystemExit):
        world.plans.split(world.caller, buy(40), Decimal(20), key="k", body_hash="h")
    world.clock.move(600)
    world.plans.resume()
    answer = world.plans.split(world.caller, buy(40), Decimal(20), key="k", body_hash="h")
    assert {placed.code for _, placed in answer.legs} == {"NOT_SENT"}
    assert world.script.sent == []


@pytest.mark.parametrize(("target", "side"), [(0, Side.SELL), (60, Side.BUY)])
def test_a_smart_order_waits_for_a_plain_one_whose_outcome_is_not_known(
    world: PlanWorld, target: int, side: Side
) -> None:
    """It may be in the market already, and would be done twice."""
    world.script.positions = [held(30)]
    world.script.answers = ["lost"]
    world.orders._look_again = lambda intent: None
    assert world.orders.place(world.caller, buy(30, side=side)).state == "pending"
    with pytest.raises(Unavailable):
        world.smart.place(world.caller, buy(0), Decimal(target))
    assert len(world.script.sent) == 1
    other = Decimal(60 if target == 0 else 0)
    assert world.smart.place(world.caller, buy(0), other).state == "accepted"


def test_a_smart_order_that_lost_its_right_while_it_waited_sends_nothing(world: PlanWorld) -> None:
    """Reading the position took longer than its lease; another has moved the position since."""
    read, others = world.open_quantity, []

    def slowly(*args: object) -> Decimal:
        found = read(*args)  # type: ignore[arg-type]
        if not others:
            others.append(1)
            world.clock.move(31)
            world.smart.place(world.caller, buy(), Decimal(50))
        return found

    world.open_quantity = slowly  # type: ignore[method-assign,assignment]
    with pytest.raises(Unavailable):
        world.smart.place(world.caller, buy(), Decimal(50))
    assert [int(order.quantity) for order in world.script.sent] == [50]  # type: ignore[union-attr]

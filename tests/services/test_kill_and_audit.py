"""The kill switch, the Action Center and the audit chain."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from database import audit as audit_rows
from domain.errors import InvalidRequest, NotFound, RiskRefused
from domain.model import Exchange, Mode, OrderMode, OrderState, OrderType, Position, Product, Side
from services.approvals import Approvals
from services.audit import Audit
from services.gate import Facts
from services.kill_switch import KillSwitch
from services.order_plans import OrderPlans
from services.plan_book import PlanBook
from services.send_queue import SendQueue
from services.smart_orders import SmartOrders
from tests.services.order_world import World, buy


class SafetyWorld(World):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.audit = Audit(self.orders_db, self.clock)
        self.kill = KillSwitch(self.orders_db, self.clock, self.accounts, self.orders, self.audit)
        book = PlanBook(self.orders_db, self.clock)
        self.plans = OrderPlans(book, self.clock, self.accounts, self.orders)
        smart = SmartOrders(self.orders_db, self.clock, self, self, self.orders, book, self.clock.sleep)
        self.approvals = Approvals(
            self.orders_db,
            self.clock,
            self.accounts,
            self,
            self.orders,
            self.plans,
            smart,
            book,
            self.audit,
        )
        self.queue = SendQueue(self.orders_db, self.clock, self.accounts.account, self, self.orders)

    def broker_for(self, account: object) -> object:
        return self.broker

    def open_quantity(self, *_: object) -> Decimal:
        return Decimal(0)

    def semi_auto(self) -> None:
        """The caller as of a live account whose orders wait for a person."""
        account = self.accounts.add_account(self.user.id, "live", "scripted")
        caller = self.accounts.caller_of_user(self.user.id, account.id)
        self.accounts.set_mode(caller, Mode.LIVE)
        self.accounts.set_order_mode(caller, OrderMode.SEMI_AUTO)
        self.caller = self.accounts.caller_of_user(self.user.id, account.id)

    def send_queued(self) -> None:
        self.queue.drain()
        self.queue.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SafetyWorld]:
    made = SafetyWorld(tmp_path)
    yield made
    made.close()


def test_killing_cancels_what_works_and_closes_what_is_open(world: SafetyWorld) -> None:
    world.orders.place(world.caller, buy(order_type=OrderType.LIMIT, price=Decimal(1400)))
    world.script.positions = [
        Position(symbol="RELIANCE", exchange=Exchange.NSE, product=Product.INTRADAY, quantity=Decimal(30))
    ]
    world.facts = Facts(position=Decimal(30))
    kill = world.kill.engage(world.caller, flatten=True, reason="drill")
    assert world.script.orders["B1"].state is OrderState.CANCELLED
    assert (world.script.orders["B2"].side, world.script.orders["B2"].quantity) == (Side.SELL, Decimal(30))
    assert kill.acted_at is not None
    assert "cancelled 1" in kill.report
    world.facts = Facts()
    with pytest.raises(RiskRefused):
        world.orders.place(world.caller, buy())
    assert world.kill.release(world.caller)
    assert world.orders.place(world.caller, buy()).state == "accepted"


def test_an_unreadable_book_leaves_the_work_to_be_done_again(world: SafetyWorld) -> None:
    world.orders.place(world.caller, buy(order_type=OrderType.LIMIT, price=Decimal(1400)))
    world.script.book_down = True
    assert world.kill.engage(world.caller).acted_at is None
    world.script.book_down = False
    world.kill.act()
    assert world.script.orders["B1"].state is OrderState.CANCELLED


def test_only_an_admin_stops_every_account(world: SafetyWorld) -> None:
    with pytest.raises(InvalidRequest):
        world.kill.engage(world.caller, every=True)
    world.kill.engage(replace(world.caller, is_admin=True), every=True)
    with pytest.raises(RiskRefused):
        world.orders.place(world.caller, buy())


def test_a_parked_order_is_sent_once_when_approved(world: SafetyWorld) -> None:
    world.semi_auto()
    placed = world.orders.place(world.caller, buy())
    assert placed.state == "parked"
    assert world.script.sent == []
    assert placed.approval_id is not None
    world.approvals.approve(world.caller, placed.approval_id)
    world.send_queued()
    assert len(world.script.sent) == 1
    with pytest.raises(InvalidRequest):
        world.approvals.approve(world.caller, placed.approval_id)


def test_many_decisions_at_once_make_one(world: SafetyWorld) -> None:
    world.semi_auto()
    approval_id = world.orders.place(world.caller, buy()).approval_id
    outcomes = []

    def decide(n: int) -> None:
        with contextlib.suppress(InvalidRequest):  # somebody else decided first
            if n % 2:
                world.approvals.approve(world.caller, approval_id)  # type: ignore[arg-type]
            else:
                world.approvals.reject(world.caller, approval_id)  # type: ignore[arg-type]
            outcomes.append(n)

    threads = [threading.Thread(target=decide, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.send_queued()
    assert len(outcomes) == 1
    assert len(world.script.sent) == outcomes[0] % 2


def test_a_rejected_order_is_never_sent_and_a_foreign_one_is_not_found(world: SafetyWorld) -> None:
    world.semi_auto()
    approval_id = world.orders.place(world.caller, buy()).approval_id
    assert approval_id is not None
    stranger = world.accounts.caller_of_user(world.accounts.add_user("ravi", "a long password").id)
    with pytest.raises(NotFound):
        world.approvals.approve(stranger, approval_id)
    world.approvals.reject(world.caller, approval_id, "too big")
    world.send_queued()
    assert world.script.sent == []


def test_a_parked_basket_is_sent_leg_by_leg_when_approved(world: SafetyWorld) -> None:
    world.semi_auto()
    answer = world.plans.basket(world.caller, [buy(1, side=Side.SELL), buy(2)])
    assert answer.approval_id is not None
    assert world.script.sent == []
    world.clock.move(3600)
    world.approvals.approve(world.caller, answer.approval_id)
    assert [int(order.quantity) for order in world.script.sent] == [2, 1]  # type: ignore[union-attr]


def test_every_order_is_in_the_audit_and_any_change_is_found(world: SafetyWorld) -> None:
    for _ in range(3):
        world.orders.place(world.caller, buy())
    assert world.audit.seal() == 6
    assert world.audit.seal() == 0
    assert world.audit.verify() == (6, "")
    first = next(world.audit.export())
    assert first.entry.detail["request"]["symbol"] == "RELIANCE"
    edit = audit_rows.AUDIT.update().where(audit_rows.AUDIT.c.seq == 3).values(who="nobody")
    world.orders_db.write(lambda c: c.execute(edit))
    assert world.audit.verify() == (2, "row 3 was changed")
    world.orders_db.write(lambda c: c.execute(audit_rows.AUDIT.delete().where(audit_rows.AUDIT.c.seq == 2)))
    assert world.audit.verify() == (1, "row 2 is missing")

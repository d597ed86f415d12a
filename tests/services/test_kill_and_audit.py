"""The kill switch, the Action Center and the audit chain."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from database import audit as audit_rows
from database import controls as control_rows
from database import intents as intent_rows
from domain.errors import InvalidRequest, NotFound, RiskRefused
from domain.model import (
    CancelOrder,
    Exchange,
    Mode,
    OrderMode,
    OrderState,
    OrderType,
    PlaceOrder,
    Position,
    Product,
    Side,
)
from domain.roles import Role
from services.approvals import Approvals
from services.audit import Audit
from services.kill_switch import KillSwitch
from services.parked_gtts import ParkedGtts
from services.risk import Facts
from services.send_queue import SendQueue
from services.triggers import GttRequest, Triggers
from tests.services.order_world import World, buy


class SafetyWorld(World):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.audit = Audit(self.orders_db, self.clock)
        self.stopped: list[int] = []
        self.kill = self.switch()
        triggers = Triggers(self.orders_db, self.clock, self, self.orders, self, self.audit)  # type: ignore[arg-type]
        self.triggers = triggers
        self.gtts = ParkedGtts(self.plan_book, self.accounts, triggers)
        self.approvals = Approvals(
            self.orders_db,
            self.clock,
            self.accounts,
            self,
            self.orders,
            self.plans,
            self.smart,
            self.gtts,
            self.plan_book,
            self.audit,
            self.bells.append,
        )
        self.queue = SendQueue(self.orders_db, self.clock, self.accounts.account, self, self.orders)

    def switch(self) -> KillSwitch:
        """The kill switch as another process has it."""
        return KillSwitch(
            self.orders_db, self.clock, self.accounts, self.sweeps, self.audit, self._stop_strategies
        )

    def _stop_strategies(self, account_id: int) -> list[str]:
        self.stopped.append(account_id)
        return []

    def broker_for(self, account: object) -> object:
        return self.broker

    def quote(self, caller: object, symbol: str, exchange: str) -> object:
        return SimpleNamespace(last_price=1400.0)

    def hold(self, quantity: int) -> None:
        position = Position(
            symbol="RELIANCE",
            exchange=Exchange.NSE,
            product=Product.INTRADAY,
            quantity=Decimal(quantity),
        )
        self.script.positions = [position]
        self.facts = Facts(position=Decimal(quantity))

    def settle(self, order_id: str, state: OrderState) -> None:
        """The broker ends an order, and tells."""
        known = self.script.orders[order_id]
        filled = known.quantity if state is OrderState.COMPLETE else Decimal(0)
        self.script.orders[order_id] = replace(known, state=state, filled=filled)
        account = self.caller.account
        news = [self.script.orders[order_id]]
        self.updates.apply(account.id, account.venue, account.mode, news, "t")

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
    assert world.bells == [world.caller.account.id]
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


def test_whatever_waits_for_a_person_rings_for_them(world: SafetyWorld) -> None:
    """A single order, a basket, a smart order and a GTT alike; and again when it was decided."""
    world.semi_auto()
    account, rings = world.caller.account.id, world.bells
    gtt = GttRequest(
        symbol="RELIANCE",
        exchange=Exchange.NSE,
        side=Side.SELL,
        product=Product.DELIVERY,
        quantity=Decimal(5),
        below=Decimal(1350),
        price=Decimal(1349),
    )
    asks: list[Callable[[], object]] = [
        lambda: world.orders.place(world.caller, buy()),
        lambda: world.plans.basket(world.caller, [buy(1), buy(2)]),
        lambda: world.smart.place(world.caller, buy(3), Decimal(3)),
        lambda: world.gtts.ask(world.caller, gtt),
    ]
    for number, ask in enumerate(asks, 1):
        rings.clear()
        ask()
        assert rings == [account] and world.approvals.waiting(world.caller) == number
    newest = [approval.id for approval in world.approvals.listed(world.caller)]
    for decide in (world.approvals.reject, world.approvals.approve):
        rings.clear()
        decide(world.caller, newest.pop())
        assert account in rings
    assert world.approvals.waiting(world.caller) == 2
    rings.clear()
    world.clock.move(86400)
    assert world.approvals.lapse_overdue() == 2
    assert account in rings and world.approvals.waiting(world.caller) == 0


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


def test_a_step_whose_number_shows_late_is_sealed_in_its_place(world: SafetyWorld) -> None:
    """PostgreSQL numbers rows before they are visible; a number that stays away was rolled back."""
    for _ in range(2):
        world.orders.place(world.caller, buy())
    steps = intent_rows.STEPS
    with world.orders_db.read() as connection:
        late = dict(connection.execute(steps.select().where(steps.c.seq == 2)).mappings().one())
    world.orders_db.write(lambda c: c.execute(steps.delete().where(steps.c.seq == 2)))
    assert world.audit.seal() == 1
    world.orders_db.write(lambda c: c.execute(steps.insert().values(**late)))
    assert world.audit.seal() == 3
    world.orders.place(world.caller, buy())
    world.orders_db.write(lambda c: c.execute(steps.delete().where(steps.c.seq == 5)))
    assert world.audit.seal() == 0
    world.clock.move(61)
    assert world.audit.seal() == 1
    assert world.audit.verify() == (5, "")


def test_the_kill_switch_works_for_somebody_who_was_barred(world: SafetyWorld) -> None:
    """What the worker does for an account does not wait for its owner's rights."""
    world.accounts.add_user("meera", "a long password", role=Role.ADMIN)
    world.orders.place(world.caller, buy(order_type=OrderType.LIMIT, price=Decimal(100)))
    world.accounts.set_barred("asha", True)
    with pytest.raises(NotFound):
        world.accounts.caller_of_user(world.user.id)
    worker = world.accounts.caller_of_user(world.user.id, door="worker")
    assert "trade" in worker.scopes and worker.role is Role.ADMIN
    thrown = world.kill.engage(worker)
    assert "cancelled 1" in thrown.report


def _sent(world: World, kind: type) -> int:
    return sum(isinstance(one, kind) for one in world.script.sent)


def test_the_switch_thrown_in_many_processes_at_once_acts_once(world: SafetyWorld) -> None:
    for price in range(1400, 1410):
        world.orders.place(world.caller, buy(order_type=OrderType.LIMIT, price=Decimal(price)))
    world.hold(30)
    place = world.broker._place

    def fill(order: PlaceOrder) -> object:
        outcome = place(order)
        world.script.positions = []
        world.settle(outcome.order_id, OrderState.COMPLETE)  # type: ignore[union-attr]
        return outcome

    world.broker._place = fill  # type: ignore[method-assign,assignment]
    threads = [
        threading.Thread(target=world.switch().engage, args=(world.caller,), kwargs={"flatten": True})
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.kill.act()
    assert (_sent(world, CancelOrder), _sent(world, PlaceOrder)) == (10, 11)
    assert "cancelled 10" in world.kill.listed()[0].report
    assert world.stopped and set(world.stopped) == {world.caller.account.id}


def test_no_order_slips_past_a_switch_that_is_being_thrown(
    world: SafetyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Admitted before it or refused: what is admitted without the switch is cancelled by it."""
    tried, engage = threading.Event(), control_rows.engage

    def slowly(connection: object, kill: object) -> None:
        engage(connection, kill)  # type: ignore[arg-type]
        world.clock.move(0.001)
        threading.Thread(target=order).start()
        tried.wait(0.3)

    def order() -> None:
        with contextlib.suppress(RiskRefused):
            world.orders.place(world.caller, buy(order_type=OrderType.LIMIT, price=Decimal(1400)))
        tried.set()

    monkeypatch.setattr(control_rows, "engage", slowly)
    world.kill.engage(world.caller)
    assert tried.wait(10)
    world.kill.act()
    assert not [one for one in world.script.orders.values() if not one.state.is_final]


def test_a_switch_whose_process_died_goes_on_and_repeats_nothing(world: SafetyWorld) -> None:
    for price in (1400, 1401, 1402):
        world.orders.place(world.caller, buy(order_type=OrderType.LIMIT, price=Decimal(price)))
    world.hold(30)
    end = world.orders.end

    def dies(*args: object, **kwargs: object) -> object:
        if _sent(world, CancelOrder) == 1:
            raise SystemExit
        return end(*args, **kwargs)  # type: ignore[arg-type]

    world.orders.end = dies  # type: ignore[method-assign,assignment]
    with pytest.raises(SystemExit):
        world.kill.engage(world.caller, flatten=True)
    world.orders.end = end  # type: ignore[method-assign]
    with pytest.raises(RiskRefused):
        world.orders.place(world.caller, buy())
    for _ in range(3):
        world.clock.move(25)
        world.sweeps.resume()
        world.switch().act()
    assert (_sent(world, CancelOrder), _sent(world, PlaceOrder)) == (3, 4)
    (kill,) = world.kill.listed()
    assert kill.acted_at is not None
    assert "cancelled 3" in kill.report and "closed 1" in kill.report


def test_an_order_that_was_on_its_way_when_the_switch_was_thrown_is_cancelled_too(world: SafetyWorld) -> None:
    world.script.answers = ["silent"]
    take = world.reconciler.look
    world.orders._look_again = lambda intent: None
    placed = world.orders.place(world.caller, buy(order_type=OrderType.LIMIT, price=Decimal(1400)))
    assert placed.state == "pending"
    hidden, world.script.orders = world.script.orders, {}
    kill = world.kill.engage(world.caller)
    assert kill.acted_at is None
    world.script.orders = hidden
    (unknown,) = world.reconciler.unknown()
    take(unknown)
    world.kill.act()
    assert world.script.orders["B1"].state is OrderState.CANCELLED
    world.kill.act()
    assert world.kill.listed()[0].acted_at is not None
    assert _sent(world, CancelOrder) == 1


def test_an_exit_after_the_switch_is_not_cancelled_by_it(world: SafetyWorld) -> None:
    world.script.book_down = True
    world.kill.engage(world.caller)
    world.script.book_down = False
    world.hold(30)
    world.clock.move(1)
    limit = buy(30, side=Side.SELL, order_type=OrderType.LIMIT, price=Decimal(1500))
    assert world.orders.place(world.caller, limit).state == "accepted"
    world.kill.act()
    assert world.script.orders["B1"].state is OrderState.OPEN


def test_a_plan_approved_by_a_process_that_died_is_sent_once(world: SafetyWorld) -> None:
    world.semi_auto()
    answer = world.plans.basket(world.caller, [buy(2), buy(3)])
    world.clock.move(3600)
    run = world.plans.run
    world.plans.run = lambda *a, **k: (_ for _ in ()).throw(SystemExit)  # type: ignore[method-assign,assignment]
    with pytest.raises(SystemExit):
        world.approvals.approve(world.caller, answer.approval_id)  # type: ignore[arg-type]
    world.plans.run = run  # type: ignore[method-assign]
    assert world.plans.resume() == 0
    world.clock.move(25)
    assert (world.plans.resume(), world.plans.resume()) == (1, 0)
    assert [int(order.quantity) for order in world.script.sent] == [2, 3]  # type: ignore[union-attr]


def test_what_nobody_decides_on_lapses_when_the_day_ends(world: SafetyWorld) -> None:
    world.semi_auto()
    approval_id = world.orders.place(world.caller, buy()).approval_id
    world.plans.basket(world.caller, [buy(2)])
    world.clock.move(12 * 3600)
    assert world.approvals.lapse_overdue() == 0
    world.clock.move(6 * 3600)
    assert world.approvals.lapse_overdue() == 2
    with pytest.raises(InvalidRequest, match="expired"):
        world.approvals.approve(world.caller, approval_id)  # type: ignore[arg-type]
    world.send_queued()
    assert world.script.sent == []


def test_a_parked_order_that_was_withdrawn_cannot_be_approved(world: SafetyWorld) -> None:
    world.semi_auto()
    placed = world.orders.place(world.caller, buy())
    assert world.orders.cancel(world.caller, placed.intent_id).state == "accepted"
    with pytest.raises(InvalidRequest, match="rejected already"):
        world.approvals.approve(world.caller, placed.approval_id)  # type: ignore[arg-type]
    world.send_queued()
    assert world.script.sent == []


def test_a_parked_gtt_is_kept_once_when_approved(world: SafetyWorld) -> None:
    world.semi_auto()
    request = GttRequest(
        symbol="RELIANCE",
        exchange=Exchange.NSE,
        side=Side.SELL,
        product=Product.DELIVERY,
        quantity=Decimal(5),
        below=Decimal(1350),
        price=Decimal("1349.50"),
        strategy="dips",
    )
    with pytest.raises(InvalidRequest):
        world.gtts.ask(world.caller, replace(request, below=Decimal("1350.03")))
    approval_id = world.gtts.ask(world.caller, request)
    assert isinstance(approval_id, int)
    assert world.triggers.gtt_book(world.caller) == []
    keep = world.plan_book.keep
    world.plan_book.keep = lambda *a: (_ for _ in ()).throw(SystemExit)  # type: ignore[method-assign,assignment]
    with pytest.raises(SystemExit):
        world.approvals.approve(world.caller, approval_id)
    world.plan_book.keep = keep  # type: ignore[method-assign]
    world.clock.move(25)
    assert (world.gtts.resume(), world.gtts.resume()) == (1, 0)
    (kept,) = world.triggers.gtt_book(world.caller)
    assert (kept.quantity, kept.strategy, kept.legs[0].trigger_price) == (5, "dips", Decimal(1350))

"""Rows that two processes may write first at the same moment: each is one transaction of many on PostgreSQL."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from database import (
    broker_sessions,
    calendar,
    controls,
    events,
    leases,
    members,
    plans,
    second_factor,
    sessions,
    settings,
)
from database import masters as master_rows
from database import strategies as strategy_rows
from database.engine import Database
from domain.calendar import DayType, HolidayFact
from domain.errors import InvalidRequest
from domain.model import Mode, OrderState
from domain.roles import Role
from services.account_limits import AccountLimits
from services.audit import Audit
from services.bans import Bans
from services.baskets import Baskets
from services.login_guard import LockedOut, LoginGuard
from services.watchlists import Watchlists
from tests.services.order_world import NOW, World, buy

pytestmark = pytest.mark.postgres

MANY = 8


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def at_once(work: Callable[[int], Any], many: int = MANY) -> list[Any]:
    """What `many` threads got that began together; an error of any of them is raised."""
    begin, told = threading.Barrier(many), []

    def run(number: int) -> None:
        begin.wait()
        try:
            told.append(work(number))
        except BaseException as error:
            told.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in told:
        if isinstance(error, BaseException):
            raise error
    return told


def _leg(n: int) -> plans.LegResult:
    return plans.LegResult(plan_id=7, leg=1, state="accepted", order_id=str(n), code="", message="")


def _master(store: Database, n: int) -> None:
    master = master_rows.Master(broker="b", file=str(n), rows=1, put_aside=0, source="", loaded_at=NOW)
    master_rows.adopt(store, master)


def _value(c: Any, n: int) -> None:
    value = strategy_rows.SealedValue(name="LOTS", secret=False, cipher=str(n))
    strategy_rows.set_value(c, "s1", value, NOW)


HOLIDAY = HolidayFact(day=date(2026, 12, 25), group="EQUITY", name="x", type=DayType.CLOSED)

FIRST_ROWS: dict[str, tuple[str, Callable[[Any, int], Any]]] = {
    "setting": ("platform", lambda c, n: settings.save(c, "s", n)),
    "day of the calendar": ("platform", lambda c, n: calendar.save(c, HOLIDAY, str(n), NOW)),
    "member": ("platform", lambda c, n: members.give(c, 1, 2, Role.TRADER)),
    "value of a strategy": ("platform", _value),
    "device": ("platform", lambda c, n: sessions.keep_device(c, "h", 1, str(n), None, NOW)),
    "limits": ("orders", lambda c, n: controls.save(c, controls.Controls(account_id=9), NOW)),
    "first limits": ("orders", lambda c, n: controls.ensure(c, 9, NOW)),
    "leg of a plan": ("orders", lambda c, n: plans.keep_leg(c, _leg(n))),
    "cursor": ("orders", lambda c, n: events.move_cursor(c, 1, "b", n)),
}


@pytest.mark.parametrize("name", FIRST_ROWS)
def test_a_row_written_first_by_many_is_there_once(world: World, name: str) -> None:
    world.accounts.add_user("ravi", "a long password")
    store, work = FIRST_ROWS[name]
    database = {"platform": world.platform, "orders": world.orders_db}[store]
    for _ in range(3):
        at_once(lambda n: database.write(partial(work, n=n)))


def test_a_master_adopted_by_many_is_one_of_theirs(world: World) -> None:
    at_once(lambda n: _master(world.platform, n))
    adopted = master_rows.current(world.platform, "b")
    assert adopted is not None and int(adopted.file) < MANY


def test_a_lease_and_a_smart_target_have_one_holder(world: World) -> None:
    until, line = NOW + timedelta(seconds=5), (1, "NSE", "RELIANCE", "MIS")
    taken = at_once(
        lambda n: world.platform.write(lambda c: leases.take(c, "l", f"h{n}", NOW, timedelta(seconds=5)))
    )
    assert sorted(taken, key=str) == [1] + [None] * (MANY - 1)
    held = at_once(lambda n: world.orders_db.write(lambda c: plans.hold_target(c, line, f"h{n}", NOW, until)))
    assert sum(one is not None for one in held) == 1


def test_logins_at_once_have_serials_of_their_own(world: World) -> None:
    def log_in(n: int) -> int:
        words = {"broker_user": str(n), "tokens_cipher": "sealed", "urls": {}, "now": NOW, "expires_at": None}
        return world.platform.write(lambda c: broker_sessions.open_session(c, 1, **words))  # type: ignore[arg-type]

    assert sorted(at_once(log_in)) == list(range(1, MANY + 1))


def test_the_chain_of_the_audit_holds_while_many_add_to_it(world: World) -> None:
    world.orders.place(world.caller, buy())
    audits = [Audit(world.orders_db, world.clock) for _ in range(MANY)]

    def add(n: int) -> None:
        for turn in range(5):
            audits[n].note(world.caller, "drill", {"turn": turn})
            audits[n].seal()

    at_once(add)
    assert audits[0].verify() == (MANY * 5 + 2, "")


def test_what_many_sources_tell_of_a_new_order_is_one_event_each(world: World) -> None:
    placed = world.orders.place(world.caller, buy(10))
    known = world.script.orders[placed.order_id]
    account = world.caller.account
    for turn in range(5):
        life = [replace(known, order_id=f"N{turn}", client_order_id="", filled=Decimal(n)) for n in range(10)]
        life.append(replace(life[-1], filled=Decimal(10), state=OrderState.COMPLETE))

        def tell(n: int, life: list[Any] = life) -> None:
            news = random.Random(n).sample(life, len(life))
            for one in news:
                world.updates.apply(account.id, account.venue, Mode.ANALYZE, [one], str(n))

        at_once(tell)
        mine = [e.order for e in world.updates.since(account.id, 0) if e.order.order_id == f"N{turn}"]
        assert [one.filled for one in mine] == sorted({one.filled for one in mine})
        assert mine[-1].state is OrderState.COMPLETE


def test_sends_are_counted_whoever_takes_them(world: World) -> None:
    def take(connection: Any) -> bool:
        controls.load_both(connection, world.caller.account.id, "")
        return controls.take_slot(connection, world.caller.account.id, "NSE", NOW, 5)

    assert sum(at_once(lambda n: world.orders_db.write(take), 12)) == 5


def test_parallel_guesses_do_not_outrun_the_count(world: World) -> None:
    guard = LoginGuard(world.platform, world.clock, tries=3)

    def guess(n: int) -> bool:
        try:
            guard.begin("asha", "password", address=f"203.0.113.{n}", agent="")
        except LockedOut:
            return False
        return True

    assert sum(at_once(guess, 12)) == 3


def test_a_recovery_code_is_spent_once(world: World) -> None:
    user = world.user.id
    world.platform.write(lambda c: second_factor.keep_recovery(c, user, ["a", "b"]))
    spent = at_once(lambda n: world.platform.write(lambda c: second_factor.spend_recovery(c, user, "a")))
    assert sum(spent) == 1


def test_lists_changed_by_many_lose_nothing(world: World) -> None:
    bans, me = Bans(world.platform, world.clock), world.caller
    at_once(lambda n: bans.add(me, f"203.0.113.{n}", "noise", None))
    assert len(bans.listed()) == MANY
    watchlists = Watchlists(world.platform)
    (first,) = at_once(lambda n: watchlists.lists(world.user.id))[0]
    before = len(watchlists.rows(world.user.id, first.id))
    at_once(lambda n: watchlists.add(world.user.id, first.id, ("NSE", f"OWN{n}")))
    assert len(watchlists.rows(world.user.id, first.id)) == before + MANY
    baskets = Baskets(world.platform, world.clock)
    basket = baskets.create(world.user.id, "b")
    at_once(lambda n: baskets.add(world.user.id, basket, buy(n + 1)))
    assert len(baskets.one(world.user.id, basket).legs) == MANY


def test_limits_changed_by_many_keep_every_change(world: World) -> None:
    limits = AccountLimits(world.orders_db, world.clock, Audit(world.orders_db, world.clock))
    changes = [
        {"max_quantity": Decimal(10)},
        {"max_open_orders": 5},
        {"max_orders_per_day": 7},
        {"max_value": Decimal(9)},
    ]
    at_once(lambda n: limits.change(world.caller, changes[n]), len(changes))
    after = limits.of(world.caller)
    assert (after.max_quantity, after.max_open_orders) == (Decimal(10), 5)
    assert (after.max_orders_per_day, after.max_value) == (7, Decimal(9))


def test_administrators_who_leave_at_once_leave_one(world: World) -> None:
    ids = [world.accounts.add_user(f"admin{n}", "a long password", role=Role.ADMIN).id for n in range(4)]

    def leave(n: int) -> bool:
        try:
            world.accounts.set_role(ids[n], Role.VIEWER)
        except InvalidRequest:
            return False
        return True

    assert sum(at_once(leave, 4)) == 3

"""A live account trades only once it was compared with its broker, and what differs is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import event

from database import events as event_rows
from database import intents as intent_rows
from database import triggers as trigger_rows
from database.triggers import Trigger, TriggerLeg
from domain.errors import BrokerUnavailable, Unavailable
from domain.model import (
    Exchange,
    Gtt,
    GttKind,
    GttLeg,
    IntentState,
    Mode,
    Order,
    OrderState,
    OrderType,
    Position,
    Product,
    Side,
)
from services.accounts import Account
from services.conversions import Conversion
from services.reconciliation import Reconciliation
from services.sessions import SessionState
from tests.services.order_world import NOW, World, buy


class _Sessions:
    def __init__(self, world: World) -> None:
        self._world = world

    def broker_for(self, account: Account) -> object:
        return self._world.broker

    def state(self, account: Account) -> SessionState:
        return SessionState(word="ok")


class Desk(World):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.account = replace(self.caller.account, broker="scripted", mode=Mode.LIVE)
        self.caller = replace(self.caller, account=self.account)
        self.restart()

    def restart(self) -> None:
        """A new process over the same stores."""
        self.reconciliation = Reconciliation(
            self.platform,
            self.orders_db,
            self.clock,
            lambda: [self.account],
            _Sessions(self),  # type: ignore[arg-type]
            self.updates,
            self.reconciler,
        )
        self.orders._ready = self.reconciliation.require

    def hold(self, quantity: int, product: Product = Product.INTRADAY) -> None:
        self.script.positions = [
            Position(symbol="RELIANCE", exchange=Exchange.NSE, product=product, quantity=Decimal(quantity))
        ]

    def someone_else_fills(self, quantity: int, order_id: str = "X1") -> None:
        self.script.orders[order_id] = Order(
            order_id=order_id, symbol="RELIANCE", exchange=Exchange.NSE, side=Side.BUY,
            quantity=Decimal(quantity), filled=Decimal(quantity), average_price=Decimal(100),
            order_type=OrderType.MARKET, product=Product.INTRADAY, state=OrderState.COMPLETE,
            placed_at=NOW, updated_at=NOW,
        )  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def test_nothing_is_sent_before_the_first_look_succeeds(desk: Desk) -> None:
    desk.script.book_down = True
    with pytest.raises(Unavailable, match="not reconciled"):
        desk.orders.place(desk.caller, buy())
    assert desk.script.sent == []
    assert desk.reconciliation.state(desk.account)[0].error
    desk.script.book_down = False
    assert desk.orders.place(desk.caller, buy()).state == "accepted"


def _resident(desk: Desk, name: str, price: int, resident: str | None) -> Trigger:
    leg = TriggerLeg(leg="sl", fires="below", order_type=OrderType.LIMIT, trigger_price=Decimal(price))
    kept = Trigger(
        id=name, account_id=desk.account.id, user_id=desk.user.id, mode=Mode.LIVE, broker=desk.account.venue,
        origin="gtt", state="active" if resident else "unknown", symbol="RELIANCE", exchange=Exchange.NSE,
        product=Product.DELIVERY, side=Side.SELL, quantity=Decimal(10), created_at=NOW, updated_at=NOW,
        legs=(leg,), resident_id=resident,
    )  # fmt: skip
    desk.orders_db.write(lambda c: trigger_rows.add(c, kept))
    return kept


def _at_broker(resident: str, price: int) -> Gtt:
    leg = GttLeg(trigger_price=Decimal(price), side=Side.SELL, quantity=Decimal(10), product=Product.DELIVERY)
    kind = GttKind.SINGLE
    return Gtt(
        trigger_id=resident, kind=kind, status="active", symbol="RELIANCE", exchange=Exchange.NSE, legs=(leg,)
    )


def test_gtts_at_the_broker_are_compared_with_its_list_and_nothing_is_done(desk: Desk) -> None:
    can = replace(desk.broker.manifest.can, gtt=frozenset({"single"}))
    desk.broker.manifest = replace(desk.broker.manifest, can=can)
    there = [_at_broker("T1", 1300), _at_broker("T2", 1310), _at_broker("T9", 1200)]
    desk.broker._fetch_gtts = lambda: there  # type: ignore[method-assign]
    for name, price, resident in (
        ("same", 1300, "T1"),
        ("moved", 1311, "T2"),
        ("away", 1320, "T3"),
        ("lost", 1, None),
    ):
        _resident(desk, name, price, resident)
    found = desk.reconciliation.look(desk.account).gtts
    assert {(one.kind, one.trigger_id, one.broker_id) for one in found} == {
        ("changed", "moved", "T2"),
        ("gone", "away", "T3"),
        ("unanswered", "lost", ""),
        ("external", "", "T9"),
    }
    moved = next(one for one in found if one.kind == "changed")
    assert (moved.ours, moved.theirs) == ("SELL 10 at 1311", "SELL 10 at 1310")
    assert desk.reconciliation.state(desk.account)[0].gtts == found
    with desk.orders_db.read() as connection:
        states = {one.id: one.state for one in trigger_rows.find(connection)}
    assert states == {"same": "active", "moved": "active", "away": "active", "lost": "unknown"}


def test_gtts_that_cannot_be_read_are_said_and_hold_no_order_back(desk: Desk) -> None:
    can = replace(desk.broker.manifest.can, gtt=frozenset({"single"}))
    desk.broker.manifest = replace(desk.broker.manifest, can=can)

    def fails() -> list[Gtt]:
        raise BrokerUnavailable("scripted", text="no answer")

    desk.broker._fetch_gtts = fails  # type: ignore[method-assign]
    assert desk.orders.place(desk.caller, buy()).state == "accepted"
    report = desk.reconciliation.state(desk.account)[0]
    assert report.gtts_error and not report.error


def test_a_restart_looks_again_and_a_paper_account_need_not(desk: Desk) -> None:
    desk.orders.place(desk.caller, buy())
    desk.script.book_down = True
    assert desk.orders.place(desk.caller, buy(11)).state == "accepted"
    desk.restart()
    with pytest.raises(Unavailable):
        desk.orders.place(desk.caller, buy(12))
    desk.reconciliation.require(replace(desk.account, mode=Mode.ANALYZE))


def test_orders_placed_elsewhere_are_adopted(desk: Desk) -> None:
    ours = desk.orders.place(desk.caller, buy())
    desk.someone_else_fills(5)
    desk.hold(5)
    report = desk.reconciliation.look(desk.account)
    assert (report.orders, report.external, report.differences) == (2, ("X1",), ())
    told = {event.order.order_id for event in desk.updates.since(desk.account.id, 0)}
    assert told == {ours.order_id, "X1"}


def test_a_position_that_no_fill_explains_is_shown(desk: Desk) -> None:
    desk.reconciliation.look(desk.account)
    desk.someone_else_fills(5)
    desk.hold(7)
    desk.reconciliation.look_at_all()
    desk.restart()
    report, unknown = desk.reconciliation.state(desk.account)
    [one] = report.differences
    assert (one.symbol, one.ours, one.theirs, unknown) == ("RELIANCE", 5, 7, [])


def test_what_was_carried_into_the_day_is_no_difference(desk: Desk) -> None:
    desk.hold(40, Product.DELIVERY)
    assert desk.reconciliation.look(desk.account).differences == ()
    desk.hold(30, Product.DELIVERY)
    [one] = desk.reconciliation.look(desk.account).differences
    assert (one.ours, one.theirs) == (40, 30)


def test_a_conversion_of_ours_is_no_difference(desk: Desk) -> None:
    desk.someone_else_fills(10)
    desk.hold(10)
    assert desk.reconciliation.look(desk.account).differences == ()
    wanted = Conversion(
        symbol="RELIANCE", exchange=Exchange.NSE, product=Product.INTRADAY, to_product=Product.DELIVERY
    )
    assert desk.conversions.convert(desk.caller, wanted).state == "accepted"
    assert desk.reconciliation.look(desk.account).differences == ()
    desk.hold(10)
    assert len(desk.reconciliation.look(desk.account).differences) == 2


LIMIT = buy(10, side=Side.SELL, order_type=OrderType.LIMIT, price=Decimal(1500))


def test_an_order_of_an_earlier_day_that_no_book_shows_any_more_has_ended(desk: Desk) -> None:
    """Nobody was told how it ended; it must not count as working for ever."""
    desk.orders.place(desk.caller, LIMIT)
    desk.script.orders.clear()
    desk.reconciliation.look(desk.account)
    assert [order.state for order in _known(desk)] == [OrderState.PENDING]  # today's may show late
    desk.clock.move(24 * 3600)
    desk.reconciliation.look(desk.account)
    assert [order.state for order in _known(desk)] == [OrderState.EXPIRED]
    desk.limit(max_open_orders=1)
    assert desk.orders.place(desk.caller, LIMIT).state == "accepted"


def test_an_order_of_an_earlier_day_that_the_book_still_shows_works(desk: Desk) -> None:
    desk.orders.place(desk.caller, LIMIT)
    desk.clock.move(24 * 3600)
    desk.reconciliation.look(desk.account)
    assert [order.state for order in _known(desk)] == [OrderState.OPEN]


def test_a_smart_order_of_yesterday_holds_back_none_of_today(desk: Desk) -> None:
    desk.smart.place(desk.caller, LIMIT, Decimal(-10))
    desk.script.orders.clear()
    desk.clock.move(24 * 3600)
    desk.restart()
    desk.reconciliation.look(desk.account)
    assert desk.smart.place(desk.caller, buy(10), Decimal(10)).state == "accepted"


def _known(desk: Desk) -> list[Order]:
    with desk.orders_db.read() as connection:
        ids = {f"B{number}" for number in range(1, 9)}
        return list(event_rows.known_many(connection, desk.account.id, desk.account.venue, ids).values())


def test_the_book_of_another_day_does_not_prove_that_an_order_was_not_received(desk: Desk) -> None:
    """It was taken, and filled, on the evening before; today's book begins empty."""
    desk.script.answers = ["silent"]
    desk.orders._look_again = lambda intent: None
    assert desk.orders.place(desk.caller, buy()).state == "pending"
    desk.script.orders.clear()
    desk.clock.move(24 * 3600)
    for _ in range(4):
        desk.clock.move(20)
        desk.reconciler.sweep()
    with desk.orders_db.read() as connection:
        (intent,) = intent_rows.since(connection, desk.account.id, NOW)
    assert (intent.state, intent.code) == (IntentState.EXPIRED, "NOT_TOLD")


def test_a_look_at_today_does_not_read_the_journal_of_all_days(desk: Desk) -> None:
    ours = desk.orders.place(desk.caller, buy()).order_id
    desk.someone_else_fills(5)
    asked: list[tuple[str, object]] = []

    def note(connection: object, cursor: object, statement: str, values: object, *rest: object) -> None:
        if statement.startswith("SELECT intents.broker_order_id") and "told_id" not in statement:
            asked.append((statement, values))

    event.listen(desk.orders_db.engine, "before_cursor_execute", note)
    report = desk.reconciliation.look(desk.account)
    event.remove(desk.orders_db.engine, "before_cursor_execute", note)
    assert report.external == ("X1",)
    with desk.orders_db.read() as connection:
        for statement, values in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()  # type: ignore[call-overload]
            assert "ix_intents_broker_order (account_id=? AND broker_order_id=?)" in str(plan)
        many = [ours, "X1", *(f"Y{number}" for number in range(1200))]
        assert intent_rows.claimed(connection, desk.account.id, "scripted", many) == {ours}
    assert asked

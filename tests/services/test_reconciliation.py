"""A live account trades only once it was compared with its broker, and what differs is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import Unavailable
from domain.model import Exchange, Mode, Order, OrderState, OrderType, Position, Product, Side
from services.accounts import Account
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

"""A broker that pushes no order news is asked for it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from broker.manifest import Manifest
from domain.model import Exchange, Mode, Order, OrderState, OrderType, Product, Side
from services.order_polling import IDLE_EVERY, OrderPoller
from services.sessions import SessionState
from tests.services.order_world import MANIFEST, NOW, World, buy


class _Sessions:
    def __init__(self, world: World, word: str = "ok") -> None:
        self._world, self._word = world, word

    def broker_for(self, account: object) -> object:
        return self._world.broker

    def state(self, account: object) -> SessionState:
        return SessionState(word=self._word)


def poller(world: World, *, manifest: Manifest = MANIFEST, word: str = "ok") -> OrderPoller:
    account = replace(world.caller.account, broker="scripted", mode=Mode.LIVE)
    world.caller = replace(world.caller, account=account)
    world.broker.manifest = manifest  # type: ignore[misc]
    return OrderPoller(world.orders_db, lambda: [account], _Sessions(world, word), world.updates)  # type: ignore[arg-type]


def _fill(world: World, order_id: str) -> None:
    order = world.script.orders[order_id]
    world.script.orders[order_id] = replace(
        order, state=OrderState.COMPLETE, filled=order.quantity, average_price=Decimal(101)
    )


def test_a_fill_is_heard_once(world: World) -> None:
    polled = poller(world)
    placed = world.orders.place(world.caller, buy())
    _fill(world, placed.order_id)
    assert polled.poll() == 1
    assert polled.poll() == 0
    assert world.updates.since(world.caller.account.id, 0)[-1].order.state is OrderState.COMPLETE


def test_an_idle_book_is_read_now_and_then(world: World) -> None:
    polled = poller(world)
    polled.poll()
    reads: list[int] = []
    original = world.broker._fetch_orders
    world.broker._fetch_orders = lambda: reads.append(1) or original()  # type: ignore[method-assign,func-returns-value]
    for _ in range(IDLE_EVERY):
        polled.poll()
    assert len(reads) == 1


@pytest.mark.parametrize(("updates", "word"), [("stream", "ok"), ("poll", "expired")])
def test_neither_a_pushing_broker_nor_an_ended_session_is_polled(
    world: World, updates: str, word: str
) -> None:
    manifest = replace(MANIFEST, can=replace(MANIFEST.can, order_updates=updates))
    polled = poller(world, manifest=manifest, word=word)
    placed = world.orders.place(world.caller, buy())
    _fill(world, placed.order_id)
    assert polled.poll() == 0


def test_news_that_could_not_be_stored_is_read_at_the_next_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    polled = poller(world)
    polled.poll()  # idle: the book is not due for many turns
    order = Order(
        order_id="X1", symbol="RELIANCE", exchange=Exchange.NSE, side=Side.BUY, quantity=Decimal(5),
        filled=Decimal(5), order_type=OrderType.MARKET, product=Product.INTRADAY, state=OrderState.COMPLETE,
        placed_at=NOW, updated_at=NOW,
    )  # fmt: skip
    world.script.orders["X1"] = order
    polled._turn = IDLE_EVERY
    apply = world.updates.apply

    def full(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(world.updates, "apply", full)
    assert polled.poll() == 0
    monkeypatch.setattr(world.updates, "apply", apply)
    assert polled.poll() == 1

"""Books: complete, in order, exact, and signed the one way."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.model import OrderState, Product, Side
from tests.broker.contract.world import World


def test_empty_books_are_empty_lists(world: World) -> None:
    for book in sorted({"orders", "trades", "positions"} & world.can.reads):
        assert getattr(world.broker, f"fetch_{book}")() == []


def test_orders_come_oldest_first(world: World) -> None:
    ids = [world.placed(world.request()) for _ in range(4)]
    assert [order.order_id for order in world.broker.fetch_orders()] == ids


def test_order_times_are_aware_and_recent(world: World) -> None:
    order = world.order(world.placed(world.request()))
    age = world.clock.now() - order.placed_at
    assert -timedelta(seconds=2) < age < timedelta(seconds=30)
    assert order.updated_at >= order.placed_at


@pytest.mark.reads("trades")
def test_trades_add_up_to_the_orders_fill(world: World) -> None:
    one = world.instrument()
    world.tick(one, world.last_price(one), 4)
    order_id = world.placed(world.request(lots=10, rests=False))
    order = world.order(order_id)
    trades = [trade for trade in world.broker.fetch_trades() if trade.order_id == order_id]
    assert len(trades) > 1
    assert sum(trade.quantity for trade in trades) == order.filled == 10
    value = sum(trade.quantity * trade.price for trade in trades)
    assert order.average_price is not None
    assert abs(value / order.filled - order.average_price) <= Decimal("0.01")
    assert len({trade.trade_id for trade in trades}) == len(trades)
    assert {(trade.side, trade.symbol, trade.product) for trade in trades} == {
        (Side.BUY, "INFY", order.product)
    }


@pytest.mark.reads("positions")
def test_a_short_position_is_negative(world: World) -> None:
    world.placed(world.request(side=Side.SELL, lots=7, rests=False))
    (position,) = world.broker.fetch_positions()
    assert position.quantity == -7
    assert position.average_price and position.average_price > 0


@pytest.mark.reads("positions")
def test_profit_is_positive_when_there_is_one(world: World) -> None:
    one = world.instrument()
    world.placed(world.request(lots=10, rests=False))
    (bought,) = world.broker.fetch_positions()
    assert bought.average_price is not None
    world.tick(one, bought.average_price + 20)
    (position,) = world.broker.fetch_positions()
    assert position.unrealised is None or position.unrealised == pytest.approx(200)
    world.placed(world.request(side=Side.SELL, lots=10, rests=False))
    (closed,) = [p for p in world.broker.fetch_positions() if p.symbol == one.symbol]
    assert closed.quantity == 0
    assert closed.realised is None or Decimal(100) < closed.realised < Decimal(200)


@pytest.mark.reads("positions")
def test_a_position_closed_today_is_still_listed_flat(world: World) -> None:
    world.placed(world.request(rests=False))
    world.placed(world.request(side=Side.SELL, rests=False))
    (position,) = world.broker.fetch_positions()
    assert position.quantity == 0 and position.average_price is None


@pytest.mark.reads("positions")
def test_positions_of_two_products_are_two_rows(world: World) -> None:
    products = sorted({Product.INTRADAY, Product.DELIVERY} & world.can.products)
    for product in products:
        world.placed(world.request(product=product, rests=False))
    rows = world.broker.fetch_positions()
    assert sorted((row.product, row.quantity) for row in rows) == [(product, 1) for product in products]


@pytest.mark.reads("holdings")
def test_holdings_are_shares_at_their_cost(world: World) -> None:
    (held,) = world.broker.fetch_holdings()
    assert (held.symbol, held.exchange, held.quantity) == ("SBIN", "NSE", 40)
    assert held.average_price == Decimal("700.25")


@pytest.mark.usefixtures("wire")
def test_an_unreadable_status_keeps_its_word_and_the_other_rows(world: World) -> None:
    first, second = world.placed(world.request()), world.placed(world.request())
    world.simulator.fail_next("unknown_status", match="orders")
    found = {order.order_id: order for order in world.broker.fetch_orders()}
    assert found[first].state is OrderState.OPEN
    assert found[second].state is OrderState.UNKNOWN
    assert found[second].status_word not in ("", "OPEN")


def test_an_instrument_that_left_the_master_keeps_its_row(world: World) -> None:
    order_id = world.placed(world.request())
    world._by_broker.clear()
    listed = world.order(order_id)
    assert listed.exchange == "NSE" and listed.symbol


@pytest.mark.usefixtures("wire")
def test_a_lagging_book_is_only_late(world: World) -> None:
    world.simulator.fail_next("book_lag", match="place", seconds=0.3)
    order_id = world.placed(world.request())
    assert world.broker.fetch_order(order_id) is None
    world.simulator.clock.skew = 1.0
    assert world.order(order_id).state is OrderState.OPEN

"""How orders meet prices: each type, each way of filling, and what a ladder finds."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal as D

import pytest

from broker.paper.matching import Book
from domain.model import OrderState, OrderType, Side
from domain.outcomes import Accepted, Refused
from tests.broker.paper.floor import CALL, FUTURE, SHARE, Floor

BUY, SELL = Side.BUY, Side.SELL
LIMIT, STOP, STOP_LIMIT = OrderType.LIMIT, OrderType.STOP_MARKET, OrderType.STOP_LIMIT


@pytest.fixture
def floor() -> Floor:
    made = Floor()
    made.market.show(SHARE, "100", spread=1)
    return made


def prices(floor: Floor) -> list[tuple[str, str]]:
    return [(f"{t.quantity}", f"{t.price:.2f}") for t in floor.account.trades]


# -- at placement
def test_a_market_order_buys_at_the_ask_and_sells_at_the_bid(floor: Floor) -> None:
    assert floor.buy().state is OrderState.COMPLETE
    floor.sell()
    assert prices(floor) == [("100", "100.05"), ("100", "99.95")]


def test_a_market_order_walks_the_levels(floor: Floor) -> None:
    floor.market.show_book(SHARE, "100", [("99.95", 10)], [("100.05", 10), ("100.10", 20), ("100.25", 500)])
    order = floor.buy()
    assert prices(floor) == [("10", "100.05"), ("20", "100.10"), ("70", "100.25")]
    assert order.snapshot().average_price == (D("1000.5") + D("2002") + D("7017.5")) / 100


def test_what_is_not_offered_waits_for_the_next_tick(floor: Floor) -> None:
    floor.market.show(SHARE, "100", spread=0, quantity=10)
    order = floor.buy()
    assert (order.state, order.filled) == (OrderState.OPEN, 50)
    floor.tick(SHARE, "101", spread=0, quantity=1000)
    assert (order.state, order.filled) == (OrderState.COMPLETE, 100)
    assert prices(floor)[-1] == ("50", "101.00")
    floor.check_books()


def test_a_market_order_needs_a_price(floor: Floor) -> None:
    refused = floor.place(FUTURE, quantity=65)
    assert isinstance(refused, Refused) and refused.code == "NO_QUOTE"
    assert isinstance(floor.place(FUTURE, quantity=65, order_type=LIMIT, price="25000"), Accepted)


def test_a_limit_order_within_the_market_gets_the_better_price(floor: Floor) -> None:
    floor.limit(BUY, "105")
    floor.limit(SELL, "95")
    assert prices(floor) == [("100", "100.05"), ("100", "99.95")]


def test_a_limit_order_takes_no_level_beyond_its_limit(floor: Floor) -> None:
    floor.market.show_book(SHARE, "100", [("99.95", 10)], [("100.05", 10), ("100.10", 20), ("100.25", 500)])
    order = floor.limit(BUY, "100.10")
    assert (order.filled, order.state) == (30, OrderState.OPEN)
    assert order.reserved == D("1401.40")


# -- resting
def test_a_resting_limit_fills_at_its_own_price(floor: Floor) -> None:
    buy, sell = floor.limit(BUY, "99"), floor.limit(SELL, "101")
    floor.tick(SHARE, "98")
    floor.tick(SHARE, "103")
    assert buy.state is sell.state is OrderState.COMPLETE
    assert prices(floor) == [("100", "99.00"), ("100", "101.00")]


def test_a_quote_that_does_not_reach_the_limit_fills_nothing(floor: Floor) -> None:
    order = floor.limit(BUY, "99")
    floor.tick(SHARE, "99.05", spread=1)
    assert order.filled == 0
    floor.tick(SHARE, "99", spread=1)
    assert order.filled == 0
    floor.tick(SHARE, "98.95", spread=1)
    assert order.filled == 100


def test_a_trade_through_the_limit_fills_even_when_the_ask_stands_above(floor: Floor) -> None:
    order = floor.limit(BUY, "99.5")
    floor.clock.forward(seconds=1)
    tick = floor.market.show_book(SHARE, "99.4", [("99.35", 10)], [("99.6", 10)], traded=30)
    floor.exchange.on_tick(tick)
    assert order.filled == 30
    assert prices(floor) == [("30", "99.50")]


def test_a_resting_order_gets_no_more_than_was_offered(floor: Floor) -> None:
    order = floor.limit(BUY, "99")
    floor.tick(SHARE, "98.95", spread=1, quantity=40)
    assert order.filled == 40
    floor.tick(SHARE, "98.95", spread=1, quantity=60)
    assert order.state is OrderState.COMPLETE


def test_ticks_from_before_the_order_do_not_fill_it(floor: Floor) -> None:
    floor.clock.forward(seconds=1)
    past = floor.market.show(SHARE, "98")
    floor.market.show(SHARE, "100")
    order = floor.limit(BUY, "99")
    floor.exchange.on_tick(past)
    assert order.filled == 0


def test_older_orders_at_a_price_are_served_first(floor: Floor) -> None:
    first, second = floor.limit(BUY, "99"), floor.limit(BUY, "99")
    floor.tick(SHARE, "98")
    trades = floor.account.trades
    assert [t.order_id for t in trades] == [first.order_id, second.order_id]


def test_the_rest_of_an_order_that_took_all_that_was_shown_goes_on_at_the_market(floor: Floor) -> None:
    floor.market.show(SHARE, "100", spread=0, quantity=5)
    order = floor.limit(SELL, "90", 100)
    assert order.filled == 25
    floor.tick(SHARE, "100", spread=0, quantity=1000)
    assert prices(floor)[-1] == ("75", "100.00")


# -- stops
@pytest.mark.parametrize(
    ("side", "trigger", "before", "after"), [(SELL, "95", "95.05", "95"), (BUY, "105", "104.95", "105")]
)
def test_a_stop_market_fires_when_the_last_price_touches(floor, side, trigger, before, after) -> None:
    order = floor.taken(floor.place(side=side, order_type=STOP, trigger=trigger))
    assert order.state is OrderState.TRIGGER_PENDING
    floor.tick(SHARE, before)
    assert order.state is OrderState.TRIGGER_PENDING
    floor.tick(SHARE, after)
    assert order.state is OrderState.COMPLETE
    assert floor.account.trades[0].price == D(after) + D("0.05") * side.sign


def test_a_stop_market_that_is_jumped_over_fills_where_the_market_is(floor: Floor) -> None:
    floor.sell(SHARE, 100, STOP, trigger="95")
    floor.tick(SHARE, "90", spread=0)
    assert prices(floor) == [("100", "90.00")]


def test_a_stop_limit_becomes_a_limit_order(floor: Floor) -> None:
    order = floor.sell(SHARE, 100, STOP_LIMIT, price="94.5", trigger="95")
    floor.tick(SHARE, "94", spread=0)
    assert (order.state, order.filled) == (OrderState.OPEN, 0)
    floor.tick(SHARE, "96", spread=0)
    assert prices(floor) == [("100", "94.50")]
    states = [update.order.state for update in floor.take().updates]
    assert states == [OrderState.TRIGGER_PENDING, OrderState.OPEN, OrderState.COMPLETE]


def test_a_stop_behind_the_price_fires_at_once(floor: Floor) -> None:
    order = floor.sell(SHARE, 100, STOP, trigger="101")
    assert order.state is OrderState.COMPLETE


def test_a_fired_stop_stays_open_when_its_trigger_moves(floor: Floor) -> None:
    order = floor.sell(SHARE, 100, STOP_LIMIT, price="97", trigger="96")
    floor.tick(SHARE, "95", spread=0)
    assert order.state is OrderState.OPEN
    floor.modify(order, trigger_price="90")
    assert order.state is OrderState.OPEN


# -- changing
def test_a_changed_price_is_met_at_once(floor: Floor) -> None:
    order = floor.limit(BUY, "90")
    floor.modify(order, price="101")
    assert order.state is OrderState.COMPLETE
    assert prices(floor) == [("100", "100.05")]


def test_the_old_price_of_a_changed_order_is_void(floor: Floor) -> None:
    order = floor.limit(BUY, "99")
    floor.modify(order, price="95")
    floor.tick(SHARE, "98")
    assert order.filled == 0
    floor.tick(SHARE, "94")
    assert prices(floor) == [("100", "95.00")]


def test_a_limit_order_may_become_a_market_order_or_a_stop(floor: Floor) -> None:
    order = floor.limit(BUY, "90")
    floor.modify(order, order_type=STOP, trigger_price="105")
    assert order.state is OrderState.TRIGGER_PENDING
    floor.modify(order, order_type=OrderType.MARKET)
    assert order.state is OrderState.COMPLETE


def test_what_cannot_be_changed_or_cancelled(floor: Floor) -> None:
    order = floor.buy()
    for outcome, code in (
        (floor.modify(order, quantity=200), "ORDER_FINAL"),
        (floor.cancel(order), "ORDER_FINAL"),
        (floor.cancel("26010100000001"), "ORDER_NOT_FOUND"),
    ):
        assert isinstance(outcome, Refused) and outcome.code == code
    resting = floor.limit(BUY, "99")
    floor.tick(SHARE, "98", quantity=10)
    outcome = floor.modify(resting, quantity=resting.filled)
    assert isinstance(outcome, Refused) and outcome.code == "QUANTITY"


def test_a_request_asked_again_is_told_the_same(floor: Floor) -> None:
    same = "c" * 16
    first = floor.place(client_order_id=same)
    assert floor.place(client_order_id=same) == first
    assert len(floor.account.trades) == 1
    refused = floor.place(quantity=0, client_order_id="d" * 16)
    assert floor.place(quantity=10, client_order_id="d" * 16) == refused


# -- other ways of filling
def test_touch_fills_as_soon_as_the_last_price_touches() -> None:
    floor = Floor(fill="touch")
    floor.market.show(SHARE, "100", spread=2)
    floor.buy()
    floor.limit(BUY, "101")
    resting = floor.limit(BUY, "99")
    stop = floor.sell(SHARE, 100, STOP, trigger="99")
    floor.tick(SHARE, "99", spread=2, quantity=1)
    assert resting.state is stop.state is OrderState.COMPLETE
    assert prices(floor) == [("100", "100.10"), ("100", "100.00"), ("100", "99.00"), ("100", "99.00")]


def test_touch_gives_a_resting_limit_its_limit_and_a_stop_the_last_price() -> None:
    floor = Floor(fill="touch")
    floor.market.show(SHARE, "100", spread=0)
    floor.limit(BUY, "99")
    floor.sell(SHARE, 100, STOP_LIMIT, price="90", trigger="98")
    floor.tick(SHARE, "97", spread=0)
    assert prices(floor) == [("100", "99.00"), ("100", "97.00")]


def test_quote_fills_the_whole_order_at_the_best_price() -> None:
    floor = Floor(fill="quote")
    floor.market.show(SHARE, "100", spread=1, quantity=1)
    floor.buy(SHARE, quantity=5000)
    assert prices(floor) == [("5000", "100.05")]


def test_participation_takes_a_share_of_each_level_in_whole_lots() -> None:
    floor = Floor(participation="0.1")
    floor.market.show(CALL, "100", spread=0, quantity=1300)
    order = floor.buy(CALL, quantity=6500, product="NRML")
    assert order.filled == 5 * 130
    floor.market.show(CALL, "100", spread=0, quantity=65)
    floor.tick(CALL, "100", spread=0, quantity=65)
    assert order.filled == 5 * 130 + 5 * 65


def test_slippage_is_against_the_order_and_on_the_tick() -> None:
    floor = Floor(slippage_bps="5")
    floor.market.show(SHARE, "100", spread=1)
    floor.buy()
    floor.sell()
    floor.limit(BUY, "100.05")
    assert prices(floor) == [("100", "100.15"), ("100", "99.90"), ("100", "100.05")]


def test_latency_keeps_an_order_from_the_ticks_before_it_arrives() -> None:
    floor = Floor(latency_ms="1500")
    floor.market.show(SHARE, "100", spread=0)
    order = floor.buy()
    floor.tick(SHARE, "101", spread=0)
    assert order.filled == 0
    floor.tick(SHARE, "102", spread=0)
    assert prices(floor) == [("100", "102.00")]


def test_a_late_fill_that_cannot_be_paid_ends_the_order() -> None:
    floor = Floor(latency_ms="500", starting_capital="100000")
    floor.market.show(SHARE, "100", spread=0)
    order = floor.buy(SHARE, quantity=5000)
    assert order.reserved == 100_000
    floor.tick(SHARE, "101", spread=0)
    assert order.state is OrderState.CANCELLED and "not enough money" in order.reason
    assert floor.funds().available == 100_000


def test_a_feed_that_knows_only_the_last_price_fills_there(floor: Floor) -> None:
    floor.market.show_last(SHARE, "100")
    floor.buy()
    order = floor.limit(SELL, "105")
    floor.clock.forward(seconds=1)
    floor.exchange.on_tick(floor.market.show_last(SHARE, "105"))
    assert order.state is OrderState.COMPLETE
    assert prices(floor) == [("100", "100.00"), ("100", "105.00")]


def test_nobody_sells_at_the_upper_circuit(floor: Floor) -> None:
    floor.market.show_book(SHARE, "120", [("120", 50_000)], [])
    order = floor.buy()
    assert (order.state, order.filled) == (OrderState.OPEN, 0)
    floor.tick(SHARE, "119", spread=0)
    assert order.state is OrderState.COMPLETE


# -- ladders and tapes
def test_only_crossed_orders_are_looked_at(floor: Floor) -> None:
    for step in range(500):
        floor.limit(BUY, f"{50 + step * D('0.05')}", 1)
        floor.limit(SELL, f"{150 + step * D('0.05')}", 1)
    (book, _) = floor.exchange.books[SHARE.exchange, SHARE.symbol]
    floor.clock.forward(seconds=1)
    assert book.crossed(floor.market.show(SHARE, "100")) == []
    assert len(book.crossed(floor.market.show(SHARE, "74.75", spread=0))) == 5


def test_a_ladder_does_not_grow_with_changes(floor: Floor) -> None:
    order = floor.limit(BUY, "90")
    for n in range(2000):
        floor.modify(order, price=f"{80 + (n % 100) * D('0.05')}")
    (book, _) = floor.exchange.books[SHARE.exchange, SHARE.symbol]
    assert isinstance(book, Book) and len(book._buys) < 100
    assert len(book.live) == 1


def tape(seed: int) -> list[tuple[str, str, str]]:
    """An account that trades at random on a tape made from a seed; its fills."""
    draw = random.Random(seed)
    floor = Floor()
    price = D("100")
    floor.market.show(SHARE, price)
    for _ in range(400):
        side = draw.choice([BUY, SELL])
        near = price + D("0.05") * draw.randint(-10, 10)
        kind = draw.choice(list(OrderType))
        floor.place(side=side, quantity=draw.randint(1, 300), order_type=kind, price=near, trigger=near)
        price = max(D("50"), price + D("0.05") * draw.randint(-8, 8))
        floor.tick(SHARE, price, quantity=draw.choice([10, 100, 10_000]))
    floor.check_books()
    return [(t.trade_id, f"{t.quantity}", f"{t.price}") for t in floor.account.trades]


def test_the_same_tape_twice_gives_the_same_fills() -> None:
    first, again, other = tape(7), tape(7), tape(8)
    assert first == again
    assert len(first) > 100
    assert first != other


def test_a_minute_of_ticks_is_enough_for_the_queue_to_empty(floor: Floor) -> None:
    orders = [floor.limit(BUY, "99", 10) for _ in range(50)]
    floor.tick(SHARE, "98.95", quantity=10)
    assert all(order.state is OrderState.COMPLETE for order in orders)
    assert all(o.updated_at - o.placed_at <= timedelta(seconds=1) for o in orders)

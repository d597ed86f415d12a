"""Accounts on exchange hours: square-off, DAY orders, settlement days, holidays, special sessions, expiries."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal as D

import pytest

from broker import facts
from broker.paper import statements
from broker.paper.hours import Hours
from broker.paper.rules import Terms
from domain.calendar import AlwaysOpen, Calendar
from domain.clock import IST
from domain.model import Exchange, OrderState, OrderType, Product, Side
from domain.outcomes import Accepted, Refused
from tests.broker.paper.floor import CALL, CRUDE, FUTURE, INDEX, SHARE, Floor

CALENDAR = Calendar(facts.holidays(), facts.sessions())
HOURS = Hours(lambda: CALENDAR)
pytestmark = pytest.mark.clock


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


def floor_at(text: str, **terms: str) -> Floor:
    """A floor on exchange hours; `text` is a time in India."""
    floor = Floor(**terms)
    floor.exchange.hours = HOURS
    floor.market.trading_day = CALENDAR.trading_day  # type: ignore[method-assign]
    floor.clock.at = at(text)
    for one, price in ((SHARE, "100"), (FUTURE, "25000"), (CALL, "100"), (CRUDE, "5400"), (INDEX, "25000")):
        floor.market.show(one, price, spread=0)
    return floor


def move(floor: Floor, text: str) -> None:
    floor.clock.at = at(text)
    floor.keep_time()


def test_intraday_positions_and_orders_end_at_their_time() -> None:
    floor = floor_at("2026-08-24 10:00")
    floor.buy()
    floor.buy(SHARE, quantity=10, product=Product.DELIVERY)
    floor.buy(FUTURE, quantity=65, product=Product.CARRY)
    resting = floor.limit(Side.BUY, "90")
    kept = floor.limit(Side.BUY, "90", product=Product.DELIVERY)
    move(floor, "2026-08-24 15:14")
    assert floor.position().quantity == 100
    floor.market.show(SHARE, "110", spread=1)
    move(floor, "2026-08-24 15:15")
    assert floor.position().quantity == 0
    assert floor.position().realised == D("995.00")
    assert (resting.state, kept.state) == (OrderState.EXPIRED, OrderState.OPEN)
    assert floor.account.trades[-1].strategy == "AUTO_SQUARE_OFF"
    assert floor.position(SHARE, Product.DELIVERY).quantity == 10
    assert floor.position(FUTURE, Product.CARRY).quantity == 65
    floor.check_books()


def test_each_exchange_has_its_time_and_an_account_its_own() -> None:
    day = date(2026, 8, 24)
    times = {one: HOURS.square_off(one, Terms(), day) for one in (Exchange.NFO, Exchange.CDS, Exchange.MCX)}
    assert [f"{moment:%H:%M}" for moment in times.values() if moment] == ["15:15", "16:45", "23:30"]
    floor = floor_at("2026-08-24 10:00", nse_bse_square_off_time="14:00")
    floor.buy()
    move(floor, "2026-08-24 14:00")
    assert floor.position().quantity == 0


@pytest.mark.parametrize(
    ("moment", "word"),
    [
        ("2026-08-24 15:20", "15:15"),
        ("2026-08-24 08:30", "09:00"),
        ("2026-08-23 11:00", "closed today"),
        ("2026-11-24 11:00", "closed today"),
    ],
)
def test_no_intraday_position_is_opened_out_of_hours(moment: str, word: str) -> None:
    floor = floor_at(moment)
    refused = floor.place()
    assert isinstance(refused, Refused) and refused.code == "SQUARE_OFF"
    assert word in refused.words


def test_an_intraday_position_may_always_be_closed() -> None:
    floor = floor_at("2026-08-24 10:00")
    floor.buy()
    floor.clock.at = at("2026-08-24 15:25")
    assert isinstance(floor.place(SHARE, Side.SELL, 101), Refused)
    assert isinstance(floor.place(SHARE, Side.SELL, 100), Accepted)


def test_a_missed_square_off_is_made_up_for() -> None:
    floor = floor_at("2026-08-21 10:00")
    floor.buy()
    move(floor, "2026-08-22 09:00")
    assert floor.position().quantity == 0


def test_a_position_on_an_old_row_is_judged_by_when_it_was_opened() -> None:
    floor = floor_at("2026-08-24 10:00")
    floor.buy()
    floor.sell()
    move(floor, "2026-08-25 08:00")
    floor.clock.at = at("2026-08-25 10:00")
    floor.buy()
    move(floor, "2026-08-25 10:05")
    assert floor.position().quantity == 100


def test_day_orders_end_at_the_close_and_later_ones_wait_for_the_next() -> None:
    floor = floor_at("2026-08-24 10:00")
    early = floor.limit(Side.BUY, "90", product=Product.DELIVERY)
    move(floor, "2026-08-24 15:31")
    assert early.state is OrderState.EXPIRED
    late = floor.limit(Side.BUY, "101", product=Product.DELIVERY)
    assert late.filled == 0
    move(floor, "2026-08-25 03:01")
    assert late.state is OrderState.OPEN
    assert [row.order_id for row in statements.orders(floor.account)] == [late.order_id]
    floor.clock.at = at("2026-08-25 09:15:01")
    floor.tick(SHARE, "99", spread=0)
    assert late.state is OrderState.COMPLETE


def test_a_market_order_of_the_night_trades_at_the_opening() -> None:
    floor = floor_at("2026-08-23 02:00")
    order = floor.buy(SHARE, quantity=10, product=Product.DELIVERY)
    assert (order.state, order.filled) == (OrderState.OPEN, 0)
    floor.clock.at = at("2026-08-24 09:15")
    floor.tick(SHARE, "104", spread=0)
    assert order.snapshot().average_price == 104


@pytest.mark.parametrize(
    ("bought", "early", "arrives"),
    [
        ("2026-08-24 10:00", "2026-08-24 23:00", "2026-08-25 03:01"),
        ("2026-08-21 10:00", "2026-08-23 12:00", "2026-08-24 03:01"),
        ("2026-11-23 10:00", "2026-11-24 12:00", "2026-11-25 03:01"),
        ("2026-08-25 10:00", "2026-08-26 12:00", "2026-08-27 03:01"),
    ],
)
def test_shares_arrive_on_the_next_settlement_day(bought: str, early: str, arrives: str) -> None:
    floor = floor_at(bought)
    floor.buy(SHARE, quantity=10, product=Product.DELIVERY)
    move(floor, early)
    assert floor.position(product=Product.DELIVERY).quantity == 10
    move(floor, arrives)
    (held,) = statements.holdings(floor.exchange, floor.account, floor.clock.now())
    assert (held.quantity, held.settles_on) == (10, at(arrives).date())
    floor.check_books()


def test_shares_in_settlement_may_be_sold() -> None:
    floor = floor_at("2026-08-21 10:00")
    floor.buy(SHARE, quantity=10, product=Product.DELIVERY)
    move(floor, "2026-08-22 12:00")
    floor.clock.at = at("2026-08-24 10:00")
    assert floor.sell(SHARE, 10, product=Product.DELIVERY).state is OrderState.COMPLETE


def test_contracts_end_with_their_exchange_s_session() -> None:
    assert HOURS.expires_at(CALL) == at("2026-09-29 15:40")
    assert HOURS.expires_at(CRUDE) == at("2026-10-19 23:30")
    assert HOURS.expires_at(SHARE) is None
    assert Hours(AlwaysOpen).expires_at(CALL) == at("2026-09-29 15:30")
    floor = floor_at("2026-09-29 10:00")
    floor.sell(CALL, 65, product=Product.CARRY)
    floor.market.show(INDEX, "25060", spread=0)
    move(floor, "2026-09-29 15:39")
    assert floor.position(CALL, Product.CARRY).quantity == -65
    move(floor, "2026-09-29 15:40")
    assert floor.funds().total_realised == (100 - 60) * 65


def test_a_special_session_squares_off_within_itself() -> None:
    (row,) = (
        one
        for one in facts.holidays()
        if one.type.value == "MUHURAT" and one.day.year == 2025 and one.group == "EQUITY"
    )
    moment = HOURS.square_off(Exchange.NSE, Terms(), row.day)
    opens, closes = CALENDAR.sessions(Exchange.NSE, row.day)[0]
    assert moment is not None and opens <= moment <= closes


def test_an_always_open_market_has_no_fence() -> None:
    assert Hours(AlwaysOpen).fence(Exchange.NSE, Terms(), at("2026-08-23 02:00")) == ""
    assert HOURS.fence(Exchange.NSE, Terms(), at("2026-08-24 10:00")) == ""
    assert HOURS.last_close(Exchange.NSE, at("2026-08-24 02:00")) == at("2026-08-21 15:30")
    assert Hours(AlwaysOpen).last_close(Exchange.NSE, at("2026-08-24 04:00")) == at("2026-08-24 03:00")


def test_orders_of_every_type_end_with_the_day() -> None:
    floor = Floor()
    floor.market.show(SHARE, "100", spread=0)
    orders = [
        floor.limit(Side.BUY, "90"),
        floor.sell(SHARE, 10, OrderType.STOP_MARKET, trigger="80"),
        floor.sell(SHARE, 10, OrderType.STOP_LIMIT, price="79", trigger="80"),
    ]
    floor.next_day()
    assert {order.state for order in orders} == {OrderState.EXPIRED}
    assert floor.funds().used == 0

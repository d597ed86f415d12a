"""Money, positions and reserves of one paper account, by cases; the machine in `test_ledger.py` does the rest."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from broker.paper import settlement, statements
from domain.model import OrderState, OrderType, Product, Side
from domain.outcomes import Accepted, Refused
from tests.broker.paper.floor import CALL, CRUDE, FUTURE, INDEX, SHARE, Floor

CRORE = D(10_000_000)


@pytest.fixture
def floor() -> Floor:
    made = Floor()
    made.market.show(SHARE, "100", spread=0)
    made.market.show(FUTURE, "25000", spread=0)
    made.market.show(CALL, "100", spread=0)
    made.market.show(CRUDE, "5400", spread=0)
    return made


def test_a_new_account_has_its_starting_capital(floor: Floor) -> None:
    funds = floor.funds()
    assert (funds.available, funds.used, funds.starting_capital) == (CRORE, 0, CRORE)


@pytest.mark.parametrize(
    ("one", "product", "side", "quantity", "blocked"),
    [
        (SHARE, Product.INTRADAY, Side.BUY, 100, "2000"),
        (SHARE, Product.INTRADAY, Side.SELL, 100, "2000"),
        (SHARE, Product.DELIVERY, Side.BUY, 100, "10000"),
        (FUTURE, Product.CARRY, Side.SELL, 65, "162500"),
        (FUTURE, Product.INTRADAY, Side.BUY, 65, "162500"),
        (CALL, Product.CARRY, Side.BUY, 65, "6500"),
        (CALL, Product.CARRY, Side.SELL, 65, "6500"),
        (CRUDE, Product.CARRY, Side.BUY, 1, "54000"),
    ],
)
def test_margin_by_the_leverage_table(floor, one, product, side, quantity, blocked) -> None:
    floor.taken(floor.place(one, side, quantity, product=product))
    funds = floor.funds()
    assert funds.used == D(blocked)
    assert funds.available == CRORE - D(blocked)
    floor.check_books()


def test_short_options_may_block_a_part_of_the_contract() -> None:
    floor = Floor(option_margin="contract")
    floor.market.show(CALL, "100", spread=0)
    floor.sell(CALL, 65, product=Product.CARRY)
    assert floor.funds().used == (25000 * D("0.125") + 100) * 65


def test_profit_is_booked_when_a_position_shrinks(floor: Floor) -> None:
    floor.buy()
    floor.tick(SHARE, "110", spread=0)
    floor.sell(SHARE, 40)
    row = floor.position()
    assert (row.quantity, row.average_price, row.realised, row.unrealised) == (60, 100, 400, 600)
    assert floor.funds().used == 1200
    floor.sell(SHARE, 60)
    funds = floor.funds()
    assert (funds.available, funds.used, funds.realised) == (CRORE + 1000, 0, 1000)
    assert floor.position().quantity == 0
    floor.check_books()


def test_a_reversal_blocks_the_whole_margin_of_what_it_opens(floor: Floor) -> None:
    floor.buy()
    floor.sell(SHARE, 200)
    assert floor.position().quantity == -100
    assert floor.funds().used == 2000
    floor.check_books()


def test_contract_value_multiplies_profit_and_margin(floor: Floor) -> None:
    floor.buy(CRUDE, quantity=2, product=Product.CARRY)
    floor.tick(CRUDE, "5410", spread=0)
    assert floor.position(CRUDE, Product.CARRY).unrealised == 2000
    floor.sell(CRUDE, 2, product=Product.CARRY)
    assert floor.funds().available == CRORE + 2000


def test_a_fill_leaves_the_reserve_of_other_orders_alone(floor: Floor) -> None:
    resting = floor.limit(Side.BUY, "90", 50)
    assert floor.funds().used == 900
    floor.buy()
    assert floor.funds().used == 900 + 2000
    assert floor.cancel(resting) == Accepted(resting.order_id)
    assert floor.funds().used == 2000
    floor.check_books()


def test_a_second_exit_is_margined_as_what_it_would_open(floor: Floor) -> None:
    floor.buy()
    first = floor.limit(Side.SELL, "105")
    second = floor.limit(Side.SELL, "106")
    assert (first.reserved, second.reserved) == (0, 2120)
    floor.tick(SHARE, "107", spread=0)
    assert floor.position().quantity == -100
    assert floor.funds().used == 2120
    floor.check_books()


def test_an_exit_that_lost_its_position_is_cancelled_when_it_cannot_be_paid() -> None:
    floor = Floor(starting_capital="100000")
    floor.market.show(SHARE, "100", spread=0)
    floor.buy(SHARE, quantity=5000)
    stop = floor.sell(SHARE, 5000, OrderType.STOP_MARKET, trigger="95")
    target = floor.place(SHARE, Side.SELL, 5000, OrderType.LIMIT, price="105")
    assert isinstance(target, Refused) and target.code == "INSUFFICIENT_FUNDS"
    floor.tick(SHARE, "96", spread=0)
    closed = floor.sell(SHARE, 5000)
    assert closed.state is OrderState.COMPLETE
    assert floor.position().quantity == 0
    assert stop.state is OrderState.CANCELLED and "Nothing is left to close" in stop.reason
    floor.check_books()


def test_closing_is_never_refused_for_money() -> None:
    floor = Floor(starting_capital="100000")
    floor.market.show(SHARE, "100", spread=0)
    floor.buy(SHARE, quantity=5000)
    assert floor.funds().available == 0
    floor.tick(SHARE, "60", spread=0)
    stop = floor.sell(SHARE, 5000, OrderType.STOP_MARKET, trigger="55")
    assert floor.sell(SHARE, 5000).state is OrderState.COMPLETE
    assert floor.funds().available == -100_000
    assert stop.state is OrderState.CANCELLED and "not enough money" in stop.reason
    floor.check_books()


def test_refusal_for_money_says_how_much_is_lacking(floor: Floor) -> None:
    outcome = floor.place(SHARE, quantity=600_000, product=Product.DELIVERY)
    assert isinstance(outcome, Refused)
    assert outcome.code == "INSUFFICIENT_FUNDS"
    assert outcome.order_id == ""
    assert "₹1,00,00,000.00" in outcome.words and "₹5,00,00,000.00" in outcome.words
    assert statements.orders(floor.account) == []


def test_a_larger_order_after_modify_reserves_more_or_is_refused(floor: Floor) -> None:
    order = floor.limit(Side.BUY, "90", 100)
    assert floor.modify(order, quantity=200, price="95") == Accepted(order.order_id)
    assert order.reserved == 3800
    refused = floor.modify(order, quantity=1_000_000)
    assert isinstance(refused, Refused) and refused.code == "INSUFFICIENT_FUNDS"
    assert (order.terms.quantity, order.reserved) == (200, 3800)
    floor.check_books()


# -- delivery
def test_shares_settle_at_cost_when_the_day_turns(floor: Floor) -> None:
    floor.tick(SHARE, "100", spread=1)
    floor.buy(SHARE, quantity=100, product=Product.DELIVERY)
    assert floor.funds().used == D("10005")
    floor.next_day()
    funds = floor.funds()
    assert (funds.used, funds.available) == (0, CRORE - D("10005"))
    (held,) = statements.holdings(floor.exchange, floor.account, floor.clock.now())
    assert (held.quantity, held.average_price) == (100, D("100.05"))
    assert floor.positions() == []
    floor.check_books()


def test_selling_holdings_books_the_profit(floor: Floor) -> None:
    floor.buy(SHARE, quantity=100, product=Product.DELIVERY)
    floor.next_day()
    floor.tick(SHARE, "150", spread=0)
    floor.sell(SHARE, 60, product=Product.DELIVERY)
    funds = floor.funds()
    assert (funds.realised, funds.total_realised) == (3000, 3000)
    assert funds.available == CRORE - 10_000 + 9000
    (held,) = statements.holdings(floor.exchange, floor.account, floor.clock.now())
    assert held.quantity == 40
    assert floor.position(product=Product.DELIVERY).realised == 3000
    floor.check_books()


def test_the_same_shares_are_not_sold_twice(floor: Floor) -> None:
    floor.buy(SHARE, quantity=100, product=Product.DELIVERY)
    floor.limit(Side.SELL, "110", 100, product=Product.DELIVERY)
    outcome = floor.place(SHARE, Side.SELL, 1, product=Product.DELIVERY)
    assert isinstance(outcome, Refused)
    stored = floor.account.orders[outcome.order_id]
    assert stored.state is OrderState.REJECTED
    assert outcome.words == stored.reason
    assert "0 shares" in stored.reason


def test_todays_shares_are_sold_before_the_holding(floor: Floor) -> None:
    floor.buy(SHARE, quantity=10, product=Product.DELIVERY)
    floor.next_day()
    floor.buy(SHARE, quantity=5, product=Product.DELIVERY)
    floor.sell(SHARE, 8, product=Product.DELIVERY)
    assert floor.position(product=Product.DELIVERY).quantity == 0
    assert [h.quantity for h in statements.holdings(floor.exchange, floor.account, floor.clock.now())] == [7]
    floor.check_books()


# -- the clock
def test_day_orders_end_and_todays_profit_starts_at_nothing(floor: Floor) -> None:
    order = floor.limit(Side.BUY, "90")
    floor.buy()
    floor.tick(SHARE, "110", spread=0)
    floor.sell(SHARE, 50)
    floor.next_day()
    assert order.state is OrderState.EXPIRED
    row = floor.position()
    assert (row.quantity, row.realised, row.total_realised) == (50, 0, 500)
    assert floor.funds().realised == 0
    assert floor.funds().total_realised == 500
    assert statements.orders(floor.account) == []
    floor.check_books()


def test_the_day_is_kept_with_everything_at_market(floor: Floor) -> None:
    floor.buy(SHARE, quantity=1000, product=Product.DELIVERY)
    floor.next_day()
    floor.tick(SHARE, "120", spread=0)
    floor.take()
    floor.next_day()
    (day,) = floor.take().days
    assert day.equity == CRORE + 20_000
    assert (day.holdings, day.cash) == (120_000, CRORE - 100_000)


def test_an_option_expires_at_intrinsic_value(floor: Floor) -> None:
    floor.sell(CALL, 65, product=Product.CARRY)
    floor.market.show(INDEX, "25080", spread=0)
    floor.clock.forward(days=36, hours=8)
    floor.keep_time()
    assert floor.funds().total_realised == (100 - 80) * 65
    assert floor.funds().used == 0
    floor.check_books()


def test_an_option_out_of_the_money_expires_worthless(floor: Floor) -> None:
    floor.buy(CALL, quantity=65, product=Product.CARRY)
    floor.market.show(INDEX, "24000", spread=0)
    floor.clock.forward(days=36, hours=8)
    floor.keep_time()
    assert floor.funds().total_realised == -6500
    floor.check_books()


def test_a_future_settles_at_its_last_price_and_its_orders_end(floor: Floor) -> None:
    floor.buy(FUTURE, quantity=65, product=Product.CARRY)
    order = floor.limit(Side.BUY, "24000", 65, one=FUTURE, product=Product.CARRY)
    floor.tick(FUTURE, "25100", spread=0)
    floor.clock.forward(days=36, hours=8)
    floor.keep_time()
    assert order.state is OrderState.EXPIRED
    assert floor.funds().total_realised == 6500


def test_a_reset_begins_again_and_ends_orders(floor: Floor) -> None:
    floor.buy()
    order = floor.limit(Side.BUY, "90")
    seq = floor.account.seq
    assert settlement.reset(floor.exchange, "1", floor.clock.now()) == 2
    funds = floor.funds()
    assert (funds.available, funds.used, funds.reset_count) == (CRORE, 0, 1)
    assert order.state is OrderState.CANCELLED
    assert floor.positions() == []
    floor.tick(SHARE, "80", spread=0)
    assert floor.positions() == []
    floor.buy()
    assert floor.account.seq > seq
    floor.check_books()


def test_a_new_capital_is_given_by_the_next_reset(floor: Floor) -> None:
    settlement.change_terms(floor.exchange, "1", {"starting_capital": "500000"}, floor.clock.now())
    assert floor.funds().available == CRORE
    settlement.reset(floor.exchange, "1", floor.clock.now())
    assert floor.funds().available == 500_000


def test_an_account_may_begin_again_every_week(floor: Floor) -> None:
    floor.buy()
    changes = {"reset_day": "Wednesday", "reset_time": "06:00"}
    settlement.change_terms(floor.exchange, "1", changes, floor.clock.now())
    floor.clock.forward(days=1, hours=20)
    floor.keep_time()
    assert floor.position().quantity == 100
    floor.clock.forward(hours=1)
    floor.keep_time()
    assert floor.funds().reset_count == 1
    floor.clock.forward(days=6)
    floor.keep_time()
    assert (floor.funds().reset_count, floor.positions()) == (1, [])


def test_accounts_do_not_see_each_other(floor: Floor) -> None:
    floor.buy()
    floor.account_name = "2"
    assert floor.funds().available == CRORE
    assert floor.positions() == []


def test_a_resting_sale_of_holdings_reserves_nothing(floor: Floor) -> None:
    floor.buy(SHARE, quantity=100, product=Product.DELIVERY)
    floor.next_day()
    order = floor.limit(Side.SELL, "110", 100, product=Product.DELIVERY)
    assert (order.reserved, floor.funds().used) == (0, 0)
    floor.tick(SHARE, "111", spread=0)
    assert floor.funds().total_realised == 1000

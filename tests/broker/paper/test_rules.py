"""What the exchange refuses, in which words, and the terms of an account."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from broker.paper.rules import FillMode, Terms, margin
from domain.errors import InvalidRequest
from domain.model import Exchange, InstrumentKind, OrderType, Product, Side
from domain.outcomes import Accepted, Refused
from tests.broker.paper.floor import CALL, FUTURE, INDEX, RUPEE, SHARE, Floor, instrument

LIMIT, STOP = OrderType.LIMIT, OrderType.STOP_LIMIT


@pytest.mark.parametrize(
    ("one", "asked", "code", "word"),
    [
        (INDEX, {}, "EXCHANGE", "NSE_INDEX"),
        (SHARE, {"product": Product.CARRY}, "PRODUCT", "CNC or MIS"),
        (FUTURE, {"product": Product.DELIVERY, "quantity": 65}, "PRODUCT", "MIS or NRML"),
        (SHARE, {"quantity": 0}, "QUANTITY", "positive"),
        (SHARE, {"quantity": "-5"}, "QUANTITY", "positive"),
        (SHARE, {"quantity": "1.5"}, "QUANTITY", "whole"),
        (SHARE, {"quantity": "NaN"}, "QUANTITY", "number"),
        (SHARE, {"order_type": LIMIT, "price": "Infinity"}, "PRICE", "required"),
        (SHARE, {"quantity": "1e30"}, "QUANTITY", "1,000,000,000"),
        (SHARE, {"disclosed_quantity": D("1e30")}, "QUANTITY", "1,000,000,000"),
        (SHARE, {"order_type": LIMIT, "price": "1e20"}, "PRICE", "1,000,000,000"),
        (FUTURE, {"quantity": 64}, "LOT", "65"),
        (instrument(freeze_quantity=1000), {"quantity": 1001}, "FREEZE", "1000"),
        (SHARE, {"order_type": LIMIT}, "PRICE", "Price is required"),
        (SHARE, {"order_type": LIMIT, "price": "0"}, "PRICE", "LIMIT"),
        (SHARE, {"order_type": LIMIT, "price": "100.03"}, "TICK", "0.05"),
        (SHARE, {"order_type": STOP, "price": "100"}, "TRIGGER", "Trigger price"),
        (SHARE, {"order_type": STOP, "price": "100", "trigger": "99.99"}, "TICK", "0.05"),
    ],
)
def test_what_is_refused(one, asked, code, word) -> None:
    floor = Floor()
    floor.market.show(one, "100")
    outcome = floor.place(one, **{"quantity": 100, **asked})
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.order_id) == (code, "")
    assert word in outcome.words
    assert floor.account.orders == {}


def test_prices_that_a_type_has_no_use_for_are_dropped() -> None:
    floor = Floor()
    floor.market.show(SHARE, "100")
    market = floor.buy(SHARE, quantity=1, price="1.01", trigger="2.02")
    assert (market.terms.price, market.terms.trigger_price) == (None, None)
    limit = floor.limit(Side.BUY, "90", 1, trigger="2.02")
    assert (limit.terms.price, limit.terms.trigger_price) == (90, None)
    stop = floor.buy(SHARE, quantity=1, order_type=OrderType.STOP_MARKET, price="1.01", trigger="110")
    assert (stop.terms.price, stop.terms.trigger_price) == (None, 110)


def test_prices_keep_four_decimals() -> None:
    floor = Floor()
    floor.market.show(RUPEE, "88.5025", spread=0)
    order = floor.buy(RUPEE, quantity=3, product=Product.CARRY)
    assert order.snapshot().average_price == D("88.5025")
    floor.tick(RUPEE, "88.5075", spread=0)
    assert floor.position(RUPEE, Product.CARRY).unrealised == 15


def test_the_largest_order_still_fits() -> None:
    floor = Floor()
    dear = instrument("MRF", tick_size=D("5"))
    floor.market.show(dear, "150000", spread=0)
    assert isinstance(floor.place(dear, quantity=300), Accepted)
    floor.check_books()


def test_margins_go_up_to_the_paisa() -> None:
    terms = Terms().changed({"equity_mis_leverage": "7"})
    blocked = margin(SHARE, Product.INTRADAY, Side.BUY, D(1), D(100), terms)
    assert blocked == D("14.29")


def test_a_stock_option_blocks_a_fifth_of_its_contract() -> None:
    terms = Terms().changed({"option_margin": "contract"})
    stock = instrument(
        "SBIN29SEP26800CE", Exchange.NFO, InstrumentKind.CALL, name="SBIN", lot_size=750, strike=D(800)
    )
    assert margin(stock, Product.CARRY, Side.SELL, D(750), D(20), terms) == (160 + 20) * 750
    assert margin(stock, Product.CARRY, Side.BUY, D(750), D(20), terms) == 20 * 750
    assert margin(CALL, Product.CARRY, Side.SELL, D(65), D(20), terms) == (3125 + 20) * 65


def test_terms_survive_their_own_text() -> None:
    terms = Terms().changed({"fill": "touch", "charges": "true", "participation": "0.25", "latency_ms": "40"})
    assert Terms().changed(terms.texts()) == terms
    assert (terms.fill, terms.charges, terms.latency_ms) == (FillMode.TOUCH, True, 40)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("leverage", "5"),
        ("equity_mis_leverage", "0"),
        ("equity_mis_leverage", "51"),
        ("equity_mis_leverage", "NaN"),
        ("equity_mis_leverage", "five"),
        ("starting_capital", "123456"),
        ("fill", "magic"),
        ("charges", "maybe"),
        ("brokerage", "Nobody"),
        ("reset_day", "Someday"),
        ("reset_time", "24:00"),
        ("participation", "0"),
        ("participation", "1.1"),
        ("latency_ms", "-1"),
        ("nse_bse_square_off_time", "25:00"),
        ("nse_bse_square_off_time", "3:15"),
        ("option_expiry_settlement", "double"),
    ],
)
def test_a_wrong_term_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        Terms().changed({name: value})
    assert error.value.field == name
    assert name in str(error.value)

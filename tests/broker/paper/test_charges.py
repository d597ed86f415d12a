"""Charges against the worked examples of the market facts, and as a ledger account of their own."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import pytest

from broker import facts
from broker.paper.charges import ChargeBook
from broker.paper.exchange import PaperExchange
from broker.paper.numbers import Numbers
from broker.paper.rules import BROKERAGES, Terms
from domain.model import Exchange, InstrumentKind, Product, Side
from domain.money import rupees
from tests.broker.paper.floor import CALL, FUTURE, INDEX, SHARE, Floor, instrument

BOOK = ChargeBook(facts.rows("charges"))
DEAR = instrument("NIFTY29SEP26FUT", Exchange.NFO, InstrumentKind.FUTURE, name="NIFTY", lot_size=65)


def charged_floor(brokerage: str = "Zerodha") -> Floor:
    floor = Floor()
    terms = Terms(charges=True, brokerage=brokerage)
    floor.exchange = PaperExchange(floor.market, Numbers(lambda _: 0, lambda _: 0), terms, BOOK.of)
    return floor


@pytest.mark.parametrize(
    ("one", "product", "quantity", "bought", "sold", "total"),
    [
        (SHARE, Product.DELIVERY, 100, "1316", "1330", "294.90"),
        (SHARE, Product.INTRADAY, 100, "1316", "1320", "94.06"),
        (DEAR, Product.CARRY, 65, "24325", "24400", "944.33"),
        (CALL, Product.CARRY, 65, "100", "110", "63.94"),
    ],
)
def test_the_worked_examples(one, product, quantity, bought, sold, total) -> None:
    floor = charged_floor()
    floor.market.show(one, bought, spread=0)
    floor.buy(one, quantity=quantity, product=product)
    floor.tick(one, sold, spread=0)
    floor.sell(one, quantity, product=product)
    funds = floor.funds()
    assert funds.charges is not None
    assert abs(rupees(funds.charges) - D(total)) <= D("0.01")
    gain = (D(sold) - D(bought)) * quantity
    assert funds.available == D(10_000_000) + gain - funds.charges
    assert funds.total_realised == gain
    floor.check_books()


def test_an_order_is_charged_once_however_many_fills_it_takes() -> None:
    whole, pieces = charged_floor(), charged_floor()
    for floor, size in ((whole, 1_000_000), (pieces, 10)):
        floor.market.show(SHARE, "1000", spread=0, quantity=size)
        floor.buy(SHARE, quantity=30)
        for _ in range(3):
            floor.tick(SHARE, "1000", spread=0, quantity=size)
    assert len(pieces.account.trades) > len(whole.account.trades) == 1
    assert pieces.position().quantity == whole.position().quantity == 30
    order = next(iter(pieces.account.orders.values()))
    assert order.charged == pieces.funds().charges == BOOK.of(order, order.updated_at, "Zerodha")


def test_rates_are_those_of_the_day() -> None:
    floor = charged_floor("")
    floor.market.show(FUTURE, "24400", spread=0)
    order = floor.sell(FUTURE, 65, product=Product.CARRY)
    at = order.placed_at
    now, before = (BOOK.parts(order, at.replace(year=year)) for year in (2026, 2025))
    assert (now["STT"], before["STT"]) == (793, 317)
    assert BOOK.parts(order, at.replace(year=2024))["STT"] == 198


def test_the_holder_of_an_expiring_option_pays_for_its_exercise() -> None:
    for side, tax in ((Side.BUY, D("7.8")), (Side.SELL, 0)):
        floor = charged_floor("")
        floor.market.show(CALL, "100", spread=0)
        floor.taken(floor.place(CALL, side, 65, product=Product.CARRY))
        before = floor.funds().charges
        floor.market.show(INDEX, "25080", spread=0)
        floor.clock.forward(days=36, hours=8)
        floor.keep_time()
        assert floor.funds().charges - before == round(tax)
        floor.check_books()


def test_every_brokerage_a_term_may_name_is_in_the_table() -> None:
    listed = {row["component"] for row in facts.rows("charges")}
    assert {f"BROKERAGE:{house}" for house in BROKERAGES if house} <= listed


def test_an_exchange_that_charges_nothing() -> None:
    future = instrument(
        "SENSEX24SEP26FUT",
        Exchange.BFO,
        InstrumentKind.FUTURE,
        name="SENSEX",
        lot_size=20,
        expiry=date(2026, 9, 24),
    )
    floor = charged_floor("")
    floor.market.show(future, "80000", spread=0)
    order = floor.buy(future, quantity=20, product=Product.CARRY)
    assert BOOK.parts(order, order.placed_at)["EXCHANGE_TXN"] == 0

"""Converting at the paper exchange: what moves, what it costs, what is refused, and that it happens once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from domain.conversion import ConvertPosition
from domain.ledger import EntryKind
from domain.model import OrderState, Product, Side
from domain.outcomes import Accepted, Refused
from tests.broker.paper.floor import FUTURE, SHARE, D, Floor
from tests.broker.paper.test_server import Stand, order

MIS, CNC, NRML = Product.INTRADAY, Product.DELIVERY, Product.CARRY


@pytest.fixture
def floor() -> Floor:
    made = Floor()
    made.market.show(SHARE, "1000", spread=0)
    made.market.show(FUTURE, "25000", spread=0)
    return made


def test_a_part_moves_at_its_cost_and_the_margin_is_blocked_anew(floor: Floor) -> None:
    floor.buy(quantity=100)
    outcome = floor.convert(quantity=40)
    assert isinstance(outcome, Accepted)
    kept, moved = floor.position(), floor.position(product=CNC)
    assert (kept.quantity, kept.average_price) == (60, 1000)
    assert (moved.quantity, moved.average_price, moved.realised) == (40, 1000, 0)
    assert floor.funds().used == 60 * 1000 / 5 + 40 * 1000
    (entry,) = [e for e in floor.take().entries if e.kind is EntryKind.CONVERT]
    assert (entry.amounts.cash, entry.amounts.positions) == (-32_000, 32_000)
    floor.check_books()


def test_all_of_it_leaves_a_flat_line_that_keeps_its_booked_profit(floor: Floor) -> None:
    floor.buy(quantity=100)
    floor.tick(SHARE, "1010", spread=0)
    floor.sell(quantity=50)
    assert isinstance(floor.convert(quantity=50), Accepted)
    assert (floor.position().quantity, floor.position().realised) == (0, 500)
    assert floor.position(product=CNC).quantity == 50
    assert floor.funds().realised == 500


def test_a_short_future_is_carried_and_comes_back(floor: Floor) -> None:
    floor.sell(FUTURE, 130)
    assert isinstance(floor.convert(FUTURE, 130, MIS, NRML, Side.SELL), Accepted)
    assert floor.position(FUTURE, NRML).quantity == -130
    assert isinstance(floor.convert(FUTURE, 65, NRML, MIS, Side.SELL), Accepted)
    assert floor.position(FUTURE, MIS).quantity == -65
    floor.check_books()


def test_converted_shares_settle_like_bought_ones(floor: Floor) -> None:
    floor.buy(quantity=100)
    floor.convert(quantity=100)
    while not floor.account.shares:
        floor.next_day()
    (held,) = floor.account.shares.values()
    assert (held.quantity, held.cost) == (100, 100_000)
    floor.check_books()


def test_without_the_money_nothing_moves() -> None:
    floor = Floor(starting_capital="100000")
    floor.market.show(SHARE, "1000", spread=0)
    floor.buy(quantity=200)
    outcome = floor.convert(quantity=200)
    assert isinstance(outcome, Refused) and outcome.code == "INSUFFICIENT_FUNDS"
    assert "₹60,000.00 is available, ₹1,00,000.00 is lacking" in outcome.words
    assert floor.position().quantity == 200
    assert isinstance(floor.convert(quantity=75), Accepted)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"quantity": 101}, "POSITION"),
        ({"quantity": 0}, "POSITION"),
        ({"side": Side.SELL}, "POSITION"),
        ({"product": CNC, "to": MIS}, "POSITION"),
        ({"to": NRML}, "PRODUCT"),
        ({"to": MIS}, "PRODUCT"),
    ],
)
def test_what_is_not_open_or_not_on_offer_is_refused(floor: Floor, how: dict[str, object], code: str) -> None:
    floor.buy(quantity=100)
    outcome = floor.convert(**how)  # type: ignore[arg-type]
    assert isinstance(outcome, Refused)
    assert (outcome.code, bool(outcome.words)) == (code, True)


def test_a_short_never_becomes_delivery(floor: Floor) -> None:
    floor.sell(SHARE, 100)
    outcome = floor.convert(side=Side.SELL)
    assert isinstance(outcome, Refused) and outcome.code == "SHORT"


def test_odd_lots_move_only_whole(floor: Floor) -> None:
    floor.buy(FUTURE, quantity=130)
    outcome = floor.convert(FUTURE, 70, MIS, NRML)
    assert isinstance(outcome, Refused) and outcome.code == "LOT"


def test_shares_on_sale_in_delivery_stay_there(floor: Floor) -> None:
    floor.buy(quantity=100, product=CNC)
    floor.limit(Side.SELL, "1100", 80, product=CNC)
    outcome = floor.convert(quantity=30, product=CNC, to=MIS)
    assert isinstance(outcome, Refused) and outcome.code == "INSUFFICIENT_SHARES"
    assert isinstance(floor.convert(quantity=20, product=CNC, to=MIS), Accepted)


def test_the_opposite_position_is_not_closed_by_the_way(floor: Floor) -> None:
    floor.buy(FUTURE, quantity=65)
    floor.sell(FUTURE, 65, product=NRML)
    outcome = floor.convert(FUTURE, 65, MIS, NRML)
    assert isinstance(outcome, Refused) and outcome.code == "OPPOSITE"


def test_an_exit_that_lost_its_position_is_paid_like_a_new_order_or_ends() -> None:
    floor = Floor(starting_capital="100000")
    floor.market.show(SHARE, "1000", spread=0)
    floor.buy(quantity=90)
    exit_order = floor.limit(Side.SELL, "1100", 90)
    assert exit_order.reserved == 0
    assert isinstance(floor.convert(quantity=90), Accepted)
    assert exit_order.state is OrderState.CANCELLED and "not enough money" in exit_order.reason
    floor.check_books()


def test_the_same_wish_again_is_told_the_same_and_moves_nothing(floor: Floor) -> None:
    floor.buy(quantity=100)
    first = floor.convert(quantity=50, client_order_id="c" * 16)
    assert floor.convert(quantity=50, client_order_id="c" * 16) == first
    assert floor.position().quantity == 50
    (kept,) = [one for one in floor.take().answers if one.client_order_id == "c" * 16]
    assert (kept.kind, kept.code) == ("CONVERT", "")


def test_a_third_of_an_uneven_cost_moves_exactly(floor: Floor) -> None:
    for price in ("1000.05", "1000.10", "1000.35"):
        floor.tick(SHARE, price, spread=0)
        floor.buy(quantity=1)
    cost = sum(line.cost for line in floor.account.lines.values())
    assert isinstance(floor.convert(quantity=1), Accepted)
    lines = list(floor.account.lines.values())
    assert sum(line.cost for line in lines) == cost == D("3000.50")
    assert floor.account.line(SHARE, CNC).margin == D("1000.17")
    floor.check_books()


def test_a_lot_that_changed_does_not_lock_a_whole_position_in(floor: Floor) -> None:
    floor.buy(FUTURE, quantity=65)
    bigger = replace(FUTURE, lot_size=75)
    assert isinstance(floor.convert(bigger, 65, MIS, NRML), Accepted)


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("after", [False, True])
def test_a_conversion_happens_once_over_restarts_and_failed_saves(
    stand: Stand, failing: int, after: bool
) -> None:
    broker = stand.broker()
    broker.place(order())
    wish = ConvertPosition(
        client_order_id="v000000000000001",
        instrument=SHARE,
        side=Side.BUY,
        quantity=D(4),
        product=Product.INTRADAY,
        to_product=Product.DELIVERY,
    )
    stand.ledger.fail, stand.ledger.after = failing, after
    first = broker.convert(wish)
    assert first == Accepted(wish.client_order_id)
    stand.restart()
    assert broker.convert(wish) == first
    assert {row.product: row.quantity for row in broker.fetch_positions()} == {"MIS": 6, "CNC": 4}
    assert broker.fetch_funds().used == 6 * 100 / 5 + 4 * 100

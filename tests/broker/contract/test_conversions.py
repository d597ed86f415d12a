"""Converting positions, over every broker: what is declared moves the units, what is not is refused unsent."""

from __future__ import annotations

from decimal import Decimal
from itertools import count

import pytest

from domain.conversion import ConvertPosition
from domain.errors import NotSupported
from domain.model import CASH, QUOTE_ONLY, Instrument, Product, Side, products_of
from domain.outcomes import Accepted, Ambiguous, Refused, SessionExpired, Throttled
from tests.broker.contract.world import World

_ids = count(1)


def wish(
    world: World, lots: int = 1, one: Instrument | None = None, side: Side = Side.BUY, back: bool = False
) -> ConvertPosition:
    one = one or world.instrument()
    (lasting,) = products_of(one.exchange) - {Product.INTRADAY}
    products = (lasting, Product.INTRADAY) if back else (Product.INTRADAY, lasting)
    return ConvertPosition(
        client_order_id=f"v{next(_ids):015d}",
        instrument=one,
        side=side,
        quantity=Decimal(lots * one.lot_size),
        product=products[0],
        to_product=products[1],
    )


def held(world: World, wanted: ConvertPosition) -> tuple[Decimal, Decimal]:
    """Signed units under the old product and the new one."""
    rows = {(p.symbol, p.exchange, p.product): p.quantity for p in world.broker.fetch_positions()}
    one = wanted.instrument
    return tuple(
        rows.get((one.symbol, one.exchange, p), Decimal(0)) for p in (wanted.product, wanted.to_product)
    )  # type: ignore[return-value]


def bought(world: World, lots: int = 3, **how: object) -> None:
    world.placed(world.request(lots=lots, rests=False, product=Product.INTRADAY, **how))  # type: ignore[arg-type]


@pytest.fixture
def able(world: World) -> World:
    if not world.can.convert:
        pytest.skip("not declared")
    return world


def test_it_is_declared_or_refused_unsent(world: World) -> None:
    if world.can.convert:
        return
    with pytest.raises(NotSupported):
        world.broker.convert(wish(world))
    assert world.simulator.requests == []


def test_a_part_moves_and_the_rest_stays(able: World) -> None:
    """A broker that says no more than "sent" is Ambiguous; the positions tell, at every broker."""
    bought(able)
    wanted = wish(able, 2)
    outcome = able.broker.convert(wanted)
    assert outcome == Accepted(wanted.client_order_id) or isinstance(outcome, Ambiguous)
    assert held(able, wanted) == (1, 2)
    back = wish(able, 2, back=True)
    assert isinstance(able.broker.convert(back), Accepted | Ambiguous)
    assert held(able, wanted) == (3, 0)


def test_a_short_future_is_carried(able: World) -> None:
    future = next((one for one in able.tradable() if one.exchange not in CASH | QUOTE_ONLY), None)
    assert future is not None
    bought(able, 1, instrument=future, side=Side.SELL)
    wanted = wish(able, 1, future, Side.SELL)
    assert isinstance(able.broker.convert(wanted), Accepted | Ambiguous)
    assert held(able, wanted) == (0, -future.lot_size)


def test_more_than_is_open_moves_nothing(able: World) -> None:
    bought(able)
    wanted = wish(able, 4)
    assert isinstance(able.broker.convert(wanted), Refused | Ambiguous)
    assert held(able, wanted) == (3, 0)


# -- on the wire
@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.http.ANSWER_SECONDS", 0.4)
    monkeypatch.setattr("broker.sequence._wait_before_retry", lambda _: 0.01)


UNCERTAIN = ["timeout", "drop_after_accept", "500_before", "truncate_json", "html", "empty", "wrong_type"]


@pytest.mark.usefixtures("wire", "impatient")
@pytest.mark.parametrize("kind", UNCERTAIN)
def test_what_cannot_be_read_is_ambiguous_and_sent_once(able: World, kind: str) -> None:
    bought(able)
    able.simulator.fail_next(kind, match="convert")
    assert isinstance(able.broker.convert(wish(able)), Ambiguous)
    assert able.sent("convert") == 1


@pytest.mark.usefixtures("wire", "impatient")
@pytest.mark.parametrize(
    ("kind", "expected"), [("refuse", Refused), ("429", Throttled), ("token_expired", SessionExpired)]
)
def test_a_readable_refusal_is_what_it_says(able: World, kind: str, expected: type) -> None:
    bought(able)
    wanted = wish(able)
    able.simulator.fail_next(kind, match="convert")
    assert isinstance(able.broker.convert(wanted), expected)
    assert able.sent("convert") == 1
    if kind != "token_expired":
        assert held(able, wanted) == (3, 0)


@pytest.mark.usefixtures("wire", "impatient")
def test_nothing_is_sent_when_the_position_must_be_read_and_cannot(able: World) -> None:
    """Some brokers must be told whether it was carried in; others need no such look."""
    bought(able)
    assert isinstance(able.broker.convert(wish(able)), Accepted | Ambiguous)
    able.simulator.fail_next("500_before", match="positions", count=-1)
    before = able.sent("convert")
    outcome = able.broker.convert(wish(able, back=True))
    asked = able.sent("convert") - before
    assert (isinstance(outcome, Refused), asked) in ((True, 0), (False, 1)), outcome

"""A GTT that a paper account could not pay for is refused; one that closes what is open needs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from broker.interface import Broker
from database.triggers import Trigger, TriggerLeg
from domain.errors import InvalidRequest
from domain.model import Exchange, Funds, Margin, Mode, OrderType, PlaceOrder, Position, Product, Side
from services.gtt_margin import check_gtt_margin
from tests.services.order_world import NIFTY_FUT, NOW


@dataclass
class Desk:
    """An account whose orders block a tenth of their value."""

    available: str = "1000"
    held: int = 0
    reads: frozenset[str] = frozenset({"funds", "margin", "positions"})
    asked: list[PlaceOrder] = field(default_factory=list)

    @property
    def manifest(self) -> Any:
        return SimpleNamespace(can=SimpleNamespace(reads=self.reads))

    def fetch_funds(self) -> Funds:
        return cast(Funds, SimpleNamespace(available=Decimal(self.available)))

    def fetch_margin(self, orders: Sequence[PlaceOrder]) -> Margin:
        self.asked += orders
        return Margin(total=sum((one.quantity * (one.price or 0) / 10 for one in orders), Decimal(0)))

    def fetch_positions(self) -> list[Position]:
        line = SimpleNamespace(
            symbol=NIFTY_FUT.symbol,
            exchange=Exchange.NFO,
            product=Product.CARRY,
            quantity=Decimal(self.held),
        )
        return [cast(Position, line)] if self.held else []


def leg(name: str, trigger: str, price: str | None = None) -> TriggerLeg:
    return TriggerLeg(
        leg=name,
        fires="below" if name == "sl" else "above",
        trigger_price=Decimal(trigger),
        order_type=OrderType.LIMIT if price else OrderType.MARKET,
        price=None if price is None else Decimal(price),
    )


GTT = Trigger(
    id="GTT-260824-1",
    account_id=1,
    user_id=1,
    mode=Mode.ANALYZE,
    broker="paper",
    origin="gtt",
    state="active",
    symbol=NIFTY_FUT.symbol,
    exchange=Exchange.NFO,
    product=Product.CARRY,
    side=Side.BUY,
    quantity=Decimal(65),
    created_at=NOW,
    updated_at=NOW,
    legs=(leg("tg", "100", "100"),),
)


def check(desk: Desk, trigger: Trigger) -> None:
    check_gtt_margin(cast(Broker, desk), trigger, NIFTY_FUT)


def test_one_that_can_be_paid_passes() -> None:
    check(Desk(available="650"), GTT)


def test_one_that_cannot_says_what_it_needs_and_what_there_is() -> None:
    with pytest.raises(InvalidRequest, match=r"need ₹650\.00 and ₹649\.99 is available") as refused:
        check(Desk(available="649.99"), GTT)
    assert refused.value.field == "quantity"


def test_the_dearer_leg_of_two_counts_once_and_a_market_leg_at_its_trigger() -> None:
    pair = replace(GTT, legs=(leg("sl", "90"), leg("tg", "110", "110")))
    check(Desk(available="715"), pair)
    with pytest.raises(InvalidRequest, match=r"715\.00"):
        check(Desk(available="714"), pair)


@pytest.mark.parametrize(("held", "needed"), [(65, None), (130, None), (30, "350.00"), (-65, "650.00")])
def test_what_closes_a_position_needs_nothing(held: int, needed: str | None) -> None:
    selling, desk = replace(GTT, side=Side.SELL), Desk(available="0", held=held)
    if needed is None:
        check(desk, selling)
        assert desk.asked == []
        return
    with pytest.raises(InvalidRequest, match=needed):
        check(desk, selling)


def test_a_live_account_and_a_broker_without_such_reads_are_left_to_the_broker() -> None:
    check(Desk(available="0"), replace(GTT, mode=Mode.LIVE))
    check(Desk(available="0", reads=frozenset({"funds"})), GTT)

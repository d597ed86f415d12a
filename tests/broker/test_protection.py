"""Market-price protection: bounded, beyond the price on the side that trades, on the grid."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.protection import percentage, protected, protected_price
from domain.model import Exchange, Instrument, InstrumentKind, OrderType, PlaceOrder, Product, Side


def instrument(kind: InstrumentKind = InstrumentKind.EQUITY, tick: str = "0.05") -> Instrument:
    return Instrument(
        symbol="X",
        exchange=Exchange.NSE,
        kind=kind,
        name="X",
        lot_size=1,
        tick_size=Decimal(tick),
        broker_symbol="X",
        broker_exchange="NSE",
        broker_token="1",
    )


@pytest.mark.parametrize(
    ("kind", "price", "percent"),
    [
        (InstrumentKind.EQUITY, "99.95", "2"),
        (InstrumentKind.EQUITY, "100", "1"),
        (InstrumentKind.FUTURE, "499.95", "1"),
        (InstrumentKind.FUTURE, "500", "0.5"),
        (InstrumentKind.CALL, "9.95", "5"),
        (InstrumentKind.PUT, "10", "3"),
        (InstrumentKind.PUT, "100", "2"),
        (InstrumentKind.CALL, "500", "1"),
    ],
)
def test_the_bands_are_the_published_ones(kind: InstrumentKind, price: str, percent: str) -> None:
    assert percentage(instrument(kind), Decimal(price)) == Decimal(percent)


@given(
    st.decimals("0.05", "90000", places=2),
    st.sampled_from(list(Side)),
    st.sampled_from(["0.01", "0.05", "0.1", "1"]),
)
def test_the_limit_lies_beyond_the_price_within_the_band_on_the_grid(
    around: Decimal, side: Side, tick: str
) -> None:
    one = instrument(tick=tick)
    price = protected_price(one, side, around)
    assert price > 0 and price % one.tick_size == 0
    room = max(around * percentage(one, around) / 100, one.tick_size)
    if side is Side.BUY:
        assert around < price <= around + room
    else:
        assert price >= around - room - one.tick_size
        assert price < around or price == one.tick_size


def test_market_becomes_limit_and_stop_market_becomes_stop_limit() -> None:
    def order(kind: OrderType, trigger: str | None = None) -> PlaceOrder:
        return PlaceOrder(
            client_order_id="c",
            instrument=instrument(),
            side=Side.SELL,
            quantity=Decimal(1),
            order_type=kind,
            product=Product.INTRADAY,
            trigger_price=Decimal(trigger) if trigger else None,
        )

    market = protected(order(OrderType.MARKET), 1000.0)
    assert (market.order_type, market.price) == (OrderType.LIMIT, Decimal("995.00"))
    stop = protected(order(OrderType.STOP_MARKET, "1000"), Decimal(1000))
    assert (stop.order_type, stop.price, stop.trigger_price) == (
        OrderType.STOP_LIMIT,
        Decimal("995.00"),
        Decimal(1000),
    )
    limit = order(OrderType.LIMIT)
    assert protected(limit, 1000.0) is limit

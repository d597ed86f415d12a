"""Numbers and times on the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.clock import IST
from domain.model import Exchange
from restx_api.fields import records


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_times_are_india_s_wall_clock(moment: datetime) -> None:
    assert records.ist(moment) == moment.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")


@given(st.decimals(-(10**6), 10**6, places=8))
def test_quantities_are_ints_exactly_when_whole(value: Decimal) -> None:
    written = records.quantity(value)
    assert isinstance(written, int) == (value == value.to_integral_value())
    assert Decimal(repr(written)) == value


def test_prices_are_rounded_by_the_exchange_s_own_ticks() -> None:
    assert records.average(Decimal("88.083333"), Exchange.NSE) == 88.08
    assert records.average(Decimal("83.7425"), Exchange.CDS) == 83.7425
    assert records.average(None, Exchange.NSE) == 0.0
    assert records.money(Decimal("12.345")) == 12.34
    assert records.seen(float("nan")) == records.seen(float("inf")) == records.seen(None) == 0.0

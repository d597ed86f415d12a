"""Black-76 against the public contract's sample, known values, identities, and a round trip over the board."""

from __future__ import annotations

from datetime import date, datetime, time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain import options
from domain.clock import IST
from domain.model import Exchange


def test_the_contracts_sample_to_every_printed_digit() -> None:
    years = 28.5071 / 365
    sigma = options.implied_volatility(True, 435, 25966.05, 26000, years)
    assert sigma is not None
    greeks = options.greeks(True, 25966.05, 26000, years, sigma)
    assert round(sigma * 100, 2) == 15.6
    assert (round(greeks.delta, 4), round(greeks.gamma, 6)) == (0.4967, 0.000352)
    assert (round(greeks.theta, 4), round(greeks.vega, 4), round(greeks.rho, 6)) == (
        -7.919,
        28.9489,
        -0.339742,
    )


def test_a_textbook_value() -> None:
    """Haug, The Complete Guide to Option Pricing Formulas, 2nd ed., section 1.1.4: 1.7011."""
    assert options.price(True, 19, 19, 0.75, 0.28, 0.10) == pytest.approx(1.7011, abs=5e-5)
    assert options.price(False, 19, 19, 0.75, 0.28, 0.10) == pytest.approx(1.7011, abs=5e-5)


FORWARD = st.floats(0.5, 200_000)
MONEYNESS = st.floats(0.6, 1.6)
YEARS = st.floats(0.0003, 5)
SIGMA = st.floats(0.03, 2.5)


@given(
    call=st.booleans(), forward=FORWARD, moneyness=MONEYNESS, years=YEARS, sigma=SIGMA, rate=st.floats(0, 0.2)
)
def test_a_price_implies_the_volatility_it_was_made_with(
    call: bool, forward: float, moneyness: float, years: float, sigma: float, rate: float
) -> None:
    strike = forward * moneyness
    premium = options.price(call, forward, strike, years, sigma, rate)
    time_value = premium - options.price(call, forward, strike, years, 0, rate)
    assume(time_value > 1e-6 * forward)
    found = options.implied_volatility(call, premium, forward, strike, years, rate)
    assert found == pytest.approx(sigma, rel=1e-5)


@given(forward=FORWARD, moneyness=MONEYNESS, years=YEARS, sigma=SIGMA, rate=st.floats(0, 0.2))
def test_put_call_parity(forward: float, moneyness: float, years: float, sigma: float, rate: float) -> None:
    strike = forward * moneyness
    call = options.price(True, forward, strike, years, sigma, rate)
    put = options.price(False, forward, strike, years, sigma, rate)
    zero = options.price(True, forward, strike, years, 0, rate) - options.price(
        False, forward, strike, years, 0, rate
    )
    assert call - put == pytest.approx(zero, abs=1e-9 * forward)


@given(call=st.booleans(), moneyness=st.floats(0.8, 1.25), years=st.floats(0.01, 2), sigma=st.floats(0.05, 1))
def test_greeks_are_the_slopes_of_the_price(call: bool, moneyness: float, years: float, sigma: float) -> None:
    forward, rate = 1000.0, 0.06
    strike = forward * moneyness
    greeks = options.greeks(call, forward, strike, years, sigma, rate)

    def slope(up: float, down: float, width: float) -> float:
        return (up - down) / width

    def premium(f: float = forward, t: float = years, s: float = sigma, r: float = rate) -> float:
        return options.price(call, f, strike, t, s, r)

    assert greeks.delta == pytest.approx(slope(premium(f=1000.01), premium(f=999.99), 0.02), abs=1e-5)
    assert greeks.vega * 100 == pytest.approx(
        slope(premium(s=sigma + 1e-5), premium(s=sigma - 1e-5), 2e-5), abs=1e-3
    )
    assert greeks.theta * 365 == pytest.approx(
        -slope(premium(t=years + 1e-6), premium(t=years - 1e-6), 2e-6), rel=1e-3, abs=1e-3
    )
    assert greeks.rho * 100 == pytest.approx(
        slope(premium(r=rate + 1e-6), premium(r=rate - 1e-6), 2e-6), abs=1e-3
    )


@pytest.mark.parametrize(
    ("call", "premium", "forward", "strike"),
    [(True, 99.0, 1100, 1000), (True, 100.0, 1100, 1000), (True, 1100, 1100, 1000), (False, 0, 1000, 900)],
)
def test_a_price_that_no_volatility_explains_implies_none(
    call: bool, premium: float, forward: float, strike: float
) -> None:
    assert options.implied_volatility(call, premium, forward, strike, 0.1) is None


@pytest.mark.parametrize("premium", [float("nan"), float("inf"), -1.0])
def test_what_is_not_a_premium_implies_none(premium: float) -> None:
    assert options.implied_volatility(True, premium, 1000, 1000, 0.1) is None


def test_at_the_end_an_option_is_worth_its_intrinsic_value() -> None:
    assert options.price(True, 1100, 1000, 0, 0.2) == 100
    assert options.price(False, 1100, 1000, 0, 0.2) == 0


@pytest.mark.clock
@pytest.mark.parametrize(
    ("exchange", "cut_off", "hour"),
    [
        (Exchange.NFO, None, time(15, 30)),
        (Exchange.MCX, None, time(23, 30)),
        (Exchange.CDS, None, time(12, 30)),
        (Exchange.CRYPTO, None, time(17, 30)),
        (Exchange.NFO, time(10, 0), time(10, 0)),
    ],
)
def test_contracts_stop_at_their_exchanges_hour_in_india(
    exchange: Exchange, cut_off: time | None, hour: time
) -> None:
    moment = options.expiry_moment(date(2026, 11, 24), exchange, cut_off)
    assert moment == datetime.combine(date(2026, 11, 24), hour, IST)

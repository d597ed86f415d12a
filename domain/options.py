"""Black-76: what an option on a forward is worth, how it moves, and which volatility a price implies.

Volatility and rate are fractions a year (0.156, 0.065), time is years of 365 days, prices are rupees.
Everything here is seen, not owed: floats. The model is the public API's (Black, 1976, J. Fin. Econ. 3).
"""

from __future__ import annotations

from datetime import date, datetime, time
from math import erfc, exp, inf, log, pi, sqrt
from typing import NamedTuple

from domain.clock import IST
from domain.model import Exchange

SECONDS_A_YEAR = 365 * 86_400
SHORTEST = 0.0001
"""Years; time to expiry is never taken shorter, so that greeks stay finite on the last afternoon."""

_CUT_OFF = {Exchange.MCX: time(23, 30), Exchange.CDS: time(12, 30), Exchange.CRYPTO: time(17, 30)}
_USUAL_CUT_OFF = time(15, 30)
_ROOT_HALF = sqrt(0.5)
_ROOT_TWO_PI = sqrt(2 * pi)
_HIGHEST_SIGMA = 100.0
_LOWEST_SIGMA = 1e-6


class Greeks(NamedTuple):
    """Sensitivities in the API's units.

    theta  rupees a calendar day
    vega   rupees per point of volatility (0.01)
    rho    rupees per point of rate (0.01)
    """

    delta: float
    gamma: float
    theta: float
    vega: float
    rho: float


def expiry_moment(expiry: date, exchange: Exchange, cut_off: time | None = None) -> datetime:
    """When contracts of that date stop: the exchange's usual time IST, or the one given."""
    return datetime.combine(expiry, cut_off or _CUT_OFF.get(exchange, _USUAL_CUT_OFF), IST)


def years_between(at: datetime, expiry: datetime) -> float:
    """Signed; negative once expired."""
    return (expiry - at).total_seconds() / SECONDS_A_YEAR


def normal_cdf(x: float) -> float:
    """The standard normal's distribution function, to full precision in both tails."""
    return 0.5 * erfc(-x * _ROOT_HALF)


def normal_pdf(x: float) -> float:
    """The standard normal's density."""
    return exp(-0.5 * x * x) / _ROOT_TWO_PI


def intrinsic(call: bool, forward: float, strike: float) -> float:
    """What exercise at this forward would bring, undiscounted, never negative."""
    return max(forward - strike if call else strike - forward, 0.0)


def price(call: bool, forward: float, strike: float, years: float, sigma: float, rate: float = 0.0) -> float:
    """The premium. At no time or no volatility left: the discounted intrinsic value."""
    discount = exp(-rate * years)
    deviation = sigma * sqrt(years) if years > 0 else 0.0
    if deviation <= 0:
        return discount * intrinsic(call, forward, strike)
    d1 = log(forward / strike) / deviation + 0.5 * deviation
    d2 = d1 - deviation
    if call:
        return discount * (forward * normal_cdf(d1) - strike * normal_cdf(d2))
    return discount * (strike * normal_cdf(-d2) - forward * normal_cdf(-d1))


def greeks(
    call: bool, forward: float, strike: float, years: float, sigma: float, rate: float = 0.0
) -> Greeks:
    """Needs years > 0 and sigma > 0: an option at its end has no greeks."""
    discount = exp(-rate * years)
    root = sqrt(years)
    d1 = log(forward / strike) / (sigma * root) + 0.5 * sigma * root
    density = discount * normal_pdf(d1)
    premium = price(call, forward, strike, years, sigma, rate)
    return Greeks(
        delta=discount * normal_cdf(d1) if call else -discount * normal_cdf(-d1),
        gamma=density / (forward * sigma * root),
        theta=(rate * premium - density * forward * sigma / (2 * root)) / 365,
        vega=density * forward * root / 100,
        rho=-years * premium / 100,
    )


def implied_volatility(
    call: bool, premium: float, forward: float, strike: float, years: float, rate: float = 0.0
) -> float | None:
    """The volatility at which `price` gives the premium; None when no volatility does.

    Solved on the option that is out of the money (put-call parity), where the premium is all time value.
    """
    if not (premium > 0 and forward > 0 and strike > 0 and years > 0) or premium == inf:
        return None
    value = premium / exp(-rate * years) - intrinsic(call, forward, strike)
    outside = strike >= forward
    ceiling = forward if outside else strike
    if not 0 < value < ceiling:
        return None
    return _solve(outside, value, forward, strike, years)


def _solve(call: bool, value: float, forward: float, strike: float, years: float) -> float | None:
    """Newton on the logarithm of the premium, kept inside a bracket that bisection narrows."""
    low, high = _LOWEST_SIGMA, _HIGHEST_SIGMA
    root = sqrt(years)
    target = log(value)
    sigma = min(max(sqrt(2 * abs(log(forward / strike))) / root, 2.5 * value / (forward * root)), high)
    for _ in range(100):
        guess = price(call, forward, strike, years, sigma)
        if guess <= 0:
            low, sigma = sigma, (sigma + high) / 2
            continue
        miss = log(guess) - target
        if miss < 0:
            low = sigma
        else:
            high = sigma
        d1 = log(forward / strike) / (sigma * root) + 0.5 * sigma * root
        slope = forward * normal_pdf(d1) * root / guess
        step = miss / slope if slope > 0 else inf
        if abs(step) < 1e-12 * sigma:
            break
        sigma = sigma - step if low < sigma - step < high else (low + high) / 2
    return sigma if 2 * _LOWEST_SIGMA < sigma < 0.99 * _HIGHEST_SIGMA else None

"""How an instrument's price follows its underlying's: one monotone curve a stretch of the day.

Between two breaks nothing but the underlying moves an instrument (time to expiry, smile and carry stand still), so
the instrument's high is its curve at the underlying's high, exactly. Prices are whole ticks here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import lru_cache
from math import ceil, erfc, exp, floor, log, sqrt, tanh
from typing import NamedTuple, Protocol

from broker.paper.market import EXPIRY_TIME, ROLL
from broker.paper.paths import Paths
from broker.paper.prices import Basis
from domain.clock import IST
from domain.model import Instrument, InstrumentKind

Curve = Callable[[float], int]
"""The underlying's price -> the instrument's, in ticks."""

ORIGIN = date(2000, 1, 1)
DAY_MINUTES = 1440
NO_LIMIT = 1 << 60
"""More ticks than any price has."""
_YEAR_MINUTES = 365 * DAY_MINUTES
_ROOT_HALF = sqrt(0.5)
_WING = 3.5
"""Deviations from the money beyond which the smile runs flat."""


def day_number(day: date) -> int:
    """Days since 2000-01-01."""
    return (day - ORIGIN).days


class Grid(NamedTuple):
    """A tick size as a fraction, so that a price in ticks becomes the float nearest to its decimal."""

    numerator: int
    denominator: int

    def price(self, ticks: int) -> float:
        """Rupees."""
        return ticks * self.numerator / self.denominator


class Contract(Protocol):
    """What one instrument's price is made of. `rising`: whether it gains when the underlying does.

    grid        of its prices
    last_day    number of the last trading day; None where nothing expires
    end_minute  when trading stops on the last day, in minutes of the day
    """

    grid: Grid
    rising: bool
    last_day: int | None
    end_minute: int

    def stretch(self, day: int) -> int:
        """Minutes between breaks on that day; divides 1440, and 60 or is 1440."""
        ...

    def curve(self, day: int, index: int, lower: int = 1, upper: int = NO_LIMIT) -> Curve:
        """The curve of the day's index-th stretch, kept between two prices in ticks."""
        ...

    def band(self, day: int, previous: int) -> tuple[int, int]:
        """Lowest and highest price of the day, given the previous close, all in ticks."""
        ...


class Spot:
    """A share, a fund or an index: the underlying itself."""

    rising = True
    last_day: int | None = None
    end_minute = DAY_MINUTES

    def __init__(self, instrument: Instrument, basis: Basis) -> None:
        self.grid = grid_of(instrument)
        self._scale = self.grid.denominator / self.grid.numerator
        self._band = basis.band

    def stretch(self, day: int) -> int:
        return DAY_MINUTES

    def curve(self, day: int, index: int, lower: int = 1, upper: int = NO_LIMIT) -> Curve:
        return _line(self._scale, lower, upper)

    def band(self, day: int, previous: int) -> tuple[int, int]:
        return _band(previous, self._band)


class Future:
    """The underlying with the carry to expiry on top; on its last day exactly the underlying."""

    rising = True
    end_minute = (EXPIRY_TIME.hour - ROLL.hour) * 60 + EXPIRY_TIME.minute - ROLL.minute

    def __init__(self, instrument: Instrument, basis: Basis) -> None:
        self.grid = grid_of(instrument)
        self._scale = self.grid.denominator / self.grid.numerator
        self._carry = basis.carry
        self._band = basis.band or 0.10
        self.last_day: int | None = day_number(instrument.expiry) if instrument.expiry else None

    def stretch(self, day: int) -> int:
        return DAY_MINUTES

    def growth(self, day: int) -> float:
        """Forward over underlying, the same all day."""
        return 1.0 if self.last_day is None else exp(self._carry * max(self.last_day - day, 0) / 365)

    def curve(self, day: int, index: int, lower: int = 1, upper: int = NO_LIMIT) -> Curve:
        return _line(self._scale * self.growth(day), lower, upper)

    def band(self, day: int, previous: int) -> tuple[int, int]:
        return _band(previous, self._band)


class Option(Future):
    """Black-76 on the future of the same expiry, premium undiscounted, so that put-call parity has no rate in it.

    The smile is fixed at the day's opening (sticky strike), time to expiry for an hour, on the last day for ten
    minutes, taken at the middle.
    """

    def __init__(self, instrument: Instrument, basis: Basis, paths: Paths, fear: Basis) -> None:
        super().__init__(instrument, basis)
        assert instrument.strike is not None
        assert self.last_day is not None
        self.rising = instrument.kind is InstrumentKind.CALL
        self.strike = float(instrument.strike)
        self._expires: int = self.last_day
        self._basis = basis
        self._paths = paths
        self._fear = fear
        self.sigma = lru_cache(maxsize=4)(self._sigma)

    def stretch(self, day: int) -> int:
        return 10 if day >= self._expires else 60

    def left(self, day: int, minute: float) -> float:
        """Years to expiry."""
        return ((self._expires - day) * DAY_MINUTES + self.end_minute - minute) / _YEAR_MINUTES

    def curve(self, day: int, index: int, lower: int = 1, upper: int = NO_LIMIT) -> Curve:
        length = self.stretch(day)
        deviation = self.sigma(day) * sqrt(max(self.left(day, (index + 0.5) * length), 1 / _YEAR_MINUTES))
        premium = _call if self.rising else _put
        return premium(self.strike, self.growth(day), deviation, self._scale, lower, upper)

    def band(self, day: int, previous: int) -> tuple[int, int]:
        opening = self._paths.start(self._basis.model, day)
        reach = 1 + self._band if self.rising else 1 - self._band
        return 1, max(self.curve(day, 0)(opening * reach), previous) + 1

    def _sigma(self, day: int) -> float:
        """This strike's volatility on that day: the underlying's, moved by fear and bent by the smile."""
        basis = self._basis
        level = basis.volatility
        if basis.fearful:
            level *= (self._paths.start(self._fear.model, day) / self._fear.model.level) ** 0.8
        forward = self._paths.start(basis.model, day) * self.growth(day)
        years = max(self.left(day, 0), 3 / 365)
        away = log(self.strike / forward) / (level * sqrt(years))
        away = _WING * tanh(away / _WING)
        return level * max(1 + basis.skew * away + basis.bend * away * away, 0.6)


def make_contract(instrument: Instrument, basis: Basis, paths: Paths, fear: Basis) -> Contract:
    """The contract an instrument is. An option without strike or expiry cannot be priced: ValueError."""
    if instrument.kind.is_option:
        if instrument.strike is None or instrument.expiry is None:
            raise ValueError(f"{instrument.symbol}: an option needs a strike and an expiry")
        return Option(instrument, basis, paths, fear)
    return Future(instrument, basis) if instrument.kind.is_future else Spot(instrument, basis)


def grid_of(instrument: Instrument) -> Grid:
    """The instrument's tick size as a fraction."""
    numerator, denominator = instrument.tick_size.as_integer_ratio()
    return Grid(numerator, denominator)


def day_of(number: int) -> date:
    """The date of a day number."""
    return ORIGIN + timedelta(days=number)


def opening_of(number: int) -> datetime:
    """The roll that opens the day of that number."""
    return datetime.combine(day_of(number), ROLL, IST)


def _band(previous: int, fraction: float | None) -> tuple[int, int]:
    """Rounded inward; without a band anything positive."""
    if fraction is None:
        return 1, NO_LIMIT
    return max(ceil(previous * (1 - fraction)), 1), max(floor(previous * (1 + fraction)), 2)


def _line(scale: float, lower: int, upper: int) -> Curve:
    def curve(price: float) -> int:
        ticks = int(price * scale + 0.5)
        return lower if ticks < lower else upper if ticks > upper else ticks

    return curve


def _call(strike: float, growth: float, deviation: float, scale: float, lower: int, upper: int) -> Curve:
    """The undiscounted Black-76 premium as a function of the underlying, in ticks."""
    slope, shift = _ROOT_HALF / deviation, _ROOT_HALF * deviation
    base = log(strike) * slope - 0.5 * shift
    half = 0.5 * scale

    def curve(price: float) -> int:
        forward = price * growth
        x = base - log(forward) * slope
        ticks = int((forward * erfc(x) - strike * erfc(x + shift)) * half + 0.5)
        return lower if ticks < lower else upper if ticks > upper else ticks

    return curve


def _put(strike: float, growth: float, deviation: float, scale: float, lower: int, upper: int) -> Curve:
    """As `_call`, for the right to sell."""
    slope, shift = _ROOT_HALF / deviation, _ROOT_HALF * deviation
    base = log(strike) * slope - 0.5 * shift
    half = 0.5 * scale

    def curve(price: float) -> int:
        forward = price * growth
        x = log(forward) * slope - base
        ticks = int((strike * erfc(x - shift) - forward * erfc(x)) * half + 0.5)
        return lower if ticks < lower else upper if ticks > upper else ticks

    return curve

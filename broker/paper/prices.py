"""What each instrument of the simulated market is modelled on: its level, its volatility, what it moves with.

Levels, volumes and industries are facts (`broker/facts.py`), the rest is typical (`typical.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from broker import facts
from broker.paper import typical
from broker.paper.noise import Noise
from broker.paper.paths import Model
from domain.model import DERIVATIVES, Exchange, Instrument, InstrumentKind

MARKET = "~market"
FEAR = "INDIAVIX"
INTEREST = 0.065
"""A year's, by which equity futures stand above their underlying."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Basis:
    """What an instrument's underlying is like. Compared by identity: one an underlying.

    model       how it moves
    volatility  a year's, as a fraction; options are priced about it
    skew, bend  of the smile, per deviation of log-moneyness and per its square
    carry       a year's; futures stand above the underlying by it
    turnover    rupees a day in the underlying itself, for volumes and spreads; 0 when hardly traded
    band        the day's circuit as a fraction of the previous close; None where there is none
    fearful     whether implied volatility moves with India VIX
    """

    model: Model
    volatility: float
    skew: float = 0.0
    bend: float = 0.03
    carry: float = 0.0
    turnover: float = 0.0
    band: float | None = None
    fearful: bool = False


class References:
    """Finds the basis of any instrument. One that no fact names gets a level of its own."""

    def __init__(self, seed: int, levels: dict[str, float] | None = None) -> None:
        """`levels` overrides reference levels, by the underlying's symbol."""
        self._noise = Noise(seed)
        self._levels = levels or {}
        self._known: dict[tuple[str, str], Basis] = {}

    def basis(self, instrument: Instrument) -> Basis:
        """The basis of the instrument, or of its underlying when it is a derivative."""
        if instrument.exchange in DERIVATIVES:
            name = instrument.name
            return self._remembered(
                name, _group_of_derivative(instrument.exchange, name), instrument.exchange
            )
        group = "INDEX" if instrument.kind is InstrumentKind.INDEX else "SHARE"
        return self._remembered(instrument.symbol, group, instrument.exchange)

    def underlying(self, listed: facts.Underlying) -> Basis:
        """The basis of what derivatives are listed on."""
        group = _group_of_derivative(listed.exchange, listed.symbol)
        return self._remembered(listed.symbol, group, listed.exchange)

    def fear(self) -> Basis:
        """India VIX, which implied volatilities follow."""
        return self._remembered(FEAR, "INDEX", Exchange.NSE_INDEX)

    def _remembered(self, name: str, group: str, exchange: Exchange) -> Basis:
        known = self._known.get((name, group))
        if known is None:
            known = self._known[name, group] = self._make(name, group, exchange)
        return known

    def _make(self, name: str, group: str, exchange: Exchange) -> Basis:
        if group == "INDEX":
            return self._index(name)
        if group == "SHARE":
            return self._share(name)
        return self._goods(name, exchange)

    def _share(self, name: str) -> Basis:
        security = facts.security(Exchange.NSE, name) or facts.security(Exchange.BSE, name)
        if security is None:
            return self._stock(name, name, 0.0, 0.0, 0.40, 0.20)
        level = float(security.reference_price or 0)
        turnover = (security.volume or 0) * level
        if security.type == "ETF":
            return self._fund(name, f"{name} {security.name}".upper(), level, turnover)
        if security.has_derivatives:
            return self._stock(name, security.name, level, turnover, 0.22 if security.nifty50 else 0.30, 0.10)
        band = 0.20 if security.series in ("EQ", "A", "B") else 0.05
        return self._stock(name, security.name, level, turnover, 0.40, band)

    def _stock(
        self, name: str, company: str, level: float, turnover: float, volatility: float, band: float
    ) -> Basis:
        sigma = volatility * (0.85 + 0.3 * self._fraction(name))
        if band < 0.10:
            sigma = min(sigma, band * 2.5)
        loads = ((MARKET, 0.55), (f"~{self._sector(name, company)}", 0.40))
        return Basis(
            model=_model(name, self._level(name, level), sigma, loads),
            volatility=sigma,
            skew=-0.04,
            carry=INTEREST,
            turnover=turnover,
            band=band,
            fearful=True,
        )

    def _fund(self, name: str, words: str, level: float, turnover: float) -> Basis:
        key, sigma, loads = name, 0.14, ((MARKET, 0.97),)
        for marks, row in typical.FUNDS:
            if any(mark in words for mark in marks):
                key, sigma, loads = row[0] or name, row[1], ((row[2], row[3]),)
                break
        model = _model(key, self._level(name, level), sigma, loads)
        return Basis(model=model, volatility=sigma, turnover=turnover, band=0.05 if sigma < 0.1 else 0.20)

    def _index(self, name: str) -> Basis:
        level = self._level(name, _index_level(name))
        if name == FEAR:
            return Basis(model=_model(name, level, 0.80, ((MARKET, -0.75),)), volatility=0.80)
        sector = next((s for s, marks in typical.INDEX_SECTORS if any(m in name for m in marks)), None)
        loads = ((MARKET, 0.995),) if sector is None else ((MARKET, 0.80), (f"~{sector}", 0.58))
        sigma = 0.13 if sector is None else 0.17
        return Basis(
            model=_model(name, level, sigma, loads),
            volatility=sigma,
            skew=-0.08,
            bend=0.025,
            carry=INTEREST,
            turnover=4e11 if sector is None else 2e11,
            fearful=True,
        )

    def _goods(self, name: str, exchange: Exchange) -> Basis:
        """Commodities carry nothing: options there are on the future, which must be their forward."""
        listed = facts.underlying(exchange, name) or facts.underlying(Exchange.MCX, name)
        level = self._level(name, float(listed.level) if listed is not None else 0.0)
        if listed is not None and listed.group == "CURRENCY":
            model = _model(name, level, 0.05, (("~dollar", 0.8),))
            return Basis(model=model, volatility=0.05, carry=0.02, turnover=5e10, band=0.03)
        if listed is not None and listed.group == "BOND":
            model = _model(name, level, 0.03, (("~rates", 0.9),))
            return Basis(model=model, volatility=0.03, turnover=1e8, band=0.03)
        for mark, good, factor, sigma, turnover in typical.COMMODITIES:
            if name.startswith(mark):
                model = _model(good, level, sigma, ((factor, 0.85),))
                return Basis(model=model, volatility=sigma, turnover=turnover, band=0.15)
        return Basis(model=_model(name, level, 0.25, ()), volatility=0.25, turnover=1e8, band=0.15)

    def _level(self, name: str, known: float) -> float:
        return self._levels.get(name) or known or 100.0 + self._noise.word(f"level/{name}") % 1900

    def _fraction(self, name: str) -> float:
        return (self._noise.word(f"sigma/{name}") % 1000) / 1000

    def _sector(self, symbol: str, company: str) -> str:
        industry = facts.sectors().get(symbol)
        if industry is not None:
            return typical.SECTORS.get(industry, "industry")
        words = f"{company} {symbol}".upper()
        return next((s for s, marks in typical.WORDS if any(m in words for m in marks)), "industry")


def _group_of_derivative(exchange: Exchange, name: str) -> str:
    """INDEX, SHARE, or the exchange's own name for goods: what decides how a basis is made."""
    if exchange in (Exchange.NFO, Exchange.BFO):
        listed = facts.underlying(exchange, name)
        return "INDEX" if listed is not None and listed.group == "INDEX" else "SHARE"
    return exchange.value


def _index_level(name: str) -> float:
    for exchange in (Exchange.NFO, Exchange.BFO):
        listed = facts.underlying(exchange, name)
        if listed is not None:
            return float(listed.level)
    return typical.INDEX_LEVELS.get(name, 10_000.0)


def _model(key: str, level: float, volatility: float, loads: tuple[tuple[str, float], ...]) -> Model:
    """Weights of the factors as given; what is left of the variance is the underlying's own."""
    own = sqrt(max(1.0 - sum(weight * weight for _, weight in loads), 0.0))
    return Model(key, level, volatility / sqrt(365), loads, own)

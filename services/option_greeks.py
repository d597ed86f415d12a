"""Implied volatility and greeks of listed options, from live prices and a forward.

The forward is what the caller gives, else the future that the options at the money make for that expiry, else the
underlying's own price.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time

from domain import options as model
from domain.clock import Clock
from domain.errors import InvalidRequest, NotFound, PlatformError
from domain.market import Quote
from domain.model import Exchange, Instrument, InstrumentKind
from domain.options import Greeks
from services.accounts import Caller
from services.options import Options, Quotes, at_the_money

MOST_LEGS = 50
_NOTHING = Greeks(0.0, 0.0, 0.0, 0.0, 0.0)
_CLOCK_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Valued:
    """What a price implies.

    implied_volatility  percent a year; 0 where no volatility explains the price
    intrinsic_value, time_value  rupees, None when volatility was found
    note                why there is no volatility, "" otherwise
    """

    implied_volatility: float
    greeks: Greeks
    intrinsic_value: float | None = None
    time_value: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionGreeks:
    """One option, valued. `forward` is what it was valued on; `days_to_expiry` may be a fraction, never below 0."""

    instrument: Instrument
    expiry: date
    days_to_expiry: float
    forward: float
    option_price: float
    interest_rate: float
    valued: Valued


@dataclass(frozen=True, slots=True, kw_only=True)
class GreeksRequest:
    """One option asked for, with its own underlying when the usual one will not do."""

    symbol: str
    exchange: str
    underlying_symbol: str | None = None
    underlying_exchange: str | None = None


def value(
    call: bool, premium: float, forward: float, strike: float, years: float, interest_rate: float
) -> Valued:
    """`interest_rate` in percent. Without time value: delta 1 or -1 in the money, 0 outside, nothing else."""
    rate = interest_rate / 100
    term = max(years, model.SHORTEST)
    inside = model.intrinsic(call, forward, strike)
    extra = premium - inside
    worn = extra <= 0 or (inside > 0 and extra < 0.01)
    sigma = None if worn else model.implied_volatility(call, premium, forward, strike, term, rate)
    if sigma is not None:
        greeks = model.greeks(call, forward, strike, term, sigma, rate)
        return Valued(implied_volatility=sigma * 100, greeks=greeks)
    delta = (1.0 if call else -1.0) if inside > 0 else 0.0
    return Valued(
        implied_volatility=0.0,
        greeks=_NOTHING._replace(delta=delta),
        intrinsic_value=inside,
        time_value=max(extra, 0.0),
        note="No time value, so no volatility" if worn else "No volatility explains this price",
    )


def clock_time(text: str) -> time:
    """Read `HH:MM`. Raises InvalidRequest."""
    match = _CLOCK_TIME.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest("expiry_time must be HH:MM", "expiry_time")
    return time(int(match[1]), int(match[2]))


class OptionGreeksDesk:
    """Two rounds of quotes, however many options: the underlyings, then all options together."""

    def __init__(self, options: Options, market: Quotes, clock: Clock) -> None:
        self._options = options
        self._market = market
        self._clock = clock

    def one(
        self,
        caller: Caller,
        request: GreeksRequest,
        *,
        interest_rate: float = 0.0,
        forward: float | None = None,
        expiry_time: str | None = None,
    ) -> OptionGreeks:
        """Raises InvalidRequest (no option, expired, a price that is not positive), NotFound without a price."""
        if forward is not None and not forward > 0:
            raise InvalidRequest("forward_price must be positive", "forward_price")
        answer = self._answers(caller, [request], interest_rate, forward, expiry_time, expired=False)[0]
        if isinstance(answer, PlatformError):
            raise answer
        return answer

    def many(
        self,
        caller: Caller,
        requests: Sequence[GreeksRequest],
        *,
        interest_rate: float = 0.0,
        expiry_time: str | None = None,
    ) -> list[OptionGreeks | PlatformError]:
        """One answer for each, in the order asked; an expired option is answered with its intrinsic value."""
        if not 1 <= len(requests) <= MOST_LEGS:
            raise InvalidRequest(f"symbols must name 1 to {MOST_LEGS} options", "symbols")
        return self._answers(caller, requests, interest_rate, None, expiry_time, expired=True)

    def _answers(
        self,
        caller: Caller,
        requests: Sequence[GreeksRequest],
        interest_rate: float,
        forward: float | None,
        expiry_time: str | None,
        *,
        expired: bool,
    ) -> list[OptionGreeks | PlatformError]:
        cut_off = clock_time(expiry_time) if expiry_time else None
        found = [self._listed(caller, request) for request in requests]
        round_ = _Round(self._options, self._market, caller, forward)
        for request, instrument in zip(requests, found, strict=True):
            if isinstance(instrument, Instrument):
                round_.want(request, instrument)
        round_.fetch()
        answers: list[OptionGreeks | PlatformError] = []
        for request, instrument in zip(requests, found, strict=True):
            if isinstance(instrument, PlatformError):
                answers.append(instrument)
                continue
            try:
                answers.append(self._value(round_, request, instrument, interest_rate, cut_off, expired))
            except PlatformError as error:
                answers.append(error)
        return answers

    def _listed(self, caller: Caller, request: GreeksRequest) -> Instrument | PlatformError:
        try:
            return self._options.listed(caller, request.symbol, request.exchange)
        except PlatformError as error:
            return error

    def _value(
        self,
        round_: _Round,
        request: GreeksRequest,
        instrument: Instrument,
        interest_rate: float,
        cut_off: time | None,
        expired: bool,
    ) -> OptionGreeks:
        assert instrument.expiry is not None
        assert instrument.strike is not None
        end = model.expiry_moment(instrument.expiry, instrument.exchange, cut_off)
        years = model.years_between(self._clock.now(), end)
        if years <= 0 and not expired:
            raise InvalidRequest(f"{instrument.symbol} has expired", "symbol")
        premium, forward = round_.premium(instrument), round_.forward(request, instrument)
        call, strike = instrument.kind is InstrumentKind.CALL, float(instrument.strike)
        if years > 0:
            valued = value(call, premium, forward, strike, years, interest_rate)
        else:
            inside = model.intrinsic(call, forward, strike)
            valued = Valued(
                implied_volatility=0.0,
                greeks=_NOTHING,
                intrinsic_value=inside,
                time_value=max(premium - inside, 0.0),
                note="Expired",
            )
        return OptionGreeks(
            instrument=instrument,
            expiry=instrument.expiry,
            days_to_expiry=max(years, 0.0) * 365,
            forward=forward,
            option_price=premium,
            interest_rate=interest_rate,
            valued=valued,
        )


_Group = tuple[str, Exchange, date]


class _Round:
    """The quotes of one answer: every underlying once, then every option and the pairs at the money."""

    def __init__(self, options: Options, market: Quotes, caller: Caller, forward: float | None) -> None:
        self._options = options
        self._market = market
        self._caller = caller
        self._forward = forward
        self._options_wanted: dict[tuple[str, str], Instrument] = {}
        self._groups: dict[_Group, tuple[str, str] | PlatformError] = {}
        self._custom: dict[tuple[str, str], None] = {}
        self._pairs: dict[_Group, tuple[Instrument, Instrument]] = {}
        self._quotes: dict[tuple[str, str], Quote | PlatformError] = {}

    def want(self, request: GreeksRequest, instrument: Instrument) -> None:
        """Take note of what an option's valuation needs."""
        self._options_wanted[instrument.symbol, instrument.exchange.value] = instrument
        if self._forward is not None:
            return
        if request.underlying_symbol:
            self._custom[self._own(request, instrument)] = None
            return
        group = _group(instrument)
        if group not in self._groups:
            self._groups[group] = self._underlying(instrument)

    def fetch(self) -> None:
        """Ask for everything that was noted."""
        known = [key for key in self._groups.values() if isinstance(key, tuple)]
        self._ask([*dict.fromkeys(known), *self._custom])
        for group, key in self._groups.items():
            pair = self._pair(group, key)
            if pair is not None:
                self._pairs[group] = pair
        legs = [(leg.symbol, leg.exchange.value) for pair in self._pairs.values() for leg in pair]
        self._ask([*dict.fromkeys([*self._options_wanted, *legs])])

    def premium(self, instrument: Instrument) -> float:
        """The option's last price. Raises NotFound."""
        price = self._price((instrument.symbol, instrument.exchange.value))
        if price is None:
            raise NotFound(f"No last price for {instrument.symbol}")
        return price

    def forward(self, request: GreeksRequest, instrument: Instrument) -> float:
        """What the option is valued on. Raises NotFound when nothing is quoted."""
        if self._forward is not None:
            return self._forward
        if request.underlying_symbol:
            key: tuple[str, str] | PlatformError = self._own(request, instrument)
        else:
            group = _group(instrument)
            made = self._synthetic(group)
            if made is not None:
                return made
            key = self._groups[group]
        if isinstance(key, PlatformError):
            raise key
        price = self._price(key)
        if price is None:
            raise NotFound(f"No last price for {key[0]}")
        return price

    def _own(self, request: GreeksRequest, instrument: Instrument) -> tuple[str, str]:
        """The underlying that the request names; without an exchange, where the option's own one is quoted."""
        assert request.underlying_symbol is not None
        if request.underlying_exchange:
            return request.underlying_symbol, request.underlying_exchange
        usual = self._underlying(instrument)
        return request.underlying_symbol, usual[1] if isinstance(usual, tuple) else instrument.exchange.value

    def _underlying(self, instrument: Instrument) -> tuple[str, str] | PlatformError:
        try:
            found = self._options.underlying(
                self._caller, instrument.name, instrument.exchange, instrument.expiry
            )
        except PlatformError as error:
            return error
        return found.symbol, found.exchange.value

    def _pair(
        self, group: _Group, key: tuple[str, str] | PlatformError
    ) -> tuple[Instrument, Instrument] | None:
        """Call and put at the money, None when they cannot be named."""
        price = self._price(key) if isinstance(key, tuple) else None
        if price is None:
            return None
        name, exchange, expiry = group
        try:
            found = self._options.underlying(self._caller, name, exchange, expiry)
            strikes = self._options.strikes(self._caller, found, InstrumentKind.CALL)
        except PlatformError:
            return None
        strike = strikes[at_the_money(strikes, price)]
        call = self._options.option(self._caller, found, InstrumentKind.CALL, strike)
        put = self._options.option(self._caller, found, InstrumentKind.PUT, strike)
        return (call, put) if call is not None and put is not None else None

    def _synthetic(self, group: _Group) -> float | None:
        pair = self._pairs.get(group)
        if pair is None:
            return None
        call, put = (self._price((leg.symbol, leg.exchange.value)) for leg in pair)
        strike = pair[0].strike
        if call is None or put is None or strike is None:
            return None
        return float(strike) + call - put

    def _price(self, key: tuple[str, str]) -> float | None:
        quote = self._quotes.get(key)
        return quote.last_price if isinstance(quote, Quote) and quote.last_price > 0 else None

    def _ask(self, keys: Sequence[tuple[str, str]]) -> None:
        missing = [key for key in keys if key not in self._quotes]
        if missing:
            self._quotes.update(zip(missing, self._market.quotes(self._caller, missing), strict=True))


def _group(instrument: Instrument) -> _Group:
    assert instrument.expiry is not None
    return instrument.name, instrument.exchange, instrument.expiry

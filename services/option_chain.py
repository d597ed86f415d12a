"""The option chain: calls and puts of one expiry side by side, with quotes and, when asked, greeks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from domain import options as model
from domain.clock import Clock
from domain.errors import InvalidRequest, PlatformError
from domain.market import Quote
from domain.model import Exchange, Instrument, InstrumentKind
from services.accounts import Caller
from services.option_greeks import Valued, value
from services.options import Options, Quotes, Underlying, at_the_money


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One contract of a chain.

    label   ATM, or ITMk / OTMk by its place in the list
    quote   None where the broker has none
    valued  None unless asked for and computable
    """

    instrument: Instrument
    label: str
    quote: Quote | None
    valued: Valued | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A strike; a side that is not listed is None."""

    strike: Decimal
    call: Leg | None
    put: Leg | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Rows ascend by strike. `forward` is None unless greeks were asked for; `expires_at` is the cut-off."""

    underlying: Underlying
    underlying_quote: Quote
    expiry: date
    expires_at: datetime
    at: datetime
    at_the_money: Decimal
    forward: float | None
    rows: tuple[Row, ...]


class OptionChains:
    """Two rounds of quotes a chain: the underlying, then every leg at once."""

    def __init__(self, options: Options, market: Quotes, clock: Clock) -> None:
        self._options = options
        self._market = market
        self._clock = clock

    def chain(
        self,
        caller: Caller,
        underlying: str,
        exchange: Exchange,
        expiry: date | None = None,
        *,
        strike_count: int | None = None,
        with_greeks: bool = False,
        interest_rate: float = 0.0,
    ) -> Chain:
        """`strike_count` strikes each side of the money, None for all; `interest_rate` in percent a year.

        Raises InvalidRequest without an expiry, NotFound when nothing is listed, and what the quotes raise.
        """
        found = self._options.underlying(caller, underlying, exchange, expiry)
        if found.expiry is None:
            raise InvalidRequest(
                "expiry_date is needed when the underlying has no expiry in it", "expiry_date"
            )
        strikes = self._options.strikes(caller, found, InstrumentKind.CALL)
        quote = self._options.quote(caller, found)
        money = at_the_money(strikes, quote.last_price)
        low = 0 if strike_count is None else max(money - strike_count, 0)
        high = len(strikes) if strike_count is None else money + strike_count + 1
        rows = self._rows(caller, found, strikes[low:high], money - low)
        now = self._clock.now()
        expires_at = model.expiry_moment(found.expiry, found.options_exchange)
        forward = _forward(rows[money - low], quote.last_price) if with_greeks else None
        if forward is not None:
            years = model.years_between(now, expires_at)
            rows = [_with_greeks(row, forward, years, interest_rate) for row in rows]
        return Chain(
            underlying=found,
            underlying_quote=quote,
            expiry=found.expiry,
            expires_at=expires_at,
            at=now,
            at_the_money=strikes[money],
            forward=forward,
            rows=tuple(rows),
        )

    def _rows(
        self, caller: Caller, underlying: Underlying, strikes: Sequence[Decimal], money: int
    ) -> list[Row]:
        pairs = [
            (
                self._options.option(caller, underlying, InstrumentKind.CALL, strike),
                self._options.option(caller, underlying, InstrumentKind.PUT, strike),
            )
            for strike in strikes
        ]
        legs = [leg for pair in pairs for leg in pair if leg is not None]
        answers = self._market.quotes(caller, [(leg.symbol, leg.exchange.value) for leg in legs])
        quotes = {leg.symbol: answer for leg, answer in zip(legs, answers, strict=True)}

        def leg(instrument: Instrument | None, places: int) -> Leg | None:
            if instrument is None:
                return None
            answer = quotes[instrument.symbol]
            return Leg(
                instrument=instrument,
                label=_label(instrument.kind, places),
                quote=None if isinstance(answer, PlatformError) else answer,
            )

        return [
            Row(strike=strike, call=leg(call, index - money), put=leg(put, index - money))
            for index, (strike, (call, put)) in enumerate(zip(strikes, pairs, strict=True))
        ]


def _label(kind: InstrumentKind, places: int) -> str:
    if places == 0:
        return "ATM"
    inside = (places < 0) is (kind is InstrumentKind.CALL)
    return f"{'ITM' if inside else 'OTM'}{abs(places)}"


def _forward(row: Row, otherwise: float) -> float:
    """What the pair at the money says, else the underlying's own price."""
    call, put = row.call, row.put
    if call is None or put is None or call.quote is None or put.quote is None:
        return otherwise
    if call.quote.last_price <= 0 or put.quote.last_price <= 0:
        return otherwise
    return float(row.strike) + call.quote.last_price - put.quote.last_price


def _with_greeks(row: Row, forward: float, years: float, interest_rate: float) -> Row:
    def valued(leg: Leg | None) -> Leg | None:
        if leg is None or leg.quote is None or leg.quote.last_price <= 0 or years <= 0:
            return leg
        call = leg.instrument.kind is InstrumentKind.CALL
        found = value(call, leg.quote.last_price, forward, float(row.strike), years, interest_rate)
        return Leg(instrument=leg.instrument, label=leg.label, quote=leg.quote, valued=found)

    return Row(strike=row.strike, call=valued(row.call), put=valued(row.put))

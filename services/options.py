"""Options by words: which contract ATM, ITM2 or OTM5 of an underlying is, and what its options say the future costs.

Where an underlying is quoted follows from its exchange; strikes are those the master lists, never arithmetic, unless
a caller asks for arithmetic. Chains are `services/option_chain.py`, greeks `services/option_greeks.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, Protocol

from broker.interface import Broker
from domain import symbols
from domain.errors import BadResponse, InstrumentNotFound, InvalidRequest, NotFound, PlatformError
from domain.market import Quote
from domain.model import DERIVATIVES, Exchange, Instrument, InstrumentKind
from services.accounts import Account, Caller

FARTHEST = 50
"""Strikes from the money that an offset may name."""

_OFFSET = re.compile(r"(ATM)|(ITM|OTM)([1-9]\d?)", re.ASCII)
_NO_SPOT = frozenset({Exchange.MCX, Exchange.CDS, Exchange.BCD, Exchange.NCDEX, Exchange.NCO})


class Instruments(Protocol):
    def get(self, broker: str, exchange: str, symbol: str) -> Instrument | None: ...

    def expiries(
        self, broker: str, name: str, exchange: str, kind: Literal["futures", "options"]
    ) -> list[date]: ...

    def strikes(
        self, broker: str, name: str, expiry: date, kind: InstrumentKind, exchange: str
    ) -> list[Decimal]: ...


class Sessions(Protocol):
    def data_broker_for(self, account: Account) -> Broker: ...


class Quotes(Protocol):
    def quote(self, caller: Caller, symbol: str, exchange: str) -> Quote: ...

    def quotes(self, caller: Caller, keys: Sequence[tuple[str, str]]) -> list[Quote | PlatformError]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Underlying:
    """Where an underlying's price and its options are.

    base              the underlying's exact name, e.g. NIFTY
    symbol, exchange  what is quoted for it
    options_exchange  where its options are listed
    expiry            of the options asked for; None when neither given nor embedded
    """

    base: str
    symbol: str
    exchange: Exchange
    options_exchange: Exchange
    expiry: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The option that an offset names, and the underlying's price it was named at."""

    instrument: Instrument
    underlying: Underlying
    underlying_price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthetic:
    """The future that a call and a put at the money make: strike + call - put, rupees."""

    underlying: str
    underlying_price: float
    expiry: date
    strike: Decimal
    price: float


class Options:
    """Answers from the account's own data broker and its master."""

    def __init__(self, instruments: Instruments, sessions: Sessions, market: Quotes) -> None:
        self._instruments = instruments
        self._sessions = sessions
        self._market = market

    def underlying(
        self, caller: Caller, text: str, exchange: Exchange, expiry: date | None = None
    ) -> Underlying:
        """Read `NIFTY`, `NIFTY28OCT25` or `NIFTY28OCT25FUT`; an expiry given beats an embedded one.

        Raises InvalidRequest when the text is no underlying, NotFound when no future or perpetual can stand for it.
        """
        parsed = symbols.parse_underlying(text.strip().upper())
        if parsed is None:
            raise InvalidRequest(f"'{text}' is not an underlying", "underlying")
        base, embedded = parsed
        wanted = expiry or embedded
        broker = self._broker(caller)
        if exchange in _NO_SPOT:
            listed = symbols.build(base, InstrumentKind.FUTURE, embedded) if embedded else ""
            if not listed or self._instruments.get(broker, exchange, listed) is None:
                listed = self._future(broker, base, exchange, wanted)
            return _underlying(base, listed, exchange, exchange, wanted)
        if exchange is Exchange.CRYPTO:
            perpetual = f"{base}USDFUT"
            if self._instruments.get(broker, exchange, perpetual) is None:
                raise NotFound(f"No perpetual future of {base} on {exchange}")
            return _underlying(base, perpetual, exchange, exchange, wanted)
        options, quoted = self._cash_of(broker, base, exchange)
        return _underlying(base, base, quoted, options, wanted)

    def quote(self, caller: Caller, underlying: Underlying) -> Quote:
        """The underlying's quote. Raises what the quote raises, and BadResponse when it has no last price."""
        quote = self._market.quote(caller, underlying.symbol, underlying.exchange)
        if not quote.last_price > 0:
            raise BadResponse(self._broker(caller), text=f"No last price for {underlying.symbol}")
        return quote

    def choose(
        self,
        caller: Caller,
        underlying: str,
        exchange: Exchange,
        offset: str,
        kind: InstrumentKind,
        *,
        expiry: date | None = None,
        strike_step: int | None = None,
        underlying_price: float | None = None,
    ) -> Choice:
        """The option `offset` strikes from the money (ATM, ITM1..ITM50, OTM1..OTM50, any case).

        strike_step       arithmetic strikes of that step, rupees, in place of listed ones
        underlying_price  already known: the underlying is not quoted again
        Raises InvalidRequest (no expiry, bad offset, beyond the listed strikes), NotFound (nothing listed).
        """
        found = self.underlying(caller, underlying, exchange, expiry)
        if found.expiry is None:
            raise InvalidRequest(
                "expiry_date is needed when the underlying has no expiry in it", "expiry_date"
            )
        places = _places(offset, kind)
        price = underlying_price if underlying_price is not None else self.quote(caller, found).last_price
        if strike_step is None:
            listed = self.strikes(caller, found, kind)
            strike = _listed(listed, price, places, offset)
        else:
            strike = Decimal(round(price / strike_step) * strike_step + places * strike_step)
        instrument = self.option(caller, found, kind, strike)
        if instrument is None:
            raise NotFound(f"No {kind} of {found.base} at {strike} for {symbols.expiry_text(found.expiry)}")
        return Choice(instrument=instrument, underlying=found, underlying_price=price)

    def synthetic(
        self, caller: Caller, underlying: str, exchange: Exchange, expiry: date | None = None
    ) -> Synthetic:
        """Raises as `choose`, and BadResponse when either leg at the money has no price."""
        call = self.choose(caller, underlying, exchange, "ATM", InstrumentKind.CALL, expiry=expiry)
        put = self.choose(
            caller,
            underlying,
            exchange,
            "ATM",
            InstrumentKind.PUT,
            expiry=expiry,
            underlying_price=call.underlying_price,
        )
        answers = self._market.quotes(
            caller, [(leg.instrument.symbol, leg.instrument.exchange.value) for leg in (call, put)]
        )
        prices = []
        for leg, answer in zip((call, put), answers, strict=True):
            if isinstance(answer, PlatformError) or not answer.last_price > 0:
                raise BadResponse(self._broker(caller), text=f"No last price for {leg.instrument.symbol}")
            prices.append(answer.last_price)
        strike = call.instrument.strike
        assert strike is not None
        assert call.underlying.expiry is not None
        return Synthetic(
            underlying=call.underlying.base,
            underlying_price=call.underlying_price,
            expiry=call.underlying.expiry,
            strike=strike,
            price=float(strike) + prices[0] - prices[1],
        )

    def strikes(self, caller: Caller, underlying: Underlying, kind: InstrumentKind) -> list[Decimal]:
        """Listed strikes, ascending; NotFound when there are none."""
        assert underlying.expiry is not None
        found = self._instruments.strikes(
            self._broker(caller), underlying.base, underlying.expiry, kind, underlying.options_exchange
        )
        if not found:
            when = symbols.expiry_text(underlying.expiry)
            raise NotFound(f"No {kind} strikes of {underlying.base} for {when}")
        return found

    def option(
        self, caller: Caller, underlying: Underlying, kind: InstrumentKind, strike: Decimal
    ) -> Instrument | None:
        """The listed option, None when there is none."""
        if strike <= 0:
            return None
        symbol = symbols.build(underlying.base, kind, underlying.expiry, strike)
        return self._instruments.get(self._broker(caller), underlying.options_exchange, symbol)

    def listed(self, caller: Caller, symbol: str, exchange: str) -> Instrument:
        """An option by its symbol. Raises InvalidRequest for what is not one, InstrumentNotFound."""
        instrument = self._instruments.get(self._broker(caller), exchange, symbol)
        if instrument is not None and instrument.kind.is_option:
            return instrument
        contract = symbols.parse_derivative(symbol) if exchange in DERIVATIVES else None
        if contract is None or not contract.kind.is_option:
            raise InvalidRequest(f"'{symbol}' is not an option symbol", "symbol")
        raise InstrumentNotFound(symbol, exchange)

    def _broker(self, caller: Caller) -> str:
        return self._sessions.data_broker_for(caller.account).manifest.name

    def _cash_of(self, broker: str, base: str, exchange: Exchange) -> tuple[Exchange, Exchange]:
        """(where the options are, where the underlying is quoted) for what has a spot market."""
        if exchange in (Exchange.BSE, Exchange.BSE_INDEX):
            return Exchange.BFO, exchange
        if exchange is Exchange.BFO:
            index = self._instruments.get(broker, Exchange.BSE_INDEX, base)
            return Exchange.BFO, Exchange.BSE_INDEX if index is not None else Exchange.BSE
        if exchange is Exchange.NFO:
            index = self._instruments.get(broker, Exchange.NSE_INDEX, base)
            return Exchange.NFO, Exchange.NSE_INDEX if index is not None else Exchange.NSE
        return Exchange.NFO, exchange

    def _future(self, broker: str, base: str, exchange: Exchange, expiry: date | None) -> str:
        """The nearest future that outlives the options, else the nearest. Raises NotFound."""
        listed = self._instruments.expiries(broker, base, exchange, "futures")
        if not listed:
            raise NotFound(f"No unexpired future of {base} on {exchange}")
        nearest = next((day for day in listed if expiry is None or day >= expiry), listed[0])
        return symbols.build(base, InstrumentKind.FUTURE, nearest)


def at_the_money(strikes: Sequence[Decimal], price: float) -> int:
    """Index of the strike nearest to the price; of two as near, the lower. Strikes ascend."""
    return min(range(len(strikes)), key=lambda index: abs(float(strikes[index]) - price))


def _listed(strikes: Sequence[Decimal], price: float, places: int, offset: str) -> Decimal:
    index = at_the_money(strikes, price) + places
    if not 0 <= index < len(strikes):
        raise InvalidRequest(f"{offset.upper()} lies beyond the listed strikes", "offset")
    return strikes[index]


def _places(offset: str, kind: InstrumentKind) -> int:
    """How many strikes up the list an offset goes: a call is out of the money above, a put below."""
    match = _OFFSET.fullmatch(offset.strip().upper())
    if match is None or (match[3] and int(match[3]) > FARTHEST):
        raise InvalidRequest("offset must be ATM, ITM1 to ITM50 or OTM1 to OTM50", "offset")
    if match[1]:
        return 0
    up = (match[2] == "OTM") is (kind is InstrumentKind.CALL)
    return int(match[3]) if up else -int(match[3])


def _underlying(
    base: str, symbol: str, exchange: Exchange, options: Exchange, expiry: date | None
) -> Underlying:
    return Underlying(base=base, symbol=symbol, exchange=exchange, options_exchange=options, expiry=expiry)

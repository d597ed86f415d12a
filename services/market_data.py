"""What the market shows: quotes and depth of an account's own feed, from the live tick where there is a fresh one.

Prices are those of the account's data broker (`Sessions.data_broker_for`), never of another's: a simulated price can
not answer for a live account that is logged in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from broker.interface import Broker
from domain.clock import Clock
from domain.errors import InstrumentNotFound, NotFound, PlatformError
from domain.market import Depth, Quote, Tick
from domain.model import QUOTE_ONLY, Exchange, Instrument, StreamMode
from services.accounts import Account, Caller

FRESH = 3.0
"""Seconds for which a streamed tick answers in place of the broker."""


class Instruments(Protocol):
    def get(self, broker: str, exchange: str, symbol: str) -> Instrument | None: ...


class Sessions(Protocol):
    def data_broker_for(self, account: Account) -> Broker: ...

    def feed_of(self, account: Account) -> str: ...


class Snapshot(Protocol):
    def last(self, feed: str, keys: Sequence[tuple[str, str]]) -> list[Tick | None]:
        """The last tick of each (exchange, symbol); None where there is none or nobody answers in time."""
        ...


class MarketData:
    """All methods raise what the broker's reads raise: BrokerError, NotSupported, SessionOver."""

    def __init__(
        self, instruments: Instruments, sessions: Sessions, clock: Clock, snapshot: Snapshot | None = None
    ) -> None:
        """Without `snapshot` every call goes to the broker."""
        self._instruments = instruments
        self._sessions = sessions
        self._clock = clock
        self._snapshot = snapshot

    def instrument(self, caller: Caller, symbol: str, exchange: str) -> Instrument:
        """The instrument in the master of the account's data broker. Raises InstrumentNotFound."""
        broker = self._sessions.data_broker_for(caller.account)
        found = self._instruments.get(broker.manifest.name, exchange, symbol)
        if found is None:
            raise InstrumentNotFound(symbol, exchange)
        return found

    def quote(self, caller: Caller, symbol: str, exchange: str) -> Quote:
        """Raises InstrumentNotFound, and NotFound when the broker has no quote of it."""
        answer = self.quotes(caller, [(symbol, exchange)])[0]
        if isinstance(answer, PlatformError):
            raise answer
        return answer

    def quotes(self, caller: Caller, keys: Sequence[tuple[str, str]]) -> list[Quote | PlatformError]:
        """One answer for each (symbol, exchange), in the order asked: a quote, or why there is none."""
        broker = self._sessions.data_broker_for(caller.account)
        found = [self._instruments.get(broker.manifest.name, exchange, symbol) for symbol, exchange in keys]
        known = [one for one in found if one is not None]
        quotes = dict(zip((one.key for one in known), self._fetch(caller, broker, known), strict=True))
        answers: list[Quote | PlatformError] = []
        for instrument, (symbol, exchange) in zip(found, keys, strict=True):
            quote = quotes.get(instrument.key) if instrument is not None else None
            if instrument is None:
                answers.append(InstrumentNotFound(symbol, exchange))
            else:
                answers.append(quote or NotFound(f"No quote for {symbol} on {exchange}"))
        return answers

    def depth(self, caller: Caller, symbol: str, exchange: str) -> Depth:
        """Up to the broker's number of levels, best first. Raises InstrumentNotFound."""
        broker = self._sessions.data_broker_for(caller.account)
        instrument = self._instruments.get(broker.manifest.name, exchange, symbol)
        if instrument is None:
            raise InstrumentNotFound(symbol, exchange)
        tick = self._ticks(caller, [instrument])[0]
        if tick is not None and tick.mode >= StreamMode.DEPTH and tick.bids and tick.asks:
            return _depth(tick)
        return broker.fetch_depth(instrument)

    def _fetch(self, caller: Caller, broker: Broker, known: Sequence[Instrument]) -> list[Quote | None]:
        """Fresh ticks first, one call to the broker for the rest."""
        quotes = [
            _quote(tick) if tick is not None and _complete(tick) else None
            for tick in self._ticks(caller, known)
        ]
        missing = [index for index, quote in enumerate(quotes) if quote is None]
        if missing:
            fetched = broker.fetch_quotes([known[index] for index in missing])
            for index, quote in zip(missing, fetched, strict=True):
                quotes[index] = quote
        return quotes

    def _ticks(self, caller: Caller, instruments: Sequence[Instrument]) -> list[Tick | None]:
        if self._snapshot is None or not instruments:
            return [None] * len(instruments)
        feed = self._sessions.feed_of(caller.account)
        ticks = self._snapshot.last(feed, [(one.exchange.value, one.symbol) for one in instruments])
        oldest = (self._clock.now().timestamp() - FRESH) * 1000
        return [tick if tick is not None and tick.timestamp >= oldest else None for tick in ticks]


def _complete(tick: Tick) -> bool:
    """Whether a tick says all that a quote does; brokers leave the best prices out below depth mode."""
    sided = tick.bid > 0 or tick.ask > 0 or Exchange(tick.exchange) in QUOTE_ONLY
    return tick.mode >= StreamMode.QUOTE and tick.last_price > 0 and sided


def _quote(tick: Tick) -> Quote:
    return Quote(
        symbol=tick.symbol,
        exchange=Exchange(tick.exchange),
        last_price=tick.last_price,
        open=tick.open,
        high=tick.high,
        low=tick.low,
        close=tick.close,
        volume=tick.volume,
        at=datetime.fromtimestamp((tick.ltt or tick.timestamp) / 1000, UTC),
        bid=tick.bid,
        ask=tick.ask,
        bid_quantity=tick.bid_quantity,
        ask_quantity=tick.ask_quantity,
        open_interest=tick.open_interest,
        last_quantity=tick.last_quantity,
        average_price=tick.average_price,
    )


def _depth(tick: Tick) -> Depth:
    return Depth(
        quote=_quote(tick),
        bids=tick.bids,
        asks=tick.asks,
        total_buy_quantity=tick.total_buy_quantity,
        total_sell_quantity=tick.total_sell_quantity,
        upper_circuit=tick.upper_circuit or None,
        lower_circuit=tick.lower_circuit or None,
    )

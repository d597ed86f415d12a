"""A data broker over the simulated market, and the lookups a market service needs, without sockets or stores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

from broker import catalog
from broker.interface import Broker, BrokerSession
from broker.manifest import Manifest
from broker.paper.simulated import SimulatedMarket
from domain import symbols
from domain.clock import IST
from domain.market import Candle, Depth, Quote, Tick
from domain.model import Exchange, Instrument, InstrumentKind, Mode, OrderMode
from services.accounts import Account, Caller

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=IST)


@dataclass
class StandingClock:
    """Shows one moment until it is set."""

    moment: datetime = NOON

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


def cash(symbol: str, exchange: Exchange = Exchange.NSE, tick: str = "0.10") -> Instrument:
    kind = InstrumentKind.INDEX if exchange.value.endswith("_INDEX") else InstrumentKind.EQUITY
    return Instrument(
        symbol=symbol,
        exchange=exchange,
        kind=kind,
        name=symbol,
        lot_size=1,
        tick_size=Decimal(tick),
        broker_symbol=symbol,
        broker_exchange=exchange.value,
        broker_token=symbol,
    )


def dated(
    name: str,
    kind: InstrumentKind,
    expiry: date,
    strike: str | None = None,
    exchange: Exchange = Exchange.NFO,
    lot: int = 65,
    tick: str = "0.05",
) -> Instrument:
    level = None if strike is None else Decimal(strike)
    symbol = symbols.build(name, kind, expiry, level)
    return Instrument(
        symbol=symbol,
        exchange=exchange,
        kind=kind,
        name=name,
        lot_size=lot,
        tick_size=Decimal(tick),
        broker_symbol=symbol,
        broker_exchange=exchange.value,
        broker_token=symbol,
        expiry=expiry,
        strike=level,
    )


def chain(
    name: str, expiry: date, strikes: Iterable[int], exchange: Exchange = Exchange.NFO, lot: int = 65
) -> list[Instrument]:
    return [
        dated(name, kind, expiry, str(strike), exchange, lot)
        for strike in strikes
        for kind in (InstrumentKind.CALL, InstrumentKind.PUT)
    ]


class MarketBroker(Broker):
    """Reads of the simulated market; `hidden` symbols have no quote, `overrides` fix a last price."""

    manifest: Manifest = catalog.manifest("paper")

    def __init__(self, clock: StandingClock, seed: int = 5) -> None:
        session = BrokerSession(account="1", tokens={}, urls={}, opened_at=clock.now())
        super().__init__(session, lambda exchange, token: None, clock)
        self.market = SimulatedMarket(seed, clock)
        self.hidden: set[str] = set()
        self.overrides: dict[str, Quote] = {}
        self.calls: list[list[str]] = []

    def _fetch_quotes(self, instruments: Sequence[Instrument]) -> list[Quote | None]:
        self.calls.append([one.symbol for one in instruments])
        return [
            None
            if one.symbol in self.hidden
            else self.overrides.get(one.symbol) or self.market.quote(one, self.clock.now())
            for one in instruments
        ]

    def _fetch_depth(self, instrument: Instrument) -> Depth:
        found = self.market.depth(instrument, self.clock.now())
        assert found is not None
        return found

    def _fetch_candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        self.calls.append([interval, start.isoformat(), end.isoformat()])
        return self.market.candles(instrument, interval, start, end)


@dataclass
class Masters:
    """One broker's master in a dict."""

    rows: dict[tuple[str, str], Instrument]
    today: date

    @classmethod
    def of(cls, instruments: Iterable[Instrument], today: date = NOON.date()) -> Masters:
        return cls({(one.exchange.value, one.symbol): one for one in instruments}, today)

    def get(self, broker: str, exchange: str, symbol: str) -> Instrument | None:
        return self.rows.get((exchange, symbol)) if broker == "paper" else None

    def expiries(self, broker: str, name: str, exchange: str, kind: str) -> list[date]:
        wanted = {
            one.expiry
            for one in self.rows.values()
            if (one.name, one.exchange) == (name, exchange) and one.kind.is_option == (kind == "options")
        }
        return sorted(day for day in wanted if day is not None and day >= self.today)

    def strikes(
        self, broker: str, name: str, expiry: date, kind: InstrumentKind, exchange: str
    ) -> list[Decimal]:
        return sorted(
            one.strike
            for one in self.rows.values()
            if (one.name, one.expiry, one.kind, one.exchange) == (name, expiry, kind, exchange)
            and one.strike is not None
        )


@dataclass
class OneFeed:
    """Every account's data comes from one broker."""

    broker: Broker

    def data_broker_for(self, account: Account) -> Broker:
        return self.broker

    def feed_of(self, account: Account) -> str:
        return "paper"


@dataclass
class Remembered:
    """A snapshot with what a test put into it."""

    ticks: dict[tuple[str, str], Tick] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def last(self, feed: str, keys: Sequence[tuple[str, str]]) -> list[Tick | None]:
        self.asked.append(feed)
        return [self.ticks.get(key) for key in keys]


def caller() -> Caller:
    account = Account(
        id=1,
        user_id=1,
        name="Paper",
        broker="paper",
        mode=Mode.ANALYZE,
        order_mode=OrderMode.AUTO,
        is_default=True,
    )
    return Caller(
        user_id=1, username="asha", is_admin=False, account=account, scopes=frozenset({"read"}), door="api"
    )


def utc(*parts: int) -> int:
    """Epoch seconds of a UTC moment."""
    return int(datetime(*parts, tzinfo=UTC).timestamp())  # type: ignore[misc]

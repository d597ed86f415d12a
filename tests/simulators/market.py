"""The simulators' market: prices that stand still until somebody moves them, and the small listing they trade.

Everything is a function of the seed and of what was set by hand, so that a test knows every price.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from broker.paper.market import day_start, rolling_day
from domain.clock import IST, Clock
from domain.market import Candle, Depth, DepthLevel, Quote, Tick
from domain.model import Exchange, Instrument, InstrumentKind
from domain.symbols import build

LEVELS = 5
_OPENS, _CLOSES = 9 * 60 + 15, 15 * 60 + 30


class HandMarket:
    """Quotes of a listing. `tick` moves one price; depth is five levels a side of `quantity` lots each."""

    feed = "simulator"

    def __init__(self, clock: Clock, seed: int, prices: dict[tuple[Exchange, str], float]) -> None:
        self._clock = clock
        self._seed = seed
        self._day: dict[tuple[Exchange, str], list[float]] = {
            key: [price, price, price, price, round(price * 0.99, 2)] for key, price in prices.items()
        }
        self._volume: dict[tuple[Exchange, str], int] = dict.fromkeys(prices, 0)
        self._traded: dict[tuple[Exchange, str], datetime] = {}
        self._offered: dict[tuple[Exchange, str], int] = {}

    def set(self, instrument: Instrument, price: float, quantity: int | None = None) -> Tick:
        """Trade once at `price`; `quantity` is what each level then offers, units. Returns the tick."""
        day = self._day[instrument.key]
        day[0], day[2], day[3] = price, max(day[2], price), min(day[3], price)
        self._volume[instrument.key] += instrument.lot_size
        self._traded[instrument.key] = self._clock.now()
        if quantity is not None:
            self.offer(instrument, quantity)
        return self.tick(instrument)

    def offer(self, instrument: Instrument, quantity: int) -> None:
        """What each level offers from now on, units."""
        self._offered[instrument.key] = quantity

    def has_traded(self, instrument: Instrument) -> bool:
        """Whether it was moved by hand yet."""
        return instrument.key in self._traded

    def tick(self, instrument: Instrument) -> Tick:
        quote, (bids, asks) = self._look(instrument), self._levels(instrument)
        at = int(quote.at.timestamp() * 1000)
        index = instrument.kind is InstrumentKind.INDEX
        return Tick(
            exchange=instrument.exchange,
            symbol=instrument.symbol,
            mode=3,
            last_price=quote.last_price,
            ltt=at // 1000 * 1000,
            timestamp=at,
            open=quote.open,
            high=quote.high,
            low=quote.low,
            close=quote.close,
            volume=quote.volume,
            average_price=quote.average_price,
            last_quantity=quote.last_quantity,
            total_buy_quantity=sum(level.quantity for level in bids),
            total_sell_quantity=sum(level.quantity for level in asks),
            open_interest=quote.open_interest,
            bid=0.0 if index else bids[0].price,
            ask=0.0 if index else asks[0].price,
            bid_quantity=0 if index else bids[0].quantity,
            ask_quantity=0 if index else asks[0].quantity,
            bids=() if index else bids,
            asks=() if index else asks,
        )

    # -- the Market that the paper exchange asks for
    def quote(self, instrument: Instrument, at: datetime) -> Quote | None:
        return self._look(instrument) if instrument.key in self._day else None

    def depth(self, instrument: Instrument, at: datetime) -> Depth | None:
        if instrument.key not in self._day:
            return None
        bids, asks = self._levels(instrument)
        last = self._day[instrument.key][0]
        return Depth(
            quote=self._look(instrument),
            bids=bids,
            asks=asks,
            total_buy_quantity=sum(level.quantity for level in bids),
            total_sell_quantity=sum(level.quantity for level in asks),
            upper_circuit=_grid(last * 1.2, instrument),
            lower_circuit=_grid(last * 0.8, instrument),
        )

    def ticks(self, instruments: Iterable[Instrument], since: datetime, until: datetime) -> list[Tick]:
        return []

    def trading_day(self, at: datetime) -> date:
        return rolling_day(at)

    def candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        """Weekday bars up to now, ascending, from the seed alone."""
        now = int(self._clock.now().timestamp())
        days = [start + timedelta(n) for n in range((end - start).days + 1)]
        days = [day for day in days if day.weekday() < 5]
        if interval == "D":
            starts = [int(datetime(d.year, d.month, d.day, tzinfo=UTC).timestamp()) for d in days]
        else:
            step = int(interval[:-1]) * {"h": 3600, "m": 60, "s": 1}[interval[-1]]
            opens = [int(datetime(d.year, d.month, d.day, tzinfo=IST).timestamp()) for d in days]
            starts = [at + second for at in opens for second in range(_OPENS * 60, _CLOSES * 60, step)]
        return [self._bar(instrument, interval, at) for at in starts if at <= now]

    def _bar(self, instrument: Instrument, interval: str, at: int) -> Candle:
        base = self._day[instrument.key][1]
        word = hashlib.blake2b(
            f"{self._seed}/{instrument.key}/{interval}/{at}".encode(), digest_size=5
        ).digest()
        opened, close = (_grid(base * (1 + (byte - 128) / 6400), instrument) for byte in word[:2])
        high = _grid(max(opened, close) * (1 + word[2] / 51200), instrument)
        low = _grid(min(opened, close) * (1 - word[3] / 51200), instrument)
        interest = 1000 + word[4] if instrument.expiry else 0
        return Candle(
            at, opened, max(high, opened, close), min(low, opened, close), close, 100 + word[4], interest
        )

    def _look(self, instrument: Instrument) -> Quote:
        last, opened, high, low, close = self._day[instrument.key]
        index = instrument.kind is InstrumentKind.INDEX
        bids, asks = self._levels(instrument)
        return Quote(
            symbol=instrument.symbol,
            exchange=instrument.exchange,
            last_price=last,
            open=opened,
            high=high,
            low=low,
            close=close,
            volume=0 if index else self._volume[instrument.key],
            at=self._traded.get(instrument.key) or day_start(rolling_day(self._clock.now())),
            bid=0.0 if index else bids[0].price,
            ask=0.0 if index else asks[0].price,
            bid_quantity=0 if index else bids[0].quantity,
            ask_quantity=0 if index else asks[0].quantity,
            open_interest=1500 * instrument.lot_size if instrument.expiry else 0,
            last_quantity=0 if index else instrument.lot_size,
            average_price=0.0 if index else last,
        )

    def _levels(self, instrument: Instrument) -> tuple[tuple[DepthLevel, ...], tuple[DepthLevel, ...]]:
        last = self._day[instrument.key][0]
        tick = float(instrument.tick_size)
        size = self._offered.get(instrument.key, 1000 * instrument.lot_size)
        bids, asks = (
            tuple(
                DepthLevel(_grid(last + sign * n * tick, instrument), size, n) for n in range(1, LEVELS + 1)
            )
            for sign in (-1, 1)
        )
        return bids, asks


def _grid(price: float, instrument: Instrument) -> float:
    tick = instrument.tick_size
    steps = max(1, round(price / float(tick)))
    return float(steps * tick)


def listing(today: date) -> list[tuple[Instrument, float]]:
    """Some forty instruments that cover every shape of symbol, with their opening prices."""
    weekly, monthly = today + timedelta(days=3), today + timedelta(days=24)
    rows: list[tuple[Instrument, float]] = []
    for name, price, tick in (
        ("INFY", 1500.0, "0.1"), ("RELIANCE", 1280.0, "0.1"), ("SBIN", 820.5, "0.1"), ("TCS", 3050.0, "0.1"),
        ("HDFCBANK", 990.0, "0.05"), ("M&M", 3300.0, "0.1"), ("BAJAJ-AUTO", 8800.0, "1"),
        ("IDEA", 8.2, "0.01"), ("YESBANK", 21.35, "0.01"), ("360ONE", 1100.0, "0.1"),
    ):  # fmt: skip
        rows.append((_cash(Exchange.NSE, name, tick), price))
    for name, price in (("SBIN", 820.6), ("RELIANCE", 1280.05)):
        rows.append((_cash(Exchange.BSE, name, "0.05"), price))
    for exchange, name, price in (
        (Exchange.NSE_INDEX, "NIFTY", 25000.0), (Exchange.NSE_INDEX, "BANKNIFTY", 56000.0),
        (Exchange.NSE_INDEX, "INDIAVIX", 12.5), (Exchange.BSE_INDEX, "SENSEX", 81500.0),
        (Exchange.BSE_INDEX, "BANKEX", 63000.0),
    ):  # fmt: skip
        rows.append((_cash(exchange, name, "0.05", InstrumentKind.INDEX), price))
    for exchange, name, lot, tick, price, worth in (
        (Exchange.NFO, "NIFTY", 65, "0.1", 25050.0, 1), (Exchange.NFO, "BANKNIFTY", 30, "0.2", 56100.0, 1),
        (Exchange.NFO, "M&M", 200, "0.1", 3310.0, 1), (Exchange.BFO, "SENSEX", 20, "0.05", 81600.0, 1),
        (Exchange.CDS, "USDINR", 1, "0.0025", 88.5, 1000), (Exchange.MCX, "CRUDEOIL", 1, "1", 5400.0, 100),
        (Exchange.MCX, "GOLDPETAL", 1, "1", 12100.0, 1),
    ):  # fmt: skip
        rows.append((_contract(exchange, name, monthly, None, None, lot, tick, worth), price))
    call, put = InstrumentKind.CALL, InstrumentKind.PUT
    for exchange, name, strike, lot, price, worth in (
        (Exchange.NFO, "NIFTY", "25000", 65, 120.0, 1), (Exchange.NFO, "NIFTY", "25100", 65, 80.0, 1),
        (Exchange.NFO, "M&M", "3300", 200, 66.0, 1), (Exchange.NFO, "SBIN", "812.5", 750, 21.0, 1),
        (Exchange.BFO, "SENSEX", "81500", 20, 410.0, 1), (Exchange.CDS, "USDINR", "88.25", 1, 0.4, 1000),
        (Exchange.MCX, "CRUDEOIL", "5400", 1, 150.0, 100),
    ):  # fmt: skip
        expiry = weekly if name in ("NIFTY", "SENSEX") else monthly
        tick = {Exchange.CDS: "0.0025", Exchange.MCX: "0.1"}.get(exchange, "0.05")
        for kind in (call, put):
            rows.append((_contract(exchange, name, expiry, Decimal(strike), kind, lot, tick, worth), price))
    return [(instrument, _grid(price, instrument)) for instrument, price in rows]


def _cash(
    exchange: Exchange, name: str, tick: str, kind: InstrumentKind = InstrumentKind.EQUITY
) -> Instrument:
    return Instrument(
        symbol=name,
        exchange=exchange,
        kind=kind,
        name=name,
        lot_size=1,
        tick_size=Decimal(tick),
        broker_symbol=name,
        broker_exchange=exchange.value,
        broker_token=name,
    )


def _contract(
    exchange: Exchange,
    name: str,
    expiry: date,
    strike: Decimal | None,
    kind: InstrumentKind | None,
    lot: int,
    tick: str,
    worth: int,
) -> Instrument:
    kind = kind or InstrumentKind.FUTURE
    symbol = build(name, kind, expiry, strike)
    return Instrument(
        symbol=symbol,
        exchange=exchange,
        kind=kind,
        name=name,
        expiry=expiry,
        strike=strike,
        lot_size=lot,
        tick_size=Decimal(tick),
        contract_value=Decimal(worth),
        broker_symbol=symbol,
        broker_exchange=exchange.value,
        broker_token=symbol,
    )

"""The paper exchange's master: every share and index of the facts, and the contracts that its rules list on a date.

Deterministic: the same facts and date give the same rows, and a contract keeps its token for life.
Quantities are units of the quoted price everywhere, so that money is price x quantity on MCX and CDS too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from broker import facts
from broker.facts import Security, Underlying
from domain.calendar import Calendar
from domain.expiry import Expiries, expiry_rule
from domain.model import Exchange, Instrument, InstrumentKind
from domain.symbols import build

_READING = 2
_INDEX_TICK = Decimal("0.05")
_LONG_DATED_DAYS = 130
_LONG_STEP = Decimal(1000)
_LONG_WIDTH = Decimal("0.3")
_NEAR_DAYS = 62

Levels = Mapping[tuple[Exchange, str], Decimal]
"""(derivatives exchange, underlying) -> where the underlying stands now; absent means the reference level."""


def universe(today: date, calendar: Calendar, levels: Levels | None = None) -> Iterator[Instrument]:
    """Every instrument that can be quoted or traded on `today`, cash first, then contracts."""
    yield from (_cash(each) for each in facts.securities())
    expiries = Expiries((expiry_rule(row) for row in facts.rows("expiry_rules")), calendar)
    for underlying in facts.underlyings():
        if underlying.leaves is not None and underlying.leaves < today:
            continue
        level = (levels or {}).get((underlying.exchange, underlying.symbol), underlying.level)
        yield from _futures(underlying, expiries, today)
        yield from _options(underlying, expiries, today, level)


def fingerprint() -> str:
    """Changes when the facts or the way of reading them do: a master made under another one is stale."""
    return f"{facts.digest()[:10]}-{_READING}"


def _cash(security: Security) -> Instrument:
    is_index = security.type == "INDEX"
    return _instrument(
        symbol=security.symbol,
        exchange=security.exchange,
        kind=InstrumentKind.INDEX if is_index else InstrumentKind.EQUITY,
        name=security.name or security.symbol,
        lot_size=1,
        tick_size=_INDEX_TICK if is_index else security.tick_size,
    )


def _futures(underlying: Underlying, expiries: Expiries, today: date) -> Iterator[Instrument]:
    if underlying.future_tick is None:
        return
    for expiry in _until(underlying, expiries.futures(underlying.exchange, underlying.symbol, today)):
        yield _instrument(
            symbol=build(underlying.symbol, InstrumentKind.FUTURE, expiry),
            exchange=underlying.exchange,
            kind=InstrumentKind.FUTURE,
            name=underlying.symbol,
            lot_size=underlying.lot_size,
            tick_size=underlying.future_tick,
            expiry=expiry,
            freeze_quantity=underlying.future_freeze,
        )


def _options(underlying: Underlying, expiries: Expiries, today: date, level: Decimal) -> Iterator[Instrument]:
    if underlying.option_tick is None:
        return
    for expiry in _until(underlying, expiries.options(underlying.exchange, underlying.symbol, today)):
        for strike in strikes(underlying, (expiry - today).days, level):
            for kind in (InstrumentKind.CALL, InstrumentKind.PUT):
                yield _instrument(
                    symbol=build(underlying.symbol, kind, expiry, strike),
                    exchange=underlying.exchange,
                    kind=kind,
                    name=underlying.symbol,
                    lot_size=underlying.lot_size,
                    tick_size=underlying.option_tick,
                    expiry=expiry,
                    strike=strike,
                    freeze_quantity=underlying.option_freeze,
                )


def _until(underlying: Underlying, days: Iterable[date]) -> Iterable[date]:
    """The expiries that an underlying which is being taken off still sees."""
    last = underlying.leaves
    return days if last is None else (day for day in days if day <= last)


def strikes(underlying: Underlying, days: int, level: Decimal) -> Iterable[Decimal]:
    """The strikes listed on an option that ends in `days`, ascending.

    The first two months use the near step over the band that the exchange lists, the third the far step;
    options beyond that stand a thousand points apart, 30 % to either side.
    """
    near, far, low, high = underlying.near_step, underlying.far_step, underlying.low, underlying.high
    if near is None or far is None or low is None or high is None:
        return ()
    if days > _LONG_DATED_DAYS:
        return _grid(level * (1 - _LONG_WIDTH), level * (1 + _LONG_WIDTH), _LONG_STEP)
    moved = level / underlying.level
    return _grid(low * moved, high * moved, near if days <= _NEAR_DAYS else far)


def _grid(low: Decimal, high: Decimal, step: Decimal) -> Iterable[Decimal]:
    first = max(1, int((low / step).to_integral_value(ROUND_CEILING)))
    last = int((high / step).to_integral_value(ROUND_FLOOR))
    return (step * number for number in range(first, last + 1))


def _instrument(
    *,
    symbol: str,
    exchange: Exchange,
    kind: InstrumentKind,
    name: str,
    lot_size: int,
    tick_size: Decimal,
    expiry: date | None = None,
    strike: Decimal | None = None,
    freeze_quantity: int | None = None,
) -> Instrument:
    return Instrument(
        symbol=symbol,
        exchange=exchange,
        kind=kind,
        name=name,
        lot_size=lot_size,
        tick_size=tick_size,
        broker_symbol=symbol,
        broker_exchange=exchange.value,
        broker_token=_token(exchange, symbol),
        expiry=expiry,
        strike=strike,
        freeze_quantity=freeze_quantity,
    )


def _token(exchange: Exchange, symbol: str) -> str:
    """A number from the name alone, 48 bits: the master's uniqueness check would catch a clash."""
    name = f"{exchange.value}|{symbol}".encode()
    return str(int.from_bytes(hashlib.blake2b(name, digest_size=6).digest()))

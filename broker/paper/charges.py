"""Taxes and fees of an order's fills, by the rates in force on the day they are asked for. Pure; rates are passed in.

STT, CTT and stamp duty are whole rupees an order, as on a contract note; all else is exact. Depository fees and
penalties are not reckoned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from functools import lru_cache

from broker.paper.booked import UNIT, BookedOrder
from domain.clock import IST
from domain.model import Exchange, Instrument, Product, Side

_WHOLE_RUPEES = frozenset({"STT", "CTT", "STAMP_DUTY"})
_TAXED = frozenset({"BROKERAGE", "EXCHANGE_TXN", "IPFT", "SEBI_FEE"})
_LESSER_OF = re.compile(r"min\((\d+(?:\.\d+)?), (\d+(?:\.\d+)?)%\)")
_FARM = frozenset({"COTTON", "COTTONOIL", "COTTONCNDY", "KAPAS", "MENTHAOIL", "CARDAMOM", "RUBBER"})
_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Rate:
    """One component: `percent` of the turnover, at most `cap` rupees an order (None: no cap), plus `flat` rupees."""

    component: str
    percent: Decimal
    cap: Decimal | None = None
    flat: Decimal = Decimal(0)

    def of(self, turnover: Decimal) -> Decimal:
        share = turnover * self.percent / _HUNDRED
        return self.flat + (share if self.cap is None else min(share, self.cap))


@dataclass(frozen=True, slots=True)
class _Row:
    segment: str
    side: str
    component: str
    rate: str
    first: date
    last: date | None
    exchanges: frozenset[str]

    def holds(self, segments: frozenset[str], sides: frozenset[str], exchange: str, day: date) -> bool:
        return (
            self.segment in segments
            and self.side in sides
            and bool(self.exchanges & {exchange, "ALL"})
            and self.first <= day
            and (self.last is None or day <= self.last)
        )


class ChargeBook:
    """The rates of all segments and dates. `rows` are those of `facts/charges.csv`."""

    def __init__(self, rows: Iterable[Mapping[str, str]]) -> None:
        self._rows = tuple(_row(row) for row in rows)
        self._rates = lru_cache(maxsize=4096)(self._find)

    def of(self, order: BookedOrder, at: datetime, brokerage: str = "") -> Decimal:
        """Rupees for everything the order has traded so far, to 1e-8."""
        total = sum(self.parts(order, at, brokerage).values(), Decimal(0))
        return total.quantize(UNIT, ROUND_HALF_EVEN)

    def parts(self, order: BookedOrder, at: datetime, brokerage: str = "") -> dict[str, Decimal]:
        """The same by component. `brokerage` names a house of rules.BROKERAGES, "" for none.

        An expired option costs its holder the tax on exercise; its seller nothing.
        """
        if order.exercises and order.side is Side.BUY:
            return {}
        instrument, day = order.instrument, at.astimezone(IST).date()
        turnover = order.value * instrument.contract_value
        side = "EXERCISE" if order.exercises else order.side.value
        segments = frozenset(_segments(instrument, order.line.product))
        found = {
            rate.component: _rounded(rate.component, rate.of(turnover))
            for rate in self._rates(segments, side, instrument.exchange.value, day, brokerage)
        }
        taxed = sum((amount for name, amount in found.items() if name in _TAXED), Decimal(0))
        gst = self._gst(day)
        if taxed and gst:
            found["GST"] = taxed * gst / _HUNDRED
        return found

    def _find(
        self, segments: frozenset[str], side: str, exchange: str, day: date, brokerage: str
    ) -> tuple[Rate, ...]:
        sides = frozenset({side} if side == "EXERCISE" else {side, "BOTH"})
        held = [row for row in self._rows if row.holds(segments, sides, exchange, day)]
        plain = [_rate(row, row.component) for row in held if row.component in _PERCENT]
        house = [_rate(row, "BROKERAGE") for row in held if row.component == f"BROKERAGE:{brokerage}"]
        return (*plain, *house[:1])

    def _gst(self, day: date) -> Decimal:
        held = [row for row in self._rows if row.component == "GST" and row.first <= day]
        return Decimal(held[-1].rate) if held else Decimal(0)


_PERCENT = frozenset({"STT", "CTT", "EXCHANGE_TXN", "IPFT", "SEBI_FEE", "STAMP_DUTY"})


def no_charges(order: BookedOrder, at: datetime, brokerage: str = "") -> Decimal:
    """Nothing costs anything."""
    return Decimal(0)


def _row(row: Mapping[str, str]) -> _Row:
    return _Row(
        segment=row["segment"],
        side=row["side"],
        component=row["component"],
        rate=row["rate"],
        first=date.fromisoformat(row["from_date"]),
        last=date.fromisoformat(row["to_date"]) if row["to_date"] else None,
        exchanges=frozenset(row["exchange"].split("|")),
    )


def _rate(row: _Row, component: str) -> Rate:
    lesser = _LESSER_OF.fullmatch(row.rate)
    if lesser is not None:
        return Rate(component, Decimal(lesser[2]), Decimal(lesser[1]))
    if component == "BROKERAGE":
        return Rate(component, Decimal(0), flat=Decimal(row.rate))
    return Rate(component, Decimal(row.rate))


def _rounded(component: str, amount: Decimal) -> Decimal:
    return amount.quantize(Decimal(1), ROUND_HALF_UP) if component in _WHOLE_RUPEES else amount


def _segments(instrument: Instrument, product: Product) -> Iterator[str]:
    """Every segment of the rate table that an instrument and product fall into."""
    option, name = instrument.kind.is_option, instrument.name
    match instrument.exchange:
        case Exchange.NSE | Exchange.BSE:
            yield from ("EQ", "EQ_DELIVERY" if product is Product.DELIVERY else "EQ_INTRADAY")
        case Exchange.CDS | Exchange.BCD:
            yield "CURRENCY_OPTIONS" if option else "CURRENCY_FUTURES"
        case Exchange.MCX | Exchange.NCO:
            farm = "AGRI" if name in _FARM else "NONAGRI"
            yield from (
                ("COMMODITY_OPTIONS",) if option else ("COMMODITY_FUTURES", f"COMMODITY_FUTURES_{farm}")
            )
        case Exchange.NFO | Exchange.BFO:
            yield "OPTIONS" if option else "FUTURES"
            if instrument.exchange is Exchange.BFO and option:
                large = name in ("SENSEX", "BANKEX")
                yield "OPTIONS_SENSEX_BANKEX" if large else "OPTIONS_SENSEX50_STOCKS"

"""The chain's rows, labels, quotes and greeks."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest

from domain.clock import IST
from domain.errors import InvalidRequest, NotFound
from domain.model import Exchange, InstrumentKind
from services.market_data import MarketData
from services.option_chain import Chain, OptionChains
from services.options import Options
from tests.services.market_world import (
    NOON,
    MarketBroker,
    Masters,
    OneFeed,
    StandingClock,
    caller,
    cash,
    chain,
)

EXPIRY = date(2026, 12, 1)
GONE = "NIFTY01DEC2624050PE"
LISTED = [
    cash("NIFTY", Exchange.NSE_INDEX, "0.05"),
    *(leg for leg in chain("NIFTY", EXPIRY, range(23000, 25500, 50)) if leg.symbol != GONE),
]


class Desk:
    def __init__(self) -> None:
        self.clock = StandingClock()
        self.broker = MarketBroker(self.clock)
        masters, feed = Masters.of(LISTED), OneFeed(self.broker)
        market = MarketData(masters, feed, self.clock)
        quote = market.quote(caller(), "NIFTY", Exchange.NSE_INDEX)
        self.broker.overrides["NIFTY"] = replace(quote, last_price=24010.0)
        self.broker.calls.clear()
        self.service = OptionChains(Options(masters, feed, market), market, self.clock)

    def chain(self, **more: object) -> Chain:
        return self.service.chain(caller(), "NIFTY", Exchange.NSE_INDEX, EXPIRY, **more)  # type: ignore[arg-type]


def test_rows_ascend_about_the_money_with_labels_by_place() -> None:
    found = Desk().chain(strike_count=2)
    assert [row.strike for row in found.rows] == [23900, 23950, 24000, 24050, 24100]
    labels = [(row.call and row.call.label, row.put and row.put.label) for row in found.rows]
    assert labels == [("ITM2", "OTM2"), ("ITM1", "OTM1"), ("ATM", "ATM"), ("OTM1", None), ("OTM2", "ITM2")]
    assert found.at_the_money == Decimal(24000)
    assert found.expires_at == datetime(2026, 12, 1, 15, 30, tzinfo=IST)
    assert (found.at, found.forward, found.underlying_quote.last_price) == (NOON, None, 24010.0)


def test_every_strike_is_there_unless_a_count_is_given_and_legs_are_one_call() -> None:
    desk = Desk()
    assert len(desk.chain().rows) == 50
    assert [len(call) for call in desk.broker.calls] == [1, 99]


def test_a_leg_without_a_quote_keeps_its_place() -> None:
    desk = Desk()
    desk.broker.hidden.add("NIFTY01DEC2624000CE")
    row = desk.chain(strike_count=0).rows[0]
    assert row.call is not None
    assert row.call.quote is None
    assert row.put is not None
    assert row.put.quote is not None


def test_greeks_come_only_when_asked_for_and_fit_their_side() -> None:
    desk = Desk()
    assert all(row.call is None or row.call.valued is None for row in desk.chain().rows)
    found = desk.chain(with_greeks=True)
    money = next(row for row in found.rows if row.strike == found.at_the_money)
    assert money.call is not None and money.call.quote is not None
    assert money.put is not None and money.put.quote is not None
    assert found.forward == pytest.approx(24000 + money.call.quote.last_price - money.put.quote.last_price)
    deltas = [row.call.valued.greeks.delta for row in found.rows if row.call and row.call.valued]
    assert deltas == sorted(deltas, reverse=True)
    assert money.call.valued is not None and money.put.valued is not None
    assert money.call.valued.implied_volatility == pytest.approx(
        money.put.valued.implied_volatility, abs=0.05
    )
    assert money.call.valued.greeks.delta - money.put.valued.greeks.delta == pytest.approx(1)


def test_the_forward_is_the_underlying_when_the_pair_has_no_price() -> None:
    desk = Desk()
    desk.broker.hidden.add("NIFTY01DEC2624000CE")
    assert desk.chain(with_greeks=True).forward == 24010.0


def test_an_out_of_the_money_leg_without_time_value_has_delta_nought() -> None:
    desk = Desk()
    leg = next(one for one in LISTED if one.symbol == "NIFTY01DEC2624500CE")
    quote = desk.broker.market.quote(leg, NOON)
    assert quote is not None
    desk.broker.overrides[leg.symbol] = replace(quote, last_price=30_000.0)
    row = next(row for row in desk.chain(with_greeks=True).rows if row.strike == 24500)
    assert row.call is not None and row.call.valued is not None
    assert (row.call.valued.implied_volatility, row.call.valued.greeks.delta) == (0.0, 0.0)


def test_a_chain_needs_an_expiry_and_listed_strikes() -> None:
    desk = Desk()
    with pytest.raises(InvalidRequest, match="expiry_date"):
        desk.service.chain(caller(), "NIFTY", Exchange.NSE_INDEX)
    with pytest.raises(NotFound, match="No CE strikes"):
        desk.service.chain(caller(), "NIFTY", Exchange.NSE_INDEX, date(2027, 1, 5))
    embedded = desk.service.chain(caller(), "NIFTY01DEC26FUT", Exchange.NFO, strike_count=1)
    assert [row.call.instrument.kind for row in embedded.rows if row.call] == [InstrumentKind.CALL] * 3

"""Greeks of listed options: forwards, fallbacks, expired legs, and one bad leg among good ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from domain.clock import IST
from domain.errors import InstrumentNotFound, InvalidRequest, NotFound, PlatformError
from domain.model import Exchange, InstrumentKind
from services.market_data import MarketData
from services.option_greeks import GreeksRequest, OptionGreeks, OptionGreeksDesk, clock_time, value
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
    dated,
)

EXPIRY, TODAY = date(2026, 12, 1), NOON.date()
FUTURE = dated("NIFTY", InstrumentKind.FUTURE, EXPIRY)
LISTED = [
    cash("NIFTY", Exchange.NSE_INDEX, "0.05"),
    FUTURE,
    *chain("NIFTY", EXPIRY, range(23000, 25500, 50)),
    *chain("NIFTY", TODAY, (23000, 24000)),
    *chain("CRUDEOIL", date(2026, 12, 16), range(5000, 6500, 50), Exchange.MCX, 100),
    dated("CRUDEOIL", InstrumentKind.FUTURE, date(2026, 12, 18), exchange=Exchange.MCX, lot=100, tick="1"),
]
CALL = GreeksRequest(symbol="NIFTY01DEC2624000CE", exchange="NFO")


class Desk:
    def __init__(self) -> None:
        self.clock = StandingClock()
        self.broker = MarketBroker(self.clock)
        masters, feed = Masters.of(LISTED), OneFeed(self.broker)
        self.market = MarketData(masters, feed, self.clock)
        self.service = OptionGreeksDesk(Options(masters, feed, self.market), self.market, self.clock)

    def price(self, symbol: str, exchange: str, price: float) -> None:
        quote = self.market.quote(caller(), symbol, exchange)
        self.broker.overrides[symbol] = replace(quote, last_price=price)
        self.broker.calls.clear()


def test_the_contracts_sample_through_the_service() -> None:
    """NIFTY25AUG2626000CE at 435 on 25966.05 with 28.5071 days left."""
    found = value(True, 435.0, 25966.05, 26000.0, 28.5071 / 365, 0.0)
    greeks = found.greeks
    assert round(found.implied_volatility, 2) == 15.6
    assert [
        round(greeks.delta, 4),
        round(greeks.gamma, 6),
        round(greeks.theta, 4),
        round(greeks.vega, 4),
    ] == [
        *(0.4967, 0.000352),
        *(-7.919, 28.9489),
    ]
    assert (found.intrinsic_value, found.note) == (None, "")


def test_an_option_is_valued_on_the_synthetic_future_of_its_expiry() -> None:
    desk = Desk()
    found = desk.service.one(caller(), CALL)
    future = desk.market.quote(caller(), FUTURE.symbol, "NFO").last_price
    assert found.forward == pytest.approx(future, abs=0.15)
    assert found.days_to_expiry == pytest.approx(8 + 3.5 / 24)
    assert 5 < found.valued.implied_volatility < 40
    assert [len(call) for call in desk.broker.calls[:2]] == [1, 2 if abs(found.forward - 24000) < 25 else 3]


def test_the_synthetic_future_failing_the_underlying_is_taken() -> None:
    desk = Desk()
    desk.price("NIFTY", "NSE_INDEX", 24000.0)
    desk.broker.hidden.add("NIFTY01DEC2624000PE")
    assert desk.service.one(caller(), CALL).forward == 24000.0


def test_a_forward_or_an_underlying_of_the_callers_own() -> None:
    desk = Desk()
    assert desk.service.one(caller(), CALL, forward=24100.0).forward == 24100.0
    assert desk.broker.calls == [[CALL.symbol]]
    own = replace(CALL, underlying_symbol=FUTURE.symbol, underlying_exchange="NFO")
    future = desk.market.quote(caller(), FUTURE.symbol, "NFO").last_price
    assert desk.service.one(caller(), own).forward == future
    bare = replace(CALL, underlying_symbol="NIFTY")
    assert (
        desk.service.one(caller(), bare).forward
        == desk.market.quote(caller(), "NIFTY", "NSE_INDEX").last_price
    )
    with pytest.raises(InvalidRequest, match="forward_price"):
        desk.service.one(caller(), CALL, forward=0.0)


def test_a_commodity_option_is_valued_on_its_future() -> None:
    desk = Desk()
    found = desk.service.one(caller(), GreeksRequest(symbol="CRUDEOIL16DEC265700CE", exchange="MCX"))
    future = desk.market.quote(caller(), "CRUDEOIL18DEC26FUT", "MCX").last_price
    assert found.forward == pytest.approx(future, abs=1.1)
    assert found.days_to_expiry == pytest.approx(23 + 11.5 / 24)


def test_an_expiry_time_of_the_callers_own() -> None:
    found = Desk().service.one(caller(), CALL, expiry_time="12:00")
    assert found.days_to_expiry == pytest.approx(8)
    for bad in ("25:00", "12", "12:60", "noon"):
        with pytest.raises(InvalidRequest, match="HH:MM"):
            clock_time(bad)


def test_no_time_value_means_no_volatility_and_a_note() -> None:
    desk = Desk()
    desk.price("NIFTY01DEC2623000CE", "NFO", 900.0)
    found = desk.service.one(caller(), replace(CALL, symbol="NIFTY01DEC2623000CE"), forward=24000.0).valued
    assert (found.implied_volatility, found.greeks.delta, found.greeks.vega) == (0.0, 1.0, 0.0)
    assert (found.intrinsic_value, found.time_value) == (1000.0, 0.0)
    assert found.note


def test_an_expired_option_is_an_error_alone_and_an_answer_among_many() -> None:
    desk = Desk()
    leg = GreeksRequest(symbol="NIFTY23NOV2623000CE", exchange="NFO")
    desk.price(leg.symbol, "NFO", 1010.0)
    desk.price("NIFTY", "NSE_INDEX", 24000.0)
    desk.clock.moment = datetime(2026, 11, 23, 15, 30, tzinfo=IST) + timedelta(minutes=1)
    with pytest.raises(InvalidRequest, match="has expired"):
        desk.service.one(caller(), leg)
    found = desk.service.many(caller(), [leg])[0]
    assert isinstance(found, OptionGreeks)
    assert (found.days_to_expiry, found.valued.greeks.delta, found.valued.note) == (0.0, 0.0, "Expired")
    assert found.valued.intrinsic_value == 1000.0
    assert found.valued.time_value == 10.0


def test_many_keep_their_order_and_one_bad_leg_spoils_none() -> None:
    desk = Desk()
    desk.broker.hidden.add("NIFTY01DEC2624100CE")
    asked = [
        "NIFTY01DEC2624000CE",
        "NIFTY",
        "NIFTY01DEC2699999CE",
        "NIFTY01DEC2624100CE",
        "NIFTY01DEC2624000PE",
    ]
    answers = desk.service.many(caller(), [GreeksRequest(symbol=one, exchange="NFO") for one in asked])
    assert [type(answer) for answer in answers] == [
        *(OptionGreeks, InvalidRequest, InstrumentNotFound, NotFound),
        OptionGreeks,
    ]
    assert len(desk.broker.calls) == 2
    assert all(str(answer) for answer in answers if isinstance(answer, PlatformError))


def test_many_are_between_one_and_fifty() -> None:
    for asked in ([], [CALL] * 51):
        with pytest.raises(InvalidRequest, match="1 to 50"):
            Desk().service.many(caller(), asked)

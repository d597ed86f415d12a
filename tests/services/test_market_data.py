"""Quotes and depth: from a fresh tick, else from the broker; one bad symbol never spoils the rest."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.errors import InstrumentNotFound, NotFound
from domain.market import DepthLevel, Quote, Tick
from domain.model import Exchange, StreamMode
from services.market_data import MarketData
from tests.services.market_world import (
    NOON,
    MarketBroker,
    Masters,
    OneFeed,
    Remembered,
    StandingClock,
    caller,
    cash,
)

RELIANCE, TCS = cash("RELIANCE"), cash("TCS")
NIFTY = cash("NIFTY", Exchange.NSE_INDEX, "0.05")


class Desk:
    def __init__(self, snapshot: Remembered | None = None) -> None:
        self.clock = StandingClock()
        self.broker = MarketBroker(self.clock)
        masters = Masters.of([RELIANCE, TCS, NIFTY])
        self.service = MarketData(masters, OneFeed(self.broker), self.clock, snapshot)


def tick(age: float = 0.5, mode: StreamMode = StreamMode.DEPTH, bid: float = 99.9) -> Tick:
    moment = int((NOON.timestamp() - age) * 1000)
    levels = (DepthLevel(99.9, 10, 1),), (DepthLevel(100.1, 20, 1),)
    return Tick(
        exchange="NSE",
        symbol="RELIANCE",
        mode=mode,
        last_price=100.0,
        ltt=moment,
        timestamp=moment,
        close=98.0,
        volume=5,
        bid=bid,
        ask=100.1 if bid else 0.0,
        bids=levels[0],
        asks=levels[1],
        upper_circuit=110.0,
    )


def test_a_quote_is_the_brokers() -> None:
    desk = Desk()
    quote = desk.service.quote(caller(), "RELIANCE", "NSE")
    assert quote == desk.broker.market.quote(RELIANCE, NOON)


def test_an_unknown_symbol_names_itself() -> None:
    with pytest.raises(InstrumentNotFound, match="'NOPE' not found on exchange 'NSE'"):
        Desk().service.quote(caller(), "NOPE", "NSE")
    with pytest.raises(InstrumentNotFound):
        Desk().service.depth(caller(), "NOPE", "NSE")


def test_many_quotes_are_one_call_in_the_order_asked() -> None:
    desk = Desk()
    desk.broker.hidden.add("TCS")
    keys = [("TCS", "NSE"), ("NOPE", "NSE"), ("NIFTY", "NSE_INDEX"), ("RELIANCE", "NSE")]
    answers = desk.service.quotes(caller(), keys)
    assert isinstance(answers[0], NotFound)
    assert isinstance(answers[1], InstrumentNotFound)
    assert [a.symbol for a in answers[2:] if isinstance(a, Quote)] == ["NIFTY", "RELIANCE"]
    assert desk.broker.calls == [["TCS", "NIFTY", "RELIANCE"]]


def test_a_fresh_tick_answers_without_the_broker() -> None:
    desk = Desk(Remembered({("NSE", "RELIANCE"): tick()}))
    quote = desk.service.quote(caller(), "RELIANCE", "NSE")
    assert (quote.last_price, quote.close, quote.volume, quote.bid) == (100.0, 98.0, 5, 99.9)
    depth = desk.service.depth(caller(), "RELIANCE", "NSE")
    assert (depth.bids[0].quantity, depth.asks[0].price, depth.upper_circuit) == (10, 100.1, 110.0)
    assert desk.broker.calls == []


@pytest.mark.parametrize(
    "seen", [tick(age=10), tick(mode=StreamMode.LTP), tick(mode=StreamMode.QUOTE, bid=0.0)]
)
def test_a_tick_that_is_old_or_says_too_little_does_not_answer(seen: Tick) -> None:
    desk = Desk(Remembered({("NSE", "RELIANCE"): seen}))
    assert desk.service.quote(caller(), "RELIANCE", "NSE").last_price != 100.0
    assert desk.broker.calls == [["RELIANCE"]]


def test_only_what_the_snapshot_lacks_is_asked_of_the_broker() -> None:
    desk = Desk(Remembered({("NSE", "RELIANCE"): tick()}))
    answers = desk.service.quotes(caller(), [("TCS", "NSE"), ("RELIANCE", "NSE")])
    assert [a.last_price == 100.0 for a in answers if isinstance(a, Quote)] == [False, True]
    assert desk.broker.calls == [["TCS"]]


def test_depth_has_five_levels_about_the_last_price() -> None:
    depth = Desk().service.depth(caller(), "RELIANCE", "NSE")
    assert len(depth.bids) == len(depth.asks) == 5
    assert depth.bids[0].price <= depth.quote.last_price <= depth.asks[0].price


def test_a_contract_that_has_expired_has_no_quote() -> None:
    desk = Desk()
    desk.clock.moment = NOON + timedelta(days=1)
    desk.broker.hidden.add("RELIANCE")
    with pytest.raises(NotFound, match="RELIANCE"):
        desk.service.quote(caller(), "RELIANCE", "NSE")

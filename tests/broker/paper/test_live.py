"""A broker's feed as the market of an account in analyze mode: waits for prices, old prices, moves between markets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal as D

import pytest

from broker import facts
from broker.paper import desk
from broker.paper.charges import no_charges
from broker.paper.exchange import PaperExchange
from broker.paper.hours import Hours
from broker.paper.live import LiveFeeds, Pair
from broker.paper.numbers import Numbers
from broker.paper.rules import Terms
from domain.calendar import Calendar
from domain.clock import IST
from domain.market import Tick
from domain.model import OrderState, OrderType, Side
from tests.broker.paper.floor import SHARE, Floor, HandMarket, Hands

FEED = "upstox:7"
CALENDAR = Calendar(facts.holidays(), facts.sessions())
MORNING = datetime(2026, 8, 24, 10, 0, tzinfo=IST)


class Wire:
    """A tick source in which a test puts the ticks."""

    def __init__(self) -> None:
        self.wanted: dict[str, frozenset[Pair]] = {}
        self.arrived: list[tuple[str, Tick]] = []
        self.memory: dict[Pair, Tick] = {}
        self.asked = 0

    def want(self, feed: str, pairs: frozenset[Pair]) -> None:
        self.wanted[feed] = pairs

    def receive(self) -> list[tuple[str, Tick]]:
        arrived, self.arrived = self.arrived, []
        return arrived

    def last(self, feed: str, pairs: Sequence[Pair]) -> list[Tick | None]:
        self.asked += 1
        return [self.memory.get(pair) for pair in pairs]


class LiveFloor(Floor):
    """One account on a broker's feed."""

    def __init__(self) -> None:
        super().__init__()
        self.clock.at = MORNING
        self.wire = Wire()
        self.feeds = LiveFeeds(self.wire, lambda: CALENDAR, self.clock)
        self.live = self.feeds.market(FEED)
        hours = Hours(lambda: CALENDAR)
        numbers = Numbers(lambda _: 0, lambda _: 0)
        self.exchange = PaperExchange(self.live, numbers, Terms(), no_charges, hours=hours, patient=True)

    def step(self, seconds: float = 0.25) -> None:
        self.clock.forward(seconds=seconds)
        for tick in self.live.ticks(self.exchange.watched(), self.clock.now(), self.clock.now()):
            self.exchange.on_tick(tick)
        self.keep_time()

    def hear(self, last: str, spread: int = 1) -> None:
        self.clock.forward(seconds=1)
        self.wire.arrived.append((FEED, HandMarket(self.clock).show(SHARE, last, spread=spread)))


@pytest.fixture
def floor() -> LiveFloor:
    return LiveFloor()


def test_a_market_order_waits_for_the_first_price(floor: LiveFloor) -> None:
    order = floor.buy()
    assert (order.state, order.reserved) == (OrderState.OPEN, 0)
    floor.step()
    assert floor.wire.wanted[FEED] == {("NSE", "RELIANCE")}
    floor.hear("100")
    floor.step()
    assert order.snapshot().average_price == D("100.05")
    assert floor.funds().used == 2001
    floor.check_books()


def test_a_market_order_is_given_up_when_no_price_comes(floor: LiveFloor) -> None:
    order = floor.buy()
    floor.step(70)
    assert order.state is OrderState.CANCELLED and "No price" in order.reason


def test_a_waiting_order_that_turns_out_too_large_is_ended(floor: LiveFloor) -> None:
    order = floor.buy(SHARE, quantity=10_000_000)
    floor.hear("100")
    floor.step()
    assert order.state is OrderState.CANCELLED and "not enough money" in order.reason


def test_a_fresh_price_fills_at_once(floor: LiveFloor) -> None:
    floor.hear("100")
    floor.step()
    assert floor.buy().state is OrderState.COMPLETE


def test_an_old_price_is_shown_but_not_traded_on(floor: LiveFloor) -> None:
    floor.hear("100")
    floor.step()
    floor.buy()
    floor.clock.forward(seconds=30)
    assert floor.position().last_price == 100.0
    waiting = floor.buy()
    assert waiting.filled == 0
    floor.hear("101", spread=0)
    floor.step()
    assert waiting.snapshot().average_price == 101


def test_a_tick_lost_on_the_bus_is_found_in_the_feed_s_memory(floor: LiveFloor) -> None:
    floor.hear("100")
    floor.step()
    stop = floor.sell(SHARE, 10, OrderType.STOP_MARKET, trigger="95")
    floor.clock.forward(seconds=1)
    floor.wire.memory["NSE", "RELIANCE"] = HandMarket(floor.clock).show(SHARE, "94", spread=0)
    floor.step(1.0)
    assert stop.state is OrderState.COMPLETE
    trades = len(floor.account.trades)
    floor.limit(Side.BUY, "94.05", 10)
    floor.step(1.0)
    assert len(floor.account.trades) <= trades + 1


def test_other_feeds_ticks_stay_with_their_own_market(floor: LiveFloor) -> None:
    other = floor.feeds.market("fyers:8")
    floor.buy()
    floor.hear("100")
    assert other.ticks([SHARE], floor.clock.now(), floor.clock.now()) == []
    floor.step()
    assert floor.position().quantity == 100


def test_what_is_looked_at_is_followed_for_a_minute(floor: LiveFloor) -> None:
    assert floor.live.quote(SHARE, floor.clock.now()) is None
    floor.step()
    assert floor.wire.wanted[FEED] == {("NSE", "RELIANCE")}
    floor.step(61)
    assert floor.wire.wanted[FEED] == frozenset()


def test_an_account_moves_to_another_market_when_nothing_is_open(floor: LiveFloor) -> None:
    clock = Hands()
    clock.at = floor.clock.at
    market = HandMarket(clock)
    market.show(SHARE, "200", spread=0)
    paper = PaperExchange(
        market, Numbers(lambda _: 0, lambda _: 0), Terms(), no_charges, floor.exchange.outbox
    )
    floor.hear("100")
    floor.step()
    floor.buy()
    assert desk.moved(floor.exchange, paper, "1") is floor.exchange
    floor.sell()
    capital = floor.funds().available
    assert desk.moved(floor.exchange, paper, "1") is paper
    assert "1" not in floor.exchange.accounts
    floor.exchange = paper
    assert floor.funds().available == capital
    assert floor.account.record.feed == "paper"
    assert floor.buy().snapshot().average_price == 200

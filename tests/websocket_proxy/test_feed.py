"""Brokers' feeds follow what is wanted and who is logged in."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from domain.errors import BrokerUnavailable, SessionOver
from domain.market import Tick
from domain.model import Order
from services.tick_bus import Bus, FeedState, TickSubscriber, Topic, runtime_dir
from websocket_proxy.feed import FeedHub
from websocket_proxy.forwarder import Forwarder

FEED = "zerodha:1"
PAUSES = (0.01, 0.02, 0.04)
TOPIC = Topic(FEED, 2, "NSE", "INFY")


class Login(NamedTuple):
    serial: int
    session: str


class Sinks(NamedTuple):
    ticks: Callable[[Sequence[Tick]], None]
    orders: Callable[[Sequence[Order]], None]
    state: Callable[[str, str], None]


class FakeStream:
    def __init__(self, session: str, sinks: Sinks) -> None:
        self.overflow: set[tuple[str, str]] = set()
        self.sessions = [session]
        self.sinks = sinks
        self.wanted: Any = {}
        self.running = False

    def start(self) -> None:
        self.running = True
        self.sinks.state("live", "")

    def want(self, wants: Any) -> None:
        self.wanted = wants

    async def renew(self, session: str) -> None:
        self.sessions.append(session)

    async def stop(self) -> None:
        self.running = False


class FakeFeeds:
    def __init__(self) -> None:
        self.logins: dict[str, Login] = {FEED: Login(1, "s1")}
        self.streams: list[FakeStream] = []
        self.must_be_up: list[str] = []
        self.applied: list[Sequence[Any]] = []
        self.caught_up: list[str] = []
        self.fails = 0
        self.book_fails = 0

    def login(self, feed: str) -> Login:
        if feed not in self.logins:
            raise SessionOver("log in again")
        return self.logins[feed]

    def open(self, feed: str, login: Login, sinks: Sinks, is_open: Callable[[], bool]) -> FakeStream:
        self.streams.append(FakeStream(login.session, sinks))
        return self.streams[-1]

    def wants(self, feed: str, modes: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
        return dict(modes)

    def always(self) -> list[str]:
        return self.must_be_up

    def is_open(self, feed: str) -> bool:
        return True

    def apply(self, feed: str, orders: Sequence[Order]) -> None:
        time.sleep(0.01 if len(self.applied) == 0 else 0)
        if self.fails:
            self.fails -= 1
            raise OSError("the disk is full")
        self.applied.append(orders)

    def catch_up(self, feed: str) -> None:
        if self.book_fails:
            self.book_fails -= 1
            raise BrokerUnavailable("scripted", text="no answer")
        self.caught_up.append(feed)


class World:
    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.forwarder = Forwarder(Bus(data_dir, "stream"))
        self.forwarder.start()
        self.hub_bus, self.reader_bus = Bus(data_dir, "stream"), Bus(data_dir, "worker")
        self.threads = ThreadPoolExecutor(4)
        self.feeds = FakeFeeds()
        self.hub = FeedHub(
            self.hub_bus, self.feeds, Sinks, self.threads, linger=0.1, look=0.05, pauses=PAUSES
        )
        self.hub.start()
        self.reader = TickSubscriber(self.reader_bus)
        self.states = self.reader_bus.subscriber()
        self.states.subscribe(b"broker|1|")

    @property
    def stream(self) -> FakeStream:
        return self.feeds.streams[-1]

    async def until(self, condition: Callable[[], bool], seconds: float = 4.0) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            await asyncio.sleep(0.005)
        return False

    async def wanted(self, wants: dict[tuple[str, str], int]) -> bool:
        return await self.until(lambda: bool(self.feeds.streams) and self.stream.wanted == wants)

    async def state(self, word: str) -> bool:
        def said() -> bool:
            while self.states.poll(0):
                body = self.states.recv().partition(b"\0")[2]
                if msgspec.json.decode(body, type=FeedState).state == word:
                    return True
            return False

        return await self.until(said)

    async def close(self) -> None:
        await self.hub.stop()
        self.threads.shutdown()
        self.hub_bus.close()
        self.reader_bus.close()
        self.forwarder.stop()
        shutil.rmtree(runtime_dir(self.data_dir))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    yield world
    await world.close()


async def test_a_feed_opens_when_wanted_ticks_and_closes_when_not(world: World) -> None:
    await asyncio.sleep(0.1)
    assert world.feeds.streams == []
    world.reader.want(TOPIC)
    assert await world.wanted({("NSE", "INFY"): 2})
    assert await world.state("live")
    world.stream.sinks.ticks([Tick("NSE", "INFY", 2, 7.0, 1, 1), Tick("NSE", "TCS", 2, 8.0, 1, 1)])
    seen: list[float] = []
    assert await world.until(
        lambda: bool(seen.extend(s.tick().last_price for s in world.reader.receive())) or seen == [7.0]
    )
    world.reader.drop(TOPIC)
    assert await world.until(lambda: not world.stream.running)


async def test_the_paper_feed_is_not_ours(world: World) -> None:
    world.reader.want(TOPIC._replace(feed="paper"))
    await asyncio.sleep(0.3)
    assert world.feeds.streams == []


async def test_a_login_that_ends_is_told_and_the_next_one_restores_everything(world: World) -> None:
    world.reader.want(TOPIC)
    assert await world.wanted({("NSE", "INFY"): 2})
    del world.feeds.logins[FEED]
    assert await world.state("expired")
    assert not world.stream.running
    world.feeds.logins[FEED] = Login(2, "s2")
    assert await world.until(lambda: world.stream.running and world.stream.sessions == ["s2"])
    assert await world.wanted({("NSE", "INFY"): 2})
    assert await world.state("live")


async def test_a_new_login_is_taken_over_by_the_running_feed(world: World) -> None:
    world.reader.want(TOPIC)
    assert await world.wanted({("NSE", "INFY"): 2})
    world.feeds.logins[FEED] = Login(2, "s2")
    assert await world.until(lambda: world.stream.sessions == ["s1", "s2"])
    assert len(world.feeds.streams) == 1


async def test_other_tokens_of_the_same_login_reach_the_running_feed(world: World) -> None:
    """Another process logged in for market data: the open socket belongs to the session that this ended."""
    world.reader.want(TOPIC)
    assert await world.wanted({("NSE", "INFY"): 2})
    world.feeds.logins[FEED] = Login(1, "s2")
    assert await world.until(lambda: world.stream.sessions == ["s1", "s2"])


async def test_order_updates_keep_a_feed_up_and_are_stored_in_order(world: World) -> None:
    world.feeds.must_be_up = [FEED]
    assert await world.until(lambda: bool(world.feeds.streams))
    for number in range(20):
        world.stream.sinks.orders([number])  # type: ignore[list-item]
    assert await world.until(lambda: sum(map(len, world.feeds.applied)) == 20)
    assert [number for found in world.feeds.applied for number in found] == list(range(20))
    assert len(world.feeds.applied) < 20  # what comes together is stored together
    world.feeds.must_be_up = []
    assert await world.until(lambda: not world.stream.running)


async def test_order_news_that_could_not_be_stored_is_stored_soon_and_in_order(world: World) -> None:
    world.feeds.must_be_up = [FEED]
    assert await world.until(lambda: bool(world.feeds.streams))
    world.feeds.fails = 3
    for number in range(20):
        world.stream.sinks.orders([number])  # type: ignore[list-item]
    assert await world.until(lambda: sum(map(len, world.feeds.applied)) == 20)
    assert [number for found in world.feeds.applied for number in found] == list(range(20))


async def test_a_book_that_could_not_be_read_after_a_reconnect_is_read_soon(world: World) -> None:
    world.feeds.book_fails = 2
    world.feeds.must_be_up = [FEED]
    assert await world.until(lambda: world.feeds.caught_up == [FEED])

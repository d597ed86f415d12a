"""The bus between processes: who gets on, what is wanted, and what survives a restart of its middle."""

from __future__ import annotations

import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
import zmq

from domain.market import Tick
from services.bus_keys import ROLES
from services.event_bus import BellListener, EventBus, order_topic
from services.tick_bus import (
    Bus,
    BusAddresses,
    Change,
    FeedState,
    TickPublisher,
    TickSubscriber,
    Topic,
    bus_keys,
    parse_topic,
    runtime_dir,
)
from websocket_proxy.forwarder import Forwarder

TOPIC = Topic("paper", 1, "NSE", "INFY")
TICK = Tick("NSE", "INFY", 2, 1500.5, 1, 2, close=1490.0)


def until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether it became true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return False


class World:
    """A forwarder, a feed and a reader, each with its own context as separate processes would have."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.forwarder = self.start()
        self.feed_bus, self.reader_bus = Bus(data_dir, "exchange"), Bus(data_dir, "worker")
        self.feed = TickPublisher(self.feed_bus, lambda feed: feed == "paper", time.monotonic, linger=0.2)
        self.reader = TickSubscriber(self.reader_bus)

    def start(self) -> Forwarder:
        forwarder = Forwarder(Bus(self.data_dir, "stream"))
        forwarder.start()
        return forwarder

    def changes(self, count: int = 1, seconds: float = 5.0) -> list[Change]:
        """Polls the feed until `count` changes came. The reader turns too, as it would in its own process."""
        found: list[Change] = []

        def enough() -> bool:
            found.extend(self.feed.poll())
            return len(found) >= count

        until(enough, seconds)
        return found

    def prices(self, count: int = 1) -> list[float]:
        found: list[float] = []

        def enough() -> bool:
            self.feed.poll()
            found.extend(seen.tick().last_price for seen in self.reader.receive())
            return len(found) >= count

        until(enough)
        return found

    def close(self) -> None:
        self.feed_bus.close()
        self.reader_bus.close()
        self.forwarder.stop()
        shutil.rmtree(runtime_dir(self.data_dir))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_a_topic_is_read_back_only_when_it_is_whole() -> None:
    assert parse_topic(TOPIC.encode()) == TOPIC
    assert parse_topic(Topic("zerodha:5", 3, "NSE_INDEX", "NIFTY 50").encode()).symbol == "NIFTY 50"  # type: ignore[union-attr]
    for other in (
        b"tick|",
        b"tick|paper|1|NSE|INFY",
        b"tick|paper|4|NSE|INFY|",
        b"order|1|",
        b"tick|p|1|\xff|x|",
    ):
        assert parse_topic(other) is None


def test_keys_are_made_once_and_are_private(tmp_path: Path) -> None:
    made: list[object] = []
    threads = [threading.Thread(target=lambda: made.append(bus_keys(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8 and all(keys == made[0] for keys in made)
    folder = tmp_path / "keys" / "bus"
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    files = list(folder.iterdir())
    assert {file.stem for file in files} == set(ROLES)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert bus_keys(tmp_path).pair("web").secret.decode() not in repr(bus_keys(tmp_path))


def test_endpoints_depend_on_the_data_directory_alone(tmp_path: Path) -> None:
    long = tmp_path / ("d" * 120)
    first, again = BusAddresses.of(long), BusAddresses.of(long)
    assert first == again != BusAddresses.of(tmp_path / "other")
    assert len(first.subscribe.removeprefix("ipc://")) < 100
    assert stat.S_IMODE(Path(first.publish.removeprefix("ipc://")).parent.stat().st_mode) == 0o700
    tcp = BusAddresses.of(long, "tcp://10.0.0.5:6000")
    assert (tcp.publish, tcp.exchange) == ("tcp://10.0.0.5:6000", "tcp://10.0.0.5:6003")


def test_ticks_reach_those_who_want_exactly_them(world: World) -> None:
    world.reader.want(TOPIC)
    assert world.changes() == [Change(TOPIC, True)]
    world.feed.tick("paper", TICK)
    world.feed.tick("paper", TICK._replace(symbol="TCS"))
    world.feed.tick("zerodha:1", TICK._replace(last_price=9.0))
    world.feed.tick("paper", TICK._replace(last_price=1501.0))
    assert world.prices(2) == [1500.5, 1501.0]


def test_a_tick_is_published_only_in_modes_it_can_fill(world: World) -> None:
    deep, quote = TOPIC._replace(mode=3), TOPIC._replace(mode=2)
    for topic in (TOPIC, quote, deep):
        world.reader.want(topic)
    world.changes(3)
    assert world.feed.wanted("paper") == {("NSE", "INFY"): 3}
    world.feed.tick("paper", TICK)
    seen: list[int] = []
    assert until(lambda: bool(seen.extend(s.topic.mode for s in world.reader.receive())) or len(seen) == 2)
    assert sorted(seen) == [1, 2]


def test_a_topic_lingers_and_a_return_gets_the_last_value(world: World) -> None:
    world.reader.want(TOPIC)
    world.changes()
    world.feed.tick("paper", TICK)
    assert world.prices() == [1500.5]
    world.reader.drop(TOPIC)
    until(lambda: bool(world.feed.poll()), 0.1)
    assert world.feed.wanted("paper") == {("NSE", "INFY"): 1}
    world.reader.want(TOPIC)
    assert world.prices() == [1500.5]
    world.reader.drop(TOPIC)
    assert world.changes() == [Change(TOPIC, False)]
    assert world.feed.wanted("paper") == {}


def test_what_a_dead_reader_wanted_goes(world: World) -> None:
    crashed = Bus(world.data_dir, "web")
    reader = TickSubscriber(crashed)
    reader.want(TOPIC)
    assert world.changes() == [Change(TOPIC, True)]
    crashed.close()
    assert world.changes() == [Change(TOPIC, False)]


def test_a_gap_is_told(world: World) -> None:
    world.reader.want(TOPIC)
    world.changes()
    for number, price in ((1, 1.0), (2, 2.0), (5, 3.0), (1, 4.0)):
        world.feed._lines[("paper", "NSE", "INFY")][1].seq = number - 1
        world.feed.tick("paper", TICK._replace(last_price=price))
    gaps: list[bool] = []
    assert until(lambda: bool(gaps.extend(seen.gap for seen in world.reader.receive())) or len(gaps) == 4)
    assert gaps == [False, False, True, True]


def test_everything_returns_when_the_forwarder_does(world: World) -> None:
    topics = [TOPIC._replace(symbol=f"S{number}") for number in range(9000)]
    for topic in topics:
        world.reader.want(topic)
    assert len(world.changes(9000)) == 9000
    for topic in topics:
        world.feed.tick("paper", TICK._replace(symbol=topic.symbol))
    assert len(world.prices(9000)) == 9000
    world.forwarder.stop()
    time.sleep(0.1)
    world.forwarder = world.start()
    started = time.monotonic()
    assert len(world.prices(9000)) == 9000, "the feed repeats each last value by itself"
    assert time.monotonic() - started < 3


def test_a_feed_tells_its_state_at_once_and_again(world: World) -> None:
    listener = world.reader_bus.subscriber()
    listener.subscribe(b"broker|")
    time.sleep(0.1)
    world.feed.state(FeedState("paper", "paper", "live", 1))
    texts: list[bytes] = []

    def twice() -> bool:
        world.feed.poll()
        if listener.poll(10):
            texts.append(listener.recv())
        return len(texts) >= 2

    assert until(twice, 3)
    topic, _, body = texts[1].partition(b"\0")
    assert topic == b"broker|paper|"
    assert msgspec.json.decode(body, type=FeedState).state == "live"


def test_bells_ring_by_topic(world: World) -> None:
    listener = BellListener(world.reader_bus, order_topic(1), "job|")
    bell = EventBus(world.feed_bus)
    assert until(lambda: bool(bell.ring(order_topic(1))) or bool(listener.wait(0.05)))
    listener.wait(0.1)
    for topic in ("order|1|", "order|11|", "job|7|", "job|7|", "log|1|"):
        bell.ring(topic)
    heard: set[str] = set()
    assert until(lambda: bool(heard.update(listener.wait(0.05))) or heard == {"order|1|", "job|7|"})
    assert listener.wait(0.05) == set()


@pytest.mark.parametrize("stranger", ["no key", "own key"])
def test_a_process_without_a_key_changes_nothing(world: World, stranger: str) -> None:
    world.reader.want(TOPIC)
    world.changes()
    context = zmq.Context()
    sockets = []
    try:
        for kind, end in ((zmq.PUB, "publish"), (zmq.SUB, "subscribe")):
            socket = context.socket(kind)
            socket.linger = 0
            if stranger == "own key":
                socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
                socket.curve_serverkey = world.reader_bus.keys.pair("stream").public
            socket.connect(getattr(world.reader_bus.addresses, end))
            sockets.append(socket)
        forger, listener = sockets
        listener.subscribe(b"")
        time.sleep(0.3)
        for _ in range(20):
            forger.send(TOPIC.encode() + b"\x001\0" + b'{"ltp":1.0,"ltt":1,"timestamp":1}')
        world.feed.tick("paper", TICK)
        assert world.prices() == [1500.5]
        assert world.reader.receive() == []
        assert listener.poll(200) == 0
        assert world.feed.wanted("paper") == {("NSE", "INFY"): 1}
    finally:
        for socket in sockets:
            socket.close()
        context.term()


def test_a_second_forwarder_is_refused(world: World) -> None:
    second = Bus(world.data_dir, "stream")
    with pytest.raises(OSError):
        Forwarder(second)
    second.close()


def test_a_process_that_rings_nothing_does_not_grow(world: World) -> None:
    idle = EventBus(world.feed_bus)

    def churn(times: int) -> None:
        for number in range(times):
            topic = Topic("paper", 1, "NSE", f"S{number % 10}")
            world.reader.want(topic)
            if number % 10 == 9:
                time.sleep(0.0005)
                world.feed.poll()
            world.reader.drop(topic)

    churn(2000)
    time.sleep(0.3)
    before = psutil.Process().memory_info().rss
    churn(10_000)
    time.sleep(0.3)
    assert psutil.Process().memory_info().rss - before < 6 << 20
    idle.close()

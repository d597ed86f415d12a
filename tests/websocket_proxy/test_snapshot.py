"""The last tick, as another process asks for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest
import zmq

from services.snapshot import Snapshots
from services.tick_bus import Bus
from tests.websocket_proxy.world import World

T = TypeVar("T")


class Asker:
    """The web role, asking in a thread."""

    def __init__(self, world: World) -> None:
        self.bus = Bus(world.data_dir, "web")
        self.snapshots = Snapshots(self.bus, budget=1.0)

    async def __call__(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.to_thread(call, *arguments)


@pytest.fixture
async def asker(world: World) -> AsyncIterator[Asker]:
    asker = Asker(world)
    yield asker
    asker.bus.close()


async def test_fresh_ticks_answer_the_others_do_not(world: World, asker: Asker) -> None:
    talker = await world.client()
    await talker.ask(action="subscribe", symbols=[{"symbol": "INFY", "exchange": "NSE"}], mode=2)
    assert await world.wanted(("INFY", 2))
    world.tick("INFY", price=1500.5)
    await talker.ticks(1)
    found = await asker(asker.snapshots.last, "paper", [("NSE", "INFY"), ("NSE", "TCS")])
    assert found[1] is None
    assert found[0] is not None and (found[0].last_price, found[0].mode, found[0].close) == (
        1500.5,
        2,
        1490.0,
    )
    assert await asker(asker.snapshots.last, "zerodha:1", [("NSE", "INFY")]) == [None]


async def test_the_richest_tick_wins(world: World, asker: Asker) -> None:
    talker = await world.client()
    for mode in (1, 3):
        await talker.ask(action="subscribe", symbols=[{"symbol": "INFY", "exchange": "NSE"}], mode=mode)
    assert await world.wanted(("INFY", 3))
    world.tick("INFY")
    await talker.ticks(2)
    (found,) = await asker(asker.snapshots.last, "paper", [("NSE", "INFY")])
    assert found is not None and found.mode == 3 and len(found.bids) == 1


async def test_a_dead_feeds_last_tick_is_known_but_not_fresh(world: World, asker: Asker) -> None:
    talker = await world.client()
    await talker.ask(action="subscribe", symbols=[{"symbol": "INFY", "exchange": "NSE"}], mode=2)
    assert await world.wanted(("INFY", 2))
    world.tick("INFY")
    await talker.ticks(1)
    world.live("stale")
    assert await world.until(lambda: not world.server.states.is_live("paper"))
    assert await asker(asker.snapshots.last, "paper", [("NSE", "INFY")]) == [None]
    entries = await asker(asker.snapshots.ask, "paper", [("NSE", "INFY")])
    assert entries is not None and entries[0] is not None
    assert (entries[0].fresh, entries[0].age < 5) == (False, True)


async def test_ticks_that_only_another_process_wants_are_known_too(world: World, asker: Asker) -> None:
    from services.tick_bus import TickSubscriber, Topic

    reader = TickSubscriber(asker.bus)
    reader.want(Topic("paper", 2, "NSE", "TCS"))
    assert await world.wanted(("TCS", 2))
    world.tick("TCS", price=3000.0)
    assert await world.until(lambda: bool(world.server.fanout.last))
    (found,) = await asker(asker.snapshots.last, "paper", [("NSE", "TCS")])
    assert found is not None and found.last_price == 3000.0
    reader.close()


async def test_nonsense_is_not_answered_and_harms_nothing(world: World, asker: Asker) -> None:
    socket = asker.bus.connect(zmq.DEALER, asker.bus.addresses.snapshot, "stream")
    assert socket.poll(2000, zmq.POLLOUT)
    for payload in (b"", b"\xff\xff", b"\x93\x01\x02"):
        socket.send(payload)
    assert await asker(asker.snapshots.ask, "paper", []) == []
    assert socket.poll(50) == 0
    socket.close()


def test_nobody_waits_for_a_stream_role_that_is_away(tmp_path) -> None:  # type: ignore[no-untyped-def]
    bus = Bus(tmp_path, "web")
    snapshots = Snapshots(bus, budget=0.05)
    begun = time.monotonic()
    assert snapshots.last("paper", [("NSE", "INFY")]) == [None]
    assert time.monotonic() - begun < 0.5
    begun = time.monotonic()
    for _ in range(100):
        assert snapshots.ask("paper", [("NSE", "INFY")]) is None
    assert time.monotonic() - begun < 0.05
    bus.close()


async def test_the_role_tells_how_it_does(world: World, asker: Asker) -> None:
    talker = await world.client()
    await talker.ask(action="subscribe", symbols=[{"symbol": "INFY", "exchange": "NSE"}], mode=1)
    assert await world.wanted(("INFY", 1))
    world.tick("INFY", price=1500.5)
    await talker.ticks(1)
    found = await asker(asker.snapshots.stats)
    assert found is not None
    assert (found.clients, found.unauthenticated, found.slow, found.topics) == (1, 0, 0, 1)
    assert found.frames >= 1 and found.bus_messages >= 1 and found.feeds["paper"] == "live"
    next(iter(world.server.clients)).close(1013, "messages were not read")
    again = await asker(asker.snapshots.stats)
    assert again is not None and (again.clients, again.closes) == (0, {1013: 1})

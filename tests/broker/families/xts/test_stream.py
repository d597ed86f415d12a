"""XTS's socket: Engine.IO pings are answered, partial events build on what was heard, binary packets are no prices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import websockets

from broker.families.xts.stream import XtsStream
from broker.stream import StreamSinks, Want
from broker.stream_line import Line, LoginRefused
from domain.market import Tick
from domain.model import Exchange, StreamMode
from tests.broker.contract.world import World

pytestmark = pytest.mark.asyncio


@pytest.fixture
def world() -> Iterator[World]:
    made = World("jainamxts")
    yield made
    made.close()


class Said:
    """A stream that knows one share, with nothing behind it."""

    def __init__(self, world: World) -> None:
        cls = world.cls.stream
        assert cls is not None and issubclass(cls, XtsStream)
        sinks = StreamSinks(lambda _: None, lambda _: None, lambda *_: None)
        self.stream = cls("f", world.session(), world.find, world.clock, sinks, lambda: True)
        self.line = Line(self.stream, 0)
        self.one = world.instrument()
        number = 1, int(self.one.broker_token)
        self.stream._known[number] = Want(self.one, StreamMode.QUOTE)
        self.head = dict(zip(("ExchangeSegment", "ExchangeInstrumentID"), number, strict=True))

    def event(self, name: str, payload: Any) -> list[Tick]:
        return self.stream.parse("42" + json.dumps([name, payload]), self.line)


async def test_a_partial_event_keeps_what_was_heard(world: World) -> None:
    said = Said(world)
    touch = {"LastTradedPrice": 1500, "Close": 1485, "Open": 1490, "BidInfo": {"Price": 1499, "Size": 5}}
    said.event("1501-json-full", json.dumps({**said.head, "Touchline": touch}))
    (tick,) = said.event("1501-json-partial", json.dumps({**said.head, "LastTradedPrice": 1501.5}))
    assert (tick.last_price, tick.close, tick.open, tick.bid) == (1501.5, 1485, 1490, 1499)


async def test_a_compact_partial_is_read_and_its_unknown_cells_are_not(world: World) -> None:
    said = Said(world)
    text = f"t:1_{said.one.broker_token},110:2067.75,111:4,114:2050,999:x"
    (tick,) = said.event("1105-json-partial", text)
    assert (tick.last_price, tick.last_quantity, tick.open) == (2067.75, 4, 2050)


async def test_interest_alone_is_no_tick(world: World) -> None:
    said = Said(world)
    assert said.event("1510-json-full", json.dumps({**said.head, "OpenInterest": 7})) == []
    (tick,) = said.event("1512-json-full", json.dumps({**said.head, "LastTradedPrice": 9}))
    assert tick.open_interest == 7


async def test_an_instrument_of_another_segment_is_not_taken_for_it(world: World) -> None:
    said = Said(world)
    told = {**said.head, "ExchangeSegment": 2, "LastTradedPrice": 9}
    assert said.event("1512-json-full", json.dumps(told)) == []


async def test_a_refused_join_says_the_servers_words(world: World) -> None:
    said = Said(world)
    with pytest.raises(LoginRefused, match="Invalid Token"):
        said.stream.parse('44{"message":"Invalid Token"}', said.line)


async def test_the_servers_pings_are_answered(world: World) -> None:
    world.simulator.engine_ping = 0.05  # type: ignore[attr-defined]
    async with world.stream() as feed:
        feed.want((world.instrument(), StreamMode.QUOTE))
        await feed.until(lambda: world.simulator.pongs >= 3)  # type: ignore[attr-defined]
        assert feed.states == ["live"]


async def test_binary_packets_are_replaced_by_quotes_and_never_guessed(world: World) -> None:
    one = world.instrument()
    world.simulator.publish = "binary"  # type: ignore[attr-defined]
    async with world.stream() as feed:
        type(feed.stream).poll_every = 0.05  # type: ignore[attr-defined]
        type(feed.stream).stale_after = 0.4
        feed.want((one, StreamMode.DEPTH))
        await feed.until(lambda: feed.ticks)
        world.tick(one, 1511)
        tick = await feed.tick_of(one, 1511)
        assert len(tick.bids) == 5
        await asyncio.sleep(0.8)
        assert feed.states == ["live"]
        world.simulator.publish = "json"  # type: ignore[attr-defined]
        world.tick(one, 1512)
        await feed.tick_of(one, 1512)
        assert {tick.last_price for tick in feed.ticks} <= {1500.0, 1511.0, 1512.0}


async def test_what_is_subscribed_already_counts_as_subscribed(world: World) -> None:
    one = world.instrument()
    async with world.stream() as feed:
        feed.want((one, StreamMode.QUOTE))
        await feed.until(lambda: feed.ticks)
        world.simulator.ws_close(1006)
        await feed.until(lambda: world.sent("subscribe") == 2)
        await feed.until(lambda: not feed.stream.unconfirmed)
        await feed.until(lambda: feed.states[-1] == "live")


async def test_contracts_bring_their_open_interest(world: World) -> None:
    one = world.one_of(Exchange.NFO)
    assert one is not None
    async with world.stream() as feed:
        feed.want((one, StreamMode.QUOTE))
        await feed.until(lambda: any(tick.open_interest for tick in feed.ticks))


async def test_a_feed_that_stops_leaves_no_task(world: World) -> None:
    async with world.stream() as feed:
        feed.want((world.instrument(), StreamMode.QUOTE))
        await feed.until(lambda: feed.ticks)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_simulator_speaks_engine_3_too(world: World) -> None:
    token = world.tokens.values["market_token"]
    user = world.tokens.values["market_user_id"]
    address = f"{world.simulator.urls['stream']}/?token={token}&userID={user}&EIO=3&transport=websocket"
    async with websockets.connect(address) as socket:
        assert str(await socket.recv()).startswith("0{")
        assert await socket.recv() == "40"
        assert '"joined"' in str(await socket.recv())
        await socket.send("2")
        assert await socket.recv() == "3"


async def test_what_is_wanted_again_is_not_shown_at_the_price_of_before(world: World) -> None:
    said = Said(world)
    wanted = [Want(said.one, StreamMode.QUOTE)]
    said.event("1501-json-full", json.dumps({**said.head, "Touchline": {"LastTradedPrice": 1500}}))
    said.stream.build_unsubscribe(wanted)
    said.stream.build_subscribe(wanted)
    assert said.event("1510-json-full", json.dumps({**said.head, "OpenInterest": 7})) == []
    (tick,) = said.event("1501-json-full", json.dumps({**said.head, "LastTradedPrice": 1501}))
    assert (tick.last_price, tick.open_interest) == (1501, 7)
    await said.stream.stop()


async def test_a_compact_partial_moves_the_best_of_the_book(world: World) -> None:
    said = Said(world)
    text = f"t:1_{said.one.broker_token},ltp:2067.75,ai:0|30|2068|2,ai:1|9|2069|1,bi:0|20|2067.5|3"
    (tick,) = said.event("1501-json-partial", text)
    assert (tick.bid, tick.bid_quantity, tick.ask, tick.ask_quantity) == (2067.5, 20, 2068, 30)

"""Who gets in, who must leave, and what a socket that does not read does to the others: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import websockets

from bench.ws_client import LoadClient
from tests.websocket_proxy.world import KEY, OTHER_KEY, World, identity
from websocket_proxy.client import CONTROL_LANE, HIGH_WATER
from websocket_proxy.limits import Limits


@pytest.fixture
async def tight(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose limits can be reached in a test."""
    limits = Limits(
        connections=6,
        waiting=3,
        per_account=2,
        subscriptions=3,
        per_message=5,
        grace=0.4,
        attempts=3,
        ping_every=0.3,
        stalled=1.0,
        recheck=60,
    )
    world = World(tmp_path, limits)
    await world.open()
    yield world
    await world.close()


def entries(*symbols: str) -> list[dict[str, str]]:
    return [{"symbol": symbol, "exchange": "NSE"} for symbol in symbols]


async def refused(world: World, **options: Any) -> int:
    """The HTTP status a handshake was refused with."""
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await world.connect(**options)
    return refusal.value.response.status_code


# -- the handshake
async def test_any_path_is_a_socket_and_health_is_a_page(world: World) -> None:
    async with websockets.connect(f"{world.url}/any/path?x=1") as opened:
        await opened.send('{"action":"ping"}')
        assert json.loads(await opened.recv())["type"] == "pong"
    for path, status in ((b"/health", b"200"), (b"/", b"426")):
        reader, writer = await asyncio.open_connection("127.0.0.1", world.server.port)
        writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.read()).split()[1] == status
        writer.close()


@pytest.mark.parametrize(
    ("origin", "is_in"),
    [
        ("http://127.0.0.1:5000", True),
        ("HTTP://127.0.0.1:5000/", True),
        ("{own}", True),
        ("https://evil.example", False),
        ("null", False),
        ("http://127.0.0.1:5001", False),
        ("http://sub.127.0.0.1:5000", False),
        ("", False),
    ],
)
async def test_only_known_pages_may_open_a_socket(world: World, origin: str, is_in: bool) -> None:
    headers = {"Origin": origin.format(own=world.url.replace("ws:", "http:"))}
    if is_in:
        talker = await world.connect(headers)
        assert (await talker.ask(action="ping"))["type"] == "pong"
    else:
        assert await refused(world, headers=headers) == 403


async def test_compression_is_not_agreed_and_not_accepted(world: World) -> None:
    talker = await world.connect(compression="deflate")
    assert talker.socket.response is not None
    assert "Sec-WebSocket-Extensions" not in talker.socket.response.headers
    raw = await asyncio.to_thread(LoadClient, world.server.port)
    await asyncio.to_thread(raw.send, 0x81 | 0x40, b'{"action":"ping"}')
    assert (await asyncio.to_thread(raw.socket.recv, 100))[2:4] == (1002).to_bytes(2, "big")
    raw.close()


async def test_no_more_sockets_than_there_is_room_for(tight: World) -> None:
    waiting = [await tight.connect() for _ in range(3)]
    assert await refused(tight) == 503
    for number, talker in enumerate(waiting[:2]):
        await talker.ask(action="authenticate", api_key=(KEY, OTHER_KEY)[number])
    assert (await (await tight.connect()).ask(action="ping"))["type"] == "pong"


async def test_no_more_sockets_of_one_account(tight: World) -> None:
    kept = [await tight.client() for _ in range(2)]
    third = await tight.connect()
    answer = await third.ask(action="authenticate", api_key=KEY)
    assert (answer["status"], answer["code"]) == ("error", "LIMIT_EXCEEDED")
    assert (await third.closed())[0] == 1013
    await kept[0].ask(action="authenticate", api_key=KEY)
    await kept[1].socket.close()
    assert await tight.until(lambda: len(tight.server.clients) == 1)
    await tight.client()


# -- time
async def test_who_does_not_authenticate_is_closed_after_the_grace(tight: World) -> None:
    silent, wrong = await tight.connect(), await tight.connect()
    await wrong.ask(action="authenticate", api_key="wrong")
    begun = time.monotonic()
    assert await silent.closed() == (4401, "auth timeout")
    assert await wrong.closed() == (4401, "auth timeout")
    assert time.monotonic() - begun < 1.5


async def test_too_many_wrong_keys_end_the_socket(tight: World) -> None:
    talker = await tight.connect()
    for _ in range(3):
        await talker.ask(action="authenticate", api_key="wrong")
    assert await talker.closed() == (4401, "too many attempts")


async def test_who_does_not_answer_pings_is_closed(tight: World) -> None:
    raw = await asyncio.to_thread(LoadClient, tight.server.port)
    await asyncio.to_thread(raw.ask, "auth", action="authenticate", api_key=KEY)
    answers = await tight.client()
    heard = b""
    while not heard.endswith(b"keepalive ping timeout"):
        heard += await asyncio.wait_for(asyncio.to_thread(raw.socket.recv, 1000), 5)
    assert b"\x89\x00" in heard and (1011).to_bytes(2, "big") in heard
    assert (await answers.ask(action="ping"))["type"] == "pong"
    raw.close()


async def test_everybody_is_told_when_the_server_ends(world: World) -> None:
    talker = await world.client()
    stopping = asyncio.create_task(world.server.stop())
    assert await talker.closed() == (1001, "server shutdown")
    await stopping
    await world.server.start("127.0.0.1", 0)


# -- size
async def test_a_message_beyond_a_mebibyte_closes(world: World) -> None:
    neighbour = await world.client()
    talker = await world.connect()
    await talker.socket.send("x" * (1 << 20))
    assert (await talker.hear())["code"] == "INVALID_JSON"
    with contextlib.suppress(websockets.ConnectionClosed):
        await talker.socket.send("x" * ((1 << 20) + 1))
    assert (await talker.closed())[0] == 1009
    assert (await neighbour.ask(action="ping"))["type"] == "pong"


async def test_fragments_count_together(world: World) -> None:
    talker = await world.connect()
    await talker.socket.send(['{"action":', '"ping"', "}"])
    assert (await talker.hear())["type"] == "pong"
    with contextlib.suppress(websockets.ConnectionClosed):
        await talker.socket.send(["x" * 300_000] * 5)
    assert (await talker.closed())[0] == 1009


@pytest.mark.parametrize("opcodes", [[0x80], [0x01, 0x81], [0x01, 0x80, 0x80]])
async def test_fragments_out_of_order_close(world: World, opcodes: list[int]) -> None:
    raw = await asyncio.to_thread(LoadClient, world.server.port)
    for opcode in opcodes:
        await asyncio.to_thread(raw.send, opcode, b'{"action":"ping"}')
    heard = b""
    while (1002).to_bytes(2, "big") not in heard:
        part = await asyncio.to_thread(raw.socket.recv, 1000)
        assert part, "closed without a reason"
        heard += part
    raw.close()


async def test_a_hundred_thousand_symbols_are_an_answer(world: World) -> None:
    talker = await world.client()
    message = {"action": "subscribe", "symbols": [{}] * 100_000, "mode": 1}
    await talker.socket.send(json.dumps(message, separators=(",", ":")))
    answer = await talker.hear()
    assert (answer["code"], answer["status"]) == ("LIMIT_EXCEEDED", "error")


async def test_nine_thousand_symbols_are_subscribed_and_complete(world: World) -> None:
    talker = await world.client()
    symbols = [f"S{number}" for number in range(9000)]
    answer = await talker.ask(action="subscribe", symbols=entries(*symbols), mode=1)
    assert answer["status"] == "success" and len(answer["subscriptions"]) == 9000
    assert await world.until(lambda: len(world.feed.wanted("paper")) == 9000)
    for symbol in symbols:
        world.tick(symbol)
    assert {frame["symbol"] for frame in await talker.ticks(9000)} == set(symbols)


async def test_more_subscriptions_than_a_socket_may_hold(tight: World) -> None:
    talker = await tight.client()
    answer = await talker.ask(action="subscribe", symbols=entries("S1", "S2", "S3", "S4"), mode=1)
    assert [result["status"] for result in answer["subscriptions"]] == ["success"] * 3 + ["error"]
    assert answer["subscriptions"][3]["message"].startswith("Maximum capacity reached")
    again = await talker.ask(action="subscribe", symbols=entries("S1"), mode=1)
    assert again["status"] == "success", "what is held already is no new subscription"
    assert (await talker.ask(action="subscribe", symbols=entries(*"ABCDEF"), mode=1))[
        "code"
    ] == "LIMIT_EXCEEDED"


# -- slow ones
def stalling(world: World) -> LoadClient:
    """A client with a small receive buffer that will not read."""
    raw = LoadClient(world.server.port)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
    raw.ask("auth", action="authenticate", api_key=OTHER_KEY)
    symbols = entries(*(f"S{number}" for number in range(100)))
    raw.ask("subscribe", action="subscribe", symbols=symbols, mode=3)
    return raw


async def flood(world: World, rounds: int) -> None:
    for number in range(rounds):
        for symbol in range(100):
            world.tick(f"S{symbol}", price=float(number))
        await asyncio.sleep(0.001)


async def test_a_socket_that_does_not_read_is_conflated_and_hurts_nobody(world: World) -> None:
    slow = await asyncio.to_thread(stalling, world)
    good = await world.client()
    await good.ask(action="subscribe", symbols=entries("INFY"), mode=1)
    await flood(world, 30)
    (stalled,) = [
        client for client in world.server.clients if client.key == "" and client.held and client.slow
    ]
    held = stalled._raw.get_write_buffer_size() + sum(map(len, stalled.out))
    assert held <= 256 << 10, "what we hold for one client"
    assert len(stalled.dirty) <= 100
    await flood(world, 100)
    assert stalled._raw.get_write_buffer_size() <= held + 1, "nothing more is written to it"
    worst = 0.0
    for number in range(50):
        begun = time.monotonic()
        world.tick("INFY", price=float(number))
        await good.ticks(1)
        worst = max(worst, time.monotonic() - begun)
    assert worst < 0.25
    slow.close()


async def test_a_socket_that_reads_again_gets_the_latest_of_everything(world: World) -> None:
    slow = await asyncio.to_thread(stalling, world)
    await flood(world, 60)
    for symbol in range(100):
        world.tick(f"S{symbol}", price=12345.0)
    await asyncio.sleep(0.05)
    last: dict[str, float] = {}

    def read() -> None:
        slow.socket.settimeout(1.0)
        with contextlib.suppress(TimeoutError):
            while len(last) < 100 or any(price != 12345.0 for price in last.values()):
                frame = json.loads(slow._next())
                last[frame["symbol"]] = frame["data"]["ltp"]

    await asyncio.to_thread(read)
    assert len(last) == 100 and set(last.values()) == {12345.0}
    (client,) = [client for client in world.server.clients if client.held]
    assert await world.until(lambda: not client.slow), "and it is a fast one again"
    slow.close()


async def test_a_socket_that_never_reads_is_closed(tight: World) -> None:
    tight.access.keys[OTHER_KEY] = identity(user="other", account_id=2, proof=OTHER_KEY)
    raw = await asyncio.to_thread(LoadClient, tight.server.port)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
    await asyncio.to_thread(raw.ask, "auth", action="authenticate", api_key=OTHER_KEY)
    await asyncio.to_thread(raw.ask, "subscribe", action="subscribe", symbols=entries("S1"), mode=3)
    begun = time.monotonic()
    while tight.server.clients and time.monotonic() - begun < 10:
        tight.tick("S1")
        await asyncio.sleep(0)
    assert not tight.server.clients
    raw.close()


async def test_who_does_not_read_order_events_is_closed_and_others_get_them_all(tight: World) -> None:
    raw = await asyncio.to_thread(LoadClient, tight.server.port)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
    await asyncio.to_thread(raw.ask, "auth", action="authenticate", api_key=KEY)
    await asyncio.to_thread(raw.ask, "subscribe_orders", action="subscribe_orders")
    (stalled,) = tight.server.clients
    good = await tight.client()
    await good.ask(action="subscribe_orders")
    for _ in range(4000):
        tight.events.add()
    tight.bell.ring("order|1|")
    assert [(await good.hear())["seq"] for _ in range(4000)] == list(range(1, 4001))
    assert stalled._control_bytes + stalled._raw.get_write_buffer_size() <= CONTROL_LANE + HIGH_WATER
    assert await tight.until(lambda: stalled.closing)
    raw.close()


async def test_who_reads_order_events_late_gets_every_one_in_order(world: World) -> None:
    raw = await asyncio.to_thread(LoadClient, world.server.port)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
    await asyncio.to_thread(raw.ask, "auth", action="authenticate", api_key=KEY)
    await asyncio.to_thread(raw.ask, "subscribe_orders", action="subscribe_orders")
    for _ in range(4):
        for _ in range(1000):
            world.events.add()
        world.bell.ring("order|1|")
        await asyncio.sleep(0.1)

    def read() -> list[int]:
        return [json.loads(raw._next())["seq"] for _ in range(4001)]

    reading = asyncio.create_task(asyncio.to_thread(read))
    await asyncio.sleep(0.2)
    world.order()
    assert await reading == list(range(1, 4002))
    raw.close()


async def test_a_flood_of_questions_slows_only_who_asks(world: World) -> None:
    flooder = await asyncio.to_thread(LoadClient, world.server.port)
    neighbour = await world.client()

    def ask_much() -> None:
        with contextlib.suppress(OSError):
            flooder.socket.settimeout(3)
            for _ in range(20_000):
                flooder.send(0x81, b'{"action":"ping"}')

    flooding = asyncio.create_task(asyncio.to_thread(ask_much))
    worst = 0.0
    for _ in range(50):
        begun = time.monotonic()
        assert (await neighbour.ask(action="ping"))["type"] == "pong"
        worst = max(worst, time.monotonic() - begun)
    assert worst < 0.25
    flooder.close()
    await flooding


async def test_a_server_that_fell_behind_passes_on_the_newest(world: World) -> None:
    talker = await world.client()
    symbols = [f"S{number}" for number in range(50)]
    await talker.ask(action="subscribe", symbols=entries(*symbols), mode=1)
    assert await world.until(lambda: len(world.feed.wanted("paper")) == 50)
    for number in range(600):
        for symbol in symbols:
            world.tick(symbol, price=float(number))
    last: dict[str, float] = {}
    for frame in await talker.hear_all(1.0):
        last[frame["symbol"]] = frame["data"]["ltp"]
    assert last == dict.fromkeys(symbols, 599.0)


# -- coming and going
async def cycle(world: World, times: int) -> None:
    def once() -> None:
        raw = LoadClient(world.server.port)
        raw.ask("auth", action="authenticate", api_key=KEY)
        raw.ask("subscribe", action="subscribe", symbols=entries("S1", "S2"), mode=1)
        raw.ask("subscribe_orders", action="subscribe_orders")
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()

    for _ in range(times):
        await asyncio.to_thread(once)


async def leaves_nothing(world: World, times: int) -> None:
    await cycle(world, 30)
    await world.until(lambda: not world.server.clients)
    gc.collect()
    process = psutil.Process()
    descriptors, tasks = process.num_fds(), len(asyncio.all_tasks())
    await cycle(world, times)
    assert await world.until(lambda: not world.server.clients)
    assert await world.wanted()
    assert len(world.server.fanout.subscriptions) == 0
    assert not world.server.fanout.fast and not world.server.fanout.slow
    assert not world.server._accounts
    assert await world.until(lambda: not world.server.desks._desks and not world.server.desks._behind)
    assert process.num_fds() <= descriptors
    assert len(asyncio.all_tasks()) <= tasks + 1


async def test_sockets_that_come_and_go_leave_nothing(world: World) -> None:
    await leaves_nothing(world, 200)


@pytest.mark.campaign
async def test_five_thousand_sockets_leave_nothing(world: World) -> None:
    await leaves_nothing(world, 5000)


async def test_a_drop_in_the_middle_of_a_request_leaves_nothing(world: World) -> None:
    def once() -> None:
        raw = LoadClient(world.server.port)
        symbols = entries(*(f"S{number}" for number in range(3000)))
        raw.say(action="authenticate", api_key=KEY)
        raw.say(action="subscribe", symbols=symbols, mode=1)
        raw.close()

    for _ in range(20):
        await asyncio.to_thread(once)
    assert await world.until(lambda: not world.server.clients)
    await asyncio.sleep(0.3)
    assert len(world.server.fanout.subscriptions) == 0
    assert not world.server.fanout.fast

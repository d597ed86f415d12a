"""A broker socket's life, against a small broker that can be told to misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar

import psutil
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from broker.interface import BrokerSession
from broker.manifest import Capabilities, Limits, Login, Manifest
from broker.stream import BrokerStream, StreamSinks, Want
from broker.stream_line import Line
from domain.market import Tick
from domain.model import Exchange, Instrument, InstrumentKind, Order


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class FakeBroker:
    """A server that speaks JSON: login, sub, unsub; it records, and ticks what is subscribed when told to."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.sockets: dict[ServerConnection, set[str]] = {}
        self.logins: list[str] = []
        self.handshakes = 0
        self.good_tokens = {"t1", "t2"}
        self.mute = False
        self.reject_handshake = 0
        self.frames: list[dict[str, object]] = []

    async def open(self) -> None:
        self.server = await serve(self._talk, "127.0.0.1", 0, process_request=self._handshake)

    @property
    def url(self) -> str:
        assert self.server is not None
        return f"ws://127.0.0.1:{next(iter(self.server.sockets)).getsockname()[1]}"

    def _handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        self.handshakes += 1
        if self.reject_handshake:
            return connection.respond(self.reject_handshake, "no")
        return None

    async def _talk(self, socket: ServerConnection) -> None:
        self.sockets[socket] = set()
        with contextlib.suppress(Exception):
            async for text in socket:
                message = json.loads(text)
                self.frames.append(message)
                if "login" in message:
                    self.logins.append(message["login"])
                    await socket.send(json.dumps({"ok": message["login"] in self.good_tokens}))
                self.sockets[socket] |= set(message.get("sub", ()))
                self.sockets[socket] -= set(message.get("unsub", ()))
        self.sockets.pop(socket, None)

    @property
    def subscribed(self) -> set[str]:
        return set().union(*self.sockets.values()) if self.sockets else set()

    async def tick(self, symbol: str, price: float) -> None:
        for socket, symbols in list(self.sockets.items()):
            if symbol in symbols and not self.mute:
                await socket.send(json.dumps({"tick": [symbol, price]}))

    async def kick(self) -> None:
        for socket in list(self.sockets):
            await socket.close(1011, "kicked")

    async def close(self) -> None:
        assert self.server is not None
        self.server.close()
        await self.server.wait_closed()


def manifest(per_socket: int, sockets: int) -> Manifest:
    nothing = Capabilities(
        exchanges=frozenset(), order_types=frozenset(), products=frozenset(), reads=frozenset()
    )
    return Manifest(
        name="fake",
        title="Fake",
        family="",
        docs="",
        urls={},
        can=nothing,
        limits=Limits(symbols_per_socket=per_socket, sockets=sockets),
        login=Login(),
    )


class FakeStream(BrokerStream):
    manifest: ClassVar[Manifest] = manifest(3, 2)
    answers_login = True
    silence = 0.0
    stale_after = 0.3
    confirm_within = 0.2
    first_pause = 0.02
    longest_pause = 0.05
    watch_every = 0.03
    batch = 2

    def url(self) -> str:
        return self.session.urls["stream"]

    def build_login(self) -> Iterable[str]:
        return [json.dumps({"login": self.session.tokens["token"]})]

    def build_subscribe(self, wants: Sequence[Want]) -> Iterable[str]:
        return [json.dumps({"sub": [want.key[1] for want in wants]})]

    def build_unsubscribe(self, wants: Sequence[Want]) -> Iterable[str]:
        return [json.dumps({"unsub": [want.key[1] for want in wants]})]

    def parse(self, frame: bytes | str, line: Line) -> list[Tick]:
        message = json.loads(frame)
        if "ok" in message:
            line.logged_in() if message["ok"] else line.login_refused("dead token")
        if "tick" in message:
            symbol, price = message["tick"]
            return [Tick("NSE", symbol, 1, price, 1, 1)]
        return []


def instrument(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        exchange=Exchange.NSE,
        kind=InstrumentKind.EQUITY,
        name=symbol,
        lot_size=1,
        tick_size=Decimal("0.05"),
        broker_symbol=symbol,
        broker_exchange="NSE",
        broker_token=symbol,
    )


def wants(*symbols: str) -> dict[tuple[str, str], Want]:
    return {("NSE", symbol): Want(instrument(symbol), 1) for symbol in symbols}


class World:
    def __init__(self, kind: type[FakeStream] = FakeStream) -> None:
        self.broker = FakeBroker()
        self.kind = kind
        self.ticks: list[Tick] = []
        self.states: list[tuple[str, str]] = []
        self.open = True

    async def begin(self) -> None:
        await self.broker.open()
        self.stream = self.kind(
            "fake:1",
            self.session("t1"),
            lambda _exchange, _token: None,
            Clock(),
            StreamSinks(
                self.ticks.extend, self._orders, lambda state, words: self.states.append((state, words))
            ),
            lambda: self.open,
        )

    def session(self, token: str) -> BrokerSession:
        return BrokerSession(
            account="1",
            tokens={"token": token},
            urls={"stream": self.broker.url},
            opened_at=datetime.now(UTC),
        )

    def _orders(self, orders: Sequence[Order]) -> None:
        raise AssertionError(orders)

    def state(self) -> str:
        return self.states[-1][0] if self.states else ""

    async def ticking(self, symbol: str) -> bool:
        """Whether ticks of a symbol come through."""
        before = len(self.ticks)

        async def came() -> bool:
            await self.broker.tick(symbol, 1.0)
            return any(tick.symbol == symbol for tick in self.ticks[before:])

        end = time.monotonic() + 3
        while time.monotonic() < end:
            if await came():
                return True
            await asyncio.sleep(0.01)
        return False


async def until(condition: Callable[[], bool], seconds: float = 4.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        await asyncio.sleep(0.005)
    return False


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.begin()
    yield world
    await world.stream.stop()
    await world.broker.close()


async def test_what_is_wanted_is_subscribed_after_the_login_and_ticks(world: World) -> None:
    world.stream.want(wants("A", "B"))
    assert await until(lambda: world.broker.subscribed == {"A", "B"})
    assert world.broker.logins == ["t1"]
    assert await world.ticking("A")
    assert world.state() == "live"
    world.stream.want(wants("B"))
    assert await until(lambda: world.broker.subscribed == {"B"})


async def test_wants_are_spread_over_sockets_up_to_the_brokers_caps(world: World) -> None:
    world.stream.want(wants(*"ABCDEFGH"))
    assert await until(lambda: len(world.broker.subscribed) == 6)
    assert sorted(len(symbols) for symbols in world.broker.sockets.values()) == [3, 3]
    assert len(world.stream.overflow) == 2
    assert max(len(frame["sub"]) for frame in world.broker.frames if "sub" in frame) <= 2  # type: ignore[arg-type]


async def test_after_a_drop_everything_is_subscribed_again(world: World) -> None:
    world.stream.want(wants(*"ABCDE"))
    assert await until(lambda: len(world.broker.subscribed) == 5)
    await world.broker.kick()
    assert await until(lambda: "reconnecting" in [state for state, _ in world.states])
    assert await until(lambda: len(world.broker.subscribed) == 5)
    assert await world.ticking("E")
    assert await until(lambda: world.state() == "live")


async def test_a_dead_token_is_tried_three_times_and_a_new_one_brings_all_back(world: World) -> None:
    world.stream.want(wants(*"ABCDE"))
    assert await until(lambda: len(world.broker.subscribed) == 5)
    world.broker.good_tokens = {"t2"}
    world.broker.logins.clear()
    await world.broker.kick()
    assert await until(lambda: world.state() == "expired")
    await asyncio.sleep(0.3)
    world.stream.want(wants(*"ABCDE"))
    await asyncio.sleep(0.1)
    assert 3 <= world.broker.logins.count("t1") <= 4
    await world.stream.renew(world.session("t2"))
    assert await until(lambda: len(world.broker.subscribed) == 5)
    assert await until(lambda: world.state() == "live")


async def test_a_forbidden_handshake_is_a_refused_login(world: World) -> None:
    world.broker.reject_handshake = 403
    world.stream.want(wants("A"))
    assert await until(lambda: world.state() == "expired")
    assert world.broker.handshakes == 3


async def test_the_same_token_touches_nothing_and_a_new_one_leaves_no_gap(world: World) -> None:
    world.stream.want(wants("A"))
    assert await world.ticking("A")
    (first,) = world.broker.sockets
    await world.stream.renew(world.session("t1"))
    assert list(world.broker.sockets) == [first]
    counted: list[int] = []

    async def count() -> None:
        while True:
            counted.append(sum("A" in symbols for symbols in world.broker.sockets.values()))
            await asyncio.sleep(0)

    counter = asyncio.create_task(count())
    await world.stream.renew(world.session("t2"))
    assert await until(lambda: first not in world.broker.sockets)
    counter.cancel()
    assert min(counted) >= 1
    assert await world.ticking("A")


async def test_silence_in_market_hours_is_stale_then_asked_again_then_replaced(world: World) -> None:
    world.stream.want(wants("A"))
    assert await world.ticking("A")
    world.broker.mute = True
    assert await until(lambda: world.state() == "stale")
    assert "no tick" in world.states[-1][1]
    assert await until(lambda: world.broker.handshakes == 2)
    world.broker.mute = False
    assert await world.ticking("A")
    assert await until(lambda: world.state() == "live")


async def test_silence_of_a_closed_market_is_no_fault(world: World) -> None:
    world.open = False
    world.stream.want(wants("A"))
    assert await until(lambda: world.state() == "live")
    await asyncio.sleep(0.8)
    assert (world.state(), world.broker.handshakes) == ("live", 1)


async def test_what_never_ticks_is_asked_once_more_and_is_known(world: World) -> None:
    world.stream.want(wants("A", "B"))
    assert await world.ticking("A")
    assert world.stream.unconfirmed == {("NSE", "B")}
    asked = lambda: sum("B" in frame.get("sub", ()) for frame in world.broker.frames)  # type: ignore[operator]  # noqa: E731
    assert await until(lambda: asked() == 2)
    assert await world.ticking("A")
    await asyncio.sleep(0.2)
    assert asked() == 2


async def test_a_socket_that_receives_nothing_is_dead_whatever_it_sends() -> None:
    class Beating(FakeStream):
        silence = 0.3
        stale_after = 60.0
        heartbeat_every = 0.05
        answers_login = False

        def build_heartbeat(self) -> str:
            return "{}"

        def build_login(self) -> Iterable[str]:
            return []

    world = World(Beating)
    await world.begin()
    world.stream.want(wants("A"))
    assert await until(lambda: world.broker.handshakes >= 2)
    assert {} in world.broker.frames
    assert any("nothing received" in words for _, words in world.states)
    await world.stream.stop()
    await world.broker.close()


async def test_a_frame_that_cannot_be_read_costs_nothing(world: World) -> None:
    world.stream.want(wants("A"))
    assert await world.ticking("A")
    for socket in list(world.broker.sockets):
        await socket.send("{not json")
        await socket.send('{"tick": [1]}')
        await socket.send(b"\xff\x00")
    assert await world.ticking("A")
    assert world.broker.handshakes == 1


async def test_reconnects_leave_nothing_behind(world: World) -> None:
    world.stream.want(wants(*"ABCDE"))
    assert await until(lambda: len(world.broker.subscribed) == 5)
    descriptors, tasks = psutil.Process().num_fds(), len(asyncio.all_tasks())
    for count in range(1, 31):
        before = world.broker.handshakes
        await world.broker.kick()
        assert await until(lambda before=before: world.broker.handshakes >= before + 2), count  # type: ignore[misc]
        assert await until(lambda: len(world.broker.subscribed) == 5)
    assert psutil.Process().num_fds() <= descriptors
    assert len(asyncio.all_tasks()) <= tasks + 2

"""A stream role in one process: forwarder, server, a feed, an order-event store, and clients to talk to it."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from domain.errors import Unauthorized
from domain.market import DepthLevel, Tick
from domain.model import Exchange, Order, OrderEvent, OrderState, OrderType, Product, Side
from services.event_bus import EventBus, order_topic
from services.tick_bus import Bus, FeedState, TickPublisher, runtime_dir
from websocket_proxy.access import Identity, NoBroker
from websocket_proxy.forwarder import Forwarder
from websocket_proxy.limits import Limits
from websocket_proxy.origins import Origins
from websocket_proxy.parts import Parts
from websocket_proxy.server import Server

KEY = "k" * 64
OTHER_KEY = "o" * 64
SYMBOLS = {f"S{number}" for number in range(10_000)} | {"INFY", "TCS", "RELIANCE"}


def identity(**changes: Any) -> Identity:
    plain = Identity(
        user="admin",
        user_id=1,
        account_id=1,
        broker="paper",
        feed="paper",
        modes=frozenset({"ltp", "quote", "depth"}),
        levels=5,
        proof=KEY,
    )
    return replace(plain, **changes)


class FakeAccess:
    """Keys and tickets of a table, which a test may change."""

    def __init__(self) -> None:
        self.keys = {
            KEY: identity(),
            OTHER_KEY: identity(user="other", user_id=2, account_id=2, proof=OTHER_KEY),
        }
        self.tickets = {"t1": identity(is_page=True, proof="session")}
        self.no_broker = False
        self.calls = 0

    def by_key(self, key: str, address: str) -> Identity:
        self.calls += 1
        if self.no_broker:
            raise NoBroker("zerodha")
        if key not in self.keys:
            raise Unauthorized("Invalid openalgo apikey")
        return self.keys[key]

    def by_ticket(self, ticket: str, address: str) -> Identity:
        if ticket not in self.tickets:
            raise Unauthorized("Invalid ticket")
        return self.tickets.pop(ticket)

    def again(self, identity: Identity, address: str) -> Identity | None:
        return identity if identity.is_page else self.keys.get(identity.proof)


class FakeEvents:
    """An account's events in memory."""

    def __init__(self) -> None:
        self.rows: dict[int, list[OrderEvent]] = {}

    def since(self, account_id: int, seq: int, limit: int = 500) -> list[OrderEvent]:
        return self.rows.get(account_id, [])[seq : seq + limit]

    def last_seq(self, account_id: int) -> int:
        return len(self.rows.get(account_id, []))

    def add(self, account_id: int = 1, **changes: Any) -> OrderEvent:
        rows = self.rows.setdefault(account_id, [])
        now = datetime.now(UTC)
        order = Order(
            order_id=f"{len(rows) + 1}",
            symbol="INFY",
            exchange=Exchange.NSE,
            side=Side.BUY,
            quantity=Decimal(10),
            order_type=OrderType.LIMIT,
            product=Product.INTRADAY,
            state=OrderState.OPEN,
            placed_at=now,
            updated_at=now,
            price=Decimal("1500.05"),
        )
        event = OrderEvent(account_id=account_id, seq=len(rows) + 1, order=replace(order, **changes), at=now)
        rows.append(event)
        return event


class FakeBans:
    """Addresses that a test bans."""

    def __init__(self) -> None:
        self.wanted: set[str] = set()
        self.known: set[str] = set()
        self.looks = 0

    def look(self) -> bool:
        assert threading.current_thread() is not threading.main_thread(), "a read on the loop"
        self.looks += 1
        changed, self.known = self.known != self.wanted, set(self.wanted)
        return changed

    def covers(self, address: str) -> bool:
        return address in self.known


class Talker:
    """A client that speaks the public protocol and keeps what it hears."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def hear(self, seconds: float = 3.0) -> dict[str, Any]:
        frame = await asyncio.wait_for(self.socket.recv(), seconds)
        self.heard.append(json.loads(frame))
        return self.heard[-1]

    async def ask(self, **message: Any) -> dict[str, Any]:
        """The answer to a message; ticks and events that come before it are kept in `heard`."""
        await self.say(**message)
        while True:
            answer = await self.hear()
            if answer.get("type") not in ("market_data", "order_update", "changed", "feed_status"):
                return answer

    async def hear_all(self, seconds: float = 0.3) -> list[dict[str, Any]]:
        """Everything that comes until nothing has come for a while."""
        found = []
        while True:
            try:
                found.append(await self.hear(seconds))
            except TimeoutError:
                return found

    async def ticks(self, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < count:
            frame = await self.hear()
            if frame.get("type") == "market_data":
                found.append(frame)
        return found

    async def closed(self, seconds: float = 5.0) -> tuple[int, str]:
        """The close code and reason, once it is closed."""
        try:
            while True:
                await asyncio.wait_for(self.socket.recv(), seconds)
        except websockets.ConnectionClosed:
            return self.socket.close_code or 0, self.socket.close_reason or ""


class World:
    """Everything. `await open()` first, `await close()` last."""

    def __init__(self, data_dir: Path, limits: Limits | None = None) -> None:
        self.data_dir = data_dir
        self.limits = limits or Limits()
        self.access = FakeAccess()
        self.events = FakeEvents()
        self.bans = FakeBans()
        self.talkers: list[Talker] = []

    async def open(self) -> None:
        self.forwarder = Forwarder(Bus(self.data_dir, "stream"))
        self.forwarder.start()
        self.server_bus, self.feed_bus = Bus(self.data_dir, "stream"), Bus(self.data_dir, "exchange")
        self.threads = ThreadPoolExecutor(4)
        self.feed = TickPublisher(self.feed_bus, lambda _feed: True, time.monotonic, linger=0.3)
        self.bell = EventBus(self.feed_bus)
        self.server = Server(self.server_bus, self._parts(), self.limits)
        await self.server.start("127.0.0.1", 0)
        self._turning = asyncio.create_task(self._turn())
        assert await self.until(lambda: self.live() or self.server.states.is_live("paper"))

    def _parts(self) -> Parts:
        return Parts(
            access=self.access,
            events=self.events,
            known=self._known,
            brokers=("paper", "zerodha"),
            origins=Origins(["http://127.0.0.1:5000"], ["algo.example.com"]),
            address=lambda peer, headers: headers.get("x-forwarded-for", peer),
            banned=self.bans,
            threads=self.threads,
        )

    def _known(self, broker: str, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        return [exchange == "NSE" and symbol in SYMBOLS for exchange, symbol in pairs]

    async def _turn(self) -> None:
        while True:
            self.feed.poll()
            await asyncio.sleep(0.002)

    async def close(self) -> None:
        for talker in self.talkers:
            await talker.socket.close()
        self._turning.cancel()
        await self.server.stop()
        self.threads.shutdown()
        self.feed_bus.close()
        self.server_bus.close()
        self.forwarder.stop()
        shutil.rmtree(runtime_dir(self.data_dir))

    # -- clients
    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}"

    async def connect(self, headers: Mapping[str, str] | None = None, **options: Any) -> Talker:
        socket = await websockets.connect(self.url, additional_headers=headers, max_size=None, **options)
        self.talkers.append(Talker(socket))
        return self.talkers[-1]

    async def client(self, key: str = KEY, **message: Any) -> Talker:
        """A client that has authenticated."""
        talker = await self.connect()
        answer = await talker.ask(action="authenticate", api_key=key, **message)
        assert answer["status"] == "success", answer
        return talker

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            await asyncio.sleep(0.005)
        return False

    # -- the market
    def live(self, state: str = "live", feed: str = "paper") -> None:
        """Tell the feed's state. Said again by itself each second."""
        self.feed.state(FeedState(feed, feed, state, 1))

    def tick(self, symbol: str = "INFY", price: float = 1500.5, feed: str = "paper", mode: int = 3) -> None:
        level = DepthLevel(price, 10, 2)
        self.feed.tick(
            feed,
            Tick(
                "NSE", symbol, mode, price, 1000, 2000, close=1490.0, volume=5, bids=(level,), asks=(level,)
            ),
        )

    async def wanted(self, *keys: tuple[str, int], feed: str = "paper") -> bool:
        """Whether the feed came to know that exactly these (symbol, highest mode) are wanted."""
        want = {("NSE", symbol): mode for symbol, mode in keys}
        return await self.until(lambda: self.feed.wanted(feed) == want)

    def order(self, account_id: int = 1, **changes: Any) -> OrderEvent:
        """A new event and its bell."""
        event = self.events.add(account_id, **changes)
        self.bell.ring(order_topic(account_id))
        return event

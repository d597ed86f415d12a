"""A running simulator: one loop thread with a broker's HTTP and WebSocket faces, sessions, faults and control.

A face (`kite.py`, `noren.py` …) says how that broker speaks. Tests call the methods below from any thread; a
person, or another process, sends the same words to the control address.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import ClassVar, TypeVar
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as Handshake
from websockets.http11 import Response

from domain.clock import IST
from domain.market import Tick
from domain.model import Exchange, Instrument, Trade
from tests.simulators.exchange import Entry, SimExchange
from tests.simulators.faults import SOCKET, Fault, FaultPlan
from tests.simulators.market import HandMarket, listing
from tests.simulators.transport import Answer, HttpServer, Request

Result = TypeVar("Result")


class SimClock:
    """The real clock, which `skew` seconds may shift."""

    skew = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time() + self.skew, UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class Simulator:
    """One broker. `requests` lists what its API was asked (control calls are not in it).

    urls         by the manifest's roles, for BrokerSession.urls
    credentials  plain names of what a login needs, and a session that is already open
    strict       refuse what the broker's documents say it refuses of programs, such as bare market orders
    """

    user: ClassVar[str] = "SIM001"
    ping_seconds: ClassVar[float | None] = 20.0
    rates: ClassVar[dict[str, float]] = {}
    """Calls a second by operation, "" for the rest; asked only with `enforce_limits`."""

    def __init__(self, name: str, seed: int = 0) -> None:
        self.name = name
        self.random = secrets.token_hex
        self.clock = SimClock()
        self._seed = seed
        self.plan = FaultPlan(seed)
        rows = listing(self.clock.now().astimezone(IST).date())
        prices = {instrument.key: price for instrument, price in rows}
        self.market = HandMarket(self.clock, seed, prices)
        self.exchange = SimExchange(self.clock, self.market, (row[0] for row in rows), self.plan)
        self.requests: list[Request] = []
        self.tokens: dict[str, str] = {}
        self.codes: dict[str, str] = {}
        self.sockets: set[Socket] = set()
        self.paused = False
        self.moving = False
        self.pinned: set[tuple[Exchange, str]] = set()
        self.enforce_limits = False
        self.strict = False
        self._recent: dict[str, deque[float]] = {}
        self.redirect_url = f"http://127.0.0.1:5000/{name}/callback"
        self.posts_back = False
        self.credentials: dict[str, str] = {}
        self.urls: dict[str, str] = {}
        self._http = HttpServer(self._answer, self._fault)
        self._ws: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._held_back: list[tuple[Entry, Trade | None]] = []
        self.exchange.on_order.append(self._on_order)
        self.exchange.on_tick.append(self._on_tick)
        self.exchange.give_shares(self.user, self.instrument("NSE", "SBIN"), Decimal(40), Decimal("700.25"))
        self.open_sessions()

    def returns_to(self, url: str) -> None:
        """Have the login page send people back to this address, which some forms ask for."""
        self.redirect_url = url
        if "redirect_url" in self.credentials:
            self.credentials["redirect_url"] = url

    # -- a face fills these in
    def open_sessions(self) -> None:
        """Set `credentials`, with one open session and one login code."""
        raise NotImplementedError

    def addresses(self, http: str, ws: str) -> dict[str, str]:
        """The URLs by role."""
        raise NotImplementedError

    def operation(self, request: Request) -> str:
        """What a request means: login, place, modify, cancel, orders, trades, positions, holdings, funds, margin,
        quotes, candles, instruments, gtt …; "" for what this broker does not serve."""
        raise NotImplementedError

    def serve(self, request: Request) -> Answer:
        """Answer a request; `request.op` is set."""
        raise NotImplementedError

    def failure(self, kind: str, status: int | None) -> Answer:
        """The broker's own shape of rate_limit, expired, refuse, unavailable, no_id."""
        raise NotImplementedError

    def admit(self, path: str, query: dict[str, str]) -> bool:
        """Whether a socket may open."""
        return True

    async def converse(self, socket: Socket) -> None:
        """Serve one socket until it closes."""
        raise NotImplementedError

    def tick_frames(self, socket: Socket, instrument: Instrument, tick: Tick) -> Iterable[str | bytes]:
        """What a socket hears of a tick."""
        return ()

    def order_frames(self, socket: Socket, entry: Entry, trade: Trade | None) -> Iterable[str | bytes]:
        """What a socket hears of an order's change."""
        return ()

    def spelling(self, instrument: Instrument) -> str:
        """The broker's own symbol of an instrument."""
        return instrument.symbol

    # -- life
    def start(self, port: int = 0) -> Simulator:
        """Serve on a thread of its own; returns when the ports are open."""
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(port, ready), name=f"sim-{self.name}", daemon=True
        )
        self._thread.start()
        if not ready.wait(10):
            raise TimeoutError(f"simulator {self.name} did not start")
        return self

    def stop(self) -> None:
        """Close every connection and end the thread."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, port: int, ready: threading.Event) -> None:
        loop = self._loop = asyncio.new_event_loop()
        loop.run_until_complete(self._open(port))
        ready.set()
        loop.run_forever()
        loop.run_until_complete(self._close())
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(_ended(tasks))
        loop.close()

    async def _open(self, port: int) -> None:
        http = await self._http.start(port)
        self._ws = await serve(
            self._socket,
            "127.0.0.1",
            0,
            process_request=self._handshake,
            ping_interval=self.ping_seconds,
            compression=None,
            max_size=1 << 22,
        )
        ws = next(iter(self._ws.sockets)).getsockname()[1]
        self.urls = self.addresses(f"http://127.0.0.1:{http}", f"ws://127.0.0.1:{ws}")
        self.control = f"http://127.0.0.1:{http}/_control"
        if self.moving:
            self._wandering = asyncio.create_task(self._wander())

    async def _wander(self) -> None:
        """Move a few prices a few ticks, four times a second, by the seed; those set by hand stay."""
        drawn = random.Random(self._seed)
        instruments = list(self.exchange.instruments.values())
        while True:
            await asyncio.sleep(0.25)
            for instrument in drawn.sample(instruments, 8):
                if instrument.key in self.pinned:
                    continue
                quote = self.market.quote(instrument, self.clock.now())
                step = drawn.choice((-2, -1, 1, 2)) * float(instrument.tick_size)
                if quote is not None and quote.last_price + step > 0:
                    self.exchange.tick(instrument, round(quote.last_price + step, 4))

    async def _close(self) -> None:
        await self._http.stop()
        if self._ws is not None:
            for socket in list(self.sockets):
                socket.connection.transport.abort()
            self._ws.close()

    # -- HTTP
    def _fault(self, request: Request) -> Fault | None:
        if request.path == "/_control":
            return None
        request.op = self.operation(request)
        self.requests.append(request)
        fault = self.plan.pick(request.op)
        if fault is not None and fault.action in ("rate_limit", "expired", "refuse", "unavailable", "no_id"):
            request.headers["x-fault"] = fault.action
            request.headers["x-fault-status"] = str(fault.extra.get("as") or fault.status)
            return None
        return fault

    async def _answer(self, request: Request) -> Answer:
        if request.path == "/_control":
            return self._controlled(json.loads(request.body))
        if planned := request.headers.pop("x-fault", ""):
            status = int(request.headers["x-fault-status"])
            return self.failure(planned, None if status == 500 else status)
        if self.enforce_limits and self._too_fast(request.op):
            return self.failure("rate_limit", None)
        return self.serve(request)

    def _too_fast(self, op: str) -> bool:
        kind = op if op in self.rates else ""
        allowed = self.rates.get(kind)
        if allowed is None:
            return False
        size = max(1, int(allowed))
        recent = self._recent.setdefault(kind, deque(maxlen=size))
        now = time.monotonic()
        if len(recent) == size and now - recent[0] < size / allowed:
            return True
        recent.append(now)
        return False

    # -- sockets
    async def _handshake(self, connection: ServerConnection, request: Handshake) -> Response | None:
        parts = urlsplit(request.path)
        if self.admit(parts.path, dict(parse_qsl(parts.query))):
            return None
        return connection.respond(403, "Forbidden\n")

    async def _socket(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        socket = Socket(connection, urlsplit(connection.request.path).path)
        self.sockets.add(socket)
        writer = asyncio.create_task(socket.drain())
        try:
            await self.converse(socket)
        except ConnectionClosed:
            pass
        finally:
            self.sockets.discard(socket)
            writer.cancel()

    def _on_tick(self, instrument: Instrument, tick: Tick) -> None:
        if (fault := self.plan.pick("tick", SOCKET)) is not None:
            self._trouble(fault)
        if self.paused:
            return
        for socket in list(self.sockets):
            for frame in self.tick_frames(socket, instrument, tick):
                socket.send(frame)

    def _trouble(self, fault: Fault) -> None:
        if fault.action == "ws_close":
            self.ws_close(int(str(fault.extra.get("code", 1006))))
        elif fault.action == "ws_garbage":
            self.ws_garbage()
        else:
            self.ws_silent()

    def _on_order(self, entry: Entry, trade: Trade | None) -> None:
        if self.plan.pick("update", frozenset({"lose_update"})):
            return
        times = 1
        if duplicated := self.plan.pick("update", frozenset({"dup_update"})):
            times += int(duplicated.extra.get("n", 1))  # type: ignore[call-overload]
        told = [(entry, trade)] * times
        if self.plan.pick("update", frozenset({"reorder"})):
            self._held_back.extend(told)
            return
        for one in [*told, *self._held_back]:
            for socket in list(self.sockets):
                for frame in self.order_frames(socket, *one):
                    socket.send(frame)
        self._held_back.clear()

    # -- what tests and people may do
    def call(self, work: Callable[[], Result]) -> Result:
        """Run on the loop thread and return the result."""
        if self._loop is None or threading.current_thread() is self._thread:
            return work()

        async def run() -> Result:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    @staticmethod
    def local_day(epoch: float) -> date:
        """The IST date of an epoch second."""
        return datetime.fromtimestamp(epoch, IST).date()

    def instrument(self, exchange: str, symbol: str) -> Instrument:
        return self.exchange.instruments[(Exchange(exchange), symbol)]  # type: ignore[index]

    def tick(self, exchange: str, symbol: str, price: float, quantity: int | None = None) -> None:
        """Let one instrument trade at a price; `quantity`: units that each level then offers."""
        instrument = self.instrument(exchange, symbol)
        self.pinned.add(instrument.key)
        self.call(lambda: self.exchange.tick(instrument, price, quantity))

    def fail_next(self, kind: str, match: str = ".*", **more: object) -> None:
        """One fault for the next request whose operation matches. Kinds: faults.SHORT and the actions' names."""
        self.call(lambda: self.plan.fail_next(kind, match, **more))

    def faults(self, entries: list[Mapping[str, object]], seed: int | None = None) -> None:
        """Replace the fault plan; [] heals."""
        self.call(lambda: self.plan.load(entries, seed))

    def set_funds(self, amount: float | Decimal) -> None:
        """What may be spent from now on, rupees."""
        self.call(lambda: self.exchange.set_funds(self.user, Decimal(str(amount))))

    def expire_tokens(self, of: str = "") -> None:
        """Every open session ends, or with `of` those at one service ("market"); logging in again works."""
        kept = {token: owner for token, owner in self.tokens.items() if of and owner != of}
        self.call(self.tokens.clear)
        self.call(lambda: self.tokens.update(kept))

    def ws_close(self, code: int = 1000) -> None:
        """Close every socket; 1006 drops the connections without a close frame."""
        self.call(lambda: [socket.close(code) for socket in list(self.sockets)])

    def ws_garbage(self, frame: str | bytes = b"\x00\x05\xff\xff\x01") -> None:
        """Send every socket something that is not of the protocol."""
        self.call(lambda: [socket.send(frame) for socket in self.sockets])

    def ws_silent(self, silent: bool = True) -> None:
        """Stop (or go on) sending on every socket, heartbeats included, without closing it."""
        self.call(lambda: [socket.hush(silent) for socket in self.sockets])
        self.paused = silent

    def new_code(self) -> str:
        """A login code as the broker's page would return it, good for one login."""
        code = self.random(16)
        self.codes[code] = self.user
        return code

    def truth(self) -> dict[str, object]:
        """What really happened: the log, and every order as it stands."""

        def gather() -> dict[str, object]:
            orders = [
                {
                    "order_id": entry.order.order_id,
                    "tag": entry.tag,
                    "symbol": entry.order.symbol,
                    "exchange": entry.order.exchange.value,
                    "side": entry.order.side.value,
                    "quantity": str(entry.order.quantity),
                    "filled": str(entry.order.filled),
                    "state": entry.order.state.value,
                }
                for entry in self.exchange.entries.values()
            ]
            return {"orders": orders, "events": list(self.exchange.truth), "faults": list(self.plan.done)}

        return self.call(gather)

    def _controlled(self, asked: dict[str, object]) -> Answer:
        action = asked.pop("action", None)
        actions: dict[object, Callable[..., object]] = {
            "ws_close": self.ws_close,
            "ws_garbage": self.ws_garbage,
            "ws_silent": self.ws_silent,
            "expire_tokens": self.expire_tokens,
            "fail_next": self.fail_next,
            "set_funds": lambda **asked: self.set_funds(next(iter(asked.values()))),
            "tick": self._tick_by_name,
            "faults": self._planned,
            "truth": self.truth,
            "requests": lambda: [{"op": r.op, "method": r.method, "path": r.path} for r in self.requests],
        }
        if action not in actions:
            return Answer.json({"error": f"unknown action; one of {sorted(map(str, actions))}"}, 400)
        try:
            result = actions[action](**asked)
        except (TypeError, ValueError, KeyError, StopIteration) as error:
            return Answer.json({"error": repr(error)}, 400)
        return Answer.json({"ok": True, "result": result, **(result if isinstance(result, dict) else {})})

    def _planned(
        self,
        plan: list[dict[str, object]] | None = None,
        seed: int | None = None,
        **more: list[dict[str, object]],
    ) -> None:
        """Load a plan; a `clock_skew` entry moves the broker's clock at once."""
        entries = next(iter(more.values()), []) if plan is None else plan
        skews = [entry for entry in entries if entry.get("action") == "clock_skew"]
        for skew in skews:
            self.clock.skew = float(str(skew.get("seconds", 0)))
        self.faults([entry for entry in entries if entry not in skews], seed)

    def _tick_by_name(
        self, symbol: str, price: float, exchange: str = "", quantity: int | None = None
    ) -> None:
        """`symbol` is ours, with or without "EXCHANGE:", or the broker's own."""
        home, _, name = symbol.rpartition(":")
        for one in self.exchange.instruments.values():
            if name in (one.symbol, self.spelling(one)) and (home or exchange) in ("", one.exchange):
                self.tick(one.exchange, one.symbol, price, quantity)
                return
        raise KeyError(symbol)

    def announcement(self) -> dict[str, object]:
        """The line that `simulate` prints."""
        return {**self.urls, "credentials": self.credentials, "control": self.control}


async def _ended(tasks: set[asyncio.Task[object]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


class Socket:
    """One client's socket, with a queue so that faces can send without waiting."""

    def __init__(self, connection: ServerConnection, path: str) -> None:
        self.connection = connection
        self.path = path
        self.ready = False
        self.wanted: dict[int | str, str] = {}
        self.orders = False
        self.silent = False
        self._queue: asyncio.Queue[str | bytes] = asyncio.Queue()

    def send(self, frame: str | bytes) -> None:
        if not self.silent:
            self._queue.put_nowait(frame)

    def hush(self, silent: bool) -> None:
        self.silent = silent
        transport = self.connection.transport
        (transport.pause_reading if silent else transport.resume_reading)()

    def close(self, code: int) -> None:
        if code == 1006:
            self.connection.transport.abort()
        else:
            self._closing = asyncio.ensure_future(self.connection.close(code, "simulated"))

    async def drain(self) -> None:
        """Write what is queued, in order."""
        try:
            while True:
                await self.connection.send(await self._queue.get())
        except ConnectionClosed:
            return

    def __aiter__(self) -> Socket:
        return self

    async def __anext__(self) -> str | bytes:
        return await self.connection.recv()

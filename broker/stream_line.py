"""One socket towards a broker: connect, log in, subscribe what is owed, notice silence, come back.

A line gives up only when its stream's login is refused three times: then it waits for new tokens.
What a broker's frames mean is its `BrokerStream`'s; which instruments are on which line is the stream's too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final

import websockets
from websockets.asyncio.client import ClientConnection

if TYPE_CHECKING:
    from broker.stream import BrokerStream, Want
    from domain.market import Tick

log = logging.getLogger(__name__)

LOGIN_ATTEMPTS: Final = 3
_HEALTHY_AFTER = 60.0


class LoginRefused(Exception):
    """The broker's socket did not accept our tokens."""


class Line:
    """A socket and the ledger of what must be subscribed on it, whatever happens to the socket.

    state  "connecting", "up" (logged in and receiving), "stale" or "expired"
    up     set while `state` is not "connecting"
    """

    def __init__(self, stream: BrokerStream, number: int) -> None:
        self.stream = stream
        self.number = number
        self.ledger: dict[tuple[str, str], Want] = {}
        self.unconfirmed: dict[tuple[str, str], float] = {}
        self.state = "connecting"
        self.words = ""
        self._sent: dict[tuple[str, str], Want] = {}
        self._socket: ClientConnection | None = None
        self._accepted = asyncio.Event()
        self.up = asyncio.Event()
        self._failures = 0
        self._heard_at = self._ticked_at = self._up_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._saying: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()

    # -- called by a subclass's `parse`
    def logged_in(self) -> None:
        """The broker accepted the login frames of this socket."""
        self._accepted.set()

    def login_refused(self, words: str) -> None:
        """The broker refused our tokens; ends this socket. `words` are the broker's own."""
        raise LoginRefused(words)

    def confirmed(self, keys: Iterable[tuple[str, str]]) -> None:
        """The broker acknowledged the subscription of (exchange, symbol) pairs."""
        for key in keys:
            self.unconfirmed.pop(key, None)

    def ticked(self, ticks: Iterable[Tick]) -> None:
        """Ticks of this line came, on its socket or beside it: they confirm their subscriptions and end staleness."""
        self._ticked_at = self.stream.monotonic()
        if self.unconfirmed:
            self.confirmed((tick.exchange, tick.symbol) for tick in ticks)
        if self.state == "stale":
            self._set("up", "")

    def say(self, frame: bytes | str) -> None:
        """Send something at once (the answer to a ping), if the socket still lives."""
        if self._socket is not None:
            task = asyncio.create_task(self._say(self._socket, frame))
            self._saying.add(task)
            task.add_done_callback(self._saying.discard)

    async def _say(self, socket: ClientConnection, frame: bytes | str) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            await socket.send(frame)

    # -- life
    def start(self) -> None:
        """Begin, unless it runs already or its tokens are known to be dead."""
        if self.state != "expired" and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._live(), name=f"{self.stream.feed} line {self.number}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def settle(self) -> None:
        """Send the difference between what the ledger says and what this socket was told."""
        async with self._writing:
            socket = self._socket
            if socket is None or not self._accepted.is_set():
                return
            gone = [want for key, want in self._sent.items() if self.ledger.get(key) != want]
            new = [want for key, want in self.ledger.items() if self._sent.get(key) != want]
            await self._send_all(socket, self.stream.build_unsubscribe, gone)
            for want in gone:
                self._sent.pop(want.key, None)
                self.unconfirmed.pop(want.key, None)
            await self._send_all(socket, self.stream.build_subscribe, new)
            now = self.stream.monotonic()
            self._sent.update({want.key: want for want in new})
            self.unconfirmed.update({want.key: now for want in new})

    async def _send_all(self, socket: ClientConnection, build: object, wants: list[Want]) -> None:
        size = self.stream.batch
        for start in range(0, len(wants), size):
            for frame in build(wants[start : start + size]):  # type: ignore[operator]
                await socket.send(frame)
            if self.stream.batch_pause:
                await asyncio.sleep(self.stream.batch_pause)

    async def _live(self) -> None:
        while True:
            try:
                await self._once()
            except LoginRefused as refusal:
                self.stream.refusals += 1
                self._set("connecting", str(refusal))
                log.warning("broker login refused feed=%s attempt=%s", self.stream.feed, self.stream.refusals)
                await self.stream.on_refused()
            except (OSError, TimeoutError, websockets.WebSocketException) as error:
                self._set("connecting", f"{type(error).__name__}: {error}")
                log.warning("broker socket lost feed=%s cause=%s", self.stream.feed, self.words)
            if not self._may_log_in():
                return
            await asyncio.sleep(self._pause())
            if not self._may_log_in():
                return

    def _may_log_in(self) -> bool:
        """Whether another attempt is owed. All lines of a stream share the count: the tokens are the same."""
        if self.stream.refusals < LOGIN_ATTEMPTS:
            return True
        self._set("expired", self.words or "login refused")
        return False

    def _pause(self) -> float:
        """Seconds until the next try: doubling, jittered, long outside market hours."""
        stream = self.stream
        healthy = self._up_at and stream.monotonic() - self._up_at > _HEALTHY_AFTER
        self._failures = 0 if healthy else self._failures + 1
        self._up_at = 0.0
        longest = stream.longest_pause if stream.is_open() else stream.longest_pause * 10
        whole = min(stream.first_pause * 2.0 ** min(self._failures, 10), longest)
        return whole * random.uniform(0.5, 1.0)  # noqa: S311

    async def _once(self) -> None:
        stream = self.stream
        self._sent.clear()
        self.unconfirmed.clear()
        self._accepted.clear()
        async with self._connected() as socket:
            self._heard_at = self._ticked_at = stream.monotonic()
            stream.on_connected(self)
            self._socket = socket
            for frame in stream.build_login():
                await socket.send(frame)
            if not stream.answers_login:
                self._accepted.set()
            try:
                await _first_end(self._receive(socket), self._begin(), self._watch(socket))
            finally:
                self._socket = None

    @contextlib.asynccontextmanager
    async def _connected(self):  # type: ignore[no-untyped-def]
        stream = self.stream
        try:
            socket = await websockets.connect(
                stream.url(),
                additional_headers=stream.headers(),
                open_timeout=stream.open_seconds,
                close_timeout=1,
                ping_interval=stream.ping_every or None,
                ping_timeout=stream.ping_every or None,
                max_size=stream.largest_frame,
                compression=None,
                proxy=None,
            )
        except websockets.InvalidStatus as answer:
            if answer.response.status_code in (401, 403):
                raise LoginRefused(f"HTTP {answer.response.status_code}") from answer
            raise
        async with socket:
            yield socket

    async def _begin(self) -> None:
        """Once the login is accepted: subscribe everything the ledger holds."""
        async with asyncio.timeout(self.stream.open_seconds):
            await self._accepted.wait()
        self.stream.refusals = 0
        self._up_at = self.stream.monotonic()
        if self._socket is not None:
            for frame in self.stream.build_welcome(self):
                await self._socket.send(frame)
        await self.settle()
        self._set("up", "")

    async def _receive(self, socket: ClientConnection) -> None:
        stream = self.stream
        async for frame in socket:
            self._heard_at = stream.monotonic()
            ticks = stream.read(frame, self)
            if ticks:
                self.ticked(ticks)
                stream.on_ticks(ticks)
        raise ConnectionError(
            f"closed by the broker: {socket.close_code} {socket.close_reason or ''}".strip()
        )

    async def _watch(self, socket: ClientConnection) -> None:
        """Heartbeats out, silence in: what is sent proves nothing, only what is received does."""
        stream = self.stream
        beat_at, resent = stream.monotonic(), False
        while True:
            await asyncio.sleep(stream.watch_every)
            now = stream.monotonic()
            if stream.heartbeat_every and now - beat_at >= stream.heartbeat_every:
                beat_at = now
                await socket.send(stream.build_heartbeat())
            if stream.silence and now - self._heard_at > stream.silence:
                raise ConnectionError(f"nothing received for {stream.silence:g} s")
            if not self._sent or not stream.is_open():
                self._ticked_at = now
                continue
            quiet = now - self._ticked_at
            if quiet > stream.stale_after * 2:
                raise ConnectionError(f"connected, but no tick for {quiet:.0f} s")
            if quiet > stream.stale_after and self.state != "stale":
                self._set("stale", f"no tick for {quiet:.0f} s")
                resent = await self._resend(list(self._sent))
            elif not resent and self._up_at and now - self._up_at > stream.confirm_within:
                resent = await self._resend(self._overdue(now))

    def _overdue(self, now: float) -> list[tuple[str, str]]:
        within = self.stream.confirm_within
        return [key for key, since in self.unconfirmed.items() if now - since > within]

    async def _resend(self, keys: list[tuple[str, str]]) -> bool:
        """Ask again for what never came. Returns whether anything was asked."""
        if keys:
            log.warning("asking again feed=%s instruments=%s", self.stream.feed, len(keys))
            for key in keys:
                self._sent.pop(key, None)
            await self.settle()
        return bool(keys)

    def _set(self, state: str, words: str) -> None:
        changed = state != self.state
        self.state, self.words = state, words
        if state in ("up", "expired"):
            self.up.set()
        elif state == "connecting":
            self.up.clear()
        if changed:
            log.info("feed=%s line=%s state=%s words=%s", self.stream.feed, self.number, state, words)
        self.stream.line_changed()


async def _first_end(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all until one fails; raise what it raised, a refused login before anything else."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        errors = [error for task in done if (error := task.exception()) is not None]
        raise min(errors, key=lambda error: not isinstance(error, LoginRefused))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""A broker's live data for one account: what is wanted, spread over as many sockets as the broker allows.

Subclass `BrokerStream` to teach it a broker's frames. The life of each socket (`broker/stream_line.py`) is written
once: liveness by what is received, jittered back-off, resubscription from a ledger, new tokens without a gap.
Runs on one asyncio loop; nothing here blocks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, NamedTuple

from broker.interface import BrokerSession, InstrumentLookup, RenewData, nobody_renews
from broker.manifest import Manifest
from broker.stream_line import Line
from domain.clock import Clock
from domain.market import Tick
from domain.model import Instrument, Order

log = logging.getLogger(__name__)

Frame = bytes | str


class Want(NamedTuple):
    """An instrument and the highest mode anybody wants of it (1 LTP, 2 Quote, 3 Depth)."""

    instrument: Instrument
    mode: int

    @property
    def key(self) -> tuple[str, str]:
        return self.instrument.exchange.value, self.instrument.symbol


class StreamSinks(NamedTuple):
    """Where a stream tells what it saw. Called on the stream's loop; must not block.

    state  (state, words): "live", "stale", "reconnecting" or "expired", at every change
    """

    ticks: Callable[[Sequence[Tick]], None]
    orders: Callable[[Sequence[Order]], None]
    state: Callable[[str, str], None]


class BrokerStream:
    """One account's sockets. A subclass supplies the language:

    url(), headers()          where a socket connects; tokens are in `self.session.tokens`. HTTP 401 and 403 on
                              the handshake count as a refused login.
    build_login()             frames sent first, [] when the URL or a header is the login.
    answers_login             True when the broker answers the login frames: `parse` then calls
                              `line.logged_in()` or `line.login_refused(words)`; nothing is subscribed before.
    build_welcome(line)       frames sent once a line's login is accepted, before it subscribes (order updates …).
    build_subscribe(wants)    frames for at most `batch` wants; a want whose mode changed comes again (its old
                              form was given to build_unsubscribe first).
    build_unsubscribe(wants)  the same for what is no longer wanted.
    parse(frame, line)        ticks of one frame; never raises for a strange one (a raise ends the frame, not the
                              socket, and is logged). It may call `line.confirmed(keys)` for acknowledged
                              subscriptions (a tick confirms by itself) and `self.on_orders(orders)`.
    on_connected(line)        a new socket: forget what partial updates had built up for this line.
    build_heartbeat()         the application's own heartbeat, sent each `heartbeat_every` seconds (0: none).

    silence        seconds without one received byte after which a socket is dead; 0 when the broker may be quiet
    stale_after    seconds without a tick, market open and instruments subscribed, until "stale" and one
                   resubscription; after twice that the socket is replaced
    ping_every     WebSocket pings, 0 for brokers that do not answer them
    confirm_within seconds for the first tick or acknowledgement of an instrument; then it is asked for once more
    order_line     True when order updates need a socket even with nothing subscribed
    """

    manifest: ClassVar[Manifest]

    answers_login: ClassVar[bool] = False
    heartbeat_every: ClassVar[float] = 0.0
    silence: ClassVar[float] = 15.0
    stale_after: ClassVar[float] = 60.0
    ping_every: ClassVar[float] = 0.0
    confirm_within: ClassVar[float] = 10.0
    batch: ClassVar[int] = 200
    batch_pause: ClassVar[float] = 0.0
    open_seconds: ClassVar[float] = 10.0
    first_pause: ClassVar[float] = 0.5
    longest_pause: ClassVar[float] = 30.0
    watch_every: ClassVar[float] = 1.0
    largest_frame: ClassVar[int] = 4 << 20
    order_line: ClassVar[bool] = False

    def __init__(
        self,
        feed: str,
        session: BrokerSession,
        find: InstrumentLookup,
        clock: Clock,
        sinks: StreamSinks,
        is_open: Callable[[], bool],
    ) -> None:
        """`is_open()` says whether any market of this broker trades now: only then is silence a fault."""
        self.feed = feed
        self.session = session
        self.find = find
        self.clock = clock
        self.sinks = sinks
        self.is_open = is_open
        self.monotonic = clock.monotonic
        self.on_ticks = sinks.ticks
        self.on_orders = sinks.orders
        self.lines: list[Line] = []
        self.overflow: set[tuple[str, str]] = set()
        self.refusals = 0
        self.renew_data: RenewData = nobody_renews
        self._home: dict[tuple[str, str], Line] = {}
        self._told = ""
        self._settling: set[asyncio.Task[None]] = set()

    # -- for the owner
    def start(self) -> None:
        """Open a socket now when order updates need one; else the first `want` does."""
        if self.order_line:
            self._line(0).start()

    def want(self, wants: Mapping[tuple[str, str], Want]) -> None:
        """Make `wants` what is subscribed, no more and no less. What no socket has room for is in `overflow`."""
        for key in [key for key in self._home if key not in wants]:
            self._home.pop(key).ledger.pop(key, None)
        self.overflow = set()
        for key, want in wants.items():
            line = self._home.get(key) or self._room()
            if line is None:
                self.overflow.add(key)
                continue
            self._home[key] = line
            line.ledger[key] = want
        if self.overflow:
            log.warning("feed=%s is full: %s instruments have no room", self.feed, len(self.overflow))
        for line in self.lines:
            if line.ledger:
                line.start()
            self._settle(line)

    @property
    def unconfirmed(self) -> set[tuple[str, str]]:
        """What was asked for and has neither ticked nor been acknowledged: say "pending", not "success"."""
        return {key for line in self.lines for key in line.unconfirmed}

    async def renew(self, session: BrokerSession) -> None:
        """Go on with these tokens. Unchanged tokens touch nothing; new ones replace each socket in turn."""
        same = session.tokens == self.session.tokens and session.urls == self.session.urls
        self.session = session
        if same:
            return
        self.refusals = 0
        old, self.lines, self._home = self.lines, [], {}
        for number, line in enumerate(old):
            heir = Line(self, number)
            heir.ledger = dict(line.ledger)
            self._home.update(dict.fromkeys(heir.ledger, heir))
            self.lines.append(heir)
            if heir.ledger or (self.order_line and number == 0):
                heir.start()
        await self._hand_over(old)

    async def stop(self) -> None:
        """Close every socket. Safe to call twice."""
        for line in self.lines:
            await line.stop()

    # -- for lines
    def read(self, frame: Frame, line: Line) -> list[Tick]:
        """`parse`, with a frame we cannot read logged and skipped."""
        try:
            return self.parse(frame, line)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            log.warning("feed=%s frame of %s bytes unreadable: %r", self.feed, len(frame), error)
            return []

    def line_changed(self) -> None:
        state, words = self._state()
        if state and state + words != self._told:
            self._told = state + words
            self.sinks.state(state, words)

    # -- the language
    def url(self) -> str:
        raise NotImplementedError

    def headers(self) -> dict[str, str]:
        return {}

    def build_login(self) -> Iterable[Frame]:
        return ()

    def build_welcome(self, line: Line) -> Iterable[Frame]:
        return ()

    def build_subscribe(self, wants: Sequence[Want]) -> Iterable[Frame]:
        raise NotImplementedError

    def build_unsubscribe(self, wants: Sequence[Want]) -> Iterable[Frame]:
        raise NotImplementedError

    def build_heartbeat(self) -> Frame:
        raise NotImplementedError

    def parse(self, frame: Frame, line: Line) -> list[Tick]:
        raise NotImplementedError

    def on_connected(self, line: Line) -> None:
        """Called for each new socket, before anything is sent."""

    async def on_refused(self) -> None:
        """Called for each refused login, before the next try: with other tokens where they are to be had."""
        session = await self._renewed(self.session.tokens)
        if session is not None:
            self.session, self.refusals = session, 0

    async def go_on_after(self, refused: Mapping[str, str]) -> None:
        """After a refused call: a socket that is still open belongs to the session that ended."""
        session = await self._renewed(refused) if refused == self.session.tokens else None
        if session is not None:
            await self.renew(session)

    # -- inside
    async def _renewed(self, refused: Mapping[str, str]) -> BrokerSession | None:
        """The session with market data tokens that were not refused; None when there are none to be had."""
        fresh = await asyncio.to_thread(self.renew_data, refused)
        return None if fresh is None else replace(self.session, tokens=fresh)

    def _room(self) -> Line | None:
        most, sockets = self.manifest.limits.symbols_per_socket, self.manifest.limits.sockets
        for line in self.lines:
            if not most or len(line.ledger) < most:
                return line
        return self._line(len(self.lines)) if len(self.lines) < max(sockets, 1) else None

    def _line(self, number: int) -> Line:
        while len(self.lines) <= number:
            self.lines.append(Line(self, len(self.lines)))
        return self.lines[number]

    def _settle(self, line: Line) -> None:
        task = asyncio.create_task(line.settle())
        self._settling.add(task)
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._settling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.info("feed=%s socket went while subscribing: %r", self.feed, error)

    async def _hand_over(self, old: list[Line]) -> None:
        """Old sockets stay until their heirs are up, so that a healthy feed has no gap."""
        for line, heir in zip(old, self.lines, strict=True):
            if heir.ledger and line.state == "up":
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.open_seconds):
                        await heir.up.wait()
            await line.stop()
        self.line_changed()

    def _state(self) -> tuple[str, str]:
        lines = [line for line in self.lines if line.ledger or (self.order_line and line.number == 0)]
        for state, told in (("expired", "expired"), ("connecting", "reconnecting"), ("stale", "stale")):
            for line in lines:
                if line.state == state:
                    return told, line.words
        return ("live", "") if lines else ("", "")

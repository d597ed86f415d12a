"""The last tick of an instrument, asked of the stream role before a broker is asked.

The question has 20 ms. No answer is an answer too: the caller then reads the broker.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import zmq

from domain.market import Tick
from services import tick_codec
from services.bus import Bus, Socket

BUDGET: Final = 0.02
_QUIET: Final = 1.0
Pairs = Sequence[tuple[str, str]]


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """`pairs` are (exchange, symbol)."""

    number: int
    feed: str
    pairs: list[tuple[str, str]]


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """The last tick of the richest mode there is.

    age    seconds since the stream role had it
    fresh  the feed is live, and either somebody is subscribed or the tick is at most 3 s old
    """

    mode: int
    age: float
    fresh: bool
    payload: bytes


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """In the order asked; None where nothing is known."""

    number: int
    entries: list[Entry | None]


class StreamStats(msgspec.Struct, frozen=True):
    """How the stream role does. Totals count since it started.

    slow    clients that are given only the newest of each topic
    stalls  how often a client became slow
    closes  sockets closed by us, by close code
    feeds   feed -> live, stale, reconnecting or expired
    """

    clients: int
    unauthenticated: int
    slow: int
    topics: int
    bus_messages: int
    frames: int
    stalls: int
    closes: dict[int, int]
    feeds: dict[str, str]


STATS: Final = b"stats"
_STATS_BUDGET: Final = 500
_ask = msgspec.msgpack.Encoder()
_answer = msgspec.msgpack.Decoder(Answer)
_stats = msgspec.msgpack.Decoder(StreamStats)


class Snapshots:
    """Asks. Any thread may; each has a socket of its own.

    After an unanswered question nobody asks for a second: a stream role that is away costs nobody time.
    """

    def __init__(
        self, bus: Bus, budget: float = BUDGET, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`budget` is seconds."""
        self._bus = bus
        self._budget_ms = max(int(budget * 1000), 1)
        self._monotonic = monotonic
        self._quiet_until = float("-inf")
        self._local = threading.local()
        self._numbers = itertools.count(1)

    def last(self, feed: str, pairs: Pairs) -> list[Tick | None]:
        """The fresh ticks of (exchange, symbol) pairs; None where there is none or nobody answered in time."""
        entries = self.ask(feed, pairs)
        if entries is None:
            return [None] * len(pairs)
        return [
            tick_codec.decode(entry.payload, entry.mode, exchange, symbol) if entry and entry.fresh else None
            for entry, (exchange, symbol) in zip(entries, pairs, strict=True)
        ]

    def ask(self, feed: str, pairs: Pairs) -> list[Entry | None] | None:
        """What the stream role holds, fresh or not; None when it did not answer in time."""
        if self._monotonic() < self._quiet_until:
            return None
        number = next(self._numbers)
        socket = self._socket()
        if socket.poll(self._budget_ms, zmq.POLLOUT):
            socket.send(_ask.encode(Ask(number, feed, list(pairs))))
            while socket.poll(self._budget_ms):
                answer = _answer.decode(socket.recv())
                if answer.number == number and len(answer.entries) == len(pairs):
                    return answer.entries
        self._quiet_until = self._monotonic() + _QUIET
        return None

    def stats(self) -> StreamStats | None:
        """How the stream role does; None when it does not answer within half a second."""
        socket = self._bus.connect(zmq.DEALER, self._bus.addresses.snapshot, "stream")
        try:
            if not socket.poll(_STATS_BUDGET, zmq.POLLOUT):
                return None
            socket.send(STATS)
            return _stats.decode(socket.recv()) if socket.poll(_STATS_BUDGET) else None
        finally:
            socket.close(linger=0)

    def _socket(self) -> Socket:
        socket: Socket | None = getattr(self._local, "socket", None)
        if socket is None:
            socket = self._bus.connect(zmq.DEALER, self._bus.addresses.snapshot, "stream")
            self._local.socket = socket
        return socket

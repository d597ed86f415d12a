"""Ticks on the bus: exact topics by feed, what is wanted, and the two ends that publish and read them.

A topic names one feed's one instrument in one mode and ends with a bar, so that a subscription is exact.
A tick is one message part: topic, NUL, sequence number of that topic, NUL, JSON of `services/tick_codec.py`.
The bus may drop; `services/snapshot.py` repairs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import zmq

from domain.market import Tick
from services import tick_codec
from services.bus import Bus, BusAddresses, Socket, runtime_dir
from services.bus_keys import BusKeys, KeyPair, bus_keys

__all__ = [
    "Bus",
    "BusAddresses",
    "BusKeys",
    "Change",
    "KeyPair",
    "Seen",
    "TickPublisher",
    "TickSubscriber",
    "Topic",
    "bus_keys",
    "parse_topic",
    "runtime_dir",
]

TICKS: Final = b"tick|"
STATES: Final = b"broker|"
LINGER: Final = 30.0
BEAT: Final = 1.0


class Topic(NamedTuple):
    """What one market-data topic names. `mode` is the number of StreamMode."""

    feed: str
    mode: int
    exchange: str
    symbol: str

    def encode(self) -> bytes:
        return f"tick|{self.feed}|{self.mode}|{self.exchange}|{self.symbol}|".encode()


def parse_topic(raw: bytes) -> Topic | None:
    """The Topic of a whole topic; None for prefixes and for other kinds of topic."""
    parts = raw.split(b"|")
    if len(parts) != 6 or parts[0] != b"tick" or parts[5] or parts[2] not in (b"1", b"2", b"3"):
        return None
    try:
        return Topic(parts[1].decode(), int(parts[2]), parts[3].decode(), parts[4].decode())
    except UnicodeDecodeError:
        return None


class FeedState(msgspec.Struct, frozen=True):
    """How a feed is, told on `broker|<account>|` at each change and again every second.

    state  "live", "stale" (connected, but silent), "reconnecting" or "expired" (needs a login)
    since  epoch ms of the change
    words  what a person may read about it, "" when all is well
    """

    feed: str
    account: str
    state: str
    since: int
    words: str = ""


class Change(NamedTuple):
    """A topic that became wanted, or that nobody wanted for the whole linger."""

    topic: Topic
    wanted: bool


class _Line:
    """One wanted topic of ours. `expires` is None while somebody is subscribed."""

    __slots__ = ("expires", "head", "seq", "topic")

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.head = topic.encode() + b"\0"
        self.seq = 0
        self.expires: float | None = None


Key = tuple[str, str, str]


class TickPublisher:
    """A feed's end: it knows what is wanted and publishes only that. One thread owns it.

    `poll` must be called at least once a second: it reads subscriptions, lets unwanted topics go after the
    linger and tells each feed's state. A topic that is wanted (again) gets its last known value at once; that
    also repairs what a restart of the forwarder lost.
    """

    def __init__(
        self,
        bus: Bus,
        owns: Callable[[str], bool],
        monotonic: Callable[[], float],
        linger: float = LINGER,
    ) -> None:
        """`owns(feed)` says which feeds are ours; subscriptions to others are not seen."""
        self.socket: Socket = bus.publisher(zmq.XPUB)
        self._owns = owns
        self._monotonic = monotonic
        self._linger = linger
        self._lines: dict[Key, dict[int, _Line]] = {}
        self._last: dict[Key, Tick] = {}
        self._lingering: dict[bytes, _Line] = {}
        self._states: dict[str, bytes] = {}
        self._beat_at = 0.0

    def poll(self) -> list[Change]:
        """What changed since the last call; never waits."""
        now = self._monotonic()
        changes = [change for raw in self._received() if (change := self._heard(raw, now)) is not None]
        changes += self._expire(now)
        if now >= self._beat_at:
            self._beat_at = now + BEAT
            for message in self._states.values():
                self._send(message)
        return changes

    def wanted(self, feed: str) -> dict[tuple[str, str], int]:
        """(exchange, symbol) -> the highest mode wanted, lingering ones included."""
        return {key[1:]: max(lines) for key, lines in self._lines.items() if key[0] == feed}

    def publish(self, feed: str, mode: int, exchange: str, symbol: str, payload: bytes) -> None:
        """Send encoded data to those who want exactly this; nothing happens when nobody does."""
        lines = self._lines.get((feed, exchange, symbol))
        line = lines.get(mode) if lines else None
        if line is not None:
            self._put(line, payload)

    def tick(self, feed: str, tick: Tick) -> None:
        """Send a tick in every wanted mode that it can fill, encoded once for each."""
        key = (feed, tick.exchange, tick.symbol)
        lines = self._lines.get(key)
        if not lines:
            return
        self._last[key] = tick
        for mode, line in lines.items():
            if mode <= tick.mode:
                self._put(line, tick_codec.encode(tick, mode))

    def state(self, state: FeedState) -> None:
        """Tell a feed's state now, and again every second from `poll`."""
        message = STATES + state.account.encode() + b"|\0" + msgspec.json.encode(state)
        self._states[state.account] = message
        self._send(message)

    def forget(self, account: str) -> None:
        """Stop telling the state of an account whose feed is gone for good."""
        self._states.pop(account, None)

    def close(self) -> None:
        self.socket.close()

    def _received(self) -> list[bytes]:
        frames = []
        try:
            while True:
                frames.append(self.socket.recv(zmq.NOBLOCK))
        except zmq.Again:
            return frames

    def _heard(self, raw: bytes, now: float) -> Change | None:
        topic = parse_topic(raw[1:])
        if topic is None or not self._owns(topic.feed):
            return None
        key = (topic.feed, topic.exchange, topic.symbol)
        line = self._lines.get(key, {}).get(topic.mode)
        if raw[:1] == b"\x01":
            return self._want(key, topic, line)
        if line is not None:
            line.expires = now + self._linger
            self._lingering[raw[1:]] = line
        return None

    def _want(self, key: Key, topic: Topic, line: _Line | None) -> Change | None:
        if line is None:
            line = self._lines.setdefault(key, {})[topic.mode] = _Line(topic)
        line.expires = None
        self._lingering.pop(line.head[:-1], None)
        last = self._last.get(key)
        if last is not None and topic.mode <= last.mode:
            self._put(line, tick_codec.encode(last, topic.mode))
        return Change(topic, True)

    def _expire(self, now: float) -> list[Change]:
        over = [(raw, line) for raw, line in self._lingering.items() if (line.expires or now) <= now]
        for raw, line in over:
            del self._lingering[raw]
            key = (line.topic.feed, line.topic.exchange, line.topic.symbol)
            self._lines[key].pop(line.topic.mode)
            if not self._lines[key]:
                del self._lines[key]
                self._last.pop(key, None)
        return [Change(line.topic, False) for _, line in over]

    def _put(self, line: _Line, payload: bytes) -> None:
        line.seq += 1
        self._send(b"%b%d\0%b" % (line.head, line.seq, payload))

    def _send(self, message: bytes) -> None:
        self.socket.send(message, zmq.NOBLOCK)


class Seen(NamedTuple):
    """One tick read from the bus. `gap`: at least one message of this topic was lost before it."""

    topic: Topic
    payload: bytes
    gap: bool

    def tick(self) -> Tick:
        """The decoded tick. Raises ValueError when the payload is not one."""
        return tick_codec.decode(self.payload, self.topic.mode, self.topic.exchange, self.topic.symbol)


class TickSubscriber:
    """A reader of chosen topics. One thread owns it; wait on `socket` with a poller, then call `receive`.

    After a gap, after a silence and at least each second a reader that trades asks the snapshot.
    """

    def __init__(self, bus: Bus) -> None:
        self.socket: Socket = bus.subscriber()
        self._topics: dict[bytes, Topic] = {}
        self._seq: dict[bytes, int] = {}

    def want(self, topic: Topic) -> None:
        """Subscribe; a second call for the same topic does nothing."""
        raw = topic.encode()
        if raw not in self._topics:
            self._topics[raw] = topic
            self.socket.subscribe(raw)

    def drop(self, topic: Topic) -> None:
        raw = topic.encode()
        if self._topics.pop(raw, None) is not None:
            self._seq.pop(raw, None)
            self.socket.unsubscribe(raw)

    def receive(self, limit: int = 1000) -> list[Seen]:
        """What has arrived, oldest first, at most `limit`; never waits."""
        seen: list[Seen] = []
        with contextlib.suppress(zmq.Again):
            while len(seen) < limit:
                raw, number, payload = self.socket.recv(zmq.NOBLOCK).split(b"\0", 2)
                if (topic := self._topics.get(raw)) is not None:
                    seen.append(Seen(topic, payload, self._is_gap(raw, int(number))))
        return seen

    def close(self) -> None:
        self.socket.close()

    def _is_gap(self, raw: bytes, number: int) -> bool:
        before = self._seq.get(raw)
        self._seq[raw] = number
        return before is not None and number != before + 1

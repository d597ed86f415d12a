"""Who takes which topic, and how it is written for them.

The fan-out looks a topic up and finds its outlets. An outlet is one topic written one way (encoding and the spelling
of the symbol); it encodes a tick once, whatever the number of clients. Clients whose socket drains are in `fast` and
get every frame; the others are in `slow` and only learn that there is something newer.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

import msgspec
import orjson

from services.tick_bus import Topic
from websocket_proxy import frames, messages

if TYPE_CHECKING:
    from websocket_proxy.client import Client

Append = Callable[[bytes], None]


class Encoding(IntEnum):
    """How a client takes market data. PLAIN is the public contract, the others are asked for."""

    PLAIN = 0
    BATCH = 1
    MSGPACK = 2
    MSGPACK_BATCH = 3


class Outlet:
    """One topic written one way.

    data  the last tick's JSON; `frame()` is what a client gets of it (cached)
    """

    __slots__ = ("_frame", "_head", "_tail", "broker", "data", "encoding", "fast", "key", "raw", "slow")

    def __init__(self, topic: Topic, symbol: str, broker: str, encoding: Encoding) -> None:
        self.raw = topic.encode()
        self.key = (symbol, broker, encoding)
        self.broker = broker
        self.encoding = encoding
        self.fast: dict[Client, Append] = {}
        self.slow: dict[Client, Callable[[Outlet, None], None]] = {}
        self.data = b""
        self._frame = b""
        self._head, self._tail = messages.market_parts(symbol, topic.exchange, topic.mode, broker)

    def publish(self, data: bytes) -> None:
        """Give a tick to everybody here."""
        self.data, self._frame = data, b""
        if self.fast:
            frame = self._frame = self._build(data)
            for append in self.fast.values():
                append(frame)
        if self.slow:
            for mark in self.slow.values():
                mark(self, None)

    def frame(self) -> bytes:
        """The last tick, as this outlet writes it; b"" before the first."""
        if not self._frame and self.data:
            self._frame = self._build(self.data)
        return self._frame

    def _build(self, data: bytes) -> bytes:
        body = self._head + data + self._tail
        if self.encoding is Encoding.PLAIN:
            size = len(body)
            if 126 <= size < 65536:
                return b"\x81\x7e" + size.to_bytes(2, "big") + body
            return frames.text(body)
        if self.encoding is Encoding.BATCH:
            return body
        packed = msgspec.msgpack.encode(orjson.loads(body))
        return packed if self.encoding is Encoding.MSGPACK_BATCH else frames.frame(frames.BINARY, packed)


class Subscriptions:
    """Every topic that some client here holds. `wanted(raw, bool)` hears of the first and the last holder."""

    def __init__(self, wanted: Callable[[bytes, bool], None]) -> None:
        self.topics: dict[bytes, tuple[Outlet, ...]] = {}
        self._wanted = wanted

    def __len__(self) -> int:
        return len(self.topics)

    def join(self, client: Client, topic: Topic, symbol: str, broker: str, encoding: Encoding) -> Outlet:
        """Give the client this topic, spelled `symbol`; the outlet it now has."""
        raw = topic.encode()
        outlets = self.topics.get(raw, ())
        key = (symbol, broker, encoding)
        outlet = next((known for known in outlets if known.key == key), None)
        if outlet is None:
            outlet = Outlet(topic, symbol, broker, encoding)
            self.topics[raw] = (*outlets, outlet)
        if not outlets:
            self._wanted(raw, True)
        client.attach(outlet)
        return outlet

    def leave(self, client: Client, outlet: Outlet) -> None:
        client.detach(outlet)
        if outlet.fast or outlet.slow:
            return
        rest = tuple(known for known in self.topics.get(outlet.raw, ()) if known is not outlet)
        if rest:
            self.topics[outlet.raw] = rest
        elif self.topics.pop(outlet.raw, None) is not None:
            self._wanted(outlet.raw, False)

"""The hot path: from the bus to every client's socket, without ever waiting for one.

The SUB socket is drained when it is readable; each tick is looked up by topic, encoded once and appended to lists;
a flush a millisecond or two later writes each list in one piece. It also sees every tick anybody asked for (a
subscription to `tick|`), which is what the snapshot answers from, and it hands bells on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

import zmq

from services.bus import Bus
from services.tick_bus import TICKS
from websocket_proxy.client import Client
from websocket_proxy.subscriptions import Subscriptions

log = logging.getLogger(__name__)

BELLS: Final = (b"broker|", b"order|", b"job|", b"log|", b"login|", b"account|", b"alert|")
_AT_ONCE: Final = 1000
_BEHIND: Final = 20
_SAFETY: Final = 0.1
_FEW, _FLUSH_FEW, _FLUSH_MANY = 100, 0.001, 0.002
_SHORTEST_HOLD, _LONGEST_HOLD, _HEALTHY = 0.05, 1.6, 5.0


class Fanout:
    """Runs on the loop that made it, until `stop`."""

    def __init__(self, bus: Bus, on_bell: Callable[[bytes, bytes], None], now: Callable[[], float]) -> None:
        """`on_bell(topic, payload)` hears everything that is not a tick."""
        self._socket = bus.subscriber()
        for prefix in (TICKS, *BELLS):
            self._socket.subscribe(prefix)
        self._on_bell = on_bell
        self._now = now
        self._loop = asyncio.get_running_loop()
        self.subscriptions = Subscriptions(self._want)
        self.last: dict[bytes, tuple[float, bytes]] = {}
        self.fast: set[Client] = set()
        self.slow: set[Client] = set()
        self.heard = self.frames = self.stalls = 0
        self._flush_due = False
        self._full = 0
        self._safety: asyncio.TimerHandle | None = None
        self._descriptor = int(self._socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._descriptor, self._readable)
        self._again()

    def stop(self) -> None:
        self._loop.remove_reader(self._descriptor)
        if self._safety is not None:
            self._safety.cancel()
        self._socket.close()

    # -- clients
    def add(self, client: Client) -> None:
        """The client may hold topics from now on."""
        client.fast_since = self._now()
        (self.slow if client.slow else self.fast).add(client)

    def remove(self, client: Client) -> None:
        """Forget a client and all that it held."""
        self.fast.discard(client)
        self.slow.discard(client)
        for outlet in client.held.values():
            self.subscriptions.leave(client, outlet)
        client.held.clear()
        client.out.clear()
        client.dirty.clear()

    def stalled(self, client: Client) -> None:
        """The client's socket is full: from now on keep only the newest of each topic for it."""
        if client.slow or client not in self.fast:
            return
        now = self._now()
        again = now - client.fast_since < _HEALTHY
        client.hold = min(max(client.hold * 2, _SHORTEST_HOLD), _LONGEST_HOLD) if again else _SHORTEST_HOLD
        client.slow_until = now + client.hold
        client.slow = True
        self.stalls += 1
        self.fast.discard(client)
        self.slow.add(client)
        for outlet in client.held.values():
            outlet.fast.pop(client, None)
            outlet.slow[client] = client.mark

    def _recovered(self, client: Client, now: float) -> None:
        client.slow, client.fast_since = False, now
        self.slow.discard(client)
        self.fast.add(client)
        for outlet in client.held.values():
            outlet.slow.pop(client, None)
            outlet.fast[client] = client.out.append

    # -- bus
    def _want(self, raw: bytes, wanted: bool) -> None:
        if wanted:
            self._socket.subscribe(raw)
        else:
            self._socket.unsubscribe(raw)

    def _again(self) -> None:
        """The socket's descriptor tells of news once; look now and then whether one was missed."""
        self._safety = self._loop.call_later(_SAFETY, self._again)
        self._readable()

    def _readable(self) -> None:
        if self._full >= _BEHIND:
            self._catch_up()
            return
        receive, topics, last, now = self._socket.recv, self.subscriptions.topics, self.last, self._now()
        taken = 0
        with contextlib.suppress(zmq.Again):
            for taken in range(_AT_ONCE):  # noqa: B007 (counted afterwards)
                parts = receive(zmq.NOBLOCK).split(b"\0", 2)
                if len(parts) == 3:
                    topic, _, data = parts
                    last[topic] = (now, data)
                    for outlet in topics.get(topic, ()):
                        outlet.publish(data)
                else:
                    self._on_bell(parts[0], parts[1] if len(parts) == 2 else b"")
            self._full += 1
            self.heard += _AT_ONCE
            self._loop.call_soon(self._readable)
            self.schedule()
            return
        self.heard += taken
        self._full = 0
        self.schedule()

    def _catch_up(self) -> None:
        """So far behind that the bus would soon drop, newest first: pass on only the newest of each topic."""
        receive, now = self._socket.recv, self._now()
        newest: dict[bytes, bytes] = {}
        try:
            for _ in range(_AT_ONCE * 10):
                parts = receive(zmq.NOBLOCK).split(b"\0", 2)
                if len(parts) == 3:
                    newest[parts[0]] = parts[2]
                else:
                    self._on_bell(parts[0], parts[1] if len(parts) == 2 else b"")
            self._loop.call_soon(self._readable)
        except zmq.Again:
            log.warning("the fan-out was behind and passed on only the newest ticks")
            self._full = 0
        self.heard += len(newest)
        for topic, data in newest.items():
            self.last[topic] = (now, data)
            for outlet in self.subscriptions.topics.get(topic, ()):
                outlet.publish(data)
        self.schedule()

    def schedule(self) -> None:
        """Have what was appended written soon."""
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_later(_FLUSH_FEW if len(self.fast) < _FEW else _FLUSH_MANY, self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        for client in tuple(self.fast):
            if client.out:
                self.frames += len(client.out)
                client.flush()
        if self.slow:
            self._flush_slow()

    def _flush_slow(self) -> None:
        now = self._now()
        for client in tuple(self.slow):
            if not client.paused_at:
                self.frames += client.drain()
                if not client.paused_at and now >= client.slow_until:
                    self._recovered(client, now)

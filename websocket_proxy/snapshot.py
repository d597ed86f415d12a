"""Answers what an instrument's last tick was, from what passed over the bus. The asker is `services/snapshot.py`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

import msgspec
import zmq

from domain.model import StreamMode
from services.bus import Bus
from services.snapshot import STATS, Answer, Ask, Entry, StreamStats
from services.tick_bus import Topic
from websocket_proxy.fanout import Fanout

log = logging.getLogger(__name__)

FRESH: Final = 3.0
_KEEP: Final = 600.0
_SAFETY: Final = 0.1
_RICHEST_FIRST: Final = (StreamMode.DEPTH, StreamMode.QUOTE, StreamMode.LTP)
_decoder = msgspec.msgpack.Decoder(Ask)
_encode = msgspec.msgpack.Encoder().encode


class SnapshotServer:
    """Runs on the loop that made it, until `stop`."""

    def __init__(
        self,
        bus: Bus,
        fanout: Fanout,
        is_live: Callable[[str], bool],
        now: Callable[[], float],
        stats: Callable[[], StreamStats],
    ) -> None:
        """`is_live(feed)` decides whether a quiet instrument's last tick is still true."""
        self._stats = stats
        self._socket = bus.bind(zmq.ROUTER, bus.addresses.snapshot)
        self._fanout = fanout
        self._is_live = is_live
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._descriptor = int(self._socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._descriptor, self._readable)
        self._safety: asyncio.TimerHandle | None = None
        self._again()

    def stop(self) -> None:
        self._loop.remove_reader(self._descriptor)
        if self._safety is not None:
            self._safety.cancel()
        self._socket.close()

    def forget_old(self) -> None:
        """Let go of ticks that nobody here holds and that have not come for ten minutes."""
        last, held, now = self._fanout.last, self._fanout.subscriptions.topics, self._now()
        for raw in [raw for raw, (at, _) in last.items() if now - at > _KEEP and raw not in held]:
            del last[raw]

    def _again(self) -> None:
        self._safety = self._loop.call_later(_SAFETY, self._again)
        self._readable()

    def _readable(self) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                peer, *rest = self._socket.recv_multipart(zmq.NOBLOCK)
                if rest[-1:] == [STATS]:
                    self._socket.send_multipart([peer, _encode(self._stats())], zmq.NOBLOCK)
                    continue
                try:
                    ask = _decoder.decode(rest[-1])
                except (msgspec.MsgspecError, IndexError):
                    log.warning("a snapshot question could not be read")
                    continue
                self._socket.send_multipart([peer, _encode(self._answer(ask))], zmq.NOBLOCK)

    def _answer(self, ask: Ask) -> Answer:
        live = self._is_live(ask.feed)
        return Answer(
            ask.number, [self._entry(ask.feed, exchange, symbol, live) for exchange, symbol in ask.pairs]
        )

    def _entry(self, feed: str, exchange: str, symbol: str, live: bool) -> Entry | None:
        """The richest entry that is fresh, else the richest one there is."""
        best: Entry | None = None
        for mode in _RICHEST_FIRST:
            raw = Topic(feed, mode, exchange, symbol).encode()
            found = self._fanout.last.get(raw)
            if found is None:
                continue
            age = self._now() - found[0]
            fresh = live and (age <= FRESH or raw in self._fanout.subscriptions.topics)
            if fresh:
                return Entry(int(mode), age, True, found[1])
            best = best or Entry(int(mode), age, False, found[1])
        return best

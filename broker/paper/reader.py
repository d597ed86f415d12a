"""Market reads (quotes, depth, candles) in a thread of their own, so that no chart holds up an order."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

import zmq

from broker.paper import wire
from broker.paper.market import INTERVALS, Market
from domain.clock import Clock
from domain.errors import InvalidRequest

log = logging.getLogger(__name__)

Socket = zmq.Socket[bytes]
_WAITING = 1024


class MarketReader:
    """Answers reads from markets that it alone uses. `done` becomes readable when answers wait in `take`.

    At most 1,024 reads wait; one more is answered UNAVAILABLE at once.
    """

    def __init__(self, markets: Callable[[], dict[str, Market]], clock: Clock) -> None:
        self._clock = clock
        self._make = markets
        self._asked: queue.Queue[tuple[bytes, wire.Call] | None] = queue.Queue(_WAITING)
        self._context: zmq.Context[Socket] = zmq.Context()
        address = f"inproc://reader-{id(self)}"
        self.done = self._context.socket(zmq.PULL)
        self.done.bind(address)
        self._out = self._context.socket(zmq.PUSH)
        self._out.connect(address)
        self._refused: list[tuple[bytes, bytes]] = []
        self._thread = threading.Thread(target=self._run, name="market-reader", daemon=True)
        self._thread.start()

    def ask(self, peer: bytes, call: wire.Call) -> None:
        """Hand in a read."""
        try:
            self._asked.put_nowait((peer, call))
        except queue.Full:
            self._refused.append((peer, wire.fault(call.number, "UNAVAILABLE", "Too many market reads wait")))

    def take(self) -> list[tuple[bytes, bytes]]:
        """(peer, reply) of every read that is answered; never waits."""
        ready, self._refused = self._refused, []
        with contextlib.suppress(zmq.Again):
            while True:
                peer, payload = self.done.recv_multipart(zmq.NOBLOCK)
                ready.append((peer, payload))
        return ready

    def close(self) -> None:
        """End the thread and its sockets."""
        self._asked.put(None)
        self._thread.join(timeout=5)
        self.done.close(linger=0)
        self._out.close(linger=0)
        self._context.term()

    def _run(self) -> None:
        markets = self._make()
        while (asked := self._asked.get()) is not None:
            peer, call = asked
            try:
                payload = self._answer(markets, call)
            except Exception:
                log.exception("a market read failed")
                payload = wire.fault(call.number, "UNAVAILABLE", "The market could not be read")
            self._out.send_multipart([peer, payload])

    def _answer(self, markets: dict[str, Market], call: wire.Call) -> bytes:
        market = markets.get(call.feed)
        if market is None:
            return wire.fault(call.number, "BAD_REQUEST", f"There is no market '{call.feed}'", "feed")
        try:
            return wire.reply(call.number, self._read(market, call.request))
        except InvalidRequest as error:
            return wire.fault(call.number, "BAD_REQUEST", str(error), error.field)

    def _read(self, market: Market, request: wire.Request) -> Any:
        now = self._clock.now()
        if isinstance(request, wire.Quotes):
            return [market.quote(one, now) for one in request.instruments]
        if isinstance(request, wire.MarketDepth):
            return market.depth(request.instrument, now)
        if isinstance(request, wire.Candles):
            if request.interval not in INTERVALS:
                raise InvalidRequest(f"There is no interval '{request.interval}'", "interval")
            return market.candles(request.instrument, request.interval, request.start, request.end)
        raise InvalidRequest("not a market read")

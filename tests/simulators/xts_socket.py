"""XTS's sockets as its servers speak: Engine.IO 3 or 4 as the client asks, market data events and order events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from domain.market import Tick
from domain.model import Exchange, Instrument, Trade
from tests.simulators import xts_wire as wire
from tests.simulators.exchange import Entry
from tests.simulators.server import Simulator, Socket

Number = tuple[int, int]


class XtsSocket(Simulator):
    """The socket half of the face.

    publish       "json", or "binary" for events that nobody can read
    engine_ping   seconds between the server's pings (Engine.IO 4)
    subscribed    message codes by instrument: they belong to the market login, not to a socket
    """

    by_instrument: dict[tuple[Exchange, str], wire.Scrip]

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.publish = "json"
        self.engine_ping = 25.0
        self.pongs = 0
        self.subscribed: dict[Number, set[int]] = {}

    def admit(self, path: str, query: dict[str, str]) -> bool:
        kind = "interactive" if path.strip("/") == "interactive/socket.io" else "market"
        return self.tokens.get(query.get("token", "")) == kind and query.get("userID") == self.user

    async def converse(self, socket: Socket) -> None:
        assert socket.connection.request is not None
        query = dict(parse_qsl(urlsplit(socket.connection.request.path).query))
        old = query.get("EIO") == "3"
        opening = {"sid": self.random(8), "upgrades": [], "pingInterval": int(self.engine_ping * 1000),
                   "pingTimeout": 20000, "maxPayload": 1000000}  # fmt: skip
        socket.send("0" + json.dumps(opening))
        socket.wanted["EIO"] = query.get("EIO", "4")
        if old:
            self._join(socket, "40")
        beat = None if old else asyncio.create_task(self._beat(socket))
        try:
            async for frame in socket:
                self._heard(socket, str(frame), old)
        finally:
            if beat is not None:
                beat.cancel()

    def _heard(self, socket: Socket, frame: str, old: bool) -> None:
        if frame == "40" and not old:
            self._join(socket, "40" + json.dumps({"sid": self.random(8)}))
        elif frame == "2" and old:
            socket.send("3")
        elif frame == "3":
            self.pongs += 1

    def _join(self, socket: Socket, welcome: str) -> None:
        socket.send(welcome)
        socket.send("42" + json.dumps(["joined", "Connected successfully."]))
        socket.ready = True
        socket.orders = socket.path.strip("/") == "interactive/socket.io"

    async def _beat(self, socket: Socket) -> None:
        while True:
            await asyncio.sleep(self.engine_ping)
            socket.send("2")

    def look(self, code: int, scrip: wire.Scrip) -> dict[str, object]:
        depth = self.market.depth(scrip.instrument, self.clock.now())
        assert depth is not None
        return wire.market_object(code, depth, scrip, self.market.has_traded(scrip.instrument))

    def tick_frames(self, socket: Socket, instrument: Instrument, tick: Tick) -> Iterable[str | bytes]:
        scrip = self.by_instrument.get(instrument.key)
        if scrip is None or not socket.ready or socket.orders:
            return
        for code in sorted(self.subscribed.get(scrip.key, ())):
            if self.publish == "binary":
                yield '451-["xts-binary-packet",{"_placeholder":true,"num":0}]'
                marked = b"\x04" if socket.wanted["EIO"] == "3" else b""
                yield marked + wire.packet(code, scrip.key, tick.last_price)
            else:
                yield wire.event(f"{code}-json-full", self.look(code, scrip))

    def order_frames(self, socket: Socket, entry: Entry, trade: Trade | None) -> Iterable[str | bytes]:
        if not socket.orders:
            return
        row = wire.order_row(entry, self.by_instrument[entry.instrument.key], False, False)
        yield wire.event("order", row)
        if trade is not None:
            yield wire.event("trade", wire.trade_row(trade, row, False))

"""Kite's ticker as its server speaks: JSON up, binary packets and order rows down, a heartbeat a second."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

from domain.market import Tick
from domain.model import Exchange, Instrument, Trade
from tests.simulators import kite_wire as wire
from tests.simulators.exchange import Entry
from tests.simulators.server import Simulator, Socket


class KiteSocket(Simulator):
    """The socket half of the face. Every open socket hears of orders."""

    by_token: dict[int, wire.Scrip]
    by_instrument: dict[tuple[Exchange, str], wire.Scrip]

    def admit(self, path: str, query: dict[str, str]) -> bool:
        return (
            query.get("api_key") == self.credentials["api_key"] and query.get("access_token") in self.tokens
        )

    async def converse(self, socket: Socket) -> None:
        beat = asyncio.create_task(self._beat(socket))
        socket.orders = True
        try:
            async for text in socket:
                asked = json.loads(text)
                self._asked(socket, asked.get("a"), asked.get("v") or [])
        finally:
            beat.cancel()

    async def _beat(self, socket: Socket) -> None:
        while True:
            await asyncio.sleep(1)
            socket.send(b"\x00")

    def _asked(self, socket: Socket, action: str, value: list[object]) -> None:
        tokens = value[1] if action == "mode" else value
        assert isinstance(tokens, list)
        for token in tokens:
            if action == "unsubscribe":
                socket.wanted.pop(token, None)
            else:
                socket.wanted[token] = (
                    str(value[0]) if action == "mode" else socket.wanted.get(token, "quote")
                )
        if action != "unsubscribe":
            scrips = [self.by_token[t] for t in tokens if t in self.by_token]
            packets = [wire.packet(s, self.market.tick(s.instrument), socket.wanted[s.token]) for s in scrips]
            if packets:
                socket.send(wire.frame(packets))

    def tick_frames(self, socket: Socket, instrument: Instrument, tick: Tick) -> Iterable[str | bytes]:
        scrip = self.by_instrument[instrument.key]
        if mode := socket.wanted.get(scrip.token):
            yield wire.frame([wire.packet(scrip, tick, mode)])

    def order_frames(self, socket: Socket, entry: Entry, trade: Trade | None) -> Iterable[str | bytes]:
        row = wire.order_row(entry, self.by_instrument[entry.instrument.key])
        more = {
            "user_id": entry.user,
            "unfilled_quantity": row["pending_quantity"],
            "app_id": 1234,
            "checksum": "",
        }
        yield json.dumps({"type": "order", "data": row | more})

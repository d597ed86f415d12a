"""Noren's socket as its servers speak: JSON text; after a whole first frame only what changed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from domain.market import Tick
from domain.model import Exchange, Instrument, Trade
from tests.simulators import noren_wire as wire
from tests.simulators.exchange import Entry
from tests.simulators.server import Simulator, Socket

Data = dict[str, object]


class NorenSocket(Simulator):
    """The socket half of the face. A login that is refused leaves the socket open, as it does in life."""

    by_key: dict[str, wire.Scrip]
    by_instrument: dict[tuple[Exchange, str], wire.Scrip]

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._sent: dict[tuple[int, str], dict[str, str]] = {}

    async def converse(self, socket: Socket) -> None:
        async for text in socket:
            asked = json.loads(text)
            if asked.get("t") in ("a", "c"):
                self._log_in(socket, asked)
            elif socket.ready:
                self._asked(socket, asked)

    def _log_in(self, socket: Socket, asked: Data) -> None:
        token = asked.get("accesstoken") or asked.get("susertoken")
        socket.ready = token in self.tokens
        kind = "ak" if asked["t"] == "a" else "ck"
        socket.send(json.dumps({"t": kind, "uid": self.user, "s": "OK" if socket.ready else "NOT_OK"}))

    def _asked(self, socket: Socket, asked: Data) -> None:
        kind, keys = asked.get("t"), str(asked.get("k") or "").split("#")
        if kind == "h":
            socket.send(json.dumps({"t": "hk"}))
        elif kind == "o":
            socket.orders = True
            socket.send(json.dumps({"t": "ok"}))
        elif kind in ("t", "d"):
            for key in keys:
                if scrip := self.by_key.get(key):
                    socket.wanted[key] = str(kind)
                    self._sent.pop((id(socket), key), None)
                    tick = self.market.tick(scrip.instrument)
                    socket.send(self._frame(socket, scrip, tick, f"{kind}k"))
        elif kind in ("u", "ud"):
            for key in keys:
                socket.wanted.pop(key, None)
            socket.send(json.dumps({"t": f"{kind}k", "k": "#".join(keys)}))

    def _frame(self, socket: Socket, scrip: wire.Scrip, tick: Tick, kind: str) -> str:
        """Only what changed since the last frame of this instrument on this socket."""
        whole = wire.tick_fields(tick, scrip, kind[0] == "d", self.market.has_traded(scrip.instrument))
        before = self._sent.get((id(socket), scrip.key), {})
        self._sent[id(socket), scrip.key] = whole
        changed = {name: value for name, value in whole.items() if before.get(name) != value}
        return json.dumps({"t": kind, "e": scrip.exchange, "tk": scrip.token, **changed})

    def tick_frames(self, socket: Socket, instrument: Instrument, tick: Tick) -> Iterable[str | bytes]:
        scrip = self.by_instrument[instrument.key]
        if kind := socket.wanted.get(scrip.key):
            yield self._frame(socket, scrip, tick, f"{kind}f")

    def order_frames(self, socket: Socket, entry: Entry, trade: Trade | None) -> Iterable[str | bytes]:
        if socket.orders:
            yield json.dumps(wire.order_message(entry, self.by_instrument[entry.instrument.key], trade))

"""The sockets of XTS's two services: Socket.IO over one WebSocket, as a minimal text client.

Engine.IO 4 frames: `0{…}` opens, `40` joins, the server pings `2` and hears `3`, `42["name", "json"]` is an event.
A client library would bring an event loop's worth of reconnecting that `stream_line.py` does already.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

import orjson

from broker import fields
from broker.fields import Row
from broker.stream import BrokerStream, Frame
from broker.stream_line import Line
from domain.market import Tick


class XtsSocket(BrokerStream):
    """Its login is the address; the server's pings prove life. A subclass reads the events."""

    answers_login = True
    silence = 60.0

    def address(self, role: str, user_id: str, token: str, **more: str) -> str:
        """Where a service's socket is, with what it wants to know."""
        base = self.session.urls.get(role) or self.manifest.urls[role]
        query = {"token": token, "userID": user_id, **more, "transport": "websocket", "EIO": "4"}
        return f"{base}/?{urlencode(query)}"

    def build_login(self) -> Iterable[Frame]:
        yield "40"

    def parse(self, frame: Frame, line: Line) -> list[Tick]:
        if isinstance(frame, bytes):
            return []
        if frame.startswith("42"):
            return self._named(orjson.loads(frame[2:]), line)
        if frame.startswith("451-"):
            self.on_binary()
        elif frame == "2":
            line.say("3")
        elif frame.startswith("40"):
            line.logged_in()
        elif frame.startswith("44"):
            told = orjson.loads(frame[2:])
            line.login_refused(str(told.get("message")) if isinstance(told, dict) else str(told))
        elif frame[:1] == "1" or frame.startswith("41"):
            line.say("1")
        elif not (frame.startswith("0{") or frame == "6"):
            raise ValueError("not a frame of Socket.IO")
        return []

    def _named(self, told: object, line: Line) -> list[Tick]:
        if not isinstance(told, list) or len(told) != 2 or not isinstance(told[0], str):
            return []
        name, payload = told
        if name in ("joined", "success"):
            line.logged_in()
            return []
        return self.on_event(name, payload)

    def on_event(self, name: str, payload: object) -> list[Tick]:
        """The ticks of an event other than the welcome."""
        raise NotImplementedError

    def on_binary(self) -> None:
        """A packet of bytes was announced."""


def event_object(payload: object) -> Row:
    """An event's argument: JSON text, or the object itself."""
    return fields.row(orjson.loads(payload) if isinstance(payload, str) else payload)

"""One client's socket: frames in, in order; answers, order events and ticks out; what happens when it does not read.

Three lanes lead out. Answers and order events are kept in full and in order up to a bound, beyond which the socket is
closed. Ticks are written as they come while the socket drains; when it does not, only the newest of each topic is
kept, by reference. Nothing here ever waits for a client.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from websocket_proxy import frames
from websocket_proxy.subscriptions import Encoding, Outlet

if TYPE_CHECKING:
    from websocket_proxy.access import Identity

LARGEST_MESSAGE: Final = 1 << 20
SEND_BUFFER: Final = 208 << 10
HIGH_WATER: Final = 128 << 10
LOW_WATER: Final = 32 << 10
CONTROL_LANE: Final = 256 << 10
_CHUNK: Final = 32 << 10
_INBOX: Final = 256
_INBOX_BYTES: Final = 2 << 20
_TURN: Final = 16
_LAST_WORDS: Final = 1.0

_PACK: Final[dict[Encoding, Callable[[Sequence[bytes]], bytes]]] = {
    Encoding.PLAIN: b"".join,
    Encoding.BATCH: frames.json_batch,
    Encoding.MSGPACK: b"".join,
    Encoding.MSGPACK_BATCH: frames.msgpack_batch,
}


class Host(Protocol):
    """What a socket needs of the server it belongs to."""

    def joined(self, client: Client) -> None: ...

    def left(self, client: Client) -> None: ...

    def stalled(self, client: Client) -> None: ...

    def closed(self, code: int) -> None: ...

    async def handle(self, client: Client, raw: bytes) -> None: ...

    def now(self) -> float: ...


class Client(WSListener):
    """A connection. `identity` is None until it has authenticated; `held` is what it subscribed."""

    def __init__(self, host: Host, address: str) -> None:
        self.host = host
        self.address = address
        self.identity: Identity | None = None
        self.key = ""
        self.opted: frozenset[str] = frozenset()
        self.encoding = Encoding.PLAIN
        self.held: dict[tuple[str, str, int], Outlet] = {}
        self.watched: set[str] = set()
        self.attempts = 0
        self.closing = False
        self.since = host.now()
        self.ping_at = self.pong_by = self.logged_at = 0.0
        # ticks
        self.out: list[bytes] = []
        self.dirty: OrderedDict[Outlet, None] = OrderedDict()
        self.mark = self.dirty.__setitem__
        self.slow = False
        self.paused_at = 0.0
        self.fast_since = self.slow_until = self.hold = 0.0
        # answers and order events
        self._control: deque[bytes] = deque()
        self._control_bytes = 0
        self._room = asyncio.Event()
        # what it said
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0
        self._parts: list[bytes] | None = None
        self._part_bytes = 0
        self._reading = True
        self._work: asyncio.Task[None] | None = None

    # -- picows
    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self._raw = transport.underlying_transport
        self._raw.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)
        self.host.joined(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if self.closing and kind is not WSMsgType.CLOSE:
            return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.close(1002, "no extension was agreed")
        elif kind is WSMsgType.PONG:
            self.pong_by = 0.0
        elif kind is WSMsgType.CLOSE:
            self._closed_by_peer(frame)
        elif kind is not WSMsgType.PING:
            self._part(kind, frame.get_payload_as_bytes(), frame.fin)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closing = True
        self._room.set()
        if self._work is not None:
            self._work.cancel()
        self.host.left(self)

    def pause_writing(self) -> None:
        self.paused_at = self.host.now()
        self._room.clear()
        if not self.closing:
            self.host.stalled(self)

    def resume_writing(self) -> None:
        self.paused_at = 0.0
        while self._control and not self.paused_at:
            self._raw.write(self._next_control())
        if not self._control:
            self._room.set()

    # -- in
    def _part(self, kind: WSMsgType, payload: bytes, final: bool) -> None:
        """Put fragments together; a fragmented message counts against the same limit as a whole one."""
        follows = kind is WSMsgType.CONTINUATION
        if follows != (self._parts is not None):
            self.close(1002, "fragments out of order")
            return
        if final and self._parts is None:
            self._take(payload)
            return
        self._parts = [*(self._parts or ()), payload]
        self._part_bytes += len(payload)
        if self._part_bytes > LARGEST_MESSAGE or len(self._parts) > 1024:
            self.close(1009, "message too big")
        elif final:
            whole, self._parts, self._part_bytes = b"".join(self._parts), None, 0
            self._take(whole)

    def _take(self, message: bytes) -> None:
        self._inbox.append(message)
        self._inbox_bytes += len(message)
        if self._reading and (len(self._inbox) > _INBOX or self._inbox_bytes > _INBOX_BYTES):
            self._reading = False
            self._raw.pause_reading()
        if self._work is None:
            self._work = asyncio.get_running_loop().create_task(self._handle_all())

    async def _handle_all(self) -> None:
        """One message after the other; others get a turn between, and one who does not read must wait."""
        turn = 0
        while self._inbox and not self.closing:
            message = self._inbox.popleft()
            self._inbox_bytes -= len(message)
            await self.host.handle(self, message)
            if self._control_bytes > CONTROL_LANE // 4:
                await self.room()
            turn += 1
            if turn % _TURN == 0:
                await asyncio.sleep(0)
        self._work = None
        if not self._reading and not self.closing:
            self._reading = True
            self._raw.resume_reading()

    # -- out
    def send(self, payload: bytes) -> None:
        """An answer or an order event. Too many unread ones close the socket: none is ever dropped."""
        if self.closing:
            return
        frame = frames.text(payload)
        if not self.paused_at:
            self.flush()
            if not self.paused_at:
                self._raw.write(frame)
                return
        self._control.append(frame)
        self._control_bytes += len(frame)
        if self._control_bytes > CONTROL_LANE:
            self.close(1013, "messages were not read")

    async def room(self) -> None:
        """Return when what was sent so far has been taken, or the socket is closing."""
        if self.paused_at and not self.closing:
            await self._room.wait()

    def flush(self) -> None:
        """Write the ticks that came since the last flush, in one piece."""
        if self.out:
            data = _PACK[self.encoding](self.out)
            self.out.clear()
            self._raw.write(data)

    def drain(self) -> int:
        """Write the newest value of every topic that changed while the socket did not drain; how many."""
        dirty, written = self.dirty, 0
        pack = _PACK[self.encoding]
        while dirty and not self.paused_at:
            chunk, size = [], 0
            while dirty and size < _CHUNK:
                frame = dirty.popitem(last=False)[0].frame()
                chunk.append(frame)
                size += len(frame)
            self._raw.write(pack(chunk))
            written += len(chunk)
        return written

    def attach(self, outlet: Outlet) -> None:
        if self.slow:
            outlet.slow[self] = self.mark
        else:
            outlet.fast[self] = self.out.append

    def detach(self, outlet: Outlet) -> None:
        outlet.fast.pop(self, None)
        outlet.slow.pop(self, None)
        self.dirty.pop(outlet, None)

    def ping(self) -> None:
        self.transport.send_ping(b"")

    # -- end
    def close(self, code: int, reason: str) -> None:
        """Say goodbye and go, within a second even when the peer does not answer."""
        if self.closing:
            return
        self.closing = True
        self.host.closed(code)
        self.host.left(self)
        self._room.set()
        if self._work is not None and self._work is not asyncio.current_task():
            self._work.cancel()
        if self.paused_at:
            self._raw.abort()
            return
        self.transport.send(WSMsgType.CLOSE, code.to_bytes(2, "big") + reason.encode())
        asyncio.get_running_loop().call_later(_LAST_WORDS, self._raw.abort)

    def _closed_by_peer(self, frame: WSFrame) -> None:
        if not self.closing:
            self.closing = True
            payload = frame.get_payload_as_bytes()[:2]
            with contextlib.suppress(ConnectionError):
                self.transport.send(WSMsgType.CLOSE, payload)
        self.transport.disconnect()

    def _next_control(self) -> bytes:
        chunk: list[bytes] = []
        size = 0
        while self._control and size < _CHUNK:
            frame = self._control.popleft()
            chunk.append(frame)
            size += len(frame)
        self._control_bytes -= size
        return b"".join(chunk)

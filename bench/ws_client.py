"""Raw WebSocket clients for load: they count every byte they are sent and read a sample of the frames."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

_SYMBOL = re.compile(rb'"market_data","symbol":"([^"]+)".*?"timestamp":(\d+)')
_TAIL = 512 << 10


class LoadClient:
    """One subscriber. Those that are `read` parse every frame's header and the stamp of one frame in eight."""

    def __init__(
        self,
        port: int,
        read: bool = False,
        keep_tail: bool = False,
        stamp: bytes = b"timestamp",
        wraps: int = 0,
    ) -> None:
        """`stamp` names the field that holds microseconds, modulo `wraps` when that is not 0."""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.read = read
        self.bytes = 0
        self.frames = 0
        self.bad = 0
        self.latencies: list[float] = []
        self._stamp = re.compile(b'"' + stamp + rb'":(\d+)')
        self._wraps = wraps
        self._rest = b""
        self._tail: deque[bytes] | None = deque() if keep_tail else None
        self._tail_bytes = 0
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.socket.recv(4096)
        if b" 101 " not in answer:
            raise ConnectionError(answer.decode())
        self._rest = answer.partition(b"\r\n\r\n")[2]

    def fileno(self) -> int:
        return self.socket.fileno()

    def ask(self, kind: str, **message: Any) -> dict[str, Any]:
        """Send a request and wait for its answer (a frame of that type, or an error)."""
        self.say(**message)
        while True:
            answer = json.loads(self._next())
            if answer.get("type") == kind or answer.get("status") == "error":
                return dict(answer)

    def say(self, **message: Any) -> None:
        self.send(0x81, json.dumps(message).encode())

    def subscribe(self, key: str, instruments: Sequence[tuple[str, str]], mode: int) -> None:
        """Authenticate and subscribe (exchange, symbol) pairs; then the socket no longer blocks.

        Raises ConnectionError for a refusal.
        """
        answers = [self.ask("auth", action="authenticate", api_key=key)]
        for start in range(0, len(instruments), 5000):
            part = instruments[start : start + 5000]
            listed = [{"symbol": symbol, "exchange": exchange} for exchange, symbol in part]
            answers.append(self.ask("subscribe", action="subscribe", symbols=listed, mode=mode))
        if any(answer["status"] != "success" for answer in answers):
            raise ConnectionError(str(answers)[:500])
        self.socket.setblocking(False)
        self.bytes, self._rest = len(self._rest), self._rest

    def send(self, kind: int, payload: bytes) -> None:
        mask = os.urandom(4)
        size = len(payload)
        if size < 126:
            head = bytes((kind, 0x80 | size))
        elif size < 65536:
            head = bytes((kind, 0xFE)) + size.to_bytes(2, "big")
        else:
            head = bytes((kind, 0xFF)) + size.to_bytes(8, "big")
        stretched = (mask * (size // 4 + 1))[:size]
        masked = int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")
        self.socket.sendall(head + mask + masked.to_bytes(size, "big"))

    def take(self, buffer: memoryview) -> None:
        """Read what is there. Raises ConnectionError when the server has closed the socket."""
        try:
            size = self.socket.recv_into(buffer)
        except BlockingIOError:
            return
        if size == 0:
            raise ConnectionError(f"the server closed a client's socket after {self.bytes:,} bytes")
        self.bytes += size
        if self.read:
            self._parse(self._rest + bytes(buffer[:size]))
        elif self._tail is not None:
            self._tail.append(bytes(buffer[:size]))
            self._tail_bytes += size
            while self._tail_bytes - len(self._tail[0]) > _TAIL:
                self._tail_bytes -= len(self._tail.popleft())

    def last_stamps(self) -> dict[str, int]:
        """By symbol, the newest stamp in the last half megabyte received."""
        whole = b"".join(self._tail or ())
        return {symbol.decode(): int(stamp) for symbol, stamp in _SYMBOL.findall(whole)}

    def close(self) -> None:
        self.socket.close()

    def _parse(self, data: bytes) -> None:
        at, end, now = 0, len(data), time.time_ns() // 1000
        while end - at >= 4:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            if start + size > end:
                break
            if data[at] == 0x81:
                self._count(data[start : start + size], now)
            elif data[at] == 0x89:
                self.send(0x8A, data[start : start + size])
            at = start + size
        self._rest = data[at:]

    def _count(self, payload: bytes, now: int) -> None:
        self.frames += 1
        if self.frames % 8 == 0 and (found := self._stamp.search(payload)):
            late = now - int(found[1])
            self.latencies.append((late % self._wraps if self._wraps else late) / 1000)
        if self.frames % 256 == 0:
            try:
                self.bad += json.loads(payload).get("type") != "market_data"
            except ValueError:
                self.bad += 1

    def _next(self) -> bytes:
        """One text frame, waiting for it."""
        while True:
            data = self._rest
            if len(data) >= 2:
                size, start = data[1], 2
                if size == 126:
                    size, start = int.from_bytes(data[2:4], "big"), 4
                elif size == 127:
                    size, start = int.from_bytes(data[2:10], "big"), 10
                if len(data) >= start + size:
                    self._rest = data[start + size :]
                    if data[0] == 0x81:
                        return data[start : start + size]
                    continue
            more = self.socket.recv(1 << 16)
            if not more:
                raise ConnectionError("closed while waiting for an answer")
            self._rest += more

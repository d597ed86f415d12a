"""A broker's binary frames to subscribers' JSON: parse, bus, fan-out, end to end.

The driver is this process: it is the broker (Kite's ticker in its binary dialect, quote packets) and every client.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from decimal import Decimal

from bench import Context, Figure, median_of, percentile
from bench.stream_role import StreamRole
from bench.ws_client import LoadClient
from database import broker_sessions
from domain.model import Exchange, Instrument, InstrumentKind
from services.platform import Platform

BROKER = "zerodha"
_CLIENTS, _SYMBOLS = 10, 100
_TARGET, _P99 = 15_000, 20
_RUNGS = (16_500, 22_000, 30_000)
_SECONDS = 3.0
_EVERY = 0.005
_WRAP = 1 << 32
_PACKET = struct.Struct(">H11I")
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Ticker:
    """A broker's socket: takes one connection, ignores what it is told, sends what it is given."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listening.getsockname()[1]}"
        self.peer: socket.socket | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def send(self, payload: bytes) -> None:
        """One binary frame, whole."""
        assert self.peer is not None
        size = len(payload)
        head = bytes((0x82, size)) if size < 126 else b"\x82\x7e" + size.to_bytes(2, "big")
        self.peer.sendall(head + payload)

    def close(self) -> None:
        self._listening.close()
        if self.peer is not None:
            self.peer.close()

    def _accept(self) -> None:
        peer, _ = self._listening.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        asked = b""
        while b"\r\n\r\n" not in asked:
            asked += peer.recv(4096)
        key = next(
            line[18:].strip()
            for line in asked.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key:")
        )
        accept = base64.b64encode(hashlib.sha1(key + _MAGIC).digest())
        peer.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self.peer = peer
        with contextlib.suppress(OSError):
            while peer.recv(65536):
                continue


def run(context: Context) -> list[Figure]:
    """The highest rung that loses nothing within the latency."""
    context.say("preparing a stream role with a broker's account")
    role, ticker = StreamRole(context.scratch / "ticks"), Ticker()
    platform = role.prepare()
    try:
        tokens = _log_in(platform, role, ticker.url)
    finally:
        platform.close()
    with role:
        feed = Feed(role, ticker, tokens)
        feed.run(2_000, 1.0)
        runs = [_ladder(context, feed) for _ in range(context.runs)]
        feed.close()
    return median_of(runs)


def _ladder(context: Context, feed: Feed) -> list[Figure]:
    best: tuple[float, float, float, int] | None = None
    for rung in _RUNGS:
        rate, p50, p99, lost = feed.run(rung, _SECONDS)
        context.say(f"  {rate:,.0f} ticks/s p50 {p50:.1f} p99 {p99:.1f} ms lost {lost}")
        clean = lost == 0 and p99 <= _P99
        best = (rate, p50, p99, lost) if clean or best is None else best
        if not clean:
            break
    assert best is not None
    rate, p50, p99, lost = best
    how = f"{rate * _CLIENTS:,.0f} Quote frames/s to {_CLIENTS} clients, load {os.getloadavg()[0]:.1f}"
    return [
        Figure(
            name="binary feed to clients",
            value=rate,
            unit="ticks/s",
            target=_TARGET,
            better="higher",
            how=how,
        ),
        Figure(
            name="  p99",
            value=p99,
            unit="ms",
            target=_P99,
            how=f"p50 {p50:.1f}; broker's send to client's read",
        ),
        Figure(name="  lost", value=lost, unit="frames", target=0),
    ]


class Feed:
    """The broker and the clients on one thread."""

    def __init__(self, role: StreamRole, ticker: Ticker, tokens: Sequence[int]) -> None:
        self._ticker, self._tokens = ticker, tokens
        instruments = [("NSE", f"T{number}") for number in range(len(tokens))]
        self._clients = [LoadClient(role.port, True, False, b"volume", _WRAP) for _ in range(_CLIENTS)]
        self._poll = select.epoll()
        self._by_fd = {client.fileno(): client for client in self._clients}
        self._buffer = memoryview(bytearray(1 << 20))
        for client in self._clients:
            client.subscribe(role.key, instruments, 2)
            self._poll.register(client.fileno(), select.EPOLLIN)
        end = time.monotonic() + 20
        while ticker.peer is None and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(1.0)

    def run(self, ticks_per_second: float, seconds: float) -> tuple[float, float, float, int]:
        """Ticks a second, p50 and p99 in ms, and frames lost."""
        for client in self._clients:
            client.latencies.clear()
        before = sum(client.frames for client in self._clients)
        total, sent = int(ticks_per_second * seconds), 0
        begun = last = time.perf_counter()
        next_frame = begun
        while True:
            now = time.perf_counter()
            if sent < total and now >= next_frame:
                due = min(int((now - begun + _EVERY) * ticks_per_second), total, sent + 1000) - sent
                sent += self._send(sent, due)
                next_frame = now + _EVERY
            if self._read():
                last = now
            got = sum(client.frames for client in self._clients) - before
            if sent >= total and (got >= total * _CLIENTS or now - last > 1.0):
                break
        late = [one for client in self._clients for one in client.latencies]
        rate = got / _CLIENTS / (last - begun)
        return rate, percentile(late, 0.5), percentile(late, 0.99), total * _CLIENTS - got

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._ticker.close()

    def _send(self, first: int, count: int) -> int:
        stamp = time.time_ns() // 1000 % _WRAP
        packets = [
            _PACKET.pack(
                44, self._tokens[number % len(self._tokens)], 123_455, 75, 123_120, stamp, 345_678, 298_765,
                122_900, 124_050, 122_105, 122_840,
            )
            for number in range(first, first + count)
        ]  # fmt: skip
        self._ticker.send(count.to_bytes(2, "big") + b"".join(packets) if packets else b"\0")
        return count

    def _read(self) -> int:
        ready = self._poll.poll(0.001)
        for descriptor, _ in ready:
            self._by_fd[descriptor].take(self._buffer)
        return len(ready)


def _log_in(platform: Platform, role: StreamRole, url: str) -> list[int]:
    """An account of the broker with a login that points at our ticker; its instruments' tokens."""
    (user,) = platform.accounts.users()
    account = platform.accounts.add_account(user.id, "bench broker", BROKER)
    rows = [_instrument(number) for number in range(_SYMBOLS)]
    platform.instruments.load_rows(BROKER, rows, "bench", force=True)
    sealed = platform.vault.seal(json.dumps({"api_key": "bench", "access_token": "bench"}))
    platform.databases["platform"].write(
        lambda connection: broker_sessions.open_session(
            connection,
            account.id,
            broker_user="bench",
            tokens_cipher=sealed,
            urls={"stream": url},
            now=platform.clock.now(),
            expires_at=None,
        )
    )
    role.key = platform.accounts.create_key(user.id, account_id=account.id)
    return [int(row.broker_token) for row in rows]


def _instrument(number: int) -> Instrument:
    return Instrument(
        symbol=f"T{number}",
        exchange=Exchange.NSE,
        kind=InstrumentKind.EQUITY,
        name=f"T{number}",
        lot_size=1,
        tick_size=Decimal("0.05"),
        broker_symbol=f"T{number}",
        broker_exchange="NSE",
        broker_token=str((number + 1000) << 8 | 1),
    )

"""Whatever bytes a client sends: the contract's error or a close, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bench.ws_client import LoadClient
from tests.websocket_proxy.world import KEY, OTHER_KEY, World
from websocket_proxy.limits import Limits

VERBS = (
    *("authenticate", "auth", "subscribe", "unsubscribe", "unsubscribe_all", "subscribe_orders"),
    *("unsubscribe_orders", "get_broker_info", "get_supported_brokers", "ping", "watch"),
)
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**53, 2**63, 1e308, -0.0, "", "1", "LTP", "\x00", "टाटा", "x" * 3000, "a|b|c",
    "S1:50", [], {}, [[]], [None], [{}], {"symbol": "S1"}, ["S1"], {"batch": True, "changed": True, "feed_status": 1},
)  # fmt: skip


def message(dice: random.Random) -> dict[str, Any]:
    """A request that is right, nearly right, or not at all."""
    verb = dice.choice(VERBS)
    right: dict[str, Any] = {
        "action": verb,
        "api_key": dice.choice([KEY, KEY, "wrong"]),
        "symbols": [
            {"symbol": f"S{dice.randrange(50)}", "exchange": "NSE"} for _ in range(dice.randrange(4))
        ],
        "mode": dice.choice([1, 2, 3, "LTP", "Quote", "Depth"]),
        "request_id": dice.choice([1, "r", None]),
    }
    for _ in range(dice.randrange(4)):
        right[
            dice.choice([*right, "symbol", "exchange", "depth", "features", "resume_from", "topics", "type"])
        ] = dice.choice(ODD)
    if right["symbols"] and isinstance(right["symbols"], list) and dice.random() < 0.3:
        right["symbols"] = [*right["symbols"], dice.choice(ODD)]
    return right


def payload(dice: random.Random) -> bytes:
    kind = dice.random()
    if kind < 0.6:
        return json.dumps(message(dice)).encode()
    if kind < 0.8:
        raw = bytearray(json.dumps(message(dice)).encode())
        for _ in range(dice.randrange(1, 8)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        return bytes(raw)
    if kind < 0.9:
        return dice.choice(
            [b"", b"null", b"[]", b"[1]", b'"x"', b"{", b"[" * 5000, b'{"a":' * 2000, b"\xff\xfe", b"NaN"]
        )
    return dice.randbytes(dice.randrange(200))


class Attacker:
    """A socket that is opened again whenever it was closed on."""

    def __init__(self, port: int, seed: int) -> None:
        self.port = port
        self.dice = random.Random(seed)
        self.sent = self.opened = 0
        self.codes: dict[str, int] = {}
        self.socket: LoadClient | None = None

    def go(self, frames: int) -> None:
        while self.sent < frames:
            try:
                self._burst(min(50, frames - self.sent))
            except OSError:
                self._drop()
        self._drop()

    def _burst(self, frames: int) -> None:
        if self.socket is None:
            self.socket = LoadClient(self.port)
            self.socket.socket.settimeout(0.5)
            self.opened += 1
            if self.dice.random() < 0.8:
                self.socket.say(action="authenticate", api_key=KEY)
        for _ in range(frames):
            opcode = 0x81 if self.dice.random() < 0.97 else self.dice.randrange(256)
            self.sent += 1
            self.socket.send(opcode, payload(self.dice))
        self.socket.say(action="ping", _pingId=self.sent)
        with contextlib.suppress(TimeoutError):
            while True:
                answer = json.loads(self.socket._next())
                code = answer.get("code") or answer.get("type")
                self.codes[code] = self.codes.get(code, 0) + 1
                if answer.get("_pingId") == self.sent:
                    return
        self._drop()

    def _drop(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, Limits(attempts=1_000_000))
    await world.open()
    yield world
    await world.close()


async def attack(target: World, frames: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    neighbour = await target.client(OTHER_KEY)
    await neighbour.ask(action="subscribe", symbols=[{"symbol": "INFY", "exchange": "NSE"}], mode=1)
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    attacker = Attacker(target.server.port, seed)
    attacking = asyncio.create_task(asyncio.to_thread(attacker.go, frames))
    late: list[float] = []
    begun = time.monotonic()
    while not attacking.done():
        asked = time.monotonic()
        assert (await neighbour.ask(action="ping"))["type"] == "pong"
        late.append(time.monotonic() - asked)
        target.tick("INFY", price=1.0)
        await asyncio.sleep(0.005)
    await attacking
    seconds = time.monotonic() - begun
    late.sort()
    p99 = late[int(len(late) * 0.99)] * 1000
    verdict = {
        "seed": seed,
        "frames": attacker.sent,
        "sockets": attacker.opened,
        "neighbour_p99_ms": round(p99, 1),
    }
    print(json.dumps({**verdict, "answers": attacker.codes}))
    assert attacker.codes.get("SERVER_ERROR", 0) == 0
    assert {"INVALID_JSON", "INVALID_ACTION", "INVALID_MODE", "pong", "subscribe"} <= set(attacker.codes)
    assert p99 < 50 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), "the neighbour had to wait"
    ours = [record for record in caplog.records if record.name.startswith("websocket_proxy")]
    assert len(ours) <= seconds + attacker.opened, [record.getMessage() for record in ours[:5]]
    target.tick("INFY", price=2.0)
    assert (await neighbour.ticks(1))[0]["symbol"] == "INFY"
    await neighbour.socket.close()
    assert await target.until(lambda: not target.server.clients)
    assert len(target.server.fanout.subscriptions) == 0


async def test_no_frame_is_trouble(target: World, caplog: pytest.LogCaptureFixture) -> None:
    await attack(target, 3_000, caplog)


@pytest.mark.campaign
async def test_a_hundred_thousand_frames_are_no_trouble(
    target: World, caplog: pytest.LogCaptureFixture
) -> None:
    await attack(target, 100_000, caplog)

"""Raw requests that no client library would send: always a 4xx in our form, never a 5xx, never an order."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

import pytest

from restx_api.api import ENDPOINTS
from restx_api.door import KeyIn
from tests.restx_api.bodies import BODIES
from tests.restx_api.desk import ORDER, Desk
from tests.restx_api.options_desk import OptionsDesk

POSTS = [endpoint.path for endpoint in ENDPOINTS if endpoint.key_in is KeyIn.BODY]
_ODD = [
    b"1e400",
    b"-0",
    b"1E+2",
    b"NaN",
    b"Infinity",
    b"1" * 400,
    b"0.1e-400",
    b'"\\u0000"',
    b'"\\ud800"',
    b'"\xff"',
    '"١٢"'.encode(),
    '"１２"'.encode(),
    b'"0x10"',
    b'"1_000"',
    b'"1,000"',
    b"[[[[[[]]]]]]",
    b'{"a":{"b":{}}}',
    b"true",
    b"null",
    b'""',
    b'"' + b"a" * 5000 + b'"',
    b'"<script>alert(1)</script>"',
    b'"\'; DROP TABLE intents; --"',
    b'"../../etc/passwd"',
]


def _mutations(draw: random.Random, raw: bytes) -> bytes:
    """One change of a good body."""
    changes: list[Callable[[], bytes]] = [
        lambda: raw[: draw.randrange(len(raw))],
        lambda: raw.replace(b'"1"', draw.choice(_ODD), 1),
        lambda: raw.replace(b'"RELIANCE"', draw.choice(_ODD), 1),
        lambda: raw.replace(b'"BUY"', draw.choice(_ODD), 1),
        lambda: raw.replace(b"{", b'{"apikey":1,', 1),
        lambda: b"[" * draw.choice([2, 1000, 10_000]) + raw,
        lambda: raw + draw.choice([b"}", b"\x00", b"{}", b"//", b" " * 1000]),
        lambda: bytes(draw.randrange(256) for _ in range(40)),
        lambda: raw.replace(b":", b"=", draw.randrange(1, 4)),
        lambda: raw[: (cut := draw.randrange(len(raw)))] + bytes([draw.randrange(256)]) + raw[cut + 1 :],
    ]
    return draw.choice(changes)()


def attack(desk: Desk, seed: int, count: int) -> None:
    draw = random.Random(seed)
    for _ in range(count):
        path = draw.choice(POSTS)
        body = {**BODIES.get(path, ORDER), "apikey": "not a key" if draw.random() < 0.5 else desk.key}
        raw = _mutations(draw, json.dumps(body).encode())
        before = len(desk.world.script.sent)
        kind = draw.choice(["application/json", "text/plain", "multipart/form-data", ""])
        answer = desk.client.post(f"/api/v1{path}", data=raw, content_type=kind)
        assert answer.status_code < 500 or answer.status_code == 501, (path, raw[:200])
        assert answer.is_json and answer.json["status"] in ("success", "error", "pending", "partial")
        if b"not a key" in raw:
            assert len(desk.world.script.sent) == before


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OptionsDesk]:
    made = OptionsDesk(tmp_path_factory.mktemp("victim"))
    yield made
    made.close()


def test_a_thousand_hostile_requests(victim: OptionsDesk) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    attack(victim, seed, 1000)


@pytest.mark.campaign
@pytest.mark.timeout(1200)
def test_fifty_thousand_hostile_requests(victim: OptionsDesk) -> None:
    attack(victim, 1, 50_000)

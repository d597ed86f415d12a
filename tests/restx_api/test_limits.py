"""Exact moving windows: never one request more than the limit in any window, and none refused below it."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from limits.storage import MemoryStorage

from restx_api.errors import TooMany
from restx_api.limits import ADDRESS_FACTOR, Limits, Memory, Rate, Shared, rates
from tests.restx_api.desk import ORDER, Desk

STORE = MemoryStorage()


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def test_limit_strings_are_read() -> None:
    assert rates("10 per second") == (Rate(10, 1),)
    assert rates("5 per minute;100 per 2 hours") == (Rate(5, 60), Rate(100, 7200))
    with pytest.raises(ValueError, match="parse"):
        rates("often")


_PAUSES = st.integers(0, 600).map(lambda parts: parts / 1024)
"""Seconds that add up exactly, so that a window's edge is where both sides say."""


@given(st.lists(_PAUSES, max_size=80), st.integers(1, 5))
def test_no_window_ever_holds_more_than_the_limit(pauses: list[float], most: int) -> None:
    hand = Hand()
    memory = Memory(hand)
    passed: list[float] = []
    for pause in pauses:
        hand.time += pause
        wait = memory.hit(("key", "/route"), (Rate(most, 1.0),))
        recent = [moment for moment in passed if moment > hand.time - 1.0]
        assert (wait == 0) == (len(recent) < most)
        if wait:
            assert wait == pytest.approx(recent[0] + 1.0 - hand.time)
        else:
            passed.append(hand.time)


def test_a_compound_limit_counts_a_request_in_all_windows_or_none() -> None:
    hand = Hand()
    memory = Memory(hand)
    limit = rates("2 per second;3 per minute")
    assert [memory.hit(("k",), limit) > 0 for _ in range(3)] == [False, False, True]
    hand.time = 1.5
    assert memory.hit(("k",), limit) == 0
    assert memory.hit(("k",), limit) == pytest.approx(58.5)


def test_idle_buckets_are_forgotten() -> None:
    hand = Hand()
    memory = Memory(hand)
    for number in range(1000):
        memory.hit((str(number),), (Rate(1, 1.0),))
    hand.time = 100.0
    memory.hit(("new",), (Rate(1, 1.0),))
    assert len(memory._seen) == 1


def test_each_key_and_route_has_its_own_window_under_a_ceiling_an_address() -> None:
    limits = Limits({"api": "2 per second", "order": "1 per second"}, Memory(Hand()))
    limits.key("a", "ip", "/one", "order")
    limits.key("a", "ip", "/two", "order")
    limits.key("b", "ip", "/one", "order")
    with pytest.raises(TooMany):
        limits.key("a", "other ip", "/one", "order")
    for _ in range(2 * ADDRESS_FACTOR):
        limits.address("ip")
    with pytest.raises(TooMany):
        limits.address("ip")
    limits.address("another ip")


def test_a_key_over_its_limit_gets_429_with_status_and_retry_after(tmp_path: object) -> None:
    desk = Desk(tmp_path, order_rate_limit="2 per minute")  # type: ignore[arg-type]
    try:
        answers = [desk.post("/placeorder", ORDER) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        said = answers[2].json
        assert said["status"] == "error"
        assert said["message"] == "Rate limit exceeded. Please slow down your requests."
        assert said["retry_after"] == int(answers[2].headers["Retry-After"]) == 60
        assert len(desk.world.script.sent) == 2
        assert desk.post("/cancelorder", {"orderid": "B1"}).status_code == 200
        other = desk.world.accounts.create_key(desk.world.user.id)
        assert desk.post("/placeorder", ORDER, key=other).status_code == 200
    finally:
        desk.close()


def test_counts_fall_back_to_this_process_when_redis_is_away() -> None:
    hand = Hand()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        shared = Shared(f"redis://127.0.0.1:{unused.getsockname()[1]}/0", Memory(hand), hand)
        assert shared.hit(("key", "/route"), rates("1 per second")) == 0
        assert shared.hit(("key", "/route"), rates("1 per second")) > 0


def test_requests_of_several_processes_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restx_api.limits.RedisStorage", lambda url, wrap_exceptions: STORE)
    one, two = (Shared("redis://ours", Memory(Hand()), time.time) for _ in range(2))
    passed = [process.hit(("key", "/route"), rates("3 per minute")) == 0 for process in (one, two, one, two)]
    assert passed == [True, True, True, False]
    assert 0 < one.hit(("key", "/route"), rates("3 per minute")) <= 60


_COUNTING = """
import sys, time
from restx_api.limits import Memory, Shared, rates
shared = Shared(sys.argv[1], Memory(time.monotonic), time.time)
passed = sum(shared.hit((sys.argv[2], "/route"), rates("50 per minute")) == 0 for _ in range(40))
print(passed)
"""


def test_processes_count_together_in_a_real_redis() -> None:
    """Three processes at once ask 40 times each for 50 a minute: 50 pass in all."""
    url = "redis://127.0.0.1:6379/15"
    try:
        redis.Redis.from_url(url, socket_connect_timeout=1).ping()
    except redis.ConnectionError:
        pytest.skip("no Redis answers at 127.0.0.1:6379")
    bucket = f"test-{secrets.token_hex(8)}"
    command = [sys.executable, "-c", _COUNTING, url, bucket]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    asked = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    passed = [int(process.communicate(timeout=60)[0]) for process in asked]
    assert sum(passed) == 50

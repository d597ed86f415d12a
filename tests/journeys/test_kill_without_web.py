"""The kill switch thrown from the command line while the web server is down, against real processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.faults.world import PAPER, World

pytestmark = [pytest.mark.journey, pytest.mark.timeout(240)]
BROKER = "zerodha"
TERMS = {"strategy": "drill", "exchange": "NSE", "product": "MIS", "symbol": "INFY"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, (BROKER,), 11, on_paper=True) as made:
        made.install.keep_ports()
        yield made
    assert made.orphans() == []


@contextmanager
def web_held_down(world: World) -> Iterator[None]:
    """kill -9 of web; its successor is stopped before it serves, and goes on afterwards."""
    old = world.kill("web")
    until(lambda: (found := world.role("web")) is not None and found.pid != old, "web's successor")
    successor = world.role("web")
    assert successor is not None
    successor.suspend()
    try:
        assert not answers(world)
        yield
        assert not answers(world)
    finally:
        successor.resume()
    until(lambda: answers(world), "web to be back")


def answers(world: World) -> bool:
    try:
        requests.get(f"{world.install.http}/login", timeout=0.5)
    except requests.RequestException:
        return False
    return True


def until(what: Callable[[], object], name: str, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"waited in vain for {name}"
        time.sleep(0.05)


def post(world: World, account: str, path: str, **body: Any) -> dict[str, Any]:
    words = {"apikey": world.keys[account]} | body
    found: dict[str, Any] = requests.post(
        f"{world.install.http}/api/v1/{path}", json=words, timeout=20
    ).json()
    return found


def order(world: World, account: str, side: str, quantity: int, price: int = 0) -> dict[str, Any]:
    kind = {"pricetype": "LIMIT", "price": str(price)} if price else {"pricetype": "MARKET"}
    return post(world, account, "placeorder", **TERMS, action=side, quantity=str(quantity), **kind)


def position(world: World, account: str) -> int:
    rows = post(world, account, "positionbook")["data"]
    return sum(int(row["quantity"]) for row in rows if row["symbol"] == "INFY")


def holds(world: World, account: str, quantity: int) -> bool:
    return position(world, account) == quantity


def states(world: World, account: str) -> list[str]:
    return sorted(row["order_status"] for row in post(world, account, "orderbook")["data"]["orders"])


def truth(world: World) -> Callable[[], list[str]]:
    """The states of the broker's own orders."""
    return lambda: sorted(row["state"] for row in world.truth(BROKER)["orders"])


def test_a_switch_thrown_while_web_is_down_cancels_blocks_and_lets_positions_be_reduced(world: World) -> None:
    for account in (BROKER, PAPER):
        assert order(world, account, "BUY", 3)["status"] == "success"
        assert order(world, account, "BUY", 5, 1000)["status"] == "success"
        until(partial(holds, world, account, 3), "the position")
    there = truth(world)
    assert there() == ["COMPLETE", "OPEN"]

    with web_held_down(world):
        said = world.install.manage("kill", "--reason", "drill")
        assert "every account" in said and said.count("cancelled 1") == 2, said
        assert there() == ["CANCELLED", "COMPLETE"]

    for account in (BROKER, PAPER):
        refused = order(world, account, "BUY", 1)
        assert refused["status"] == "error" and "kill switch" in refused["message"].lower(), refused
        assert order(world, account, "SELL", 4)["status"] == "error", "it would open a short position"
        assert order(world, account, "SELL", 2)["status"] == "success"
        until(partial(holds, world, account, 1), "the smaller position")
        assert states(world, account).count("cancelled") == 1
    assert there() == ["CANCELLED", "COMPLETE", "COMPLETE"]

    with web_held_down(world):
        assert "no kill switch is on" in world.install.manage("kill", "--release")
        said = world.install.manage("kill", "--user", "bench", "--account", BROKER, "--flatten")
        assert "closed 1" in said, said
    assert (position(world, BROKER), position(world, PAPER)) == (0, 1)
    assert order(world, BROKER, "BUY", 1)["status"] == "error"
    assert order(world, PAPER, "BUY", 1)["status"] == "success"

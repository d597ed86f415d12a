"""A public SDK's script whose broker, or whose platform, is gone between the order and its answer."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.broker.sdk.environments import python_with
from tests.faults import points
from tests.faults.world import World, patched_tree

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]
SCRIPT = Path(__file__).with_name("sdk_order.py")
BROKER = "zerodha"


class Desk:
    """A platform that dies where it is told to, logged in to a simulated broker, and the SDK's interpreter."""

    def __init__(self, world: World, directory: Path, python: Path) -> None:
        self.world, self._directory, self._python = world, directory, python

    def plan(self, *faults: dict[str, Any]) -> None:
        self.world.storm({BROKER: list(faults)})

    def die_at(self, point: str) -> Path:
        """Let the next process that comes by the point kill itself; the file that goes when one did."""
        armed = points.file_of(self._directory, point)
        armed.touch()
        return armed

    def run_script(self, quantity: int) -> dict[str, Any]:
        """What the SDK's script printed about its one order."""
        words = (self.world.keys[BROKER], self.world.install.http, str(quantity))
        done = subprocess.run(
            [str(self._python), str(SCRIPT), *words], capture_output=True, text=True, timeout=150
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return found

    def at_the_broker(self, quantity: int) -> list[dict[str, Any]]:
        orders: list[dict[str, Any]] = self.world.truth(BROKER)["orders"]
        return [order for order in orders if order["quantity"] == str(quantity)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    python = python_with("openalgo-1.0.47", "openalgo==1.0.47")
    home = tmp_path_factory.mktemp("no-answer")
    tree = patched_tree(home / "tree", points.patches(home))
    with World(home / "world", (BROKER,), 7, tree) as world:
        yield Desk(world, home, python)
    assert world.orphans() == []


def check_one_order(desk: Desk, found: dict[str, Any], quantity: int) -> None:
    """The broker has one order, and the script ended knowing exactly that one."""
    [there] = desk.at_the_broker(quantity)
    assert there["state"] == "OPEN"
    [row] = found["book"]
    status = found["status"]
    assert status is not None, found
    assert row["order_status"] == status["order_status"] == "open"
    assert row["orderid"] == status["orderid"]
    assert (int(status["quantity"]), float(status["price"])) == (quantity, 1480)


def test_a_line_dropped_after_the_broker_took_the_order(desk: Desk) -> None:
    desk.plan({"action": "drop_after_accept", "match": "place", "count": 1})
    found = desk.run_script(3)
    assert found["answer"]["status"] == "success", found
    check_one_order(desk, found, 3)


def test_a_line_dropped_while_the_book_does_not_show_the_order_yet(desk: Desk) -> None:
    desk.plan(
        {"action": "drop_after_accept", "match": "place", "count": 1},
        {"action": "book_lag", "match": "place", "seconds": 12, "count": 1},
        {"action": "lose_update", "match": "update"},
    )
    found = desk.run_script(4)
    desk.world.heal()
    assert found["answer"]["status"] == "pending", found
    assert found["answer"]["orderid"]
    check_one_order(desk, found, 4)
    assert found["status"]["orderid"] == found["answer"]["orderid"]


def test_the_platform_killed_between_the_send_and_the_answer(desk: Desk) -> None:
    armed = desk.die_at("sent, not settled")
    found = desk.run_script(5)
    assert not armed.exists(), "nothing was killed"
    assert found["answer"]["status"] == "error", found
    check_one_order(desk, found, 5)

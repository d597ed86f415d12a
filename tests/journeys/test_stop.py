"""A stop kept with a paper order, against real processes: it closes what the order filled, whatever the hour."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.faults.world import PAPER, World
from tests.journeys.test_kill_without_web import BROKER, TERMS, holds, post, until

pytestmark = [pytest.mark.journey, pytest.mark.timeout(240)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, (BROKER,), 11, on_paper=True) as made:
        yield made
    assert made.orphans() == []


def test_a_stop_closes_what_its_order_filled_and_a_killed_worker_closes_it_once(world: World) -> None:
    """A trailing stop a tick behind the fill fires at the first price below it; the worker is killed meanwhile."""
    words = {"action": "BUY", "quantity": "3", "pricetype": "MARKET", "trailing_sl": "0.1pt"}
    placed = post(world, PAPER, "placeorder", **TERMS, **words)
    assert placed["status"] == "success", placed
    world.kill("worker")
    until(partial(holds, world, PAPER, 0), "the stop", 90)
    rows = post(world, PAPER, "tradebook")["data"]
    assert sorted(row["action"] for row in rows) == ["BUY", "SELL"]

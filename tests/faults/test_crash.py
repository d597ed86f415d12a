"""Roles killed at random and named points under orders, by a fresh seed that a failure names."""

from __future__ import annotations

import random
import secrets
from pathlib import Path

import pytest

from tests.faults import points
from tests.faults.crashes import Crashes
from tests.faults.world import World, patched_tree

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(400)]

READY_WITHIN = 10.0


def test_killed_processes_lose_and_double_nothing(tmp_path: Path) -> None:
    seed = secrets.randbelow(1_000_000)
    tree = patched_tree(tmp_path / "tree", points.patches(tmp_path))
    with World(tmp_path / "world", ("zerodha", "flattrade"), seed, tree) as world:
        crashes = Crashes(world, tmp_path, random.Random(seed))
        report = crashes.run(4, seed)
    print({"seed": seed, "ready": crashes.ready, **report.verdict.counts})
    assert report.verdict.clean, (seed, report.verdict.found)
    assert max(seconds for _, seconds in crashes.ready) <= READY_WITHIN, (seed, crashes.ready)
    assert world.orphans() == []

"""Roles killed at random and named points under orders, by a fresh seed that a failure names."""

from __future__ import annotations

import json
import random
import secrets
from pathlib import Path

import pytest

from bench.crash import READY_WITHIN, killed, summary
from tests.faults import campaign, points
from tests.faults.crashes import drawn
from tests.faults.world import SHORT, patched_tree

KILLS = 4


@pytest.mark.journey
@pytest.mark.timeout(400)
def test_killed_processes_lose_and_double_nothing(tmp_path: Path) -> None:
    seed = secrets.randbelow(1_000_000)
    report, toll = killed(tmp_path, seed, drawn(KILLS, random.Random(seed)), SHORT)
    print(json.dumps(summary(report, toll, seed)))
    assert report.verdict.clean, (seed, report.verdict.found)
    assert toll.ready, (seed, toll.missed)
    assert toll.slowest <= READY_WITHIN * campaign.stretch(), (seed, toll.ready)
    assert (toll.strategy, toll.replay, toll.orphans) == ([], [], []), seed


def test_every_point_and_role_is_killed_as_often_as_another() -> None:
    kills = drawn(len(points.KILLS) * 3, random.Random(1))
    assert {kills.count(what) for what in points.KILLS} == {3}


def test_every_point_can_be_built(tmp_path: Path) -> None:
    tree = patched_tree(tmp_path / "tree", points.patches(tmp_path))
    for path in {patch.path for patch in points.patches(tmp_path)}:
        compile((tree / path).read_text(encoding="utf-8"), path, "exec")

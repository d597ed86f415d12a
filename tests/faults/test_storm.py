"""Less than a minute of broker faults against the real processes, by a fresh seed that a failure names."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from bench.faults import BROKERS, summary
from tests.faults import campaign
from tests.faults.campaign import RESOLVED_WITHIN
from tests.faults.world import SHORT, World, patched_tree

pytestmark = [pytest.mark.journey, pytest.mark.timeout(400)]


def test_no_order_is_lost_doubled_or_lied_about(tmp_path: Path) -> None:
    seed = secrets.randbelow(1_000_000)
    with World(tmp_path / "world", BROKERS, seed, patched_tree(tmp_path / "tree", SHORT)) as world:
        report = campaign.run(world, campaign.drivers_of(world, seed), 60)
    print(json.dumps(summary(report, seed)))
    assert report.verdict.clean, (seed, report.verdict.found)
    assert report.resolve_seconds <= RESOLVED_WITHIN * campaign.stretch(), seed
    assert sum(report.faults.values()) > 20, (seed, report.faults)
    assert world.orphans() == []

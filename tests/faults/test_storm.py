"""A minute of broker faults against the real processes, by a fresh seed that a failure names."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from bench.faults import BROKERS, summary
from tests.faults import campaign
from tests.faults.campaign import RESOLVED_WITHIN
from tests.faults.world import World

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(400)]


def test_no_order_is_lost_doubled_or_lied_about(tmp_path: Path) -> None:
    seed = secrets.randbelow(1_000_000)
    with World(tmp_path, BROKERS, seed) as world:
        report = campaign.run(world, campaign.drivers_of(world, seed), 120)
    print(json.dumps(summary(report, seed)))
    assert report.verdict.clean, (seed, report.verdict.found)
    assert report.resolve_seconds <= RESOLVED_WITHIN, seed
    assert world.orphans() == []

"""Every test of the contract runs over every broker that has a manifest and a simulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.broker.contract.world import World
from tests.simulators import faces


@pytest.fixture(params=faces.names())
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(request.param)
    yield made
    made.close()

"""Every test of the contract runs over every broker that has a manifest and a simulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from broker import catalog
from tests.broker.contract.world import World
from tests.simulators import faces


@pytest.fixture(params=faces.names())
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if "wire" in request.fixturenames and request.param not in faces.spoken():
        pytest.skip("no wire: it is ours")
    wanted = request.node.get_closest_marker("reads")
    if wanted is not None and not set(wanted.args) <= catalog.manifest(request.param).can.reads:
        pytest.skip("not declared")
    made = World(request.param)
    yield made
    made.close()


@pytest.fixture
def wire(world: World) -> World:
    """Asked for by tests of what happens on the way to somebody else's servers; a broker of ours skips them."""
    return world

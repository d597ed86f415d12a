from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.websocket_proxy.world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    await world.open()
    yield world
    await world.close()

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.order_world import World
from tests.services.strategy_house import House, opened


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def house(tmp_path: Path, world: World) -> Iterator[House]:
    with opened(tmp_path, world) as made:
        yield made

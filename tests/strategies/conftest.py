"""Fixtures of the tests of the room that runs other people's programs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.strategies.kit import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "strategy")
    yield bench
    bench.close()

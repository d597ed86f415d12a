from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.restx_api.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A fresh desk."""
    made = Desk(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk that a module's tests share: for requests that change nothing."""
    made = Desk(tmp_path_factory.mktemp("shop"))
    yield made
    made.close()

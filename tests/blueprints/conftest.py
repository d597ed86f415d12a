"""Fixtures of the page tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blueprints.stage import Stage, Visitor, prepare


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    prepare(folder)
    return folder


@pytest.fixture
def stage(tmp_path: Path, prepared: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path, prepared)
    yield stage
    stage.close()


@pytest.fixture
def owner(stage: Stage) -> Visitor:
    return stage.owner()

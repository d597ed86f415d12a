"""Fixtures of the page tests."""

from pathlib import Path

import pytest

from tests.blueprints.stage import Stage, Visitor


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def owner(stage: Stage) -> Visitor:
    return stage.owner()

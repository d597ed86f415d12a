"""What holds for every test: the machine's own settings are not read, nothing leaves the machine, failures repeat."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

import config

for _name in config.variables():
    os.environ.pop(_name, None)

settings.register_profile(
    "house", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that drive whole processes or a browser run one after the other, on one worker."""
    for item in items:
        if item.get_closest_marker("journey") or item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.xdist_group("one at a time"))

"""What holds for every test: the machine's own settings are not read, nothing leaves the machine, failures repeat.

Generated examples are the same in every run; `--hypothesis-profile=explore` draws new ones.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

import config

for _name in config.variables():
    os.environ.pop(_name, None)

_HOUSE = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("house", _HOUSE, derandomize=True)
settings.register_profile("explore", _HOUSE)
settings.load_profile("house")


_ONCE = frozenset({"faults", "journeys"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that drive whole processes or a browser run one after the other, on one worker.

    They share a machine with the other workers and look at times: one that fails is tried once more, and the summary
    names it. What proves that no order is lost or doubled gets no second try.
    """
    for item in items:
        if item.get_closest_marker("journey") or item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.xdist_group("one at a time"))
            if _ONCE.isdisjoint(item.path.parts):
                item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=_is_quick)


def _is_quick(item: pytest.Item) -> bool:
    """False comes first: what may take minutes and begins last holds up the end. Marked `timeout`, it may."""
    return item.get_closest_marker("timeout") is None


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A fresh database of the PostgreSQL at its usual local port; the test is skipped where none answers."""
    import psycopg

    server = "postgresql://postgres@127.0.0.1:5432"
    try:
        connection = psycopg.connect(f"{server}/postgres", autocommit=True, connect_timeout=2)
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL answers: {str(error).splitlines()[0]}")
    name = f"openalgo_test_{secrets.token_hex(6)}"
    with connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{server}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

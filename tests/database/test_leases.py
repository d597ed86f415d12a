"""Who holds a lease: one at a time, the next one when it lapsed, or at once when its holder is known to be gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from database import leases
from database.engine import Database, open_database
from database.metadata import PLATFORM

NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
LENGTH = timedelta(seconds=5)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    database = open_database("", "platform", tmp_path)
    PLATFORM.create_all(database.engine)
    yield database
    database.close()


def take(store: Database, holder: str, after: float = 0.0, gone: str = "") -> int | None:
    now = NOW + timedelta(seconds=after)
    return store.write(lambda c: leases.take(c, "worker", holder, now, LENGTH, is_gone=lambda h: h == gone))


def test_another_waits_until_it_lapses(store: Database) -> None:
    assert take(store, "one") == 1
    assert take(store, "two", after=4.9) is None
    assert take(store, "two", after=5.0) == 2


def test_a_holder_that_is_gone_is_not_waited_for(store: Database) -> None:
    assert take(store, "one") == 1
    assert take(store, "two", gone="three") is None
    assert take(store, "two", gone="one") == 2
    assert not store.write(lambda c: leases.renew(c, "worker", 1, NOW, LENGTH))

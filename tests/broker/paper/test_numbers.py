"""Order and trade numbers: by the day in India, unique through restarts and clocks that step back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from broker.paper.numbers import Numbers

NIGHT = datetime(2026, 8, 23, 18, 29, 59, tzinfo=UTC)


@pytest.mark.clock
def test_ids_carry_the_date_in_india() -> None:
    numbers = Numbers(lambda _: 0, lambda _: 0)
    assert numbers.order(NIGHT) == (26082300000001, "26082300000001")
    assert numbers.order(NIGHT + timedelta(seconds=1))[1] == "26082400000001"
    assert numbers.trade(NIGHT) == "T26082300000001"


def test_numbers_go_on_after_what_storage_has() -> None:
    numbers = Numbers({"260824": 41}.get, {"T260824": 7}.get)
    at = NIGHT + timedelta(hours=1)
    assert numbers.order(at)[1] == "26082400000042"
    assert numbers.trade(at) == "T26082400000008"


def test_a_clock_that_steps_back_gives_no_number_twice() -> None:
    numbers = Numbers(lambda _: 0, lambda _: 0)
    moments = [NIGHT, NIGHT + timedelta(hours=1), NIGHT, NIGHT + timedelta(hours=2), NIGHT, NIGHT]
    ids = [numbers.order(at)[1] for at in moments for _ in range(1000)]
    assert len(set(ids)) == 6000
    assert all(len(one) == 14 for one in ids)

"""Fault plans: every name that the reliability document uses is understood, and one seed draws one run."""

from __future__ import annotations

import pytest

from tests.simulators.faults import SHORT, Fault, FaultPlan

DOCUMENT = [
    "drop_after_accept",
    "drop_before_accept",
    "status",
    "delay",
    "trickle",
    "truncate_json",
    "wrong_type",
    "html_body",
    "dup_update",
    "reorder",
    "partial",
    "late_fill_after_cancel",
    "token_expire",
    "ws_close",
    "ws_half_open",
    "ws_silent",
    "ws_garbage",
    "429",
    "book_lag",
    "book_error",
]


@pytest.mark.parametrize("name", [*DOCUMENT, *SHORT])
def test_a_documented_name_is_a_fault(name: str) -> None:
    assert Fault.read({"action": name, "probability": 0.5}).probability == 0.5


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="no fault called"):
        Fault.read({"action": "earthquake"})


def test_one_seed_draws_one_run() -> None:
    def run(seed: int) -> list[bool]:
        plan = FaultPlan(seed)
        plan.load([{"action": "drop_after_accept", "match": "place", "probability": 0.3}])
        return [plan.pick("place") is not None for _ in range(200)]

    assert run(7) == run(7) != run(8)
    assert 30 < sum(run(7)) < 90


def test_a_counted_fault_ends_and_others_stay() -> None:
    plan = FaultPlan()
    plan.load([{"action": "delay", "match": "orders"}])
    plan.fail_next("timeout", match="place")
    assert plan.pick("place") is not None
    assert plan.pick("place") is None
    assert plan.pick("orders") is not None and plan.pick("orders") is not None

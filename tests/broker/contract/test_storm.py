"""A storm of faults, drawn from one seed: whatever happens on the wire, no answer about an order is a lie."""

from __future__ import annotations

import collections
import json
import secrets

import pytest

from domain.outcomes import Accepted, Ambiguous, Outcome, Refused, SessionExpired, Throttled
from tests.broker.contract.world import World

pytestmark = pytest.mark.usefixtures("wire")

ACTIONS = (
    "drop_before_accept", "drop_after_accept", "timeout", "500_before", "502_after", "truncate_json", "html", "empty",
    "wrong_type", "cut", "redirect", "no_id", "accept_in_500", "unavailable", "refuse", "refuse_in_200", "429",
    "reject",
)  # fmt: skip


def _storm(world: World, orders: int, seed: int, answers: dict[str, Outcome] | None = None) -> dict[str, int]:
    """Place `orders` under the storm; judges each answer by what the broker really has under its tag.

    answers  what was said in this world before: judged again, as orders may arrive after their sender gave up
    """
    world.simulator.faults([{"action": a, "match": "place", "probability": 0.04} for a in ACTIONS], seed)
    answers = {} if answers is None else answers
    for _ in range(orders):
        request = world.request()
        answers[request.client_order_id] = world.broker.place(request)
    there = collections.Counter(order["tag"] for order in world.taken() if order["state"] != "REJECTED")
    rejected = {order["tag"] for order in world.taken() if order["state"] == "REJECTED"}
    ids = {order["tag"]: order["order_id"] for order in world.taken()}
    for tag, outcome in answers.items():
        assert there[tag] <= 1, f"doubled, seed {seed}"
        if isinstance(outcome, Accepted):
            assert ids[tag] == outcome.order_id, f"not there, seed {seed}: {outcome}"
        elif isinstance(outcome, Refused | Throttled | SessionExpired):
            assert there[tag] == 0, f"refused and taken, seed {seed}: {outcome}"
            assert tag not in rejected or isinstance(outcome, Refused)
        else:
            assert isinstance(outcome, Ambiguous)
    assert not set(there) - set(answers), "a ghost"
    return dict(collections.Counter(type(outcome).__name__ for outcome in answers.values()))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.http.ANSWER_SECONDS", 0.15)


def test_no_answer_is_a_lie(world: World, request: pytest.FixtureRequest) -> None:
    if not world.manifest.limits.tag:
        pytest.skip("orders carry no tag to be judged by")
    counts = _storm(world, 100, seed=11)
    assert counts["Accepted"] > 20 and counts["Ambiguous"] > 15 and counts["Refused"] > 3, counts


def test_nor_with_any_other_seed(world: World) -> None:
    seed = secrets.randbelow(1_000_000)
    print(json.dumps({"broker": world.name, "seed": seed, **_storm(world, 60, seed)}))


@pytest.mark.campaign
def test_no_answer_is_a_lie_for_long(world: World) -> None:
    answers: dict[str, Outcome] = {}
    for seed in range(6):
        print(json.dumps({"broker": world.name, "seed": seed, **_storm(world, 500, seed, answers)}))

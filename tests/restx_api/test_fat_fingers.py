"""Slips of the hand and hostile numbers: none reaches the broker, and each answer names the limit or the field."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.risk import Facts
from tests.restx_api.desk import ORDER, Desk

USUAL = {**ORDER, "pricetype": "LIMIT", "price": "1200", "quantity": "10"}
SEEDS = random.sample(range(10**6), 3)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Desk]:
    """A desk whose account has limits around what it usually trades."""
    made = Desk(tmp_path)
    made.world.limit(max_quantity=Decimal(50), max_value=Decimal(100_000), price_collar_percent=Decimal(5))
    made.world.facts = Facts(position=Decimal(0), last_price=Decimal("1200.05"), day_pnl=Decimal(0))
    yield made
    made.close()


def test_the_usual_order_goes(guarded: Desk) -> None:
    assert guarded.post("/placeorder", USUAL).status_code == 200


@pytest.mark.parametrize(
    ("slip", "limit"),
    [
        ({"quantity": "100"}, "max_quantity"),
        ({"quantity": "1000"}, "max_quantity"),
        ({"price": "12000"}, "max_value"),
        ({"price": "120000"}, "max_value"),
        ({"price": "12000", "quantity": "1"}, "price_collar"),
        ({"price": "120", "quantity": "1"}, "price_collar"),
    ],
)
def test_ten_and_a_hundred_times_too_much_name_the_limit(
    guarded: Desk, slip: dict[str, str], limit: str
) -> None:
    answer = guarded.post("/placeorder", {**USUAL, **slip})
    assert (answer.status_code, answer.json["limit"]) == (400, limit)
    assert guarded.world.script.sent == []


@pytest.mark.parametrize("seed", SEEDS)
def test_no_slip_of_any_field_reaches_the_broker(guarded: Desk, seed: int) -> None:
    dice = random.Random(seed)
    other = "".join(chr(0x0661 + dice.randrange(9)) for _ in range(2))
    hostile = ["0", "-1", "NaN", "Infinity", "1e308", "-0", other, "", " ", None, True, [], "0x10", "1,200"]
    slips = {"quantity": [*hostile, "0.5"], "price": [*hostile, "1200.03", "1200.0000001"]}
    for _ in range(60):
        field = dice.choice(["quantity", "price"])
        value = dice.choice(slips[field])
        answer = guarded.post("/placeorder", {**USUAL, field: value})
        assert answer.status_code == 400, f"seed {seed}: {field}={value!r} {answer.json}"
        assert field in str(answer.json["message"]), f"seed {seed}: {field}={value!r} {answer.json}"
    assert guarded.world.script.sent == []


def test_a_slip_in_a_change_is_stopped_too(guarded: Desk) -> None:
    order_id = guarded.post("/placeorder", USUAL).json["orderid"]
    change = {**USUAL, "orderid": order_id, "disclosed_quantity": "0", "trigger_price": "0"}
    answer = guarded.post("/modifyorder", {**change, "quantity": "1000"})
    assert (answer.status_code, answer.json["limit"]) == (400, "max_quantity")
    assert len(guarded.world.script.sent) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"stoploss": "1210", "target": "1190"}, "stoploss"),
        ({"action": "SELL", "stoploss": "1190", "target": "1210"}, "stoploss"),
        ({"trailing_sl": "0"}, "trailing_sl"),
        ({"trailing_sl": "0pt"}, "trailing_sl"),
        ({"exchange": "NSE_INDEX", "symbol": "NIFTY", "stoploss": "5pt"}, "exchange"),
        ({"stoploss": "1190.03"}, "stoploss"),
    ],
)
def test_exits_that_make_no_sense_name_their_field(desk: Desk, body: dict[str, Any], field: str) -> None:
    answer = desk.post("/placeorder", {**ORDER, **body})
    assert answer.status_code == 400
    assert field in str(answer.json["message"])
    assert desk.world.script.sent == []


def test_a_key_with_another_body_sends_nothing(desk: Desk) -> None:
    key = {"Idempotency-Key": "once"}
    assert desk.post("/placeorder", ORDER, headers=key).status_code == 200
    again = desk.post("/placeorder", {**ORDER, "quantity": "2"}, headers=key)
    assert (again.status_code, again.json["error_type"]) == (409, "duplicate_key")
    assert len(desk.world.script.sent) == 1

"""Smart, basket and split orders as clients see them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from domain.outcomes import Refused
from tests.restx_api.desk import ORDER, Desk

ITEM = {key: value for key, value in ORDER.items() if key != "strategy"}


@pytest.mark.parametrize("live", [False, True], ids=["paper", "live"])
@pytest.mark.parametrize(
    ("action", "quantity", "current", "target", "sent"),
    [
        ("BUY", "100", 0, "0", ("BUY", 100)),
        ("BUY", "0", 0, "0", "No OpenPosition Found. Not placing Exit order."),
        ("BUY", "0", 75, "0", ("SELL", 75)),
        ("SELL", "5", -75, "0", ("BUY", 75)),
        ("BUY", "100", 100, "100", "Positions Already Matched. No Action needed."),
        ("SELL", "100", 0, "60", ("BUY", 60)),
        ("BUY", "100", 0, "-60", ("SELL", 60)),
        ("BUY", "100", -100, "100", ("BUY", 200)),
        ("SELL", "100", 200, 100, ("SELL", 100)),
    ],
)
def test_the_nine_rows_of_a_smart_order(
    desk: Desk, live: bool, action: str, quantity: str, current: int, target: Any, sent: Any
) -> None:
    if live:
        desk.go_live()
    if current:
        desk.hold("RELIANCE", current)
    order = {**ORDER, "action": action, "quantity": quantity, "position_size": target}
    answer = desk.post("/placesmartorder", order)
    assert answer.status_code == 200, answer.text
    assert answer.json.get("mode") == (None if live else "analyze")
    if isinstance(sent, str):
        assert (answer.json["message"], answer.json["status"]) == (sent, "success")
        assert "orderid" not in answer.json and desk.world.script.sent == []
    else:
        assert answer.json["orderid"] == "B1"
        assert [(order.side, order.quantity) for order in desk.world.script.sent] == [sent]


def test_a_smart_order_on_an_unreadable_position_sends_nothing(desk: Desk) -> None:
    desk.world.script.book_down = True
    answer = desk.post("/placesmartorder", {**ORDER, "position_size": "5"})
    assert (answer.status_code, desk.world.script.sent) == (500, [])


@pytest.mark.parametrize("target", ["x", None, "1.5", True, "٥", "inf"])
def test_a_smart_order_needs_a_whole_target(shop: Desk, target: Any) -> None:
    answer = shop.post("/placesmartorder", {**ORDER, "position_size": target})
    assert answer.status_code == 400
    assert "'position_size': [" in answer.json["message"]


def test_a_basket_buys_first_and_answers_for_each(desk: Desk) -> None:
    desk.world.script.answers = ["take", lambda: Refused("RMS", "Insufficient funds")]
    items = [
        {**ITEM, "action": "sell", "quantity": 1},
        {**ITEM, "action": "BUY", "quantity": "2"},
        {**ITEM, "action": "SELL", "quantity": 3},
    ]
    answer = desk.post("/basketorder", {"strategy": "Python", "orders": items})
    assert answer.status_code == 200
    assert [(order.side, order.quantity) for order in desk.world.script.sent] == [
        ("BUY", 2),
        ("SELL", 1),
        ("SELL", 3),
    ]
    first, second, third = answer.json["results"]
    assert first == {
        "symbol": "RELIANCE",
        "exchange": "NSE",
        "product": "MIS",
        "status": "success",
        "orderid": "B1",
        "batch_order": True,
        "is_last_order": False,
    }
    assert (second["status"], second["message"]) == ("error", "Insufficient funds")
    assert third["is_last_order"] is True
    assert answer.json["summary"] == {"total": 3, "success": 2, "failed": 1}
    assert answer.json["mode"] == "analyze"


def test_a_live_basket_has_no_paper_marks(desk: Desk) -> None:
    desk.go_live()
    row = desk.post("/basketorder", {"strategy": "Python", "orders": [ITEM]}).json["results"][0]
    assert "batch_order" not in row and row["orderid"] == "B1"


def test_one_bad_item_refuses_the_basket_and_an_empty_one_is_fine(desk: Desk) -> None:
    bad = desk.post("/basketorder", {"strategy": "x", "orders": [ITEM, {**ITEM, "quantity": "x"}]})
    assert bad.status_code == 400
    assert bad.json["message"] == "{'orders': {1: {'quantity': ['Not a valid number.']}}}"
    assert desk.world.script.sent == []
    empty = desk.post("/basketorder", {"strategy": "x", "orders": []})
    assert (empty.status_code, empty.json["results"]) == (200, [])
    assert desk.post("/basketorder", {"strategy": "x", "orders": ITEM}).status_code == 400


def test_a_basket_of_refusals_is_still_a_success(desk: Desk) -> None:
    unknown = {**ITEM, "symbol": "NOSUCH"}
    answer = desk.post("/basketorder", {"strategy": "x", "orders": [unknown]})
    assert (answer.status_code, answer.json["status"]) == (200, "success")
    assert answer.json["results"][0]["status"] == "error"


def test_a_split_sends_children_and_a_rest(desk: Desk) -> None:
    answer = desk.post("/splitorder", {**ORDER, "quantity": "105", "splitsize": "20"})
    assert answer.status_code == 200
    assert [order.quantity for order in desk.world.script.sent] == [20] * 5 + [5]
    assert (answer.json["total_quantity"], answer.json["split_size"]) == (105, 20)
    assert answer.json["results"][5] == {"order_num": 6, "quantity": 5, "status": "success", "orderid": "B6"}
    one = desk.post("/splitorder", {**ORDER, "quantity": "5", "splitsize": 20}).json
    assert [row["quantity"] for row in one["results"]] == [5]


@pytest.mark.parametrize(
    "change", [{"quantity": "101", "splitsize": 1}, {"splitsize": 0}, {"splitsize": "2.5"}]
)
def test_a_split_is_refused_whole(desk: Desk, change: dict[str, Any]) -> None:
    answer = desk.post("/splitorder", {**ORDER, "splitsize": 1, **change})
    assert (answer.status_code, desk.world.script.sent) == (400, [])
    assert "splitsize" in answer.json["message"] or "orders" in answer.json["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/placesmartorder", {**ORDER, "position_size": "5"}),
        ("/basketorder", {"strategy": "x", "orders": [ITEM, ITEM]}),
        ("/splitorder", {**ORDER, "quantity": 2, "splitsize": 1}),
    ],
)
def test_plans_are_sent_once_for_one_key_and_queued_in_semi_auto(
    desk: Desk, path: str, body: dict[str, Any]
) -> None:
    once = {"headers": {"Idempotency-Key": "k1"}}
    first, again = desk.post(path, body, **once), desk.post(path, body, **once)
    assert first.json == again.json
    assert len(desk.world.script.sent) == (1 if "smart" in path else 2)
    other = desk.post(path, {**body, "strategy": "another"}, **once)
    assert (other.status_code, other.json["error_type"]) == (409, "duplicate_key")
    before = len(desk.world.script.sent)
    desk.go_live(semi_auto=True)
    parked = desk.post(path, body).json
    assert parked["message"] == "Order queued for approval in Action Center"
    assert (parked["mode"], parked["status"]) == ("semi_auto", "success")
    assert parked["pending_order_id"] > 0 and len(desk.world.script.sent) == before


def test_a_smart_order_of_a_crypto_fraction_is_taken_by_the_schema() -> None:
    from restx_api.fields.plans import SmartOrder

    given = {**ORDER, "apikey": "k", "exchange": "CRYPTO", "quantity": "0.25", "position_size": "-0.5"}
    assert SmartOrder().load(given)["position_size"] == Decimal("-0.5")

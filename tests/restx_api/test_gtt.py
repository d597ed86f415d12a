"""Good-till-triggered orders and guarded orders as clients see them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.restx_api.desk import ORDER, Desk

SINGLE = {
    "strategy": "Python",
    "trigger_type": "single",
    "exchange": "NSE",
    "symbol": "RELIANCE",
    "action": "sell",
    "product": "CNC",
    "quantity": "5",
    "pricetype": "LIMIT",
    "price": "1149.5",
    "triggerprice_sl": "1150",
    "triggerprice_tg": "",
    "stoploss": "",
    "target": None,
    "unknown": "ignored",
}
OCO = {
    **SINGLE,
    "trigger_type": "OCO",
    "price": "0",
    "triggerprice_tg": "1250",
    "stoploss": "1149.5",
    "target": "1250.5",
}


def test_a_gtt_is_kept_listed_changed_and_ended(desk: Desk) -> None:
    kept = desk.post("/placegttorder", SINGLE)
    assert (kept.status_code, kept.json["mode"]) == (200, "analyze")
    trigger_id = kept.json["trigger_id"]
    (row,) = desk.post("/gttorderbook").json["data"]
    assert row == {
        "trigger_id": trigger_id,
        "trigger_type": "single",
        "status": "active",
        "symbol": "RELIANCE",
        "exchange": "NSE",
        "trigger_prices": [1150.0],
        "last_price": row["last_price"],
        "legs": [{"action": "SELL", "quantity": 5, "price": 1149.5, "pricetype": "LIMIT", "product": "CNC"}],
        "strategy": "Python",
        "created_at": "2026-11-23 10:30:00",
        "updated_at": "",
        "expires_at": "2027-11-23 10:30:00",
    }
    changed = desk.post("/modifygttorder", {**SINGLE, "trigger_id": trigger_id, "quantity": 7})
    assert changed.json == {"status": "success", "trigger_id": trigger_id, "mode": "analyze"}
    assert desk.post("/gttorderbook").json["data"][0]["legs"][0]["quantity"] == 7
    ended = desk.post("/cancelgttorder", {"strategy": "x", "trigger_id": trigger_id, "extra": 1})
    assert ended.json["trigger_id"] == trigger_id
    assert desk.post("/gttorderbook").json["data"] == []


def test_an_oco_has_two_legs_ascending(desk: Desk) -> None:
    assert desk.post("/placegttorder", OCO).status_code == 200
    (row,) = desk.post("/gttorderbook").json["data"]
    assert (row["trigger_type"], row["trigger_prices"]) == ("two-leg", [1150.0, 1250.0])
    assert [leg["price"] for leg in row["legs"]] == [1149.5, 1250.5]


def test_an_expiry_of_its_own_is_kept_in_india_s_time(desk: Desk) -> None:
    assert desk.post("/placegttorder", {**SINGLE, "expires_at": "2026-12-31 15:30:00"}).status_code == 200
    assert desk.post("/gttorderbook").json["data"][0]["expires_at"] == "2026-12-31 15:30:00"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"triggerprice_sl": ""}, "triggerprice_sl"),
        ({"triggerprice_tg": "1250"}, "triggerprice_sl"),
        ({"product": "MIS"}, "product"),
        ({"pricetype": "SL"}, "pricetype"),
        ({"trigger_type": "TWO"}, "trigger_type"),
        ({"quantity": "0"}, "quantity"),
        ({"quantity": "1.5"}, "quantity"),
        ({"price": "-1"}, "price"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"triggerprice_sl": "1150.03"}, "triggerprice_sl"),
        ({**OCO, "target": ""}, "target"),
        ({**OCO, "triggerprice_sl": "1260"}, "triggerprice_sl"),
    ],
)
def test_a_wrong_gtt_names_the_field_and_keeps_nothing(
    shop: Desk, change: dict[str, Any], field: str
) -> None:
    answer = shop.post("/placegttorder", {**SINGLE, **change})
    assert (answer.status_code, answer.json["mode"]) == (400, "analyze")
    assert field in answer.json["message"]
    assert shop.post("/gttorderbook").json["data"] == []


@pytest.mark.parametrize("path", ["/cancelgttorder", "/modifygttorder"])
def test_an_unknown_gtt_is_404(shop: Desk, path: str) -> None:
    answer = shop.post(path, {**SINGLE, "trigger_id": "GTT-261123-ffffffff"})
    assert answer.status_code == 404
    assert answer.json["message"] == "Order GTT-261123-ffffffff not found"


def test_a_live_semi_auto_account_parks_a_gtt_and_holds_changes(desk: Desk) -> None:
    desk.go_live(semi_auto=True)
    parked = desk.post("/placegttorder", SINGLE).json
    assert (parked["status"], parked["mode"]) == ("success", "semi_auto")
    assert parked["message"] == "Order queued for approval in Action Center"
    assert isinstance(parked["pending_order_id"], int) and "trigger_id" not in parked
    assert desk.post("/gttorderbook").json["data"] == []
    assert desk.post("/placegttorder", {**SINGLE, "product": "MIS"}).status_code == 400
    assert desk.post("/cancelgttorder", {"strategy": "x", "trigger_id": "GTT-1"}).status_code == 403


@pytest.mark.parametrize(
    "exits",
    [
        {"stoploss": "1190"},
        {"stoploss": 1190.5, "target": "15pt"},
        {"trailing_sl": "10 points"},
    ],
)
def test_a_guarded_order_is_placed_with_its_exits(desk: Desk, exits: dict[str, Any]) -> None:
    answer = desk.post("/placeorder", {**ORDER, **exits})
    (guard,) = desk.platform.triggers.listed(desk.world.caller)
    told = {"status": "success", "orderid": "B1", "mode": "analyze", "exit_trigger_ids": [guard.id]}
    assert answer.json == told
    assert (guard.origin, guard.state, guard.side, len(guard.legs)) == ("exit", "waiting", "SELL", len(exits))


@pytest.mark.parametrize(
    ("exits", "field"),
    [
        ({"stoploss": "1210"}, "stoploss"),
        ({"target": "1190"}, "target"),
        ({"target": "0"}, "target"),
        ({"trailing_sl": "0pt"}, "trailing_sl"),
        ({"trailing_sl": "x"}, "trailing_sl"),
        ({"stoploss": True}, "stoploss"),
        ({"stoploss": "5pt", "trailing_sl": "5pt"}, "trailing_sl"),
    ],
)
def test_exits_on_the_wrong_side_place_nothing(shop: Desk, exits: dict[str, Any], field: str) -> None:
    answer = shop.post("/placeorder", {**ORDER, **exits})
    assert answer.status_code == 400
    assert field in answer.json["message"]
    assert shop.world.script.sent == []


def test_a_repeated_key_tells_the_same_exits(desk: Desk) -> None:
    body, key = {**ORDER, "stoploss": "1190"}, {"Idempotency-Key": "guarded"}
    first = desk.post("/placeorder", body, headers=key)
    assert desk.post("/placeorder", body, headers=key).json == first.json
    assert len(desk.platform.triggers.listed(desk.world.caller)) == 1

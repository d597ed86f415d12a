"""The order endpoints as a client sees them, over the real order path and a scripted broker."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.model import Exchange, OrderState, OrderType
from domain.outcomes import Refused, Throttled
from tests.restx_api.bodies import BODIES
from tests.restx_api.desk import ORDER, Desk

MODIFY = {
    **{k: ORDER[k] for k in ("strategy", "symbol", "action", "exchange", "product")},
    "orderid": "B1",
    "pricetype": "LIMIT",
    "price": "1190.10",
    "quantity": "2",
    "disclosed_quantity": "0",
    "trigger_price": "0",
}


def test_an_order_of_an_sdk_client_is_placed(desk: Desk) -> None:
    answer = desk.post("/placeorder", {**ORDER, "quantity": "10", "pricetype": "LIMIT", "price": "1200.5"})
    assert (answer.status_code, answer.json) == (
        200,
        {"status": "success", "orderid": "B1", "mode": "analyze"},
    )
    sent = desk.world.script.sent[0]
    assert (sent.quantity, sent.price, sent.order_type) == (10, Decimal("1200.5"), OrderType.LIMIT)


@pytest.mark.parametrize("path", ["/placeorder", "/placeorder/"])
def test_both_spellings_of_a_path_answer_directly(desk: Desk, path: str) -> None:
    assert desk.post(path, ORDER).status_code == 200


def test_a_live_order_has_no_mode(desk: Desk) -> None:
    desk.go_live()
    assert desk.post("/placeorder", ORDER).json == {"status": "success", "orderid": "B1"}
    assert "mode" not in desk.post("/placeorder", {}).json


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"quantity": "x"}, "quantity"),
        ({"quantity": "٣"}, "quantity"),
        ({"quantity": "NaN"}, "quantity"),
        ({"quantity": "inf"}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"quantity": 1e308}, "quantity"),
        ({"quantity": "1e308"}, "quantity"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": -5}, "quantity"),
        ({"quantity": "1.5"}, "quantity"),
        ({"quantity": None}, "quantity"),
        ({"quantity": []}, "quantity"),
        ({"price": -1}, "price"),
        ({"price": None}, "price"),
        ({"disclosed_quantity": 2.7}, "disclosed_quantity"),
        ({"disclosed_quantity": "2.7"}, "disclosed_quantity"),
        ({"disclosed_quantity": "5.0"}, "disclosed_quantity"),
        ({"disclosed_quantity": False}, "disclosed_quantity"),
        ({"action": "Buy"}, "action"),
        ({"exchange": "nse"}, "exchange"),
        ({"exchange": "NYSE"}, "exchange"),
        ({"pricetype": "limit"}, "pricetype"),
        ({"product": ""}, "product"),
        ({"symbol": 5}, "symbol"),
        ({"symbol": ""}, "symbol"),
        ({"symbol": "RELIANCE\x00"}, "symbol"),
        ({"strategy": None}, "strategy"),
        ({"apikey": ""}, "apikey"),
        ({"apikey": 5}, "apikey"),
        ({"apikey": "k" * 257}, "apikey"),
        ({"stop_price": 5}, "stop_price"),
        ({"position_size": "5"}, "position_size"),
    ],
)
def test_a_wrong_field_is_named_in_a_string_and_nothing_is_sent(
    shop: Desk, change: dict[str, Any], field: str
) -> None:
    before = len(shop.world.script.sent)
    answer = shop.post("/placeorder", {**ORDER, **change})
    assert answer.status_code == 400
    assert answer.json["status"] == "error"
    assert f"'{field}': [" in answer.json["message"]
    assert len(shop.world.script.sent) == before


def test_error_words_are_the_ones_clients_know(desk: Desk) -> None:
    answer = desk.post("/placeorder", {**ORDER, "quantity": "x", "action": "Buy", "foo": 1, "exchange": None})
    message = answer.json["message"]
    assert "'quantity': ['Not a valid number.']" in message
    assert "'action': ['Must be one of: BUY, SELL, buy, sell.']" in message
    assert "'foo': ['Unknown field.']" in message
    assert "'exchange': ['Field may not be null.']" in message
    assert answer.json["mode"] == "analyze"
    missing = desk.post("/placeorder", {}).json["message"]
    assert "'symbol': ['Missing data for required field.']" in missing
    assert desk.post("/placeorder", [1]).json["message"] == "{'_schema': ['Invalid input type.']}"


@pytest.mark.parametrize(
    "given_quantity", ["1", "1.0", 1, 1.0, " 1 ", "+1", "1e0", "01"], ids=lambda value: repr(value)
)
def test_usual_spellings_of_a_number_are_taken(desk: Desk, given_quantity: object) -> None:
    assert (
        desk.post("/placeorder", {**ORDER, "quantity": given_quantity, "action": "sell"}).status_code == 200
    )
    assert desk.world.script.sent[0].quantity == 1


def test_a_float_s_noise_does_not_move_a_price_off_its_tick(desk: Desk) -> None:
    noisy = 400.1 * 3
    order = {**ORDER, "pricetype": "LIMIT", "price": noisy}
    assert repr(noisy) != "1200.3"
    assert desk.post("/placeorder", order).status_code == 200
    assert desk.world.script.sent[0].price == Decimal("1200.3")


def test_what_the_gate_refuses_is_a_400_that_says_why(desk: Desk) -> None:
    off_tick = desk.post("/placeorder", {**ORDER, "pricetype": "LIMIT", "price": "1200.03"})
    assert (off_tick.status_code, "tick size" in off_tick.json["message"]) == (400, True)
    assert off_tick.json["mode"] == "analyze"
    unknown = desk.post("/placeorder", {**ORDER, "symbol": "NOSUCH"})
    assert unknown.status_code == 400
    assert "NOSUCH" in unknown.json["message"] and "NSE" in unknown.json["message"]
    quote_only = desk.post("/placeorder", {**ORDER, "symbol": "NIFTY", "exchange": "NSE_INDEX"})
    assert quote_only.status_code == 400
    lots = {**ORDER, "symbol": "NIFTY29DEC26FUT", "exchange": "NFO", "product": "NRML", "quantity": "64"}
    assert "lot size" in desk.post("/placeorder", lots).json["message"]
    assert desk.world.script.sent == []


def test_a_risk_limit_is_named(desk: Desk) -> None:
    desk.world.limit(max_quantity=Decimal(5))
    answer = desk.post("/placeorder", {**ORDER, "quantity": 6})
    assert (answer.status_code, answer.json["limit"], answer.json["error_type"]) == (
        400,
        "max_quantity",
        "risk_refused",
    )


def test_a_broker_s_refusal_keeps_its_words_and_the_stored_row_s_id(desk: Desk) -> None:
    desk.world.script.answers.append(lambda: Refused("RMS", "Insufficient funds", "R7"))
    answer = desk.post("/placeorder", ORDER)
    assert answer.status_code == 400
    assert answer.json == {
        "status": "error",
        "message": "Insufficient funds",
        "orderid": "R7",
        "code": "RMS",
        "error_type": "order_rejected",
        "mode": "analyze",
    }
    desk.world.script.answers.append(lambda: Throttled(2.0, "slow down"))
    assert desk.post("/placeorder", ORDER).status_code == 429


def test_an_unknown_outcome_is_pending_and_its_id_works(desk: Desk) -> None:
    desk.world.script.answers.append("lost")
    answer = desk.post("/placeorder", ORDER)
    assert (answer.status_code, answer.json["status"], answer.json["state"]) == (200, "pending", "pending")
    ours = answer.json["orderid"]
    status = desk.post("/orderstatus", {"orderid": ours, "strategy": "x"})
    assert (status.status_code, status.json["data"]["order_status"]) == (200, "open")
    assert (status.json["data"]["state"], status.json["data"]["orderid"]) == ("UNKNOWN", ours)


def test_an_idempotency_key_places_once_and_refuses_another_body(desk: Desk) -> None:
    once = {"headers": {"Idempotency-Key": "k1"}}
    first, again = desk.post("/placeorder", ORDER, **once), desk.post("/placeorder", ORDER, **once)
    reordered = desk.post("/placeorder", dict(reversed(ORDER.items())), **once)
    other = desk.post("/placeorder", {**ORDER, "quantity": "2"}, **once)
    assert first.json == again.json == reordered.json
    assert (other.status_code, other.json["error_type"]) == (409, "duplicate_key")
    assert len(desk.world.script.sent) == 1
    too_long = desk.post("/placeorder", ORDER, headers={"Idempotency-Key": "k" * 129})
    assert too_long.status_code == 400


@pytest.mark.parametrize("path", ["/closeposition", "/cancelallorder", "/placegttorder"])
def test_requests_over_many_orders_are_done_once_a_key(desk: Desk, path: str) -> None:
    desk.post("/placeorder", {**ORDER, "pricetype": "LIMIT", "price": "1200"})
    desk.hold("RELIANCE", 30)
    once = {"headers": {"Idempotency-Key": "k1"}}
    body = dict(BODIES.get(path, {}))
    first = desk.post(path, body, **once)
    sent = len(desk.world.script.sent)
    again = desk.post(path, body, **once)
    assert (first.status_code, first.json, again.json) == (200, again.json, first.json)
    assert len(desk.world.script.sent) == sent
    assert desk.post(path, {**body, "strategy": "other"}, **once).status_code == 409
    assert len(desk.post("/gttorderbook").json["data"]) == (path == "/placegttorder")


def test_modify_and_cancel_change_the_order(desk: Desk) -> None:
    desk.post("/placeorder", {**ORDER, "pricetype": "LIMIT", "price": "1200"})
    modified = desk.post("/modifyorder", MODIFY)
    assert modified.status_code == 200
    assert modified.json == {
        "status": "success",
        "orderid": "B1",
        "message": "Order modified",
        "mode": "analyze",
    }
    assert desk.world.script.orders["B1"].price == Decimal("1190.10")
    cancelled = desk.post("/cancelorder", {"orderid": "B1"})
    assert (cancelled.status_code, cancelled.json["orderid"]) == (200, "B1")
    assert desk.world.script.orders["B1"].state is OrderState.CANCELLED
    again = desk.post("/cancelorder", {"orderid": "B1"})
    assert (again.status_code, again.json["mode"]) == (400, "analyze")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/orderstatus", {"orderid": "NOSUCH"}),
        ("/cancelorder", {"orderid": "NOSUCH"}),
        ("/modifyorder", {**MODIFY, "orderid": "NOSUCH"}),
    ],
)
def test_an_unknown_order_is_404_in_the_literal_words(desk: Desk, path: str, body: dict[str, Any]) -> None:
    answer = desk.post(path, body)
    assert answer.status_code == 404
    assert answer.json == {"status": "error", "message": "Order NOSUCH not found", "mode": "analyze"}


def test_cancel_all_says_how_many_and_none(desk: Desk) -> None:
    none = desk.post("/cancelallorder")
    assert none.json["message"] == "No open orders to cancel"
    assert none.json["canceled_orders"] == none.json["failed_cancellations"] == []
    desk.post("/placeorder", ORDER)
    desk.post("/placeorder", ORDER)
    both = desk.post("/cancelallorder").json
    assert both["canceled_orders"] == ["B1", "B2"]
    assert both["message"] == "Canceled 2 orders. Failed to cancel 0 orders."
    desk.go_live()
    assert desk.post("/cancelallorder").json == {
        "status": "success",
        "canceled_orders": [],
        "failed_cancellations": [],
        "message": "Canceled 0 orders. Failed to cancel 0 orders.",
    }


@pytest.mark.parametrize("path", ["/cancelallorder", "/closeposition"])
def test_nothing_that_looks_like_a_filter_is_ignored(shop: Desk, path: str) -> None:
    assert "'symbol': ['Unknown field.']" in shop.post(path, {"symbol": "RELIANCE"}).json["message"]


def test_a_book_that_cannot_be_read_is_an_error_not_an_empty_one(desk: Desk) -> None:
    desk.world.script.book_down = True
    for path in ("/cancelallorder", "/closeposition", "/orderbook", "/positionbook"):
        answer = desk.post(path)
        assert (answer.status_code, answer.json["error_type"]) == (500, "broker_unavailable"), path
        assert answer.json["mode"] == "analyze"


def test_closing_positions_sells_what_is_held(desk: Desk) -> None:
    assert desk.post("/closeposition").json["message"] == "No open positions to close"
    desk.hold("RELIANCE", 30)
    desk.world.facts = desk.world.facts.__class__(position=Decimal(30))
    answer = desk.post("/closeposition").json
    assert (answer["message"], answer["closed_positions"], answer["failed_closures"]) == (
        "Closed 1 positions",
        1,
        0,
    )
    assert (desk.world.script.sent[0].side, desk.world.script.sent[0].quantity) == ("SELL", 30)
    desk.hold("GONE", 5)
    partly = desk.post("/closeposition").json
    assert partly["message"] == "Closed 1 positions (Failed to close 1 positions)"
    desk.go_live()
    live = desk.post("/closeposition")
    assert (live.status_code, live.json["failed"][0]["symbol"]) == (400, "GONE")


def test_a_live_account_with_all_closed_gets_the_literal(desk: Desk) -> None:
    desk.go_live()
    assert desk.post("/closeposition").json == {
        "status": "success",
        "message": "All Open Positions Squared Off",
    }


def test_semi_auto_parks_orders_and_holds_what_cannot_be_undone(desk: Desk) -> None:
    desk.go_live(semi_auto=True)
    parked = desk.post("/placeorder", ORDER)
    assert parked.status_code == 200
    assert parked.json["message"] == "Order queued for approval in Action Center"
    assert (parked.json["status"], parked.json["mode"]) == ("success", "semi_auto")
    assert "orderid" not in parked.json and "pending_order_id" in parked.json
    for path, body in (
        ("/modifyorder", MODIFY),
        ("/cancelorder", {"orderid": "B1"}),
        ("/cancelallorder", {}),
        ("/closeposition", {}),
        ("/analyzer/toggle", {"mode": True}),
    ):
        assert desk.post(path, body).status_code == 403, path
    assert desk.post("/orderbook").status_code == 200
    assert desk.world.script.sent == []


def test_order_status_tells_both_names_of_the_price_type(desk: Desk) -> None:
    desk.post("/placeorder", {**ORDER, "pricetype": "SL", "price": "1201", "trigger_price": "1200"})
    data = desk.post("/orderstatus", {"orderid": "B1"}).json["data"]
    assert data["pricetype"] == data["price_type"] == "SL"
    assert (data["price"], data["trigger_price"], data["quantity"]) == (1201.0, 1200.0, 1)
    assert (data["filled_quantity"], data["pending_quantity"], data["average_price"]) == (0, 1, 0.0)
    assert (data["timestamp"], data["rejection_reason"]) == ("2026-11-23 10:30:00", "")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc'\"", max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(ORDER)), JSON)
def test_no_value_of_any_field_breaks_the_door(shop: Desk, field: str, value: Any) -> None:
    before = len(shop.world.script.sent)
    answer = shop.post("/placeorder", {**ORDER, field: value})
    assert answer.status_code in (200, 400)
    assert (answer.status_code == 200) == (len(shop.world.script.sent) > before)
    assert isinstance(answer.json["status"], str)
    if answer.status_code == 200:
        sent = shop.world.script.sent[-1]
        assert sent.quantity == sent.quantity.to_integral_value() and sent.instrument.exchange is Exchange.NSE

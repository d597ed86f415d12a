"""Books, holdings, funds and margin as clients read them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.model import Exchange, OrderState
from tests.restx_api.desk import ORDER, Desk


def test_funds_are_strings_live_and_numbers_on_paper(desk: Desk) -> None:
    paper = desk.post("/funds").json
    assert paper["mode"] == "analyze"
    assert paper["data"]["availablecash"] == 9999000.5
    assert (paper["data"]["m2mrealized"], paper["data"]["m2munrealized"]) == (12.34, -7.1)
    assert (paper["data"]["totalpnl"], paper["data"]["reset_count"]) == (105.24, 2)
    assert paper["data"]["last_reset"] == "2026-11-23 10:30:00"
    desk.go_live()
    assert desk.post("/funds").json == {
        "status": "success",
        "data": {
            "availablecash": "9999000.50",
            "collateral": "0.00",
            "m2mrealized": "12.34",
            "m2munrealized": "-7.10",
            "utiliseddebits": "1000.00",
        },
    }


def test_the_order_book_is_newest_first_and_counts(desk: Desk) -> None:
    for side in ("BUY", "SELL", "BUY"):
        desk.world.clock.move(1)
        desk.post("/placeorder", {**ORDER, "action": side, "pricetype": "LIMIT", "price": "1200"})
    orders = desk.world.script.orders
    orders["B1"] = replace(
        orders["B1"], state=OrderState.COMPLETE, filled=Decimal(1), average_price=Decimal(1200)
    )
    orders["B2"] = replace(orders["B2"], state=OrderState.TRIGGER_PENDING)
    data = desk.post("/orderbook").json["data"]
    assert [row["orderid"] for row in data["orders"]] == ["B3", "B2", "B1"]
    assert [row["order_status"] for row in data["orders"]] == ["open", "trigger pending", "complete"]
    assert data["statistics"] == {
        "total_buy_orders": 2,
        "total_sell_orders": 1,
        "total_completed_orders": 1,
        "total_open_orders": 1,
        "total_rejected_orders": 0,
        "total_trigger_pending_orders": 1,
    }


def test_orders_of_one_second_keep_their_order(desk: Desk) -> None:
    for _ in range(5):
        desk.world.clock.moment += timedelta(milliseconds=1)
        desk.post("/placeorder", ORDER)
    rows = desk.post("/orderbook").json["data"]["orders"]
    assert [row["orderid"] for row in rows] == ["B5", "B4", "B3", "B2", "B1"]


@pytest.mark.parametrize(
    ("state", "word", "extra"),
    [
        (OrderState.PENDING, "open", "PENDING"),
        (OrderState.UNKNOWN, "open", "UNKNOWN"),
        (OrderState.EXPIRED, "cancelled", None),
        (OrderState.REJECTED, "rejected", None),
    ],
)
def test_states_without_a_public_word(desk: Desk, state: OrderState, word: str, extra: str | None) -> None:
    desk.post("/placeorder", ORDER)
    desk.world.script.orders["B1"] = replace(
        desk.world.script.orders["B1"], state=state, reason="RMS says no"
    )
    row = desk.post("/orderbook").json["data"]["orders"][0]
    assert (row["order_status"], row.get("state")) == (word, extra)
    assert row["rejection_reason"] == "RMS says no"


def test_a_paper_market_order_shows_its_price_and_a_live_one_none(desk: Desk) -> None:
    desk.post("/placeorder", ORDER)
    done = {"state": OrderState.COMPLETE, "filled": Decimal(1), "average_price": Decimal("1200.0833")}
    desk.world.script.orders["B1"] = replace(desk.world.script.orders["B1"], **done)
    row = desk.post("/orderbook").json["data"]["orders"][0]
    assert (row["price"], row["average_price"]) == (1200.08, 1200.08)
    assert desk.post("/orderstatus", {"orderid": "B1"}).json["data"]["average_price"] == 1200.0833
    desk.go_live()
    assert desk.post("/orderbook").json["data"]["orders"][0]["price"] == 0.0


def test_prices_finer_than_a_paisa_survive_where_ticks_are(desk: Desk) -> None:
    desk.post("/placeorder", ORDER)
    currency = {"exchange": Exchange.CDS, "price": Decimal("83.7425"), "average_price": Decimal("83.7425")}
    desk.world.script.orders["B1"] = replace(desk.world.script.orders["B1"], **currency)
    assert desk.post("/orderbook").json["data"]["orders"][0]["average_price"] == 83.7425


def test_trades_are_a_list_newest_first(desk: Desk) -> None:
    desk.post("/placeorder", {**ORDER, "quantity": 3})
    desk.post("/placeorder", ORDER)
    newest, oldest = desk.post("/tradebook").json["data"]
    assert (newest["tradeid"], oldest["tradeid"]) == ("T2", "T1")
    assert oldest == {
        "orderid": "B1",
        "tradeid": "T1",
        "symbol": "RELIANCE",
        "exchange": "NSE",
        "product": "MIS",
        "action": "BUY",
        "quantity": 3,
        "price": 1200.05,
        "average_price": 1200.05,
        "trade_value": 3600.15,
        "strategy": "",
        "timestamp": "2026-11-23 10:30:00",
    }


def test_trades_carry_the_order_id_that_the_client_was_told(desk: Desk) -> None:
    desk.world.script.answers.append("silent")
    desk.world.script.book_down = True
    ours = desk.post("/placeorder", ORDER).json["orderid"]
    desk.world.script.book_down = False
    desk.world.reconciler.sweep()
    assert [row["orderid"] for row in desk.post("/tradebook").json["data"]] == [ours]
    assert [row["orderid"] for row in desk.post("/orderbook").json["data"]["orders"]] == [ours]


def test_positions_are_numbers_with_their_sums(desk: Desk) -> None:
    desk.hold("RELIANCE", 10)
    desk.hold("INFY", -4)
    said = desk.post("/positionbook").json
    row = said["data"][0]
    assert (row["quantity"], row["average_price"], row["ltp"]) == (10, 1190.0, 1200.05)
    assert (row["unrealized_pnl"], row["today_realized_pnl"], row["pnl"]) == (100.46, 1.0, 101.46)
    assert (row["pnlpercent"], row["lot_size"]) == (0.84, 1.0)
    assert (said["total_unrealized_pnl"], said["total_pnl"]) == (200.92, 202.93)
    desk.go_live()
    assert "total_pnl" not in desk.post("/positionbook").json


def test_the_open_quantity_is_signed_and_zero_when_flat(desk: Desk) -> None:
    desk.hold("RELIANCE", -10)
    asked = {"symbol": "RELIANCE", "exchange": "NSE", "product": "MIS"}
    assert desk.post("/openposition", asked).json == {"status": "success", "quantity": -10, "mode": "analyze"}
    assert desk.post("/openposition", {**asked, "product": "CNC"}).json["quantity"] == 0
    assert "'exchange'" in desk.post("/openposition", {**asked, "exchange": "NES"}).json["message"]
    desk.world.script.book_down = True
    assert desk.post("/openposition", asked).status_code == 500


def test_holdings_and_their_sums(desk: Desk) -> None:
    data = desk.post("/holdings").json["data"]
    assert data["holdings"][0] == {
        "symbol": "INFY",
        "exchange": "NSE",
        "product": "CNC",
        "quantity": 10,
        "average_price": 1500.0,
        "ltp": 1485.5,
        "current_value": 14855.0,
        "pnl": -145.0,
        "pnlpercent": -0.97,
        "settlement_date": "2026-11-25",
    }
    assert data["statistics"] == {
        "totalholdingvalue": 14855.0,
        "totalinvvalue": 15000.0,
        "totalprofitandloss": -145.0,
        "totalpnlpercentage": -0.97,
    }


MARGIN = {k: ORDER[k] for k in ("symbol", "exchange", "action", "product", "pricetype", "quantity")}


def test_margin_takes_one_to_fifty_orders_and_names_the_bad_one(desk: Desk) -> None:
    two = desk.post("/margin", {"positions": [MARGIN, {**MARGIN, "quantity": 5}]})
    assert two.json == {
        "status": "success",
        "data": {"total_margin_required": 481.0, "span_margin": 0.0, "exposure_margin": 0.0},
    }
    unknown = desk.post("/margin", {"positions": [MARGIN, {**MARGIN, "symbol": "NOSUCH"}]})
    assert (unknown.status_code, unknown.json["message"].startswith("Position 2:")) == (400, True)
    limit = desk.post("/margin", {"positions": [{**MARGIN, "pricetype": "LIMIT", "price": "0"}]})
    assert limit.json["message"].startswith("Position 1:")
    for wrong in ([], [MARGIN] * 51, "x", None, [5], [{}]):
        answer = desk.post("/margin", {"positions": wrong})
        assert (answer.status_code, "'positions':" in answer.json["message"]) == (400, True), wrong
        assert "mode" not in answer.json

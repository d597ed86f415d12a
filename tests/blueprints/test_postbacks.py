"""The postback door: no session, no token, and nothing without a broker's signature."""

from __future__ import annotations

from tests.blueprints.stage import Stage

ROW = {
    "order_id": "1",
    "order_timestamp": "2026-11-24 10:00:00",
    "status": "COMPLETE",
    "filled_quantity": 5000,
    "checksum": "0" * 64,
}


def test_a_forged_postback_is_refused_and_changes_nothing(stage: Stage) -> None:
    stranger = stage.app.test_client()
    answer = stranger.post("/postback/zerodha", json=ROW)
    assert (answer.status_code, answer.json["status"]) == (403, "error")
    assert stranger.post("/postback/zerodha", data="x").status_code == 400
    assert stranger.post("/postback/angel", json=ROW).status_code == 404
    unsigned = stranger.post("/postback/flattrade", json=ROW)
    assert unsigned.status_code == 501
    assert "taken of: zerodha" in unsigned.json["message"]
    assert stranger.get("/postback/zerodha").status_code in (404, 405)
    assert stranger.post("/postback/zerodha", data=b"x" * 70_000).status_code == 413

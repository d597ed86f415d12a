"""The kill switch by API, and orders without an answer."""

from __future__ import annotations

from tests.restx_api.desk import ORDER, Desk


def test_the_switch_blocks_cancels_and_says_so(desk: Desk) -> None:
    desk.post("/placeorder", {**ORDER, "pricetype": "LIMIT", "price": "1200"})
    assert desk.post("/killswitch", {"action": "status"}).json["data"] == {"engaged": False}
    data = desk.post("/killswitch", {"action": "engage", "reason": "enough"}).json["data"]
    assert (data["engaged"], data["by"], data["reason"], data["flatten"]) == (True, "asha", "enough", False)
    assert data["done"] is True and data["since"] == "2026-11-23 10:30:00"
    assert any("cancelled 1" in line for line in data["report"])
    refused = desk.post("/placeorder", ORDER)
    assert (refused.status_code, refused.json["limit"]) == (400, "kill_switch")
    assert desk.post("/killswitch", {"action": "status"}).json["data"]["engaged"] is True


def test_a_key_cannot_release_it_nor_stop_everybody(desk: Desk) -> None:
    assert desk.post("/killswitch", {"action": "release"}).status_code == 400
    assert desk.post("/killswitch", {"action": "engage", "every": True}).status_code == 400
    assert desk.post("/killswitch", {"action": "engage"}, key=desk.reading_key).status_code == 403
    assert desk.post("/placeorder", ORDER).status_code == 200


def test_what_is_unknown_tells_since_when_and_what_was_seen(desk: Desk) -> None:
    assert desk.post("/unknownorders").json["data"] == []
    desk.world.script.answers.append("lost")
    ours = desk.post("/placeorder", ORDER).json["orderid"]
    (row,) = desk.post("/unknownorders").json["data"]
    assert (row["orderid"], row["kind"], row["symbol"], row["action"]) == (ours, "PLACE", "RELIANCE", "BUY")
    assert (row["since"], row["message"]) == ("2026-11-23 10:30:00", "connection reset")
    assert row["looks"] and row["looks"][0]["rows"] == 0

"""The kill switch by API, and orders without an answer."""

from __future__ import annotations

from domain.model import Exchange, Product
from services.conversions import Conversion
from tests.restx_api.desk import ORDER, Desk
from tests.services.order_world import RELIANCE


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


def test_a_conversion_without_an_answer_is_told_as_one(desk: Desk) -> None:
    desk.world.script.hold(RELIANCE, Product.INTRADAY, 7)
    desk.world.script.answers.append("lost")
    wanted = Conversion(
        symbol="RELIANCE", exchange=Exchange.NSE, product=Product.INTRADAY, to_product=Product.DELIVERY
    )
    asked = desk.world.conversions.convert(desk.world.caller, wanted)
    (row,) = desk.post("/unknownorders").json["data"]
    assert (row["orderid"], row["kind"], row["quantity"]) == (asked.order_id, "CONVERT", 7)
    described = desk.client.get("/api/v1/swagger.json", headers={"X-API-KEY": desk.key}).text
    assert '"CONVERT"' in described


def test_reconciliation_is_read_and_asked_for(desk: Desk) -> None:
    desk.go_live()
    desk.world.script.answers.append("lost")
    ours = desk.post("/placeorder", ORDER).json["orderid"]
    read = desk.client.get("/api/v1/reconciliation", headers={"X-API-KEY": desk.key})
    assert (read.status_code, read.json["data"]["reconciled"], read.json["data"]["at"]) == (200, False, "")
    assert [row["orderid"] for row in read.json["data"]["unknown"]] == [ours]
    desk.hold("RELIANCE", 7)
    looked = desk.post("/reconciliation").json["data"]
    assert (looked["reconciled"], looked["at"], looked["error"]) == (True, "2026-11-23 10:30:00", "")
    (row,) = looked["differences"]
    assert (row["symbol"], row["ours"], row["broker"]) == ("RELIANCE", 0, 7)
    assert len(looked["unknown"][0]["looks"]) > len(read.json["data"]["unknown"][0]["looks"])
    assert desk.client.get("/api/v1/reconciliation", headers={"X-API-KEY": desk.key}).json["data"] == looked


def test_a_book_that_cannot_be_read_is_said_not_guessed(desk: Desk) -> None:
    desk.go_live()
    desk.world.script.book_down = True
    looked = desk.post("/reconciliation").json["data"]
    assert (looked["reconciled"], "no answer" in looked["error"]) == (False, True)


def test_a_paper_account_is_always_reconciled(desk: Desk) -> None:
    assert desk.post("/reconciliation").json["data"]["reconciled"] is True

"""Options by words, chains and greeks over a simulated market with its price of NIFTY held still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.outcomes import Refused
from tests.restx_api.options_desk import OptionsDesk

ASKED = {"underlying": "NIFTY", "exchange": "NSE_INDEX", "expiry_date": "01DEC26"}
WISH = {
    **ASKED,
    "strategy": "Python",
    "offset": "ATM",
    "option_type": "CE",
    "action": "BUY",
    "quantity": "65",
}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[OptionsDesk]:
    made = OptionsDesk(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("offset", "kind", "symbol"),
    [
        ("ATM", "CE", "NIFTY01DEC2624000CE"),
        ("itm2", "ce", "NIFTY01DEC2623900CE"),
        ("OTM3", "CE", "NIFTY01DEC2624150CE"),
        ("ITM2", "PE", "NIFTY01DEC2624150PE"),
        ("OTM1", "PE", "NIFTY01DEC2623950PE"),
    ],
)
def test_an_offset_names_a_listed_contract(desk: OptionsDesk, offset: str, kind: str, symbol: str) -> None:
    asked = {**ASKED, "offset": offset, "option_type": kind, "strike_int": None, "strategy": "old"}
    answer = desk.post("/optionsymbol", asked)
    assert answer.json == {
        "status": "success",
        "symbol": symbol,
        "exchange": "NFO",
        "lotsize": 65,
        "tick_size": 0.05,
        "freeze_qty": 65,
        "underlying_ltp": 24010.0,
    }


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"offset": "FOO"}, 400),
        ({"offset": "ITMx"}, 400),
        ({"offset": "ITM51"}, 400),
        ({"offset": "ITM0"}, 400),
        ({"offset": "OTM40"}, 400),
        ({"option_type": "XX"}, 400),
        ({"expiry_date": "1st of May"}, 400),
        ({"expiry_date": "08DEC26"}, 404),
        ({"strike_int": 7}, 404),
        ({"strike_int": 0}, 400),
        ({"underlying": "??"}, 400),
        ({"underlying": "NOSUCH"}, 404),
        ({"exchange": "NYSE"}, 400),
    ],
)
def test_what_names_no_option_is_said(desk: OptionsDesk, change: dict[str, Any], status: int) -> None:
    answer = desk.post("/optionsymbol", {**ASKED, "offset": "ATM", "option_type": "CE", **change})
    assert (answer.status_code, answer.json["status"]) == (status, "error")
    assert "mode" not in answer.json


def test_schema_errors_come_in_their_own_style(desk: OptionsDesk) -> None:
    answer = desk.post("/optionsymbol", {**ASKED, "offset": "FOO", "option_type": "CE"})
    assert answer.json == {
        "status": "error",
        "message": "Validation error",
        "errors": {"offset": ["Must be ATM, ITM1 to ITM50 or OTM1 to OTM50."]},
    }
    legs = desk.post("/optionsmultiorder", {**ASKED, "strategy": "x", "legs": [{"offset": "ATM"}]}).json
    assert legs["errors"]["legs"]["0"]["quantity"] == ["Missing data for required field."]


def test_an_explicit_expiry_beats_an_embedded_one(desk: OptionsDesk) -> None:
    asked = {**ASKED, "underlying": "NIFTY29DEC26FUT", "offset": "ATM", "option_type": "CE"}
    assert desk.post("/optionsymbol", asked).json["symbol"] == "NIFTY01DEC2624000CE"
    del asked["expiry_date"]
    assert desk.post("/optionsymbol", asked).status_code == 404


def test_an_option_order_tells_the_contract(desk: OptionsDesk) -> None:
    answer = desk.post("/optionsorder", {**WISH, "offset": "itm2"})
    assert answer.json == {
        "status": "success",
        "orderid": "B1",
        "symbol": "NIFTY01DEC2623900CE",
        "exchange": "NFO",
        "underlying": "NIFTY",
        "underlying_ltp": 24010.0,
        "offset": "itm2",
        "option_type": "CE",
        "mode": "analyze",
    }
    assert (desk.world.script.sent[0].quantity, desk.world.script.sent[0].product) == (65, "MIS")


def test_an_option_order_repeated_by_key_tells_the_first_contract(desk: OptionsDesk) -> None:
    once = {"headers": {"Idempotency-Key": "k"}}
    first = desk.post("/optionsorder", WISH, **once).json
    moved = replace(desk.market.overrides["NIFTY"], last_price=24460.0)
    desk.market.overrides["NIFTY"] = moved
    again = desk.post("/optionsorder", WISH, **once).json
    assert (again["orderid"], again["symbol"]) == (first["orderid"], first["symbol"])
    assert len(desk.world.script.sent) == 1


def test_a_split_option_order_answers_for_each_child(desk: OptionsDesk) -> None:
    said = desk.post("/optionsorder", {**WISH, "quantity": 195, "splitsize": 130}).json
    assert (said["total_quantity"], said["split_size"]) == (195, 130)
    assert [(row["order_num"], row["quantity"], row["orderid"]) for row in said["results"]] == [
        (1, 130, "B1"),
        (2, 65, "B2"),
    ]
    assert "orderid" not in said
    assert desk.post("/optionsorder", {**WISH, "quantity": 65 * 101, "splitsize": 65}).status_code == 400


def test_a_refused_option_order_keeps_the_broker_s_words(desk: OptionsDesk) -> None:
    desk.world.script.answers.append(lambda: Refused("RMS", "Margin short"))
    answer = desk.post("/optionsorder", WISH)
    assert (answer.status_code, answer.json["message"], answer.json["mode"]) == (
        400,
        "Margin short",
        "analyze",
    )
    lots = desk.post("/optionsorder", {**WISH, "quantity": 64})
    assert (lots.status_code, "lot size" in lots.json["message"]) == (400, True)
    assert desk.post("/optionsorder", {**WISH, "product": "CNC"}).status_code == 400


def leg(offset: str, kind: str, action: str, **more: Any) -> dict[str, Any]:
    return {"offset": offset, "option_type": kind, "action": action, "quantity": 65, **more}


def test_many_legs_buy_first_and_answer_in_the_order_asked(desk: OptionsDesk) -> None:
    legs = [
        leg("OTM1", "CE", "SELL"),
        leg("OTM4", "CE", "BUY", splitsize=65, quantity=130),
        leg("OTM50", "CE", "SELL"),
        leg("OTM1", "PE", "sell", product="NRML"),
        leg("OTM4", "PE", "buy"),
    ]
    said = desk.post("/optionsmultiorder", {**ASKED, "strategy": "condor", "legs": legs}).json
    assert (said["underlying"], said["underlying_ltp"], said["mode"]) == ("NIFTY", 24010.0, "analyze")
    sent = [(order.side, order.instrument.symbol[-7:], order.quantity) for order in desk.world.script.sent]
    assert sent == [
        ("BUY", "24200CE", 65),
        ("BUY", "24200CE", 65),
        ("BUY", "23800PE", 65),
        ("SELL", "24050CE", 65),
        ("SELL", "23950PE", 65),
    ]
    first, second, third, fourth, fifth = said["results"]
    assert (first["leg"], first["orderid"], first["symbol"], first["mode"]) == (
        1,
        "B4",
        "NIFTY01DEC2624050CE",
        "analyze",
    )
    assert [child["orderid"] for child in second["split_results"]] == ["B1", "B2"]
    assert (second["total_quantity"], second["split_size"], "orderid" in second) == (130, 65, False)
    assert (third["status"], "symbol" in third, third["leg"]) == ("error", False, 3)
    assert (fourth["product"], fourth["orderid"], fifth["orderid"]) == ("NRML", "B5", "B3")
    assert said["summary"] == {"total": 5, "success": 4, "failed": 1}


def test_legs_are_one_to_twenty_and_a_plan_is_sent_once(desk: OptionsDesk) -> None:
    body = {**ASKED, "strategy": "x", "legs": [leg("ATM", "CE", "BUY")] * 21}
    assert desk.post("/optionsmultiorder", body).status_code == 400
    assert desk.post("/optionsmultiorder", {**body, "legs": []}).status_code == 400
    once = {"headers": {"Idempotency-Key": "k"}}
    two = {**body, "legs": [leg("ATM", "CE", "SELL"), leg("ATM", "PE", "BUY")]}
    assert (
        desk.post("/optionsmultiorder", two, **once).json == desk.post("/optionsmultiorder", two, **once).json
    )
    assert len(desk.world.script.sent) == 2


def test_semi_auto_queues_option_orders(desk: OptionsDesk) -> None:
    desk.go_live(semi_auto=True)
    for path, body in (
        ("/optionsorder", WISH),
        ("/optionsmultiorder", {**ASKED, "strategy": "x", "legs": [leg("ATM", "CE", "BUY")]}),
    ):
        said = desk.post(path, body).json
        assert (said["mode"], said["message"]) == ("semi_auto", "Order queued for approval in Action Center")
    assert desk.world.script.sent == []


def test_a_chain_has_rows_about_the_money(desk: OptionsDesk) -> None:
    said = desk.post("/optionchain", {**ASKED, "strike_count": 1}).json
    assert (said["underlying"], said["underlying_symbol"], said["underlying_exchange"]) == (
        "NIFTY",
        "NIFTY",
        "NSE_INDEX",
    )
    assert (said["expiry_date"], said["expiry_ts"], said["server_ts"]) == ("01DEC26", 1796119200, 1795415400)
    assert (said["atm_strike"], said["forward_price"], said["greeks_included"]) == (24000.0, None, False)
    assert [row["strike"] for row in said["chain"]] == [23950.0, 24000.0, 24050.0]
    assert [(row["ce"] or {}).get("label") for row in said["chain"]] == ["ITM1", "ATM", "OTM1"]
    assert said["chain"][2]["pe"] is None
    call = said["chain"][0]["ce"]
    assert call["ltp"] > 0 and call["lotsize"] == 65 and "delta" not in call
    assert "mode" not in said


def test_a_chain_with_greeks_and_one_named_by_its_future(desk: OptionsDesk) -> None:
    said = desk.post("/optionchain", {**ASKED, "with_greeks": True, "interest_rate": "6.5"}).json
    assert said["greeks_included"] is True and said["forward_price"] > 0
    call = said["chain"][10]["ce"]
    assert 0 < call["delta"] < 1 and call["implied_volatility"] > 0 and "rho" not in call
    future = {"underlying": "NIFTY01DEC26FUT", "exchange": "NFO"}
    assert desk.post("/optionchain", future).json["expiry_date"] == "01DEC26"
    assert desk.post("/optionchain", {**ASKED, "expiry_date": None}).status_code == 400
    for wrong in (
        {"strike_count": 0},
        {"strike_count": 101},
        {"interest_rate": 101},
        {"with_greeks": "maybe"},
    ):
        assert desk.post("/optionchain", {**ASKED, **wrong}).status_code == 400


def test_a_synthetic_future_has_its_own_key_for_the_expiry(desk: OptionsDesk) -> None:
    said = desk.post("/syntheticfuture", ASKED).json
    assert set(said) == {
        "status",
        "underlying",
        "underlying_ltp",
        "expiry",
        "atm_strike",
        "synthetic_future_price",
    }
    assert (said["expiry"], said["atm_strike"]) == ("01DEC26", 24000.0)
    assert abs(said["synthetic_future_price"] - 24010) < 600


def test_greeks_of_one_option(desk: OptionsDesk) -> None:
    asked = {"symbol": "NIFTY01DEC2624000CE", "exchange": "NFO", "forward_price": 24010, "interest_rate": 0}
    said = desk.post("/optiongreeks", asked).json
    assert (said["expiry_date"], said["strike"], said["option_type"]) == ("01-Dec-2026", 24000.0, "CE")
    assert (said["underlying"], said["spot_price"], said["days_to_expiry"]) == ("NIFTY", 24010.0, 8.1458)
    assert set(said["greeks"]) == {"delta", "gamma", "theta", "vega", "rho"}
    denied = desk.post("/optiongreeks", asked, key="wrong")
    assert (denied.status_code, denied.json["message"]) == (401, "Invalid openalgo apikey")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"symbol": "NIFTY"}, 400),
        ({"symbol": "NIFTY01DEC2699000CE"}, 404),
        ({"exchange": "NSE"}, 400),
        ({"expiry_time": "25:00"}, 400),
        ({"interest_rate": 101}, 400),
        ({"forward_price": -1}, 400),
    ],
)
def test_what_has_no_greeks(desk: OptionsDesk, change: dict[str, Any], status: int) -> None:
    answer = desk.post("/optiongreeks", {"symbol": "NIFTY01DEC2624000CE", "exchange": "NFO", **change})
    assert (answer.status_code, answer.json["status"]) == (status, "error")


def test_greeks_of_many_are_always_200(desk: OptionsDesk) -> None:
    good = {"symbol": "NIFTY01DEC2624000CE", "exchange": "NFO"}
    bad = {"symbol": "NIFTY01DEC2699000CE", "exchange": "NFO"}
    for symbols, word, failed in (([good], "success", 0), ([bad, good], "partial", 1), ([bad], "error", 1)):
        answer = desk.post("/multioptiongreeks", {"symbols": symbols})
        assert (answer.status_code, answer.json["status"]) == (200, word)
        assert [row["symbol"] for row in answer.json["data"]] == [item["symbol"] for item in symbols]
        assert answer.json["summary"]["failed"] == failed
        assert ("message" in answer.json) == bool(failed)
    assert desk.post("/multioptiongreeks", {"symbols": []}).json["message"] == "Validation failed"

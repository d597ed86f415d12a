"""Quotes, depth, the master and the analyzer switch as clients read them."""

from __future__ import annotations

from tests.restx_api.desk import Desk

RELIANCE = {"symbol": "RELIANCE", "exchange": "NSE"}


def test_a_quote_is_numbers_and_never_has_a_mode(desk: Desk) -> None:
    answer = desk.post("/quotes", {**RELIANCE, "exchange": "nse"})
    assert answer.json == {
        "status": "success",
        "data": {
            "open": 1190.0,
            "high": 1210.0,
            "low": 0.0,
            "ltp": 1200.05,
            "ask": 1200.1,
            "bid": 1200.0,
            "prev_close": 1188.0,
            "volume": 12345,
            "oi": 0,
            "bid_qty": 5,
            "ask_qty": 7,
        },
    }


def test_an_unknown_symbol_is_400_for_quotes_and_404_for_the_master(desk: Desk) -> None:
    for path, status in (("/quotes", 400), ("/depth", 400), ("/symbol", 404)):
        answer = desk.post(path, {"symbol": "NOSUCH", "exchange": "NSE"})
        assert answer.status_code == status
        assert "NOSUCH" in answer.json["message"] and "NSE" in answer.json["message"]
        assert "mode" not in answer.json


def test_many_quotes_put_the_unknown_first_and_keep_the_rest_in_order(desk: Desk) -> None:
    asked = [RELIANCE, {"symbol": "NOSUCH", "exchange": "NSE"}, {"symbol": "NIFTY", "exchange": "NSE_INDEX"}]
    results = desk.post("/multiquotes", {"symbols": asked}).json["results"]
    assert [row["symbol"] for row in results] == ["NOSUCH", "RELIANCE", "NIFTY"]
    assert "error" in results[0] and results[1]["data"]["ltp"] == 1200.05
    none = desk.post("/multiquotes", {"symbols": asked[1:2]})
    assert (none.status_code, none.json["status"]) == (400, "error")
    assert none.json["invalid_symbols"][0]["symbol"] == "NOSUCH"


def test_errors_in_a_list_are_keyed_by_index(desk: Desk) -> None:
    assert desk.post("/multiquotes", {"symbols": []}).status_code == 400
    wrong = desk.post("/multiquotes", {"symbols": [RELIANCE, {"symbol": 5, "exchange": "NSE"}]}).json
    assert wrong["message"] == {"symbols": {"1": {"symbol": ["Not a valid string."]}}}


def test_depth_has_five_levels_a_side(desk: Desk) -> None:
    data = desk.post("/depth", RELIANCE).json["data"]
    assert [level["quantity"] for level in data["bids"]] == [5, 50, 0, 0, 0]
    assert [level["price"] for level in data["bids"]] == [1200.0, 1199.9, 0.0, 0.0, 0.0]
    assert len(data["asks"]) == 5
    assert (data["totalbuyqty"], data["totalsellqty"], data["ltq"]) == (55, 49, 0)


def test_one_record_of_the_master(desk: Desk) -> None:
    data = desk.post("/symbol", {"symbol": "NIFTY29DEC26FUT", "exchange": "NFO"}).json["data"]
    assert data == {
        "id": 7,
        "symbol": "NIFTY29DEC26FUT",
        "brsymbol": "RELIANCE",
        "name": "NIFTY",
        "exchange": "NFO",
        "brexchange": "NSE",
        "token": "2885",
        "expiry": "29-DEC-26",
        "strike": 0.0,
        "lotsize": 65,
        "instrumenttype": "FUT",
        "tick_size": 0.1,
        "freeze_qty": 1800,
    }


def test_search_says_how_many_it_found(desk: Desk) -> None:
    found = desk.post("/search", {"query": "nifty"}).json
    assert found["message"] == "Found 2 matching symbols"
    assert [row["symbol"] for row in found["data"]] == ["NIFTY29DEC26FUT", "NIFTY"]
    assert desk.post("/search", {"query": "nifty", "exchange": "NFO"}).json["data"][0]["exchange"] == "NFO"
    nothing = desk.post("/search", {"query": "zzzz"})
    assert (nothing.status_code, nothing.json["data"]) == (200, [])
    for blank in ("", "   "):
        assert desk.post("/search", {"query": blank}).status_code == 400


def test_the_analyzer_tells_and_sets_the_account_s_mode(desk: Desk) -> None:
    assert desk.post("/analyzer").json == {
        "status": "success",
        "data": {"mode": "analyze", "analyze_mode": True, "total_logs": 0},
    }
    refused = desk.post("/analyzer/toggle", {"mode": False})
    assert (refused.status_code, refused.json["status"]) == (400, "error")
    desk.go_live()
    for wish, word in ((True, "analyze"), ("on", "analyze"), ("false", "live"), (0, "live")):
        data = desk.post("/analyzer/toggle", {"mode": wish}).json["data"]
        assert (data["mode"], data["analyze_mode"]) == (word, word == "analyze")
        assert data["message"] == f"Analyzer mode switched to {word}"
        assert desk.post("/analyzer").json["data"]["mode"] == word
    assert (
        "'mode': ['Not a valid boolean.']" in desk.post("/analyzer/toggle", {"mode": "maybe"}).json["message"]
    )


def test_chart_preferences_come_back_as_they_were_given(desk: Desk) -> None:
    wanted = {"tv_theme": "dark", "layout": {"panes": [1, 2.5, None]}, "on": True}
    saved = desk.post("/chart", wanted)
    assert saved.json == {"status": "success", "message": "Saved 3 chart preferences"}
    desk.post("/chart", {"tv_theme": "light"})
    asked = {"query_string": {"apikey": desk.key}}
    assert desk.client.get("/api/v1/chart", **asked).json["data"] == {**wanted, "tv_theme": "light"}
    other = desk.world.accounts.add_user("ravi", "a long password")
    theirs = desk.world.accounts.create_key(other.id)
    assert desk.client.get("/api/v1/chart", query_string={"apikey": theirs}).json["data"] == {}
    assert desk.client.get("/api/v1/chart").status_code == 400
    for wrong in ({}, {"n" * 51: 1}, {str(n): n for n in range(51)}):
        assert desk.post("/chart", wrong).status_code == 400


def test_benchmarks_are_the_master_s_indices(desk: Desk) -> None:
    rows = desk.client.get("/api/v1/portfolio/benchmarks", query_string={"apikey": desk.key}).json["data"]
    assert [(row["symbol"], row["exchange"]) for row in rows] == [("NIFTY", "NSE_INDEX")]
    assert desk.client.get("/api/v1/portfolio/benchmarks").status_code in (400, 403)

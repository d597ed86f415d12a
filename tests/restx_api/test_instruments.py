"""The master as a list and a file, expiries, and the calendar."""

from __future__ import annotations

import csv
import io

from tests.restx_api.desk import Desk


def test_expiries_are_dates_as_the_master_spells_them(desk: Desk) -> None:
    asked = {"symbol": "nifty", "exchange": "NFO", "instrumenttype": "options"}
    assert desk.post("/expiry", asked).json == {
        "status": "success",
        "message": "Found 2 expiry dates for NIFTY options in NFO",
        "data": ["01-DEC-26", "05-JAN-27"],
    }
    assert desk.post("/expiry", {**asked, "symbol": "GOLD", "exchange": "MCX"}).json["data"] == []
    for wrong in ({"exchange": "NSE"}, {"instrumenttype": "Options"}, {"symbol": ""}):
        assert desk.post("/expiry", {**asked, **wrong}).status_code == 400


def get(desk: Desk, **query: str):  # type: ignore[no-untyped-def]
    return desk.client.get("/api/v1/instruments", query_string={"apikey": desk.key, **query})


def test_all_instruments_or_those_of_one_exchange(desk: Desk) -> None:
    everything = get(desk).json
    assert everything["message"] == "Found 3 instruments"
    assert [row["symbol"] for row in everything["data"]] == ["RELIANCE", "NIFTY29DEC26FUT", "NIFTY"]
    assert set(everything["data"][0]) == {
        "symbol",
        "brsymbol",
        "name",
        "exchange",
        "brexchange",
        "token",
        "expiry",
        "strike",
        "lotsize",
        "instrumenttype",
        "tick_size",
    }
    assert len(get(desk, exchange="NSE").json["data"]) == 1
    nothing = get(desk, exchange="MCX").json
    assert nothing == {"status": "success", "message": "Found 0 instruments", "data": []}


def test_a_master_longer_than_a_piece_is_whole_json(desk: Desk) -> None:
    one = next(desk.platform.instruments.rows("paper"))
    desk.platform.instruments.rows = lambda broker, exchange: iter([one] * 2500)
    said = get(desk).json
    assert (len(said["data"]), said["message"]) == (2500, "Found 2500 instruments")
    assert len(get(desk, format="csv").text.splitlines()) == 2501


def test_the_csv_file_has_its_columns_in_order(desk: Desk) -> None:
    answer = get(desk, format="CSV", exchange="NFO")
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == "attachment; filename=instruments_NFO.csv"
    header, row = csv.reader(io.StringIO(answer.text))
    assert header[:4] == ["symbol", "brsymbol", "name", "exchange"]
    assert dict(zip(header, row, strict=True))["expiry"] == "29-DEC-26"


def test_errors_of_the_csv_form_are_plain_text(desk: Desk) -> None:
    wrong = get(desk, format="csv", exchange="NYSE")
    assert (wrong.status_code, wrong.mimetype) == (400, "text/plain")
    denied = desk.client.get("/api/v1/instruments", query_string={"apikey": "wrong", "format": "csv"})
    assert (denied.status_code, denied.text) == (403, "Invalid openalgo apikey")
    missing = desk.client.get("/api/v1/instruments")
    assert missing.json["message"] == {"apikey": ["Missing data for required field."]}


def test_holidays_of_this_or_another_year(desk: Desk) -> None:
    said = desk.post("/market/holidays", {"year": 2026}).json
    assert (said["year"], said["timezone"]) == (2026, "Asia/Kolkata")
    assert [row["date"] for row in said["data"]] == sorted(row["date"] for row in said["data"])
    assert desk.post("/market/holidays").json["year"] == 2026
    assert desk.post("/market/holidays", {"year": "2027"}).json["year"] == 2027
    for wrong in (2019, 2051, "x", 2026.5, None):
        assert desk.post("/market/holidays", {"year": wrong}).status_code == 400


def test_timings_are_milliseconds_of_india_s_day(desk: Desk) -> None:
    rows = desk.post("/market/timings", {"date": "2026-11-23"}).json["data"]
    assert rows[0] == {"exchange": "NSE", "start_time": 1795405500000, "end_time": 1795428000000}
    assert [row["exchange"] for row in rows] == [
        "NSE",
        "BSE",
        "NFO",
        "BFO",
        "MCX",
        "BCD",
        "CDS",
        "NCO",
        "CRYPTO",
    ]
    weekend = desk.post("/market/timings", {"date": "2026-11-22"}).json["data"]
    assert [row["exchange"] for row in weekend] == ["CRYPTO"]
    for wrong in ("2019-12-31", "2051-01-01", "23-11-2026", "", None):
        assert desk.post("/market/timings", {"date": wrong}).status_code == 400


def test_a_key_without_a_broker_session_reads_the_calendar_and_none_without_a_key(desk: Desk) -> None:
    desk.go_live()
    assert desk.post("/market/timings", {"date": "2026-11-23"}).status_code == 200
    assert desk.post("/market/timings", {"date": "2026-11-23"}, key="wrong").status_code == 403


def test_pnl_by_symbol_is_for_paper_accounts(desk: Desk) -> None:
    desk.hold("RELIANCE", 10)
    said = desk.post("/pnl/symbols").json
    assert said["mode"] == "analyze"
    assert said["data"] == [
        {
            "symbol": "RELIANCE",
            "exchange": "NSE",
            "product": "MIS",
            "quantity": 10,
            "pnl": 101.46,
            "unrealized_pnl": 100.46,
            "today_realized_pnl": 1.0,
            "total_pnl_today": 101.46,
        }
    ]
    assert said["total_pnl_today"] == 101.46
    desk.go_live()
    assert desk.post("/pnl/symbols").status_code == 400

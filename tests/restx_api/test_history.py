"""Bars as the SDK and as importers read them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from restx_api.fields.history import clamped
from tests.restx_api.desk import Desk

ASKED = {
    "symbol": "RELIANCE",
    "exchange": "NSE",
    "interval": "1m",
    "start_date": "2026-11-20",
    "end_date": "2026-11-20",
}


def test_bars_have_integer_seconds_and_no_mode(desk: Desk) -> None:
    said = desk.post("/history", {**ASKED, "source": "api"}).json
    assert set(said) == {"status", "data"}
    assert said["data"][0] == {
        "timestamp": 1795146300,
        "open": 1190.0,
        "high": 1191.0,
        "low": 0.0,
        "close": 1190.5,
        "volume": 100,
        "oi": 0,
    }
    assert len(desk.post("/history", {**ASKED, "interval": "60m"}).json["data"]) == 3


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"symbol": "NOSUCH"}, 400),
        ({"interval": "7m"}, 400),
        ({"interval": "45s"}, 400),
        ({"interval": ""}, 400),
        ({"start_date": "2026-11-21"}, 400),
        ({"start_date": "20-11-2026"}, 400),
        ({"start_date": "2026-02-30"}, 400),
        ({"start_date": "٢٠٢٦-11-20"}, 400),
        ({"start_date": 20261120}, 400),
        ({"source": "file"}, 400),
        ({"source": "db"}, 404),
        ({"source": "db", "interval": "25m"}, 404),
        ({"exchange": "NYSE"}, 400),
    ],
)
def test_what_cannot_be_answered_is_said(shop: Desk, change: dict[str, object], status: int) -> None:
    answer = shop.post("/history", {**ASKED, **change})
    assert (answer.status_code, answer.json["status"]) == (status, "error")


def test_intervals_come_by_unit_in_numeric_order(desk: Desk) -> None:
    assert desk.post("/intervals").json["data"] == {
        "seconds": [],
        "minutes": ["1m", "2m", "3m", "5m", "10m", "15m", "20m", "30m"],
        "hours": ["1h", "2h", "3h", "4h"],
        "days": ["D"],
        "weeks": ["W"],
        "months": ["M"],
    }


def ticker(desk: Desk, symbol: str = "NSE:RELIANCE", **query: str) -> tuple[int, str, str]:
    asked = {"apikey": desk.key, "from": "2026-11-20", "to": "2026-11-20", **query}
    answer = desk.client.get(f"/api/v1/ticker/{symbol}", query_string=asked)
    return answer.status_code, answer.mimetype, answer.text


def test_the_ticker_answers_json_or_lines(desk: Desk) -> None:
    status, kind, text = ticker(desk)
    assert (status, kind) == (200, "application/json")
    assert '"timestamp":1795132800' in text
    assert ticker(desk, format="txt", adjusted="true", sort="asc") == (
        200,
        "text/plain",
        "NSE:RELIANCE,2026-11-20,1190.0,1210.5,1180.0,1200.0,5000",
    )
    lines = ticker(desk, "nse:RELIANCE", format="TXT", interval="5m")[2].split("\n")
    assert lines[0] == "NSE:RELIANCE,2026-11-20,09:15:00,1190.0,1191.0,0.0,1190.5,100"
    assert len(lines) == 3


def test_the_ticker_s_errors_keep_their_code_in_both_forms(desk: Desk) -> None:
    for symbol, query, status in (
        ("RELIANCE", {}, 400),
        ("NSE:A:B", {}, 400),
        ("NYSE:A", {}, 400),
        ("NSE:NOSUCH", {}, 400),
        ("NSE:RELIANCE", {"interval": "7m"}, 400),
        ("NSE:RELIANCE", {"from": "yesterday"}, 400),
        ("NSE:RELIANCE", {"apikey": "wrong"}, 403),
    ):
        assert ticker(desk, symbol, **query)[:2] == (status, "application/json")
        code, kind, text = ticker(desk, symbol, format="txt", **query)
        assert (code, kind) == (status, "text/plain")
        assert text and not text.startswith("{")


def test_the_ticker_has_no_slashed_form(desk: Desk) -> None:
    asked = {"apikey": desk.key, "from": "2026-11-20", "to": "2026-11-20"}
    assert desk.client.get("/api/v1/ticker/NSE:RELIANCE/", query_string=asked).status_code == 404


def test_long_ranges_are_shortened_at_their_start() -> None:
    end = date(2026, 11, 20)
    assert clamped(date(1990, 1, 1), end, "D") == end - timedelta(days=3650)
    assert clamped(date(1990, 1, 1), end, "5m") == end - timedelta(days=30)
    assert clamped(date(2026, 11, 1), end, "5m") == date(2026, 11, 1)

"""kiteconnect, unmodified, trades against `manage.py simulate zerodha` through its whole surface."""

from __future__ import annotations

from typing import Any

import pytest

from tests.broker.sdk.environments import python_with, run_script, simulated

pytestmark = pytest.mark.xdist_group("sdk")


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    python = python_with("kiteconnect", "kiteconnect==5.2.2", "setuptools<81")
    with simulated("zerodha") as announced:
        return run_script(python, "kite_script.py", announced)


def test_it_logs_in_through_the_redirect(found: dict[str, Any]) -> None:
    assert found["session"] == ["AB1234", "datetime"]
    assert found["ended"] == [403, [True]]


def test_its_orders_are_taken_changed_and_ended(found: dict[str, Any]) -> None:
    assert found["states"] == ["COMPLETE", "OPEN", "TRIGGER PENDING"]
    assert found["modified"] == [2, 1401]
    assert found["tag"] == "mine"
    assert found["cancelled"] and found["exited"]
    assert found["history"][0] == "PUT ORDER REQ RECEIVED" and found["history"][-1] == "COMPLETE"
    assert found["order_trades"] == 1 and found["trades"] == 1
    assert found["time_type"] == "datetime"
    assert found["slices"] == 3
    assert found["refusal"][0] == 400 and "tick" in found["refusal"][1]


def test_its_books_and_money_parse(found: dict[str, Any]) -> None:
    assert (found["position"], found["holding"], found["converted"]) == (1, "SBIN", True)
    assert found["margins"][0] == found["margins"][1] > 0
    assert found["order_margin"] == 1500
    assert found["basket"] == ["charges", "final", "initial", "orders"]
    assert (found["profile"], found["auctions"], found["note"]) == ("AB1234", [], 1)


def test_its_market_data_parses(found: dict[str, Any]) -> None:
    assert found["quote"] == ["NSE:INFY", "NSE:M&M", "NSE:NIFTY 50"]
    assert (found["ohlc"], found["ltp"]) == (1485.0, 1500.0)
    assert found["instruments"] > 30 and found["nfo"] and found["expiry_type"] == "date"
    assert found["bars"] == [True, ["close", "date", "high", "low", "oi", "open", "volume"]]
    assert "60 days" in found["too_wide"]
    assert found["trigger_range"] == ["instrument_token", "lower", "upper"]


def test_its_triggers_and_funds_work(found: dict[str, Any]) -> None:
    assert found["gtt"] == [[806.0], 2] and found["gtt_deleted"]
    assert found["mf"] == [1, True, 1, True, [], 1]


def test_its_ticker_ticks_and_hears_of_orders(found: dict[str, Any]) -> None:
    assert found["ticked"]
    assert found["tick"] == [
        1517.5,
        {"open": 1500.0, "high": 1517.5, "low": 1500.0, "close": 1485.0},
        5,
        1517.4,
    ]
    assert "COMPLETE" in found["updates"]

"""xts-api-client, unmodified, trades against the houses that it fits: it knows one way to log in."""

from __future__ import annotations

import time
from typing import Any

import pytest

from broker import catalog
from tests.broker.sdk.environments import newer_python, python_with, run_script, simulated

pytestmark = pytest.mark.xdist_group("sdk")

HOUSES = [
    name
    for name in catalog.names()
    if catalog.manifest(name).family == "xts" and catalog.manifest(name).login.kind == "key"
]


@pytest.fixture(scope="module", params=HOUSES)
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    sdk = catalog.manifest(request.param).sdk
    python = python_with(sdk.name, f"{sdk.name}=={sdk.version}", python=newer_python())
    with simulated(request.param) as announced:
        return run_script(python, "xts_script.py", announced)


def test_it_logs_in_and_out_of_both_services(found: dict[str, Any]) -> None:
    assert found["login"] == found["logout"] == ["success", "success"]


def test_its_orders_are_taken_changed_and_ended(found: dict[str, Any]) -> None:
    assert found["states"] == ["Filled", "Replaced", "New"]
    assert found["modified"] == ["success", True]
    assert found["terms"] == [2, 1401.0, "mine"]
    assert (found["cancelled"], found["history"], found["unknown"]) == (
        "success",
        "Filled",
        "Order Not Found",
    )
    assert found["trades"] == [[1, 1511.1]]


def test_its_books_and_market_data_parse(found: dict[str, Any]) -> None:
    assert (found["position"], found["holding"]) == (["INFY-EQ", "1"], ["INE062A01020"])
    assert (found["balance"], found["profile"]) == (["ALL|ALL|ALL", "CASH|NSE|MTF"], "XT1234")
    assert found["quote"] == [1500, 1499.9]
    assert abs(found["traded"] / 1e9 - time.time()) < 120
    assert found["bars"][1] and found["bars"][0][0] == "TimeStamp"


def test_its_own_reader_of_the_master_tells_the_kinds_apart(found: dict[str, Any]) -> None:
    assert found["contracts"] == [3, 8, 3]
    assert found["indices"] == "NIFTY 50_26000"


def test_its_sockets_tick_and_hear_of_orders(found: dict[str, Any]) -> None:
    assert (found["snapshot"], found["tick"], found["unsubscribed"]) == (1, 1511, "success")
    assert found["again"] == "Instrument Already Subscribed !"
    assert found["order_events"] == ["on_joined", "on_order", "on_trade"]

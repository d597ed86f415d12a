"""The three NorenRestApiPy builds, unmodified, trade against the houses that they fit."""

from __future__ import annotations

from typing import Any

import pytest

from broker import catalog
from tests.broker.sdk.environments import python_with, run_script, simulated

pytestmark = pytest.mark.xdist_group("sdk")

# They declare pandas and never import it, so they go in without what they declare.
HOUSES = [name for name in catalog.names() if catalog.manifest(name).family == "noren"]


@pytest.fixture(scope="module", params=HOUSES)
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    sdk = catalog.manifest(request.param).sdk
    python = python_with(
        sdk.name.lower(), "requests", "websocket-client", "pyotp", bare=(f"{sdk.name}=={sdk.version}",)
    )
    with simulated(request.param) as announced:
        return {"build": sdk.name, **run_script(python, "noren_script.py", announced)}


def test_it_logs_in_and_out(found: dict[str, Any]) -> None:
    assert found["login"] == ["Ok", "FA1234"]
    assert (found["logout"], found["forgot"]) == ("Ok", "Ok")


def test_its_orders_are_taken_changed_and_ended(found: dict[str, Any]) -> None:
    assert found["states"] == ["COMPLETE", "OPEN", "TRIGGER_PENDING"]
    assert found["modified"] == ["Ok", True]
    assert found["terms"] == ["2", "1401.00", "mine"]
    assert found["symbols"] == ["INFY-EQ", "M&M-EQ"]
    assert (found["cancelled"], found["exited"], found["history"]) == ("Ok", "Ok", "COMPLETE")
    assert found["trades"] == [["1", "1500.10"]]
    assert found["refused"] is None


def test_its_books_and_market_data_parse(found: dict[str, Any]) -> None:
    assert (found["position"], found["holding"], found["converted"]) == ("1", "SBIN-EQ", "Ok")
    assert found["limits"] == ["cash", "marginused", "payin"]
    assert found["quote"] == ["Ok", "1500.00", "1499.90", "1500.50"]
    assert found["unknown"] is None
    assert (found["info"], found["chain"], found["span"]) == ("INFY-EQ", True, "Ok")
    assert found["bars"] == [True, True, ["intc", "inth", "into"]] or found["bars"][:2] == [True, True]
    assert found["days"] == ["intc", "inth", "intl", "into", "intv", "ssboe", "time"]
    assert found["list"] == ["INFY-EQ"]


def test_its_socket_ticks_and_hears_of_orders(found: dict[str, Any]) -> None:
    # The build of 0.0.37 waits for `ck` after it sent `a`: it never calls back, and works all the same.
    assert found["opened"] == (found["build"] != "norenrestapi")
    assert "lp" in found["partial"] and "ts" not in found["partial"]
    assert found["update"] == ["om", "COMPLETE", "Fill", "I", "out"]

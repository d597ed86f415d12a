"""The stream role as users meet it: the public SDK, a page's ticket, and a kill -9 under load."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from bench.install import Install
from tests.broker.sdk.environments import python_with
from tests.installs import copied

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300), pytest.mark.xdist_group("stream journey")]
SCRIPT = Path(__file__).with_name("sdk_script.py")


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    with Install(copied(tmp_path_factory.mktemp("stream") / "data")) as install:
        yield install


def role_pid(install: Install, role: str = "stream") -> int:
    import psutil

    for child in psutil.Process(install.process.pid).children(recursive=True):
        if " ".join(child.cmdline()).split()[:2] == ["openalgo", role]:
            return child.pid
    raise AssertionError(f"no {role} role")


def ask(socket: ClientConnection, **message: Any) -> dict[str, Any]:
    socket.send(json.dumps(message))
    while True:
        answer: dict[str, Any] = json.loads(socket.recv(10))
        if answer.get("type") != "market_data":
            return answer


@contextmanager
def subscribed(install: Install, symbols: list[str]) -> Iterator[ClientConnection]:
    """A client that has authenticated and holds Quote of these symbols."""
    with connect(install.feed, max_size=None) as socket:
        take(install, socket, symbols)
        yield socket


def take(install: Install, socket: ClientConnection, symbols: list[str]) -> None:
    assert ask(socket, action="authenticate", api_key=install.key)["status"] == "success"
    listed = [{"symbol": symbol, "exchange": "NSE"} for symbol in symbols]
    assert ask(socket, action="subscribe", symbols=listed, mode=2)["status"] == "success"


def symbols_heard(socket: ClientConnection, count: int, seconds: float) -> set[str]:
    heard: set[str] = set()
    end = time.monotonic() + seconds
    while len(heard) < count and time.monotonic() < end:
        frame = json.loads(socket.recv(max(0.01, end - time.monotonic())))
        if frame.get("type") == "market_data":
            heard.add(frame["symbol"])
    return heard


def test_the_public_sdk_connects_subscribes_and_is_called_back(install: Install) -> None:
    python = python_with("openalgo-1.0.47", "openalgo==1.0.47")
    done = subprocess.run(
        [str(python), str(SCRIPT), install.key, install.http, install.feed],
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["connected"] is True and found["connect_seconds"] < 1 * stretch()
    assert all(symbols == ["NIFTY", "RELIANCE"] for symbols in found["symbols"].values())
    assert found["heard"]["ltp"]["data"]["ltp"] > 0
    assert found["heard"]["quote"]["data"]["volume"] >= 0 and found["heard"]["quote"]["data"]["close"] > 0
    assert {"buy", "sell"} == set(found["heard"]["depth"]["data"]["depth"])
    assert all(getter for getter in found["getters"])


def test_a_killed_stream_role_is_back_in_three_seconds_with_every_price(install: Install) -> None:
    """Three seconds of a machine that does nothing else; stretched by what it does."""
    symbols = [row["symbol"] for row in _search(install)][:150]
    assert len(symbols) > 20
    with subscribed(install, symbols) as socket:
        assert symbols_heard(socket, len(symbols), 20 * stretch()) == set(symbols)
        os.kill(role_pid(install), signal.SIGKILL)
        killed = time.monotonic()
    with reconnected(install) as again:
        take(install, again, symbols)
        back = time.monotonic() - killed
        assert symbols_heard(again, len(symbols), 15 * stretch()) == set(symbols)
    print(json.dumps({"back_s": round(back, 2), "complete_s": round(time.monotonic() - killed, 2)}))
    assert back < 3 * stretch()


def stretch() -> float:
    """How much longer than alone things take on this machine just now."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def reconnected(install: Install) -> ClientConnection:
    end = time.monotonic() + 15 * stretch()
    while True:
        try:
            return connect(install.feed, max_size=None, legacy=True)
        except (OSError, WebSocketException):
            assert time.monotonic() < end
            time.sleep(0.02)


def _search(install: Install) -> list[dict[str, Any]]:
    import requests

    found: dict[str, dict[str, Any]] = {}
    for query in ("BANK", "IND", "TA", "RE"):
        answer = requests.post(
            f"{install.http}/api/v1/search",
            json={"apikey": install.key, "query": query, "exchange": "NSE"},
            timeout=10,
        )
        found |= {row["symbol"]: row for row in answer.json()["data"] if row["instrumenttype"] == "EQ"}
    return list(found.values())


def test_a_ticket_of_the_web_role_opens_a_socket_of_the_stream_role(install: Install) -> None:
    script = (
        "import config, pathlib, sys\n"
        "from services.tickets import Tickets\n"
        "settings = config.load(pathlib.Path(sys.argv[1]))\n"
        "print(Tickets(settings.app_key, config.SystemClock()).issue(1, 1))\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", script, str(install.home)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    with connect(install.feed, origin=install.http) as socket:  # type: ignore[arg-type]
        answer = ask(socket, action="authenticate", ticket=made.stdout.strip(), features={"changed": True})
        assert (answer["status"], answer["features"]) == ("success", {"changed": True})
    with connect(install.feed) as socket:
        answer = ask(socket, action="authenticate", ticket=made.stdout.strip())
        assert answer["message"] == "Invalid ticket"


def test_quotes_answer_from_the_last_tick_while_the_exchange_is_busy(install: Install) -> None:
    import requests

    def quote() -> tuple[dict[str, Any], float]:
        begun = time.monotonic()
        body = {"apikey": install.key, "symbol": "RELIANCE", "exchange": "NSE"}
        answer = requests.post(f"{install.http}/api/v1/quotes", json=body, timeout=20).json()
        return answer, time.monotonic() - begun

    def asked_while_it_stands_still(socket: ClientConnection) -> tuple[dict[str, Any], float, float]:
        frame = json.loads(socket.recv(90))
        exchange = role_pid(install, "exchange")
        os.kill(exchange, signal.SIGSTOP)
        try:
            with contextlib.suppress(TimeoutError):
                while True:  # what was on its way when the exchange stopped
                    frame = json.loads(socket.recv(0.1))
            return *quote(), frame["data"]["ltp"]
        finally:
            os.kill(exchange, signal.SIGCONT)

    with subscribed(install, ["RELIANCE"]) as socket:
        quote()
        for _ in range(4):  # a stream role that was busy for 20 ms is passed over: then the exchange is asked
            answer, seconds, last = asked_while_it_stands_still(socket)
            if answer["status"] == "success" and seconds < 1:
                break
        assert answer["status"] == "success" and seconds < 1, (answer, seconds)
        assert answer["data"]["ltp"] == last


def test_an_order_over_rest_is_told_on_the_socket(install: Install) -> None:
    import requests

    with connect(install.feed) as socket:
        ask(socket, action="authenticate", api_key=install.key)
        assert ask(socket, action="subscribe_orders")["status"] == "success"
        begun = time.monotonic()
        answer = requests.post(
            f"{install.http}/api/v1/placeorder",
            json={
                "apikey": install.key,
                "strategy": "journey",
                "symbol": "INFY",
                "exchange": "NSE",
                "action": "BUY",
                "product": "MIS",
                "pricetype": "MARKET",
                "quantity": 1,
            },
            timeout=20,
        ).json()
        assert answer["status"] == "success", answer
        states = []
        while not states or states[-1] != "complete":
            frame = json.loads(socket.recv(10))
            if frame["type"] == "order_update" and frame["orderid"] == answer["orderid"]:
                states.append(frame["order_status"])
        print(json.dumps({"states": states, "seconds": round(time.monotonic() - begun, 3)}))
    with connect(install.feed) as socket:
        ask(socket, action="authenticate", api_key=install.key)
        assert ask(socket, action="subscribe_orders", resume_from=0)["seq"] >= len(states)
        assert json.loads(socket.recv(5))["seq"] == 1

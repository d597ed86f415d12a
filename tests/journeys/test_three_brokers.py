"""One platform logged in to three brokers at once: it trades on each over REST and carries each one's prices."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.sync.client import ClientConnection, connect

from bench.install import Install
from tests.installs import copied
from tests.simulators.faces import simulator
from tests.simulators.server import Simulator

pytestmark = pytest.mark.xdist_group("three brokers")

BROKERS = ("zerodha", "flattrade", "iifl")
PRICES = dict(zip(BROKERS, (1510.0, 1520.0, 1530.0), strict=True))


class Desk:
    """A running platform, and for each broker its simulator and the API key of the account that is logged in."""

    def __init__(self, install: Install) -> None:
        self.install = install
        self.faces: dict[str, Simulator] = {}
        self.keys: dict[str, str] = {}

    def join(self, name: str) -> None:
        face = self.faces[name] = simulator(name).start()
        manage = self.install.manage
        manage("account", "add", name, "--user", "bench", "--broker", name)
        manage("broker", "login", name, "--user", "bench", "--stdin", words=json.dumps(face.announcement()))
        self.keys[name] = manage("apikey", "create", "--user", "bench", "--account", name).strip()
        self.post(name, "analyzer/toggle", mode=False)

    def post(self, name: str, path: str, **body: Any) -> dict[str, Any]:
        answer = requests.post(
            f"{self.install.http}/api/v1/{path}", json={"apikey": self.keys[name], **body}, timeout=20
        )
        told: dict[str, Any] = answer.json()
        assert told["status"] == "success", (name, path, answer.status_code, told)
        return told

    def place(self, name: str, **terms: Any) -> str:
        order = {
            "strategy": "journey", "symbol": "INFY", "exchange": "NSE", "action": "BUY", "product": "MIS",
            "pricetype": "LIMIT", "price": 1480, "quantity": 1,
        }  # fmt: skip
        return str(self.post(name, "placeorder", **{**order, **terms})["orderid"])

    def socket(self, name: str, stack: ExitStack) -> ClientConnection:
        """A feed socket that is logged in with the account's key and subscribed to one quote."""
        opened = stack.enter_context(connect(self.install.feed))
        opened.send(json.dumps({"action": "authenticate", "api_key": self.keys[name]}))
        assert json.loads(opened.recv(10))["status"] == "success"
        wanted = [{"symbol": "INFY", "exchange": "NSE"}]
        opened.send(json.dumps({"action": "subscribe", "symbols": wanted, "mode": "Quote"}))
        opened.send(json.dumps({"action": "subscribe_orders"}))
        return opened


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home: Path = copied(tmp_path_factory.mktemp("install"))
    with Install(home) as install:
        made = Desk(install)
        for name in BROKERS:
            made.join(name)
        yield made
        for face in made.faces.values():
            face.stop()


def frames_until(socket: ClientConnection, done: Any, seconds: float = 15.0) -> list[dict[str, Any]]:
    """Frames up to the first that satisfies `done`."""
    heard: list[dict[str, Any]] = []
    while True:
        heard.append(json.loads(socket.recv(seconds)))
        if done(heard[-1]):
            return heard


def test_each_account_trades_at_its_own_broker(desk: Desk) -> None:
    for name in BROKERS:
        rests, trades = desk.place(name), desk.place(name, price=1600)
        there = {order["order_id"]: order["state"] for order in desk.faces[name].truth()["orders"]}  # type: ignore[union-attr]
        assert (there[rests], there[trades]) == ("OPEN", "COMPLETE"), name
        desk.post(name, "modifyorder", strategy="journey", orderid=rests, symbol="INFY", exchange="NSE",
                  action="BUY", product="MIS", pricetype="LIMIT", price=1475, quantity=2, disclosed_quantity=0,
                  trigger_price=0)  # fmt: skip
        book = {row["orderid"]: row for row in desk.post(name, "orderbook")["data"]["orders"]}
        assert (book[rests]["quantity"], float(book[rests]["price"])) == (2, 1475)
        desk.post(name, "cancelorder", strategy="journey", orderid=rests)
        assert (
            desk.post(name, "orderstatus", strategy="journey", orderid=rests)["data"]["order_status"]
            == "cancelled"
        )
        held = desk.post(
            name, "openposition", strategy="journey", symbol="INFY", exchange="NSE", product="MIS"
        )
        assert int(held["quantity"]) == 1
        assert float(desk.post(name, "funds")["data"]["utiliseddebits"]) > 0


def test_each_account_sees_its_own_brokers_price_and_orders(desk: Desk) -> None:
    with ExitStack() as stack:
        sockets = {name: desk.socket(name, stack) for name in BROKERS}
        _sees_its_own(desk, sockets)


def _sees_its_own(desk: Desk, sockets: dict[str, ClientConnection]) -> None:
    for name, socket in sockets.items():
        frames_until(socket, lambda frame: frame.get("type") == "market_data")
        desk.faces[name].tick("NSE", "INFY", PRICES[name])
    for name, socket in sockets.items():
        heard = frames_until(
            socket, lambda f, p=PRICES[name]: f.get("type") == "market_data" and f["data"]["ltp"] == p
        )
        seen = {frame["data"]["ltp"] for frame in heard if frame.get("type") == "market_data"}
        assert not seen & (set(PRICES.values()) - {PRICES[name]}), name
        order_id = desk.place(name)
        frames_until(socket, lambda f, o=order_id: f.get("type") == "order_update" and o in json.dumps(f))


def test_market_data_that_lost_its_own_session_comes_back_by_itself(desk: Desk) -> None:
    """In the process that serves the API and in the one that carries the feed, by one login between them."""
    name, face = "iifl", desk.faces["iifl"]
    with ExitStack() as stack:
        socket = desk.socket(name, stack)
        frames_until(socket, lambda frame: frame.get("type") == "market_data")
        face.tick("NSE", "INFY", 1540.0)
        face.requests.clear()
        face.expire_tokens("market")
        face.ws_close(1006)
        asked = desk.post(name, "quotes", symbol="INFY", exchange="NSE")
        assert asked["data"]["ltp"] == 1540
        deadline = time.monotonic() + 15
        while not any(request.op == "subscribe" for request in face.requests):
            assert time.monotonic() < deadline, "the feed did not come back"
            time.sleep(0.1)
        face.tick("NSE", "INFY", 1541.0)
        frames_until(socket, lambda f: f.get("type") == "market_data" and f["data"]["ltp"] == 1541.0)
    assert sum("auth/login" in request.path for request in face.requests) == 1


def test_an_ended_session_is_told_and_a_new_login_goes_on(desk: Desk) -> None:
    name = "zerodha"
    desk.faces[name].expire_tokens()
    answer = requests.post(
        f"{desk.install.http}/api/v1/placeorder",
        json={"apikey": desk.keys[name], "strategy": "s", "symbol": "INFY", "exchange": "NSE", "action": "BUY",
              "product": "MIS", "pricetype": "LIMIT", "price": 1480, "quantity": 1},
        timeout=20,
    )  # fmt: skip
    assert answer.json()["status"] == "error"
    face = desk.faces[name]
    face.credentials["request_token"] = face.call(face.new_code)
    desk.install.manage("broker", "login", name, "--user", "bench", "--stdin", "--no-master",
                        words=json.dumps(face.announcement()))  # fmt: skip
    assert desk.place(name)

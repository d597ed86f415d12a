"""Drives the platform through its REST API alone, as impatient clients do, and keeps the campaign's ledger.

Every wish has its own Idempotency-Key; an unanswered one is asked again under the same key. Each order is unlike
all others in (exchange, symbol, side, quantity), so that the broker's truth can be told apart without our ids.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import requests

from tests.faults.ledger import Wish

PRICES = {"INFY": 1480.0, "SBIN": 800.0}
TRIES = 4


class Driver:
    """The clients of one account. All draws come from the seed.

    first   quantity of the first order: a second campaign on the same account starts above the first's
    before  order ids that the broker had before this campaign
    """

    def __init__(self, http: str, broker: str, key: str, seed: int, first: int = 1) -> None:
        self.broker, self.key, self._first = broker, key, first
        self.before: set[str] = set()
        self.wishes: list[Wish] = []
        self._url = f"{http}/api/v1"
        self._random = random.Random(f"{seed}/{broker}")
        self._lock = threading.Lock()
        self._numbers: dict[tuple[str, str], int] = {}
        self._left = 0
        self._prices: dict[str, float] = {}

    def learn_prices(self) -> None:
        """Ask for the last prices that orders stand around."""
        for symbol in PRICES:
            answer = self.post("quotes", {"symbol": symbol, "exchange": "NSE"}, 20.0)
            self._prices[symbol] = float(answer["data"]["ltp"])

    def run(
        self, orders: int, clients: int, rate: float = 0.0, stop: Callable[[], bool] = lambda: False
    ) -> None:
        """Place `orders` orders, some changed or cancelled after; returns when every client is done.

        rate  orders a second of all clients together, 0 for as fast as they are answered
        """
        self._left = orders
        pause = clients / rate if rate else 0.0
        threads = [threading.Thread(target=self._client, args=(pause, stop)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def settle(self, seconds: float) -> float:
        """Ask again for what is pending or unanswered until all is told; seconds that it took, at most `seconds`."""
        begun = time.monotonic()
        while waiting := [wish for wish in self.wishes if wish.told in ("pending", "none")]:
            if time.monotonic() - begun > seconds:
                break
            for wish in waiting:
                self._ask(wish, 30.0)
            time.sleep(1.0)
        return time.monotonic() - begun

    def book(self) -> list[dict[str, Any]]:
        """The account's orderbook as our API shows it."""
        rows: list[dict[str, Any]] = self.post("orderbook", {}, 30.0)["data"]["orders"]
        return rows

    def post(self, path: str, body: dict[str, Any], timeout: float, **headers: str) -> dict[str, Any]:
        answer = requests.post(
            f"{self._url}/{path}", json={"apikey": self.key, **body}, timeout=timeout, headers=headers
        )
        told: dict[str, Any] = answer.json()
        return told

    # -- clients
    def _client(self, pause: float, stop: Callable[[], bool]) -> None:
        while not stop():
            with self._lock:
                if self._left <= 0:
                    return
                self._left -= 1
                wish, change, hasty = self._next(), self._random.random(), self._random.random()
            self._try(wish, hasty < 0.15)
            if wish.told == "success" and change < 0.4:
                self._try(self._change(wish, "cancel" if change < 0.2 else "modify"), hasty < 0.1)
            time.sleep(pause)

    def _next(self) -> Wish:
        symbol, side = self._random.choice(list(self._prices)), self._random.choice(("BUY", "SELL"))
        quantity = self._numbers[symbol, side] = self._numbers.get((symbol, side), self._first - 1) + 1
        away = 0.97 if self._random.random() < 0.7 else 1.01
        price = self._prices[symbol] * (away if side == "BUY" else 2 - away)
        body = {
            "strategy": "faults", "symbol": symbol, "exchange": "NSE", "action": side, "product": "MIS",
            "pricetype": "LIMIT", "price": round(price), "quantity": quantity,
        }  # fmt: skip
        return self._add("place", "placeorder", body, about=("NSE", symbol, side, quantity))

    def _change(self, placed: Wish, kind: str) -> Wish:
        if kind == "cancel":
            body: dict[str, Any] = {"strategy": "faults", "orderid": placed.order_id}
            return self._add("cancel", "cancelorder", body, target=placed.order_id)
        step = -2 if placed.body["action"] == "BUY" else 2
        body = {
            **placed.body, "price": placed.body["price"] + step, "orderid": placed.order_id,
            "disclosed_quantity": 0, "trigger_price": 0,
        }  # fmt: skip
        return self._add("modify", "modifyorder", body, target=placed.order_id)

    def _add(self, kind: str, path: str, body: dict[str, Any], **more: Any) -> Wish:
        wish = Wish(
            kind, self.broker, f"{self.broker}-{self._first}-{len(self.wishes)}-{kind}", path, body, **more
        )
        self.wishes.append(wish)
        return wish

    def _try(self, wish: Wish, is_hasty: bool) -> None:
        """Ask until answered; a hasty client gives up its first try at once and asks again."""
        for number in range(TRIES):
            self._ask(wish, 0.2 if is_hasty and number == 0 else 40.0)
            if wish.answer is not None:
                return
            time.sleep(0.3 * number)

    def _ask(self, wish: Wish, timeout: float) -> None:
        wish.tries += 1
        try:
            told = self.post(wish.path, wish.body, timeout, **{"Idempotency-Key": wish.key})
        except (requests.RequestException, ValueError):
            return
        wish.answer = told

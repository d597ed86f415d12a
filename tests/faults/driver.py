"""Drives the platform through its REST API alone, as impatient clients do, and keeps the campaign's ledger.

Every wish has its own Idempotency-Key; an unanswered one is asked again under the same key. Each order is unlike
all others in (exchange, symbol, side, quantity), so that the broker's truth can be told apart without our ids.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from tests.faults.ledger import Wish

SYMBOLS = ("INFY", "SBIN", "RELIANCE", "TCS")
TRIES = 4
PATIENCE = 4.0
"""Seconds a client follows a queued order before it does something else."""
STATUSES = 40
"""Orders of a campaign that are asked for one by one at its end, of those told another id than the broker's."""


class Driver:
    """The clients of one account. All draws come from the seed.

    first   quantity of the first order: a second campaign on the same account starts above the first's
    before  order ids that the broker had before this campaign
    """

    def __init__(
        self, http: str, broker: str, key: str, seed: int, first: int = 1, symbols: Sequence[str] = SYMBOLS
    ) -> None:
        self.broker, self.key, self._first, self._symbols = broker, key, first, symbols
        self.before: set[str] = set()
        self.wishes: list[Wish] = []
        self._url = f"{http}/api/v1"
        self._random = random.Random(f"{seed}/{broker}")
        self._lock = threading.Lock()
        self._numbers: dict[tuple[str, str], int] = {}
        self._orders = self._left = 0
        self._prices: dict[str, float] = {}

    def learn_prices(self) -> None:
        """Ask for the last prices that orders stand around."""
        for symbol in self._symbols:
            answer = self.post("quotes", {"symbol": symbol, "exchange": "NSE"}, 20.0)
            self._prices[symbol] = float(answer["data"]["ltp"])

    def run(
        self, orders: int, clients: int, rate: float = 0.0, stop: Callable[[], bool] = lambda: False
    ) -> None:
        """Place `orders` orders, some changed or cancelled after; returns when every client is done.

        rate  orders a second of all clients together, 0 for as fast as they are answered
        """
        self._orders = self._left = orders
        pause = clients / rate if rate else 0.0
        with ThreadPoolExecutor(clients) as pool:
            for client in [pool.submit(self._client, pause, stop) for _ in range(clients)]:
                client.result()

    @property
    def progress(self) -> float:
        """The share of this run's orders that were begun, 0 to 1."""
        return 1 - self._left / self._orders if self._orders else 0.0

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

    def statuses(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        """What orderstatus says of some of these orders, each under the id that was asked for."""

        def ask(order_id: str) -> dict[str, Any]:
            told = self.post("orderstatus", {"strategy": "faults", "orderid": order_id}, 30.0)
            return {**told.get("data", {"order_status": told.get("message")}), "orderid": order_id}

        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(ask, itertools.islice(ids, STATUSES)))

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
            self._follow(wish, stop)
            for kind in _changes(wish, change):
                if not stop():
                    self._try(self._change(wish, kind), hasty < 0.1)
            time.sleep(pause)

    def _follow(self, wish: Wish, stop: Callable[[], bool]) -> None:
        """Ask on while the order waits for its turn, so that it is sent in the storm and not after it."""
        until = time.monotonic() + PATIENCE
        while wish.is_queued and time.monotonic() < until and not stop():
            time.sleep(0.3)
            self._ask(wish, 40.0)

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


def _changes(placed: Wish, chance: float) -> tuple[str, ...]:
    """Six orders in ten are changed, half of those ended, some after the other; of pending ones two in ten are ended,
    which waits for the broker's id."""
    if chance < 0.2 and placed.told in ("success", "pending"):
        return ("cancel",)
    if chance < 0.6 and placed.told == "success":
        return ("modify",) if chance < 0.45 else ("modify", "cancel")
    return ()

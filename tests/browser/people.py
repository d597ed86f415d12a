"""Who uses the product in browser tests without a browser: a session, an API key, and a day of trading behind them."""

from __future__ import annotations

import re
import time
from typing import Any

import requests

from tests.browser.product import PASSWORD, Product

_DETAILS = {
    "/orders": r"/orders/[0-9A-Za-z_-]+(?:/modify)?",
    "/baskets": r"/baskets/\d+",
    "/webhooks": r"/webhooks/\d+",
    "/accounts": r"/accounts/\d+/(?:mode|connect|address)",
}
_STRATEGY_PAGES = (
    "",
    "/edit",
    "/runs",
    "/orders",
    "/schedule",
    "/settings",
    "/environment",
    "/search?q=beat",
)
_BEATS = b"import time\nfor n in range(3000):\n    print('beat', n, flush=True)\n    time.sleep(1)\n"


class Person:
    """Signed in by password, as a program is: no script runs."""

    def __init__(self, product: Product, name: str = "asha") -> None:
        self.base = product.base
        self.http = requests.Session()
        self.key = ""
        self.send("/login", at="/login", username=name, password=PASSWORD)

    def page(self, path: str) -> str:
        answer = self.http.get(self.base + path, timeout=60)
        assert answer.ok, f"{path}: {answer.status_code}"
        return answer.text

    def token(self, page: str = "/settings/keys") -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.page(page))
        assert found is not None, page
        return found[1]

    def send(self, path: str, at: str = "/settings/keys", files: Any = None, **fields: Any) -> str:
        """Send a form with the token of the page `at`; the page that follows."""
        data = {"csrf_token": self.token(at), **fields}
        return self.http.post(self.base + path, data=data, files=files, timeout=60).text

    def make_key(self, name: str = "bench") -> str:
        """An API key that may trade."""
        made = self.send("/settings/keys", name=name, scopes=["read", "trade"], password=PASSWORD)
        found = re.search(r'value="([0-9a-f]{64})"', made)
        assert found is not None, "no key was made"
        self.key = found[1]
        return self.key

    def api(self, name: str, **body: Any) -> dict[str, Any]:
        """Call the API with this person's key; waits where it says too fast."""
        while True:
            body = {"apikey": self.key, **body}
            answer = self.http.post(f"{self.base}/api/v1/{name}", json=body, timeout=60)
            if answer.status_code != 429:
                return dict(answer.json())
            time.sleep(0.11)

    def order(self, symbol: str, **more: Any) -> dict[str, Any]:
        """Place an order: one share at market, intraday, unless said otherwise."""
        body = {"exchange": "NSE", "action": "BUY", "product": "MIS", "quantity": "1", "pricetype": "MARKET"}
        return self.api("placeorder", **{**body, "strategy": "browser", "symbol": symbol, **more})


def live_a_day(person: Person) -> None:
    """Orders in every state, positions both ways, holdings, an alert, a basket, a webhook and a running strategy."""
    person.make_key()
    for symbol, quantity, side in (("RELIANCE", "25", "BUY"), ("SBIN", "150", "BUY"), ("INFY", "40", "SELL")):
        person.order(symbol, quantity=quantity, action=side)
    person.order("SBIN", quantity="50", action="SELL")
    person.order("TCS", quantity="12", product="CNC")
    for symbol, price in (("RELIANCE", "1250"), ("HDFCBANK", "700"), ("ICICIBANK", "1100")):
        person.order(symbol, quantity="10", pricetype="LIMIT", price=price)
    person.order("ITC", quantity="99999999", product="CNC")
    person.send("/baskets", at="/baskets", name="Two banks")
    basket = re.search(r"/baskets/\d+", person.page("/baskets"))
    for symbol in ("SBIN", "ICICIBANK") if basket else ():
        leg = {"symbol": symbol, "exchange": "NSE", "action": "BUY", "product": "MIS", "pricetype": "MARKET"}
        person.send(f"{basket[0]}/add", at=basket[0], unit="units", quantity="10", **leg)
    person.send(
        "/webhooks",
        at="/webhooks",
        kind="strategy",
        platform="tradingview",
        trading_mode="BOTH",
        name="Breakouts",
        start="09:15",
        end="15:00",
        squareoff="15:15",
        intraday="on",
    )
    person.send(
        "/python/new",
        at="/python/new",
        files={"strategy_file": ("beats.py", _BEATS, "text/x-python")},
        strategy_name="Opening range",
    )
    strategy = _strategy(person)
    person.send(f"{strategy}/start", at=strategy, force="1")


def details(person: Person) -> list[str]:
    """One page of each kind that belongs to one thing: an order, a basket, a webhook, an account, a strategy."""
    found = []
    for index, pattern in _DETAILS.items():
        links = dict.fromkeys(re.findall(rf'href="({pattern})["?]', person.page(index)))
        kinds = {re.sub(r"\d{2,}|\d+", "#", link): link for link in reversed(links)}
        found += sorted(kinds.values())
    return found + [_strategy(person) + part for part in _STRATEGY_PAGES]


def _strategy(person: Person) -> str:
    """The address of the newest strategy's page."""
    found = re.search(r'href="(/python/[0-9A-Za-z_-]+_\d{14})"', person.page("/python/"))
    assert found is not None, "no strategy"
    return found[1]

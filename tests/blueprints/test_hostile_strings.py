"""Every stored string as a polyglot: each page draws it as text, whichever place it comes from."""

from __future__ import annotations

import io
import json
import re
from datetime import date, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Response

from domain.calendar import DayType, HolidayFact
from domain.model import Exchange, OrderState, Product, Side, Trade
from domain.roles import Role
from services.accounts import Caller
from tests.blueprints.broker import order, position
from tests.blueprints.stage import NOON, PASSWORD, Stage, Visitor
from tests.blueprints.test_doors import page_rules

POLYGLOT = "\"'><img src=x onerror=z()><svg/onload=z()>{{731*977}}</textarea><script>z()</script>"
SHORT = "\"'><svg/onload=z()>{{731*977}}"
_LEAVES = {"gate.logout", "accounts.finish"}


class Drawn(HTMLParser):
    """What a browser would make of a page: handlers, scripts without our nonce, and pictures that nobody put there."""

    def __init__(self, nonce: str) -> None:
        super().__init__()
        self.nonce = nonce
        self.bad: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        handlers = [name for name in given if name.startswith("on")]
        stray = tag == "script" and given.get("nonce") != self.nonce
        if handlers or stray or tag in ("iframe", "object", "embed", "base") or given.get("src") == "x":
            self.bad.append(self.get_starttag_text() or tag)
        for name in ("href", "src", "action", "formaction"):
            if re.match(r"\s*(javascript|data|vbscript):", given.get(name) or "", re.I):
                self.bad.append(f"{tag} {name}={given[name]}")


def bad_of(answer: Response) -> list[str]:
    """What of a page would run."""
    nonce = re.search(r"'nonce-([^']+)'", answer.headers["Content-Security-Policy"])
    drawn = Drawn(nonce[1] if nonce else "none")
    drawn.feed(answer.get_data(as_text=True))
    return drawn.bad + (["{{731*977}} was worked out"] if "714187" in answer.get_data(as_text=True) else [])


def fill(stage: Stage, owner: Visitor) -> dict[str, Any]:
    """Put a polyglot wherever the platform keeps a string; returns what the pages' addresses need."""
    who: Caller = stage.accounts.caller_of_user(1)
    account = stage.accounts.add_account(1, SHORT, "zerodha")
    stage.accounts.create_key(1, name=POLYGLOT[:64])
    browser = stage.browser
    listed = browser.watchlists.create(1, SHORT)
    basket = browser.baskets.create(1, SHORT)
    leg = {"exchange": "NSE", "symbol": "RELIANCE", "action": "BUY", "product": "MIS", "pricetype": "MARKET"}
    assert owner.post(f"/baskets/{basket}/add", data=leg | {"quantity": "1"}).status_code == 303
    hook = owner.post("/webhooks", name=SHORT, kind="strategy", platform="tradingview", trading_mode="BOTH")
    assert hook.status_code == 303, hook.text
    browser.bans.add(who, "203.0.113.9", POLYGLOT, None)
    fact = HolidayFact(
        day=date(2026, 12, 25), group="EQUITY", name=POLYGLOT, type=DayType.CLOSED, note=POLYGLOT
    )
    stage.platform.calendar.correct(who, fact)
    stage.platform.audit.note(who, POLYGLOT[:40], {POLYGLOT: POLYGLOT})
    tagged = {"strategy": SHORT, "reason": POLYGLOT}
    stage.books.orders = [
        order(NOON, 1, **tagged),
        order(NOON, 2, **tagged | {"state": OrderState.REJECTED}),
        order(NOON, 3, **tagged | {"symbol": POLYGLOT, "state": OrderState.COMPLETE}),
    ]
    stage.books.positions = [position(), position(symbol=POLYGLOT, product=Product.DELIVERY)]
    stage.books.trades = [_trade()]
    uploaded = {"strategy_name": SHORT, "strategy_file": (io.BytesIO(POLYGLOT.encode()), "a.py")}
    made = owner.post("/python/new", data=uploaded)
    stage.visitor().post("/login", username=POLYGLOT, password="x")
    owner.client.post("/login", headers={"User-Agent": POLYGLOT})
    owner.post("/kill", reason=POLYGLOT)
    strategy = made.get_json()["data"]["strategy_id"] if made.status_code == 200 else "none"
    numbers = {"account_id": account.id, "list_id": listed, "basket_id": basket}
    numbers |= {"hook_id": int(hook.location.rsplit("/", 1)[1]), "order_id": "26111240000001"}
    return numbers | {"order_id": stage.books.orders[0].order_id, "strategy_id": strategy, "number": 1}


def _trade() -> Trade:
    return Trade(
        trade_id=POLYGLOT,
        order_id=POLYGLOT,
        symbol=POLYGLOT,
        exchange=Exchange.NSE,
        side=Side.BUY,
        product=Product.INTRADAY,
        quantity=Decimal(1),
        price=Decimal("1531.45"),
        traded_at=NOON,
        strategy=POLYGLOT,
    )


def test_every_page_draws_every_stored_string_as_text(stage: Stage, owner: Visitor) -> None:
    stage.clock.at += timedelta(days=1)
    owner = stage.owner()
    known = fill(stage, owner)
    found, drawn = [], 0
    for rule in page_rules(stage):
        if "GET" not in (rule.methods or ()) or rule.endpoint in _LEAVES:
            continue
        values = {name: known.get(name, "none") for name in rule.arguments}
        path = rule.build(
            {n: v if str(v) != "none" or n.endswith("name") else 1 for n, v in values.items()}, False
        )
        assert path is not None
        for query in ("", f"?q={SHORT}&part=panel", "?group=strategy", f"?sort={SHORT}&state={SHORT}"):
            answer = owner.get(path[1] + query)
            if answer.mimetype == "text/html":
                found += [(path[1] + query, bad) for bad in bad_of(answer)]
                drawn += "onload=z()" in answer.text
    assert found == []
    assert drawn > 20, "the strings are on the pages at all"


@pytest.mark.parametrize("page", ["/orders", "/trades", "/positions"])
def test_a_spreadsheet_runs_no_cell(stage: Stage, owner: Visitor, page: str) -> None:
    formula = '=HYPERLINK("http://x","y")'
    stage.books.orders = [order(NOON, strategy=formula, reason="+1+1", symbol="@SUM(A1)")]
    stage.books.trades = [_trade()]
    stage.books.positions = [position(symbol="-2+3")]
    text = owner.get(f"{page}?format=csv").text
    cells = [cell.strip('"') for line in text.splitlines()[1:] for cell in line.split(",")]
    assert not [c for c in cells if c[:1] in "=+@" and c] and not [c for c in cells if c.startswith("-2+")]


def test_errors_give_back_what_was_typed_as_text(stage: Stage, owner: Visitor) -> None:
    """A refused form comes back with its fields; they are text too."""
    stage.accounts.add_user("ravi", PASSWORD, role=Role.TRADER)
    forms: dict[str, dict[str, str]] = {
        "/login": {"username": POLYGLOT, "password": "x"},
        "/settings/keys": {
            "name": POLYGLOT,
            "addresses": POLYGLOT,
            "expires": POLYGLOT,
            "password": PASSWORD,
        },
        "/settings/users": {
            "name": POLYGLOT,
            "password": "long enough",
            "own_password": PASSWORD,
            "role": "trader",
        },
        "/settings/security/bans": {"network": POLYGLOT, "reason": POLYGLOT},
        "/settings/calendar": {"day": POLYGLOT, "group": POLYGLOT, "name": POLYGLOT, "type": POLYGLOT},
        "/settings/limits": {"max_quantity": POLYGLOT, "algo_id": POLYGLOT},
        "/accounts": {"name": POLYGLOT, "broker": POLYGLOT},
        "/orders/place": {"exchange": POLYGLOT, "symbol": POLYGLOT, "quantity": POLYGLOT},
        "/webhooks": {"name": POLYGLOT, "start": POLYGLOT},
        "/triggers": {"symbol": POLYGLOT, "exchange": POLYGLOT},
        "/playground/send": {
            "to": "post /funds",
            "body": json.dumps({"apikey": POLYGLOT, POLYGLOT: POLYGLOT}),
        },
    }
    for path, fields in forms.items():
        answer = owner.post(path, data=fields)
        if answer.status_code == 303:
            answer = owner.get(answer.location)
        assert bad_of(answer) == [], path

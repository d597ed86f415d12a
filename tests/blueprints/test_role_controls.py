"""No page offers what the person in front of it may not do."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from sqlalchemy import Connection
from werkzeug.exceptions import HTTPException

from database import approvals, strategies, strategy_alerts
from domain.roles import Role
from domain.strategies import Alert, StrategyState
from tests.blueprints.broker import order, position
from tests.blueprints.stage import NOON, PASSWORD, Stage, Visitor
from tests.blueprints.test_doors import PUBLIC, page_rules
from tests.blueprints.test_roles import ORDER, OWN, seated

NOT_HERE = {
    *("accounts.connect", "accounts.disconnect", "accounts.mode", "egress.address", "egress.look"),
    *("kill.unlock", "operate.load_again"),
}
"""Offered for accounts with a broker's login, and where trading is locked."""
LEAVE_OUT = re.compile(r"/(static|python/[^/]+/(logs|tail)|search/palette|held)")


class Writes(HTMLParser):
    """Where a page's forms post to, those that can be sent, and where it links to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.posts: set[str] = set()
        self.links: set[str] = set()
        self._form = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = has["action"] if has.get("method", "").lower() == "post" else ""
        if tag == "button" and self._form and "disabled" not in has and has.get("type") != "button":
            self.posts.add(self._form)
        for name in ("href", "hx-get", "data-src"):
            if has.get(name, "").startswith("/"):
                self.links.add(has[name].split("#")[0])

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = ""


def endpoint(stage: Stage, path: str) -> str:
    """The address itself where nothing takes a post at it."""
    try:
        return str(stage.app.url_map.bind("localhost").match(path.split("?")[0], "POST")[0])
    except HTTPException:
        return path


def crawl(visitor: Visitor, stage: Stage) -> tuple[list[str], set[str]]:
    """Every page there is a way to or without a part in its address, and the endpoints they offer to post to."""
    waiting = {
        rule.rule for rule in page_rules(stage) if not rule.arguments and "GET" in (rule.methods or ())
    }
    seen: set[str] = set()
    posts: set[str] = set()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        answer = visitor.get(path)
        if answer.status_code == 200 and answer.mimetype == "text/html":
            page = Writes(answer.text)
            posts |= {endpoint(stage, action) for action in page.posts}
            found = {one for one in page.links if not LEAVE_OUT.match(one)}
            waiting |= {one for one in found if one not in seen and one.count("&") < 3}
    return sorted(seen), posts


def offered(visitor: Visitor, stage: Stage, paths: list[str]) -> dict[str, str]:
    """Endpoints that pages offer to post to, with one page of each. Every page answers or says why not."""
    found: dict[str, str] = {}
    for path in paths:
        answer = visitor.get(path)
        assert answer.status_code in (200, 302, 303, 403, 404), path
        if answer.status_code == 200 and answer.mimetype == "text/html":
            found |= {endpoint(stage, action): path for action in Writes(answer.text).posts}
    return found


@pytest.fixture
def ravi(stage: Stage, owner: Visitor) -> Visitor:
    """A trader with something of everything."""
    ravi = stage.owner("ravi")
    for name in ("first", "second"):
        code = (io.BytesIO(f"print('{name}')\n".encode()), f"{name}.py")
        assert ravi.post("/python/upload", strategy_name=name, strategy_file=code).status_code == 303
    first, second = (row["id"] for row in ravi.get("/python/api/strategies").get_json()["strategies"])
    assert ravi.post(f"/python/{first}/edit", content="print(2)\n").status_code == 303
    assert ravi.post(f"/python/{first}/environment", name="LEVEL", value="3").status_code == 303
    assert ravi.post("/baskets", name="Evening").status_code == 303
    assert ravi.post("/baskets/1/add", data=ORDER).status_code == 303
    hook = {"name": "Alerts", "kind": "strategy", "trading_mode": "LONG", "platform": "tradingview"}
    assert ravi.post("/webhooks", data=hook).status_code == 303
    assert ravi.post("/webhooks/1/symbols", data=ORDER).status_code == 303
    trigger = ORDER | {"product": "CNC", "below": "1400", "price": "1400"}
    assert ravi.post("/triggers", data=trigger).status_code == 303
    wrote(stage, "orders", lambda c: approvals.park(c, account_id=2, kind="basket", request={}, now=NOON))
    alert = Alert(id=0, strategy_id=first, name="first", at=NOON, kind="crashed", reason="exit 1", tail="")
    wrote(stage, "platform", lambda c: strategy_alerts.add(c, 2, alert))
    wrote(stage, "platform", lambda c: strategies.change(c, second, state=StrategyState.RUNNING))
    stage.books.positions, stage.books.orders = [position()], [order(NOON)]
    return ravi


def wrote(stage: Stage, store: str, work: Callable[[Connection], object]) -> None:
    stage.platform.databases[store].write(work)


def demote(stage: Stage) -> None:
    stage.accounts.set_role(stage.accounts.user_named("ravi").id, Role.VIEWER)


def writes(stage: Stage) -> set[str]:
    """What a viewer may not post to."""
    return {rule.endpoint for rule in page_rules(stage) if "POST" in (rule.methods or ())} - PUBLIC - OWN


def test_a_viewer_is_offered_nothing_that_is_refused(stage: Stage, ravi: Visitor) -> None:
    paths, before = crawl(ravi, stage)
    unseen = {
        name for name in writes(stage) - before if not name.startswith(("python_json.", "users.", "admin."))
    }
    assert unseen == NOT_HERE
    demote(stage)
    assert {name: page for name, page in offered(ravi, stage, paths).items() if name in writes(stage)} == {}
    assert 'href="/kill"' not in ravi.get("/dashboard").text


def test_a_trader_is_offered_nothing_of_the_accounts_admin(stage: Stage, owner: Visitor) -> None:
    trader = seated(stage, Role.TRADER)
    pages = {"/settings/limits": "limits", "/paper": "paper/", "/accounts": "accounts/1/order-mode"}
    for path, action in pages.items():
        assert re.search(f'action="/[a-z/]*{action}', owner.get(path).text), path
        assert not re.search('<button(?! type="button")[^>]*>(Save|Begin|Unlock)', trader.get(path).text), (
            path
        )
        assert not re.search("/accounts/1/(order-mode|mode|connect)", trader.get(path).text), path
    stage.platform.kill_switch.engage(stage.accounts.caller_of_user(1))
    assert "Its admin unlocks" in trader.get("/kill").text
    assert "Unlock trading" in owner.get("/kill").text


def test_a_strategy_asks_for_the_right_at_its_own_account(stage: Stage, owner: Visitor) -> None:
    """Somebody made a viewer there cannot start it by putting an account of theirs in front; they may end it."""
    trader = seated(stage, Role.TRADER)
    code = (io.BytesIO(b"print(1)\n"), "first.py")
    assert trader.post("/python/upload", strategy_name="First", strategy_file=code).status_code == 303
    (row,) = trader.get("/python/api/strategies").get_json()["strategies"]
    mine, person = row["id"], stage.accounts.user_named("ravi").id
    assert trader.post("/accounts/2/choose").status_code == 303
    assert f'action="/python/{mine}/start"' in trader.get("/python/").text
    for role in (Role.VIEWER, None):
        stage.accounts.give_seat(1, person, role)
        for verb in ("start", "settings", "schedule", "edit", "environment", "environment/A/forget"):
            answer = trader.post(f"/python/{mine}/{verb}", name="More", kind="manual", content="print(3)\n")
            assert answer.status_code in (403, 404), verb
        for path in ("/python/", f"/python/{mine}", f"/python/{mine}/settings"):
            assert f'action="/python/{mine}/start"' not in trader.get(path).text, path
    assert trader.post(f"/python/{mine}/stop").status_code == 303
    assert trader.post(f"/python/{mine}/delete", password=PASSWORD).status_code == 303

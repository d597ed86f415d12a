"""Every page: no complaint of the console, nothing serious for assistive technology, whatever the strings hold."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.browser.product import Desk, Product

PAGES = [
    "/dashboard",
    "/trade?exchange=NSE&symbol=RELIANCE",
    "/trade?exchange=NSE&symbol=RELIANCE&pane=ticket",
    "/orders",
    "/trades",
    "/triggers",
    "/action-center",
    "/positions",
    "/holdings",
    "/search?q=nifty+dec",
    "/accounts",
    "/settings",
    "/settings/password",
    "/settings/devices",
    "/settings/keys",
    "/kill",
    "/help/keys",
    "/baskets",
    "/options",
    "/pnl",
    "/paper",
    "/webhooks",
    "/operate/checks",
    "/operate/health",
    "/operate/contracts",
    "/operate/unsettled",
    "/operate/latency",
    "/operate/traffic",
    "/operate/logs",
    "/settings/limits",
    "/settings/users",
    "/settings/security",
    "/settings/calendar",
    "/settings/freeze",
    "/settings/audit",
    "/playground",
]
STRANGERS = ["/login", "/forgot"]
_POLYGLOT = (
    "\"'><img src=x onerror=alert(1)><svg/onload=alert(2)>{{7*7}}${7*7}</textarea><script>alert(3)</script>"
)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_serious_stands_in_the_way(chromium: Browser, product: Product, theme: str) -> None:
    """axe: no serious or critical violation on any page in this theme."""
    desk = Desk(chromium, product.base)
    desk.sign_in()
    desk.theme(theme)
    found = []
    for path in PAGES:
        desk.page.goto(path)
        desk.page.wait_for_timeout(400)
        for violation in Axe().run(desk.page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                node = violation["nodes"][0]
                found.append(
                    (path, violation["id"], node["html"][:160], node.get("failureSummary", "")[:200])
                )
    assert found == []
    assert desk.complaints == []
    desk.close()


def test_the_way_in_has_no_obstacles_either(chromium: Browser, product: Product) -> None:
    desk = Desk(chromium, product.base)
    for path in STRANGERS:
        desk.page.goto(path)
        serious = [
            v["id"]
            for v in Axe().run(desk.page).response["violations"]
            if v["impact"] in ("serious", "critical")
        ]
        assert serious == []
    desk.close()


def test_hostile_strings_are_only_text(product: Product, desk: Desk) -> None:
    """Names, labels and reasons that try to become markup: drawn as they are, no dialog, no policy violation."""
    page = desk.page
    page.on("dialog", lambda dialog: desk.complaints.append(f"dialog {dialog.message}"))
    page.goto("/accounts")
    page.fill("[name=name]", _POLYGLOT[:64])
    page.click("text=Add account")
    page.goto("/settings/keys")
    page.fill("form [name=name]", _POLYGLOT[:64])
    page.fill("form:has([name=scopes]) [name=password]", "correct horse battery")
    page.click("text=Create key")
    page.goto("/trade")
    page.click("summary[aria-label=Lists]")
    page.fill("form[action$='/trade/lists'] [name=name]", _POLYGLOT[:32])
    page.click("form[action$='/trade/lists'] button")
    page.goto(f"/search?q={_POLYGLOT}")
    page.goto("/kill")
    page.fill("[name=reason]", _POLYGLOT)
    for path in [
        *PAGES,
        f"/orders?q={_POLYGLOT}&sort={_POLYGLOT}",
        f"/trade?exchange={_POLYGLOT}&symbol={_POLYGLOT}",
    ]:
        page.goto(path)
        page.wait_for_timeout(150)
    assert [line for line in desk.complaints if "404" not in line] == []

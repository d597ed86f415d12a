"""Every page that people look at, and what is measured of each."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

PAGES = (
    "/dashboard",
    "/trade?exchange=NSE&symbol=RELIANCE",
    "/trade?exchange=NSE&symbol=RELIANCE&pane=ticket&tab=orders",
    "/orders",
    "/trades",
    "/positions",
    "/holdings",
    "/triggers",
    "/triggers/guard?position=NSE:RELIANCE:MIS",
    "/positions/convert?position=NSE:RELIANCE:MIS",
    "/action-center",
    "/baskets",
    "/options",
    "/search?q=nifty+dec",
    "/pnl",
    "/paper",
    "/python/",
    "/python/new",
    "/python/guide",
    "/python/alerts",
    "/webhooks",
    "/playground",
    "/accounts",
    "/kill",
    "/help/keys",
    "/settings",
    "/settings/password",
    "/settings/devices",
    "/settings/keys",
    "/settings/limits",
    "/settings/users",
    "/settings/security",
    "/settings/calendar",
    "/settings/freeze",
    "/settings/audit",
    "/operate/checks",
    "/operate/health",
    "/operate/contracts",
    "/operate/unsettled",
    "/operate/requests",
    "/operate/latency",
    "/operate/traffic",
    "/operate/logs",
)
STRANGERS = ("/login", "/forgot")
WIDTHS = (360, 768, 1024, 1440)
THEMES = ("dark", "light")

_FLIP = """theme => {
  document.documentElement.dataset.theme = theme;
  document.dispatchEvent(new CustomEvent("theme", { detail: theme }));
}"""
_WIDEST = """() => {
  const limit = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= limit) return "";
  const out = [...document.querySelectorAll("body *")].filter((node) => node.getBoundingClientRect().right > limit + 1);
  return (out.at(-1) ?? document.body).outerHTML.slice(0, 200);
}"""
_SHORTEN = """() => document.querySelectorAll("tbody, main ul").forEach(
  (list) => [...list.children].slice(12).forEach((row) => row.remove()))"""


def shorten(page: Page) -> None:
    """Leave a dozen rows of each list: the rest are the same again, and axe looks at every one."""
    page.evaluate(_SHORTEN)


def obstacles(
    page: Page, theme: str, rules: tuple[str, ...] = (), skip: tuple[str, ...] = ()
) -> list[tuple[str, str, str]]:
    """What axe calls serious or critical in a theme: rule, part of the page, why; all rules unless some are named."""
    page.evaluate(_FLIP, theme)
    context = {"exclude": [[part] for part in skip]} if skip else None
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    found = Axe().run(page, context=context, options=options).response["violations"]
    return [
        (f"{theme} {each['id']}", node["html"][:160], node.get("failureSummary", "")[:240])
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:2]
    ]


def sideways(page: Page, height: int = 800) -> list[tuple[int, str]]:
    """Widths at which the page scrolls sideways, and what sticks out."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": height})
        if wide := page.evaluate(_WIDEST):
            found.append((width, wide))
    return found

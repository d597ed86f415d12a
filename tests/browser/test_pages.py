"""Every page: no complaint of the console, no obstacle, no sideways scroll, whatever its strings hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.pages import PAGES, STRANGERS, obstacles, shorten, sideways
from tests.browser.people import Person, details, live_a_day
from tests.browser.product import Desk, Product

_POLYGLOT = (
    "\"'><img src=x onerror=alert(1)><svg/onload=alert(2)>{{7*7}}${7*7}</textarea><script>alert(3)</script>"
)
_THEMED = ("color-contrast", "link-in-text-block")
"""The rules that look at colours; all others are the same in both themes."""
_FRAME = (".topbar", ".rail", ".dockbar")
"""The same on every page: looked at once."""


@pytest.fixture(scope="module")
def asha(product: Product) -> Person:
    """Somebody with a day behind her, and hostile names in what she made."""
    person = Person(product)
    live_a_day(person)
    person.send("/accounts", at="/accounts", name=_POLYGLOT[:64])
    person.send("/trade/lists", at="/trade", name=_POLYGLOT[:32])
    person.send("/baskets", at="/baskets", name=_POLYGLOT[:64])
    person.make_key(_POLYGLOT[:64])
    person.order("RELIANCE", strategy=_POLYGLOT[:64])
    return person


@pytest.fixture(scope="module")
def tour(chromium: Browser, product: Product, asha: Person) -> Iterator[Desk]:
    """One window for all pages; whatever would open a dialog is a complaint."""
    desk = Desk(chromium, product.base, reduced_motion="reduce")
    desk.sign_in()
    desk.page.on("dialog", lambda dialog: desk.complaints.append(f"dialog {dialog.message}"))
    yield desk
    desk.close()


def faults(page: Page, skip: tuple[str, ...] = ()) -> list[object]:
    """What is wrong with the page that is open: in both themes, at all widths."""
    found: list[object] = list(sideways(page))
    shorten(page)
    return [*found, *obstacles(page, "dark", skip=skip), *obstacles(page, "light", _THEMED, skip)]


def test_every_page_is_open_to_everybody(tour: Desk, asha: Person) -> None:
    """axe in both themes, four widths, a strict policy and hostile names: nothing to complain about on any page."""
    found: dict[str, list[object]] = {}
    hostile = [f"/orders?q={_POLYGLOT}&sort={_POLYGLOT}", f"/search?q={_POLYGLOT}"]
    for path in [*PAGES, *details(asha), *hostile]:
        answer = tour.page.goto(path)
        assert answer is not None and answer.status == 200, path
        if wrong := [*faults(tour.page, _FRAME if path != PAGES[0] else ()), *tour.complaints]:
            found[path] = wrong
        tour.complaints.clear()
    assert found == {}


def test_what_does_not_exist_says_so(tour: Desk) -> None:
    """A wrong symbol and a wrong address are pages too."""
    for path in (f"/trade?exchange={_POLYGLOT}&symbol={_POLYGLOT}", "/orders/nothing", "/nowhere"):
        answer = tour.page.goto(path)
        assert answer is not None and answer.status in (200, 404), path
        assert faults(tour.page) == []
        assert [line for line in tour.complaints if "404" not in line] == []
        tour.complaints.clear()


def test_the_way_in_has_no_obstacles_either(chromium: Browser, product: Product) -> None:
    desk = Desk(chromium, product.base, reduced_motion="reduce")
    for path in STRANGERS:
        desk.page.goto(path)
        assert faults(desk.page) == []
    assert desk.complaints == []
    desk.close()

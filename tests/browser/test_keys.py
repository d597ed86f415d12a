"""The keyboard, the themes, and what a page shows when its prices are old."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from tests.browser.product import Desk, Product

RELIANCE = ".wl li[data-feed='NSE:RELIANCE']"


@pytest.fixture(scope="module")
def window(chromium: Browser, product: Product) -> Iterator[Desk]:
    """One signed-in window for every test here."""
    desk = Desk(chromium, product.base)
    desk.sign_in()
    yield desk
    desk.close()


@pytest.fixture
def page(window: Desk) -> Iterator[Page]:
    window.page.set_viewport_size({"width": 1440, "height": 900})
    window.page.goto("/trade?exchange=NSE&symbol=RELIANCE")
    window.complaints.clear()
    yield window.page
    assert window.complaints == []


@pytest.mark.parametrize(
    ("letter", "place"),
    [
        ("o", "/orders"),
        ("p", "/positions"),
        ("s", "/python/"),
        ("c", "/options"),
        ("h", "/dashboard"),
        ("w", "/trade"),
    ],
)
def test_g_and_a_letter_go_places(page: Page, letter: str, place: str) -> None:
    if place == "/trade":
        page.goto("/orders")
    page.keyboard.press("g")
    page.keyboard.press(letter)
    page.wait_for_url(re.compile(rf"{place}(\?.*)?$"))


def test_rows_are_walked_and_turned_into_a_ticket(page: Page) -> None:
    """Arrows choose a row; b, s and d act on it and nothing is sent."""
    orders = page.locator("#bottom [data-tab=orders] .count").inner_text()
    page.keyboard.press("ArrowDown")
    first = page.locator(".wl li[aria-selected=true]").get_attribute("data-feed")
    page.keyboard.press("ArrowDown")
    chosen = page.locator(".wl li[aria-selected=true]")
    expect(chosen).to_have_count(1)
    key = chosen.get_attribute("data-feed")
    assert key and key != first
    page.keyboard.press("d")
    expect(page.locator(f".depthrow [data-depth='{key}']")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    tradable = page.locator(".wl li:has([data-act=buy])").first
    tradable.locator("[data-focus]").focus()
    page.keyboard.press("s")
    expect(page.locator("#ticket input[name=action][value=SELL]")).to_be_checked()
    expect(page.locator("#ticket [name=quantity]")).to_be_focused()
    assert page.locator("#bottom [data-tab=orders] .count").inner_text() == orders


def test_letters_turn_the_ticket_when_no_row_is_chosen(page: Page) -> None:
    page.keyboard.press("s")
    expect(page.locator("#ticket input[name=action][value=SELL]")).to_be_checked()
    page.keyboard.press("b")
    expect(page.locator("#ticket input[name=action][value=BUY]")).to_be_checked()


def test_letters_typed_into_a_field_are_only_text(page: Page) -> None:
    page.fill("#ticket [name=quantity]", "")
    page.locator("#ticket [name=quantity]").focus()
    page.keyboard.type("s?/5")
    expect(page.locator("#ticket input[name=action][value=BUY]")).to_be_checked()
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_search_opens_by_slash_and_closes_by_escape(page: Page) -> None:
    page.keyboard.press("/")
    expect(page.locator("#palette input")).to_be_focused()
    page.keyboard.type("dec nifty fut")
    expect(page.locator("#pal-list [role=option]").first).to_contain_text("NIFTY")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#pal-list [role=option]").nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()


def test_the_sheet_names_every_key_and_the_kill_switch_is_one_chord_away(page: Page) -> None:
    page.keyboard.press("?")
    sheet = page.locator("#keys")
    for words in ("Search", "Buy", "Sell", "Depth", "Orders", "Positions", "Kill switch"):
        expect(sheet).to_contain_text(words)
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+K")
    expect(page.locator("#kill [data-hold]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#kill")).to_be_hidden()


def test_a_theme_is_kept_for_the_next_page(page: Page) -> None:
    page.click("[data-flip-theme]:visible")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.goto("/orders")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.click("[data-flip-theme]:visible")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_phone_shows_one_pane_and_its_own_dock(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    expect(page.locator(".dockbar")).to_be_visible()
    expect(page.locator(".rail")).to_be_hidden()
    expect(page.locator("#watch")).to_be_visible()
    expect(page.locator("#ticket")).to_be_hidden()
    page.click("[data-pane-to=ticket]")
    expect(page.locator("#ticket")).to_be_visible()
    expect(page.locator("#watch")).to_be_hidden()
    for part in (".dockbar a", "[data-pane-to]", "[data-submit]"):
        box = page.locator(part).first.bounding_box()
        assert box is not None and box["height"] >= 44, part


def test_old_prices_turn_grey_and_stop_orders_at_market(window: Desk, page: Page) -> None:
    """The feed goes away: cells say since when, no order at market, a limit order still; then prices are back."""
    lines: list[WebSocketRoute] = []
    page.route_web_socket(re.compile(".*"), lambda line: lines.append(line.connect_to_server() and line))
    page.reload()
    expect(page.locator("[data-feed-dot]")).to_have_class(re.compile("dot-ok"), timeout=20_000)
    page.click("label:has-text('Market'):not(:has-text('SL'))")
    expect(page.locator("[data-submit]")).to_be_enabled(timeout=15_000)
    page.route("**/shell/socket", lambda route: route.abort())
    lines[-1].close()
    expect(page.locator("[data-feed-text]")).to_have_text("lost", timeout=10_000)
    expect(page.locator("[data-submit]")).to_be_disabled()
    expect(page.locator("[data-stale-note]")).to_be_visible()
    expect(page.locator(RELIANCE)).to_have_class(re.compile("stale"), timeout=20_000)
    last = page.locator(f"{RELIANCE} [data-cell=last]")
    expect(last).to_have_attribute("title", re.compile("Last tick .* ago"))
    page.click("label:has-text('Limit')")
    expect(page.locator("[data-submit]")).to_be_enabled()
    page.unroute("**/shell/socket")
    expect(page.locator("[data-feed-dot]")).to_have_class(re.compile("dot-ok"), timeout=30_000)
    expect(page.locator(RELIANCE)).not_to_have_class(re.compile("stale"), timeout=30_000)
    window.complaints.clear()

"""What people do, from the first minute on, in a real browser against the whole product."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pyotp
from playwright.sync_api import Browser, Page, expect

from tests.browser.product import PASSWORD, Desk, Product, running

_OVER = """() => location.pathname === "/login"
  || /ended|lost/.test(document.querySelector("[data-feed-text]")?.textContent ?? "")"""


def number(text: str) -> float:
    return float(text.replace(",", "").replace("\u2212", "-").replace("+", ""))


def now_code(secret: str) -> str:
    return pyotp.TOTP(secret).at(datetime.now(UTC))


def test_from_first_run_to_the_kill_switch(chromium: Browser, tmp_path: Path) -> None:
    """Set-up, codes, search, live prices, place, modify, cancel, P&L, close, kill: one person's first evening."""
    with running(tmp_path / "data") as product:
        desk = Desk(chromium, product.base)
        page = desk.page
        page.goto("/")
        page.fill("[name=code]", product.code)
        page.fill("[name=username]", "asha")
        page.fill("[name=password]", PASSWORD)
        page.fill("[name=again]", PASSWORD)
        page.click("text=Create administrator")
        secret = page.inner_text("code.select-all")
        page.fill("[name=code]", now_code(secret))
        page.click("text=Turn codes on")
        recovery = page.locator("#recovery li").all_inner_texts()
        assert len(recovery) == 8
        page.click("text=I saved them elsewhere")
        page.click("text=Open the dashboard")
        assert desk.complaints == []
        page.click("[aria-label='You: asha']")
        page.click("text=Sign out")
        page.fill("[name=username]", "asha")
        page.fill("[name=password]", PASSWORD)
        page.click("text=Continue")
        page.wait_for_url("**/login/code")
        desk.complaints.clear()  # of the page that was signed out, whose last question may have been refused
        page.click("text=Use a recovery code")
        page.fill("[name=code]", recovery[0])
        page.click("button:text('Log in')")
        page.wait_for_url("**/dashboard")
        trade_and_stop(desk)
        assert desk.complaints == []
        desk.close()


def trade_and_stop(desk: Desk) -> None:
    find_and_watch(desk.page)
    change_and_cancel(desk.page, place_two(desk.page))
    close(desk.page)
    run_a_strategy(desk.page)
    kill(desk.page)


def find_and_watch(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("industries reliance", delay=10)
    expect(page.locator("#pal-list [role=option]").first).to_contain_text("RELIANCE")
    page.keyboard.press("Enter")
    page.wait_for_url("**/trade?exchange=NSE&symbol=RELIANCE*")
    expect(page.locator("[data-feed-dot]")).to_have_class(re.compile("dot-ok"), timeout=15_000)
    last = page.locator(".wl [data-feed='NSE:RELIANCE'] [data-cell=last]")
    seen = last.inner_text()
    expect(last).not_to_have_text(seen, timeout=90_000)


def place_two(page: Page) -> float:
    """A market order that fills and a limit order far below, at the price returned."""
    page.click("label:has-text('Market'):not(:has-text('SL'))")
    page.fill("form[data-ticket] [name=quantity]", "10")
    expect(page.locator("[data-submit]")).to_contain_text("Paper buy 10 at market")
    page.dblclick("[data-submit]")
    expect(page.locator("#toasts")).to_contain_text("Buy 10 RELIANCE: accepted", timeout=10_000)
    expect(page.locator("#bottom [data-tab=positions] .count")).to_have_text("1", timeout=5_000)
    row = page.locator("#bottom tr[data-held='10']")
    expect(row).to_have_count(1)
    pnl = row.locator("[data-cell=open-pnl]")
    before = pnl.inner_text()
    expect(pnl).not_to_have_text(before, timeout=90_000)

    price = (
        number(page.locator("[data-depth='NSE:RELIANCE'] [data-bid='4'] [data-at=price]").inner_text()) - 20
    )
    page.click("label:has-text('Limit')")
    page.fill("form[data-ticket] [name=price]", f"{price:.2f}")
    page.keyboard.press("Enter")
    expect(page.locator("#bottom [data-tab=orders] .count")).to_have_text("1", timeout=10_000)
    return price


def change_and_cancel(page: Page, price: float) -> None:
    page.goto("/orders")
    page.locator("tr[id^='o-']", has_text="LIMIT").hover()
    page.click("text=Modify")
    page.fill("[name=price]", f"{price - 1:.2f}")
    page.click("text=Change order")
    expect(page.locator("#toasts")).to_contain_text("Change accepted")
    expect(page.locator(".tl")).to_contain_text("Change asked for")
    page.goto("/orders?state=open")
    page.locator("tr[id^='o-']").hover()
    page.click("tr[id^='o-'] button:text('Cancel')")
    page.click("#ask [data-ask-yes]")
    expect(page.locator("#orders-panel")).to_contain_text("No orders like that", timeout=10_000)


def close(page: Page) -> None:
    page.goto("/positions")
    page.locator("tr[data-held]").hover()
    page.click("tr[data-held] .rowact button:text('Exit')")
    page.click("#ask [data-ask-yes]")
    expect(page.locator("#positions-panel")).to_contain_text("Flat", timeout=10_000)
    expect(page.locator("#positions-panel")).to_contain_text("Total, 0 open")


def run_a_strategy(page: Page) -> None:
    """Upload one, change it in the editor, start it, and read what it prints as it prints it."""
    code = b"import time\nfor n in range(600):\n    print('beat', n, flush=True)\n    time.sleep(0.2)\n"
    page.goto("/python/new")
    page.fill("[name=strategy_name]", "Beats")
    page.set_input_files(
        "[name=strategy_file]", {"name": "beats.py", "mimeType": "text/x-python", "buffer": code}
    )
    page.click("button:has-text('Upload')")
    page.click("text=Code")
    editor = page.locator(".cm-content")
    expect(editor).to_contain_text("print('beat', n")
    editor.click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("print('hello from the page', flush=True)\n")
    page.keyboard.press("Control+s")
    expect(page.locator("[aria-label=Versions]")).to_contain_text("edited")
    page.click("button:has-text('Run now')")
    lines = page.locator("[data-log]")
    if not lines.count():
        page.click("text=Overview")
    expect(lines).to_contain_text("hello from the page", timeout=30_000)
    expect(lines).to_contain_text("beat 5", timeout=30_000)


def kill(page: Page) -> None:
    page.goto("/positions")
    page.keyboard.press("Shift+K")
    button = page.locator("#kill [data-hold]")
    expect(button).to_be_visible(timeout=10_000)
    box = button.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 10)
    page.mouse.down()
    page.wait_for_timeout(600)
    page.mouse.up()
    page.wait_for_timeout(300)
    assert "/positions" in page.url
    page.mouse.down()
    page.wait_for_url("**/kill", timeout=10_000)
    page.mouse.up()
    page.goto("/python/")
    expect(page.locator("main")).to_contain_text("kill", ignore_case=True, timeout=20_000)
    page.goto("/kill")
    expect(page.locator("h1")).to_have_text("Trading is locked")


def test_forms_work_without_a_script(chromium: Browser, product: Product) -> None:
    """Place, cancel and exit from plain HTML: a phone in a hurry, a blocked script, a text browser."""
    desk = Desk(chromium, product.base, java_script_enabled=False)
    desk.sign_in()
    page = desk.page
    page.goto("/trade?exchange=NSE&symbol=MARUTI&pane=ticket")
    page.fill("form.ticket [name=quantity]", "7")
    page.check("input[name=pricetype][value=MARKET]", force=True)
    page.click("form.ticket .submit")
    expect(page.locator("#toasts")).to_contain_text("Buy 7 MARUTI: accepted")
    page.goto("/positions")
    page.click("tr:has-text('MARUTI') .rowact button:text('Exit')", force=True)
    expect(page.locator("#toasts")).to_contain_text("Exit Sell 7 MARUTI: accepted")
    page.goto("/kill")
    expect(page.locator("button:has-text('Stop trading')")).to_be_visible()
    desk.close()


def test_signing_out_elsewhere_ends_this_page(chromium: Browser, product: Product, desk: Desk) -> None:
    """A session ended from another browser closes the socket and the next request, within a second or two."""
    other = Desk(chromium, product.base)
    other.sign_in()
    other.page.goto("/trade")
    expect(other.page.locator("[data-feed-dot]")).to_have_class(re.compile("dot-ok"), timeout=15_000)
    desk.page.goto("/settings/devices")
    desk.page.click("text=End all others")
    other.page.wait_for_function(_OVER, timeout=15_000)
    other.page.goto("/orders")
    assert "/login" in other.page.url
    other.close()

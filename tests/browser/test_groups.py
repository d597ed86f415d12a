"""One journey for each part of the desk: the way in, trading, what runs by itself, and operating the platform."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Browser, expect

from tests.browser.people import Person
from tests.browser.product import PASSWORD, Desk, Product


def test_in_keys_password_and_accounts(chromium: Browser, product: Product) -> None:
    """A reading key is refused orders and dies when revoked; a new password ends other sessions; accounts switch."""
    product.command("user", "add", "ravi", "--password-stdin", typed=PASSWORD + "\n")
    desk, elsewhere = Desk(chromium, product.base), Person(product, "ravi")
    page = desk.page
    page.goto("/login")
    page.fill("[name=username]", "ravi")
    page.fill("[name=password]", "wrong " + PASSWORD)
    page.click("text=Continue")
    expect(page.locator("[role=alert]")).to_contain_text("9 tries left")
    desk.sign_in("ravi")
    page.goto("/settings/keys")
    page.fill("form:has([name=scopes]) [name=name]", "Reader")
    page.uncheck("[name=scopes][value=trade]")
    page.fill("form:has([name=scopes]) [name=password]", PASSWORD)
    page.click("text=Create key")
    elsewhere.key = page.input_value("#new-key")
    assert elsewhere.api("funds")["status"] == "success"
    assert elsewhere.order("RELIANCE")["status"] == "error"
    page.click("summary:has-text('Revoke')")
    page.click("text=Revoke now")
    expect(page.locator("#main")).to_contain_text("No keys yet")
    assert elsewhere.api("funds")["status"] == "error"
    page.goto("/accounts")
    page.fill("form[action='/accounts'] [name=name]", "Second")
    page.click("text=Add account")
    page.goto("/dashboard")
    page.click(".topbar summary[aria-label^='Account']")
    page.click(".topbar .menubox button:has-text('Second')")
    expect(page.locator(".topbar summary[aria-label^='Account Second']")).to_be_visible()
    page.goto("/settings/password")
    page.fill("[name=old]", PASSWORD)
    page.fill("[name=new]", PASSWORD + " 2")
    page.fill("[name=again]", PASSWORD + " 2")
    page.click("text=Change password")
    expect(page.locator("#main")).to_contain_text("Password")
    assert "/login" in elsewhere.http.get(f"{product.base}/orders", timeout=30).url
    page.goto("/settings/devices")
    expect(page.locator("#main")).to_contain_text("This one")
    desk.close()


def test_a_position_is_converted_by_keys(product: Product, desk: Desk) -> None:
    """A part of an intraday position is held for delivery, from the keyboard alone; the rest stays."""
    asha, page = Person(product), desk.page
    asha.make_key("convert")
    asha.order("WIPRO", quantity="10")
    page.goto("/positions?q=WIPRO")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("m")
    expect(page.locator("h1")).to_contain_text("Convert WIPRO")
    expect(page.locator("#main")).to_contain_text("All of it as CNC blocks about")
    page.focus("[name=quantity]")
    page.keyboard.press("Control+a")
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    expect(page.locator("[data-toast]")).to_contain_text("4 WIPRO from MIS to CNC: converted")
    expect(page.locator("#p-NSE-WIPRO-MIS")).to_contain_text("+6")
    expect(page.locator("#p-NSE-WIPRO-CNC")).to_contain_text("+4")


_ROW = """async () => {
  const number = (text) => Number(text.replaceAll(",", "").replace("\u2212", "-").replace("%", ""));
  const frame = () => new Promise(requestAnimationFrame);
  const seen = [];
  const done = performance.now() + 20000;
  for (let before = ""; seen.length < 3 && performance.now() < done;) {
    await frame();
    const row = document.querySelector("#p-NSE-HINDUNILVR-MIS");
    const shown = (name) => [...row.querySelectorAll(`[data-cell=${name}]`)].map((cell) => cell.textContent);
    if (!row || shown("last")[0] === before) continue;
    await frame();
    await frame();
    if (!row.isConnected) continue;
    before = shown("last")[0];
    seen.push({
      last: shown("last").map(number), held: Number(row.dataset.held), average: Number(row.dataset.average),
      pnl: number(shown("pnl")[0]), share: number(shown("return")[0]),
    });
  }
  return seen;
}"""
_SAME = "() => new Set([...document.querySelectorAll('[data-total-pnl]')].map((one) => one.textContent)).size === 1"


def test_a_row_of_positions_agrees_with_itself_at_every_tick(product: Product, desk: Desk) -> None:
    """The last price, on wide pages and on phones, the P&L and the return are of one tick; tile and header agree."""
    asha, page = Person(product), desk.page
    asha.make_key("agrees")
    asha.order("HINDUNILVR", quantity="20")
    page.goto("/positions")
    expect(page.locator("[data-feed-dot]")).to_have_class(re.compile("dot-ok"), timeout=20_000)
    seen = page.evaluate(_ROW)
    assert len(seen) > 1, "no tick came"
    for each in seen:
        first, phone = each["last"]
        pnl = (first - each["average"]) * each["held"]
        assert phone == first
        assert abs(each["pnl"] - pnl) < 0.011, each
        assert abs(each["share"] - pnl / (each["average"] * each["held"]) * 100) < 0.0051, each
    page.wait_for_function(_SAME, timeout=5_000)
    page.goto("/pnl")
    now = page.locator(".tiles [data-total-pnl]")
    expect(now).to_have_text(re.compile("[0-9]"))
    page.wait_for_function(_SAME, timeout=5_000)


_HOLDING = """<section id="holdings-held"><table><tbody>
<tr data-feed="NSE:TCS" data-held="12" data-average="2000" data-pnl="0" data-worth="24000">
<td data-cell="last">2,000.00</td><td data-cell="worth">24,000.00</td>
<td><span data-cell="open-pnl">0.00</span></td></tr></tbody></table>
<b data-total-worth="holdings-held">24,000.00</b><b data-total-pnl="holdings-held">0.00</b>
<b data-total-return="holdings-held" data-cost="24000">0.00%</b></section>"""
_PUT = """(held) => {
  document.querySelector("#holdings-held").outerHTML = held;
  document.dispatchEvent(new CustomEvent("swapped"));
}"""
_HELD = """() => {
  const number = (text) => Number(text.replaceAll(",", "").replace("\u2212", "-").replace("%", ""));
  const shown = (part) => number(document.querySelector(`#holdings-held ${part}`).textContent);
  const [last, worth, gain] = ["last", "worth", "open-pnl"].map((name) => shown(`[data-cell=${name}]`));
  const [total, pnl, share] = ["worth", "pnl", "return"].map((name) => shown(`[data-total-${name}]`));
  const near = (a, b, by = 0.011) => Math.abs(a - b) < by;
  return last !== 2000 && near(worth, last * 12) && near(gain, worth - 24000) && near(total, worth) && near(pnl, gain)
    && near(share, gain / 240, 0.0051);
}"""


def test_holdings_move_with_every_tick(desk: Desk) -> None:
    """Last, value and P&L of a holding, and the sums above them, are of one tick. Nothing settles within a test's day,
    so the row is put into the page, as a fragment that arrives is."""
    page = desk.page
    page.goto("/holdings")
    page.evaluate(_PUT, _HOLDING)
    page.wait_for_function(_HELD, timeout=20_000)
    assert desk.complaints == []


_MIDDLES = """parts => parts.map(part => {
  const box = part.getBoundingClientRect();
  return box.top + box.height / 2;
})"""


def test_what_acts_on_a_book_stands_in_one_row_at_every_width(product: Product, desk: Desk) -> None:
    """Filter, grouping, share and the exits beside each other: none alone on a line of its own."""
    asha, page = Person(product), desk.page
    asha.make_key("one row")
    asha.order("SBIN", quantity="10")
    for width in (768, 1024, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        for path in ("/positions", "/orders"):
            page.goto(path)
            middles = page.locator(".bookhead > :is(form, details)").evaluate_all(_MIDDLES)
            assert len(middles) > 1 and max(middles) - min(middles) < 3, (width, path, middles)


def test_trade_costs_baskets_and_books(product: Product, desk: Desk) -> None:
    """What an order costs before it goes, a chart, a basket sent once, a position closed, the book as a file."""
    asha, page = Person(product), desk.page
    asha.make_key("baskets")
    page.goto("/trade?exchange=NSE&symbol=TCS&pane=ticket")
    expect(page.locator("#chart canvas").first).to_be_visible(timeout=20_000)
    page.fill("form[data-ticket] [name=quantity]", "3")
    expect(page.locator("[data-sums]")).to_contain_text("Margin needed", timeout=15_000)
    expect(page.locator("[data-sums]")).to_contain_text("Taxes and fees")
    page.goto("/baskets")
    page.fill("form[action='/baskets'] [name=name]", "Two banks")
    page.click("button:text('Create')")
    for symbol in ("SBIN", "ICICIBANK"):
        page.fill("form[action$='/add'] [name=symbol]", symbol)
        page.click("form[action$='/add'] button:has-text('Add')")
        expect(page.locator("[aria-label='Orders of the basket']")).to_contain_text(symbol)
    page.click("button:has-text('Paper send 2 orders')")
    page.click("#ask [data-ask-yes]")
    expect(page.locator("[aria-label='What became of it']")).to_contain_text("Accepted", timeout=15_000)
    asha.order("INFY", quantity="4")
    page.goto("/positions")
    page.click("tr:has-text('INFY') .rowact button:text('Exit')", force=True)
    page.click("#ask [data-ask-yes]")
    expect(page.locator("#positions-panel tr:has-text('INFY')")).to_have_class(
        re.compile("flatrow"), timeout=15_000
    )
    with page.expect_download() as download:
        page.click("a:has-text('CSV')")
    assert "INFY" in download.value.path().read_text()
    assert desk.complaints == []


def test_run_a_webhook_the_playground_and_the_account(product: Product, desk: Desk) -> None:
    """A signal to a webhook becomes an order on an open page; the API is tried by session; the curve is drawn."""
    page = desk.page
    page.goto("/webhooks")
    page.fill("[name=name]", "Signals from afar")
    page.check("[name=trading_mode][value=BOTH]", force=True)
    page.uncheck("[name=intraday]")
    page.click("text=Create webhook")
    page.fill("[name=symbol]", "AXISBANK")
    page.fill("[name=quantity]", "6")
    page.click("form[action$='/map'] button, button:text('Add')")
    expect(page.locator("[aria-label=Symbols]")).to_contain_text("AXISBANK")
    page.click("button:has-text('Switch on')")
    address = urlsplit(page.input_value("#hook-url"))
    page.goto("/orders")
    expect(page.locator("[data-feed-dot]")).to_have_class(re.compile("dot-ok"), timeout=20_000)
    signal = {"symbol": "AXISBANK", "action": "BUY", "position_size": "1"}
    answer = requests.post(f"{product.base}{address.path}", json=signal, timeout=30)
    assert answer.status_code == 200, answer.text
    expect(page.locator("#orders-panel")).to_contain_text("AXISBANK", timeout=15_000)
    page.goto("/playground")
    page.click("nav[aria-label=Endpoints] a:has-text('funds')")
    page.click("form[data-play] button:has-text('Send')")
    expect(page.locator("#answer")).to_contain_text("availablecash", timeout=15_000)
    for path, words in (("/pnl", "P&L"), ("/paper", "Paper"), ("/python/guide", "trateg")):
        page.goto(path)
        expect(page.locator("#main")).to_contain_text(words)
    assert desk.complaints == []


def test_operate_checks_limits_and_the_audit(product: Product, desk: Desk) -> None:
    """Go or no-go, the contract files, a limit that refuses at once, tries to get in, and an audit that is whole."""
    asha, page = Person(product), desk.page
    asha.make_key("operate")
    assert asha.order("RELIANCE")["status"] == "success"
    page.goto("/operate/checks")
    expect(page.locator("#main")).to_contain_text("isk", timeout=15_000)
    page.goto("/operate/contracts")
    expect(page.locator("#main")).to_contain_text("NSE")
    page.goto("/settings/limits")
    page.fill("[name=max_quantity]", "5")
    page.click("text=Save limits")
    page.goto("/trade?exchange=NSE&symbol=SBIN&pane=ticket")
    page.click("label:has-text('Limit')")
    page.fill("form[data-ticket] [name=quantity]", "6")
    page.click("[data-submit]")
    expect(page.locator("#toasts [role=alert]")).to_contain_text("5", timeout=15_000)
    page.goto("/settings/limits")
    page.fill("[name=max_quantity]", "")
    page.click("text=Save limits")
    requests.post(f"{product.base}/login", data={"username": "asha", "password": "no"}, timeout=30)
    for path, words in (
        ("/operate/health", "exchange"),
        ("/operate/unsettled", "Everything is settled"),
        ("/operate/latency", "p95 ms"),
        ("/operate/traffic", "By route"),
        ("/operate/logs?role=stream", "websocket serves"),
        ("/settings/security", "asha"),
        ("/settings/calendar", "NSE"),
        ("/settings/freeze?q=NIFTY", "NIFTY"),
        ("/settings/audit?verify=1", "the chain is whole"),
    ):
        page.goto(path)
        expect(page.locator("#main")).to_contain_text(words)
    assert [line for line in desk.complaints if "422" not in line and "400" not in line] == []

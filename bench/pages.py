"""Pages in a real browser: first load, largest paint, the painter under 1,250 ticks a second, orders to the screen."""

from __future__ import annotations

import json
import re
import statistics
import threading
import time
from typing import Any

import psutil
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from bench import Context, Figure, percentile
from tests.browser.people import Person
from tests.browser.product import PASSWORD, Desk, Product, has_chromium, launch, running

ORDERS = 1000
ROWS = 250
TICKS_A_SECOND = 5
WATCHED = 8.0
PAGES = (
    "/dashboard",
    "/trade",
    "/orders",
    "/orders?state=open&sort=symbol&page=3",
    "/trades",
    "/positions",
    "/holdings",
    "/search?q=nifty+ce",
    "/options",
    "/accounts",
    "/python/",
    "/pnl",
    "/paper",
    "/settings/keys",
    "/settings/audit",
    "/operate/latency",
)
_PAINTING = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration")
_LARGEST = """() => new Promise((done) => {
  let largest = 0;
  new PerformanceObserver((list) => { for (const entry of list.getEntries()) largest = entry.startTime; })
    .observe({ type: "largest-contentful-paint", buffered: true });
  setTimeout(() => done(largest), 1500);
})"""
_TIME_FRAMES = """(() => {
  window.framed = [];
  const ask = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (act) => ask((at) => {
    const begun = performance.now();
    act(at);
    document.body.getBoundingClientRect();
    window.framed.push(performance.now() - begun);
  });
})()"""
_WATCH = """() => { window.arrivals = {}; new MutationObserver((changes) => {
  for (const change of changes) for (const node of change.addedNodes)
    for (const found of (node.textContent ?? "").matchAll(/26[0-9]{12}/g)) window.arrivals[found[0]] ??= Date.now();
  for (const row of document.querySelectorAll("tr[id^=o-]")) window.arrivals[row.id.slice(2)] ??= Date.now();
}).observe(document.body, { childList: true, subtree: true }); }"""


def run(context: Context) -> list[Figure]:
    """Figures of one install with a paper account; no Chromium, no figures."""
    if not has_chromium():
        context.say("There is no Chromium at /usr/bin; nothing was measured.")
        return []
    with running(context.scratch / "data") as product, sync_playwright() as playwright:
        product.command("user", "add", "asha", "--admin", "--password-stdin", typed=PASSWORD + "\n")
        person = Person(product)
        person.make_key()
        browser = launch(playwright)
        figures = _first_load(browser, product, context.runs)
        figures += _painter(browser, product, person)
        figures += _order_to_screen(browser, product, person)
        context.say(f"placing {ORDERS} orders")
        _place(person, ORDERS)
        figures += _server_times(product, person, context.runs)
        browser.close()
    return figures


# -- an install to look at
def _order(person: Person, number: int) -> str:
    """Every fifth at market, the others far below it; the order's number."""
    kind = {"pricetype": "LIMIT", "price": "100"} if number % 5 else {"pricetype": "MARKET"}
    return str(person.order(("RELIANCE", "SBIN", "INFY", "TCS")[number % 4], **kind)["orderid"])


def _place(person: Person, count: int) -> None:
    for number in range(count):
        _order(person, number)


# -- the first look
def _first_load(browser: Browser, product: Product, runs: int) -> list[Figure]:
    """Bytes on the wire before the first paint, and when the largest part is painted, with nothing cached."""
    desk = Desk(browser, product.base)
    desk.sign_in()
    cookies = desk.context.cookies()
    desk.close()
    sizes, larges = [], []
    for _ in range(runs):
        cold = Desk(browser, product.base)
        cold.context.add_cookies(cookies)  # type: ignore[arg-type]
        sizes.append(_bytes_before_paint(cold.context.new_cdp_session(cold.page), cold.page))
        larges.append(cold.page.evaluate(_LARGEST))
        cold.close()
    how = f"/trade with nothing cached, median of {runs}"
    return [
        Figure(name="first load", value=statistics.median(sizes) / 1000, unit="kB", target=150, how=how),
        Figure(name="largest paint", value=statistics.median(larges), unit="ms", target=1000, how=how),
    ]


def _bytes_before_paint(devtools: CDPSession, page: Page) -> float:
    """Everything asked for before the first contentful paint, as transferred."""
    asked: dict[str, float] = {}
    sizes: dict[str, float] = {}
    devtools.send("Network.enable")
    devtools.on(
        "Network.requestWillBeSent", lambda event: asked.update({event["requestId"]: event["timestamp"]})
    )
    devtools.on(
        "Network.loadingFinished",
        lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}),
    )
    page.goto("/trade?exchange=NSE&symbol=RELIANCE", wait_until="load")
    page.wait_for_timeout(1500)
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000
    begun = min(asked.values())
    return sum(sizes.get(name, 0) for name, at in asked.items() if at - begun <= painted)


# -- the painter
def _painter(browser: Browser, product: Product, person: Person) -> list[Figure]:
    """A watchlist of 250 rows, each ticking five times a second, on a desktop screen."""
    symbols = _watch_many(person)
    desk = Desk(browser, product.base, bypass_csp=True)
    desk.sign_in()
    with _Stream(symbols) as stream:
        page = desk.page
        page.route(
            "**/shell/socket",
            lambda route: route.fulfill(json={"ticket": "x", "url": f"ws://127.0.0.1:{stream.port}"}),
        )
        page.add_init_script(_TIME_FRAMES)
        page.goto("/trade?exchange=NSE&symbol=RELIANCE")
        page.wait_for_timeout(4000)
        devtools = desk.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.evaluate("window.framed = []")
        before, rounds = _spent(devtools), stream.rounds
        page.wait_for_timeout(WATCHED * 1000)
        after, rounds, frames = _spent(devtools), stream.rounds - rounds, page.evaluate("window.framed")
    desk.close()
    how = f"{len(symbols)} rows, {rounds * len(symbols) / WATCHED:,.0f} ticks/s for {WATCHED:.0f} s"
    return [
        Figure(
            name="painter, a frame p95",
            value=percentile(frames, 0.95),
            unit="ms",
            target=8,
            how=f"{how}, {len(frames)} frames; script, style and layout",
        ),
        Figure(
            name="painter, CPU of a frame",
            value=(after[1] - before[1]) / len(frames) * 1000,
            unit="ms",
            target=8,
            how=f"{how}, {len(frames)} frames, mean; script, style and layout, reading the ticks included",
        ),
        Figure(
            name="painter, of a core",
            value=(after[0] - before[0]) / WATCHED * 100,
            unit="%",
            target=15,
            how=f"{how}; CPU of the page's main thread, drawn by software",
        ),
    ]


class _Stream:
    """A server of the stream's protocol that ticks every symbol a few times a second, to everybody."""

    def __init__(self, symbols: list[str]) -> None:
        self._symbols = symbols
        self.rounds = 0
        self._server = serve(self._serve, "127.0.0.1", 0, compression=None)
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> _Stream:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()

    def _serve(self, peer: ServerConnection) -> None:
        peer.recv()
        peer.send(json.dumps({"type": "auth", "status": "success"}))
        due = time.monotonic()
        while True:
            try:
                peer.send(_ticks(self._symbols, self.rounds))
            except ConnectionClosed:
                return
            self.rounds += 1
            due += 1 / TICKS_A_SECOND
            time.sleep(max(0.0, due - time.monotonic()))


def _watch_many(person: Person) -> list[str]:
    """Fill the first watchlist; the symbols in it."""
    found = re.search(r"/trade/lists/\d+/add", person.page("/trade"))
    assert found is not None
    token = person.token("/trade")
    for symbol in _equities(person):
        fields = {"csrf_token": token, "exchange": "NSE", "symbol": symbol}
        person.http.post(f"{person.base}{found[0]}", data=fields, allow_redirects=False, timeout=60)
    return sorted(set(re.findall(r'data-feed="(NSE:[^"]+)"', person.page("/trade"))))


def _equities(person: Person) -> list[str]:
    asked = {"to": "get /instruments", "body": '{"exchange": "NSE"}', "idempotency_key": "x"}
    page = person.send("/playground/send", at="/playground", **asked)
    return list(dict.fromkeys(re.findall(r"&#34;symbol&#34;: &#34;([A-Z]+)&#34;", page)))[:ROWS]


def _ticks(symbols: list[str], round_: int) -> str:
    """One tick of each, as the stream batches them."""
    ticks: list[dict[str, Any]] = []
    for number, name in enumerate(symbols):
        price = 1000 + number + (round_ * 7 + number) % 40 / 20
        data = {
            "ltp": price,
            "close": 1001.0 + number,
            "volume": round_ * 100,
            "open": 999.5,
            "high": price + 2,
        }
        exchange, symbol = name.split(":")
        ticks.append({"type": "market_data", "exchange": exchange, "symbol": symbol, "mode": 2, "data": data})
    return json.dumps({"type": "batch", "ticks": ticks})


def _spent(devtools: CDPSession) -> tuple[float, float]:
    """CPU seconds of the page's main thread so far: all of it; script, style and layout."""
    found = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
    return found["TaskDuration"], sum(found[name] for name in _PAINTING)


# -- orders
def _order_to_screen(browser: Browser, product: Product, person: Person) -> list[Figure]:
    """From the API's answer to the row in the order book of an open page."""
    desk = Desk(browser, product.base)
    desk.sign_in()
    page = desk.page
    page.goto("/orders")
    page.wait_for_selector("[data-feed-dot].dot-ok", timeout=20_000)
    page.evaluate(_WATCH)
    spent = []
    for number in range(30):
        order_id = _order(person, number)
        answered = time.time() * 1000
        page.wait_for_function("id => window.arrivals[id]", arg=order_id, timeout=10_000)
        spent.append(max(0.0, page.evaluate("id => window.arrivals[id]", order_id) - answered))
        page.wait_for_timeout(400)
    desk.close()
    how = "30 orders by API, /orders open; from the API's answer to the row"
    return [Figure(name="order to screen p95", value=percentile(spent, 0.95), unit="ms", target=300, how=how)]


# -- the server's part
def _server_times(product: Product, person: Person, runs: int) -> list[Figure]:
    """The slowest page's p95, and the CPU of the dearest, with many orders on the account."""
    web = next(each for each in psutil.Process(product.process.pid).children() if "web" in _title(each))
    times: dict[str, float] = {}
    spent: dict[str, float] = {}
    for path in PAGES:
        walls, before = [], sum(web.cpu_times()[:2])
        for _ in range(10 * runs):
            begun = time.perf_counter()
            person.page(path)
            walls.append((time.perf_counter() - begun) * 1000)
        times[path] = percentile(walls, 0.95)
        spent[path] = (sum(web.cpu_times()[:2]) - before) / len(walls) * 1000
    how = f"{len(PAGES)} pages, {10 * runs} times each, {ORDERS} orders on the account"
    return [_dearest("page p95", times, how), _dearest("page CPU of the web role, mean", spent, how)]


def _title(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


def _dearest(name: str, found: dict[str, float], how: str) -> Figure:
    dear = sorted(found, key=lambda path: -found[path])
    told = ", ".join(f"{path} {found[path]:.0f}" for path in dear[:5])
    return Figure(
        name=f"{name}, {dear[0]}", value=found[dear[0]], unit="ms", target=50, how=f"{how}; most: {told}"
    )

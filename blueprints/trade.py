"""The trade page: what is watched, the chart, the ticket with its depth, and what is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import browser, caller, desk, own, pages, platform, today, user
from blueprints.books import PositionRow, name_of
from blueprints.filters import places, title
from blueprints.forms import new_form_key, order_request, products
from blueprints.problems import Problem, Read, attempt, back_to, is_script, say
from domain.errors import InstrumentNotFound, InvalidRequest, PlatformError
from domain.figures import inr
from domain.market import Depth, Quote
from domain.model import (
    QUOTE_ONLY,
    Exchange,
    Instrument,
    Order,
    OrderRequest,
    OrderType,
    Position,
    Side,
    Trade,
)
from services.broker_directory import manifest_of
from services.charges import TARIFFS
from services.watchlists import Watchlist

blueprint = pages("trade", prefix="/trade")

_INTERVALS = ("1m", "5m", "15m", "1h", "D")


@dataclass(frozen=True, slots=True)
class WatchRow:
    """One watched instrument; `instrument` None when the account's master does not list it."""

    exchange: str
    symbol: str
    instrument: Instrument | None
    quote: Quote | None

    @property
    def key(self) -> str:
        return f"{self.exchange}:{self.symbol}"

    @property
    def name(self) -> str:
        return self.symbol if self.instrument is None else title(self.instrument, today())

    @property
    def change(self) -> float | None:
        if self.quote is None or not self.quote.close:
            return None
        return self.quote.last_price - self.quote.close


@blueprint.get("")
def trade() -> str:
    """The workspace, for the instrument in the address or the list's first."""
    lists = browser().watchlists.lists(user().id)
    here = _chosen_list(lists)
    rows = watch_rows(here)
    exchange, symbol = _chosen(rows)
    part = request.args.get("part")
    if part == "watch":
        return render_template("trade/watch.html", **_watch(lists, here, rows, f"{exchange}:{symbol}"))
    values = ticket_values(exchange, symbol)
    if part == "ticket":
        return render_template("trade/ticket.html", **values)
    return render_template(
        "trade/trade.html",
        section="trade",
        intervals=_INTERVALS,
        interval=request.args.get("interval", "5m"),
        **_watch(lists, here, rows, f"{exchange}:{symbol}"),
        **values,
        **bottom_values(),
    )


def _chosen_list(lists: list[Watchlist]) -> Watchlist:
    asked = request.args.get("list", "")
    return next((one for one in lists if str(one.id) == asked), lists[0])


def _chosen(rows: list[WatchRow]) -> tuple[str, str]:
    """The instrument of the address, else the first of the list that can be traded."""
    exchange, symbol = request.args.get("exchange", ""), request.args.get("symbol", "")
    if exchange and symbol:
        return exchange[:16], symbol[:64]
    tradable = [row for row in rows if row.exchange not in QUOTE_ONLY] or rows
    return (tradable[0].exchange, tradable[0].symbol) if tradable else ("NSE", "RELIANCE")


def _watch(lists: list[Watchlist], here: Watchlist, rows: list[WatchRow], chosen: str) -> dict[str, Any]:
    return {"lists": lists, "list": here, "watch": rows, "chosen": chosen}


def watch_rows(here: Watchlist) -> list[WatchRow]:
    """A list's rows with their quotes as of now; no quote where there is none."""
    keys = browser().watchlists.rows(user().id, here.id)
    venue = caller().account.venue
    found = [platform().instruments.get(venue, exchange, symbol) for exchange, symbol in keys]
    asked = [(symbol, exchange) for exchange, symbol in keys]
    read: Read[list[Any]] = attempt(
        lambda: platform().market_data.quotes(caller(), asked), [None] * len(keys)
    )
    quotes = [quote if isinstance(quote, Quote) else None for quote in read.value]
    return [WatchRow(*key, one, quote) for key, one, quote in zip(keys, found, quotes, strict=True)]


def ticket_values(exchange: str, symbol: str) -> dict[str, Any]:
    """Everything the ticket shows of one instrument."""
    instrument = platform().instruments.get(caller().account.venue, exchange, symbol)
    if instrument is None:
        words = str(InstrumentNotFound(symbol, exchange))
        return {"instrument": None, "problem": Problem(words, url_for("search.search"), "Search")}
    depth: Read[Depth | None] = attempt(
        lambda: platform().market_data.depth(caller(), symbol, exchange), None
    )
    side = Side.SELL if request.args.get("side", "").upper() == "SELL" else Side.BUY
    kind = request.args.get("pricetype", "LIMIT")
    return {
        "instrument": instrument,
        "name": title(instrument, today()),
        "tradable": instrument.exchange not in QUOTE_ONLY,
        "depth": depth.value,
        "problem": depth.problem,
        "side": side.value,
        "product": request.args.get("product", "MIS"),
        "products": products(instrument.exchange),
        "pricetype": kind if kind in set(OrderType) else "LIMIT",
        "quantity": request.args.get("quantity", "1"),
        "price": request.args.get("price") or _touch(depth.value, side, instrument.tick_size),
        "trigger": request.args.get("trigger", ""),
        "form_key": new_form_key(),
    }


def _touch(depth: Depth | None, side: Side, tick: Decimal) -> str:
    """The price at which an order of this side would trade now, "" when nobody quotes."""
    if depth is None:
        return ""
    levels = depth.asks if side is Side.BUY else depth.bids
    price = levels[0].price if levels else depth.quote.last_price
    return inr(price, places(tick)) if price else ""


def bottom_values() -> dict[str, Any]:
    """Positions, working orders and trades under the chart; one of them is shown."""
    here = caller()
    tab = request.args.get("tab", "positions")
    positions: Read[list[Position]] = attempt(lambda: platform().portfolio.positions(here), [])
    orders: Read[list[Order]] = attempt(lambda: platform().orders.book(here), [])
    trades: Read[list[Trade]] = attempt(
        lambda: platform().portfolio.trades(here) if tab == "trades" else [], []
    )
    made = [PositionRow(row, name_of(row.exchange, row.symbol)) for row in positions.value if row.quantity]
    working = [order for order in orders.value if order.state.is_working]
    fills = trades.value[::-1][:100]
    named: list[Order | Trade] = [*working, *fills]
    return {
        "tab": tab if tab in ("positions", "orders", "trades") else "positions",
        "held": made,
        "working": working,
        "unsettled": browser().journal.unsettled(here),
        "fills": fills,
        "names": {one.symbol: name_of(one.exchange, one.symbol) for one in named},
        "broken": positions.problem or orders.problem or trades.problem,
        "exit_key": new_form_key(),
    }


@blueprint.get("/bottom")
def bottom() -> str:
    """The part under the chart, fetched again when something of it changed."""
    return render_template("trade/bottom.html", **bottom_values())


@blueprint.get("/depth")
def depth() -> str:
    """Five levels of one instrument, opened under its row."""
    symbol, exchange = request.args.get("symbol", ""), request.args.get("exchange", "")
    read: Read[Depth | None] = attempt(lambda: platform().market_data.depth(caller(), symbol, exchange), None)
    return render_template(
        "trade/depth.html", depth=read.value, problem=read.problem, key=f"{exchange}:{symbol}"
    )


# -- what an order would cost
@blueprint.get("/preview")
def preview() -> str:
    """Margin, money at hand and warnings for the ticket as it stands; nothing is sent."""
    here, form = caller(), request.args
    instrument = platform().instruments.get(
        here.account.venue, form.get("exchange", ""), form.get("symbol", "")
    )
    if instrument is None:
        return render_template("trade/preview.html", sums=None, notes=[])
    try:
        wanted = order_request(form, instrument)
    except InvalidRequest as error:
        return render_template("trade/preview.html", sums=None, notes=[("warn", "pencil-line", str(error))])
    quote = attempt(
        lambda: platform().market_data.quote(here, instrument.symbol, instrument.exchange), None
    ).value
    return render_template(
        "trade/preview.html",
        sums=_sums(wanted, instrument, quote),
        notes=_notes(wanted, instrument, quote),
        wanted=wanted,
    )


@dataclass(frozen=True, slots=True)
class Sums:
    """Rupees; None where the account's broker does not say."""

    value: Decimal | None
    margin: Decimal | None
    available: Decimal | None
    charges: Decimal | None
    brokerage: bool

    @property
    def short(self) -> Decimal | None:
        """How much is missing, None when nothing is or it is not known."""
        if self.margin is None or self.available is None or self.margin <= self.available:
            return None
        return self.margin - self.available


def _sums(wanted: OrderRequest, instrument: Instrument, quote: Quote | None) -> Sums:
    here, house = caller(), manifest_of(caller().account.broker).title
    price = wanted.price if wanted.order_type.has_price else wanted.trigger_price
    if price is None and quote is not None:
        price = Decimal(repr(quote.last_price))
    margin = attempt(lambda: platform().portfolio.margin(here, [wanted]).total, None).value
    funds = attempt(lambda: platform().portfolio.funds(here), None).value
    value = charges = None
    if price is not None:
        value, now = price * wanted.quantity * instrument.contract_value, platform().clock.now()
        terms = (instrument, wanted.product, wanted.side, wanted.quantity, price)
        charges = desk().charges.estimate(*terms, now, house)
    available = None if funds is None else funds.available
    return Sums(value, margin, available, charges, house in TARIFFS)


Note = tuple[str, str, str]


def _notes(wanted: OrderRequest, instrument: Instrument, quote: Quote | None) -> list[Note]:
    """What a trader would want to know before sending: (kind, icon, words)."""
    found = [check(wanted, instrument, quote) for check in (_split, _marketable, _wide, _far)]
    return [note for note in found if note is not None]


def _split(wanted: OrderRequest, instrument: Instrument, quote: Quote | None) -> Note | None:
    freeze = instrument.freeze_quantity
    if not freeze or wanted.quantity <= freeze:
        return None
    parts = -(-int(wanted.quantity) // freeze)
    return ("warn", "split", f"Above the exchange's {inr(freeze, 0)} an order; it takes {parts} orders.")


def _marketable(wanted: OrderRequest, instrument: Instrument, quote: Quote | None) -> Note | None:
    if quote is None or wanted.price is None or wanted.order_type is not OrderType.LIMIT:
        return None
    price = float(wanted.price)
    buys = wanted.side is Side.BUY and quote.ask and price >= quote.ask
    sells = wanted.side is Side.SELL and quote.bid and price <= quote.bid
    return ("info", "zap", "At this price it trades at once.") if buys or sells else None


def _wide(wanted: OrderRequest, instrument: Instrument, quote: Quote | None) -> Note | None:
    if quote is None or not quote.bid or not quote.ask or wanted.order_type.has_price:
        return None
    spread = (quote.ask - quote.bid) / quote.ask * 100
    return (
        ("warn", "move-horizontal", f"The spread is {spread:.1f}%; a limit price saves it.")
        if spread > 1
        else None
    )


def _far(wanted: OrderRequest, instrument: Instrument, quote: Quote | None) -> Note | None:
    price = wanted.price if wanted.order_type.has_price else wanted.trigger_price
    if quote is None or price is None or not quote.last_price:
        return None
    away = (float(price) / quote.last_price - 1) * 100
    if abs(away) < 5:
        return None
    return ("warn", "triangle-alert", f"{abs(away):.1f}% {'above' if away > 0 else 'below'} the last price.")


# -- lists
@blueprint.post("/lists")
@own
def add_list() -> BaseResponse:
    """A new list."""
    return _change(lambda: browser().watchlists.create(user().id, request.form.get("name", "")))


@blueprint.post("/lists/<int:list_id>/rename")
@own
def rename_list(list_id: int) -> BaseResponse:
    """Another name for a list."""
    return _change(
        lambda: browser().watchlists.rename(user().id, list_id, request.form.get("name", "")), list_id
    )


@blueprint.post("/lists/<int:list_id>/delete")
@own
def delete_list(list_id: int) -> BaseResponse:
    """Drop a list and its rows."""
    return _change(lambda: browser().watchlists.delete(user().id, list_id))


@blueprint.post("/lists/<int:list_id>/add")
@own
def add_row(list_id: int) -> BaseResponse:
    """Watch an instrument of the account's master."""
    form = request.form
    exchange, symbol = form.get("exchange", ""), form.get("symbol", "")

    def add() -> None:
        if exchange not in set(Exchange):
            raise InvalidRequest("Choose an exchange.", "exchange")
        platform().orders.resolve(caller().account, exchange, symbol)
        browser().watchlists.add(user().id, list_id, (exchange, symbol))

    return _change(add, list_id)


@blueprint.post("/lists/<int:list_id>/remove")
@own
def remove_row(list_id: int) -> BaseResponse:
    """Stop watching an instrument."""
    row = (request.form.get("exchange", ""), request.form.get("symbol", ""))
    return _change(lambda: browser().watchlists.remove(user().id, list_id, row), list_id)


@blueprint.post("/lists/<int:list_id>/move")
@own
def move_row(list_id: int) -> BaseResponse:
    """Put a row at another place."""
    form = request.form
    row, place = (form.get("exchange", ""), form.get("symbol", "")), form.get("place", "0")
    where = int(place) if place.isascii() and place.isdigit() and len(place) < 5 else 0
    return _change(lambda: browser().watchlists.move(user().id, list_id, row, where), list_id)


def _change(act: Callable[[], object], list_id: int | None = None) -> BaseResponse:
    """Do it and show the list; what went wrong is a toast."""
    try:
        made = act()
        list_id = made if isinstance(made, int) else list_id
    except PlatformError as error:
        if is_script():
            raise
        say("err", "Not changed", str(error))
    if is_script():
        return Response(status=204)
    if request.form.get("back"):
        return back_to(url_for("trade.trade"))
    return redirect(url_for("trade.trade", list=list_id), 303)

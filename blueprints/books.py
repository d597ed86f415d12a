"""Orders, trades, positions and holdings of the account in front, as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import browser, caller, pages, platform, today
from blueprints.filters import title
from blueprints.forms import new_form_key
from blueprints.listing import Listing, csv_answer
from blueprints.position_groups import WAYS, grouped, total
from blueprints.problems import Read, attempt
from domain.clock import IST
from domain.errors import NotFound
from domain.model import Exchange, Holding, Order, OrderState, Position, Product, Trade

blueprint = pages("books")

_STATES = {
    "open": frozenset({OrderState.OPEN, OrderState.TRIGGER_PENDING, OrderState.PENDING, OrderState.UNKNOWN}),
    "filled": frozenset({OrderState.COMPLETE}),
    "rejected": frozenset({OrderState.REJECTED}),
    "cancelled": frozenset({OrderState.CANCELLED, OrderState.EXPIRED}),
}


@dataclass(frozen=True, slots=True)
class PositionRow:
    """A position as the table shows it; what is not known is None and shows as a dash."""

    position: Position
    name: str

    @property
    def pnl(self) -> Decimal | None:
        booked, open_ = self.position.realised, self.position.unrealised
        if self.position.quantity == 0:
            return booked
        return None if booked is None or open_ is None else booked + open_

    @property
    def cost(self) -> Decimal | None:
        average = self.position.average_price
        return (
            None if average is None else abs(average * self.position.quantity * self.position.contract_value)
        )


def name_of(exchange: Exchange, symbol: str) -> str:
    """How people say a symbol of the account in front; the symbol itself when the master does not list it."""
    instrument = platform().instruments.get(caller().account.venue, exchange, symbol)
    return symbol if instrument is None else title(instrument, today())


def _wants_csv() -> bool:
    return request.args.get("format") == "csv"


@blueprint.get("/orders")
def orders() -> str | BaseResponse:
    """The order book: working orders first, then the newest."""
    here = caller()
    book: Read[list[Order]] = attempt(lambda: platform().orders.book(here), [])
    state = request.args.get("state", "")
    wanted = _STATES.get(state)
    rows = [order for order in book.value if wanted is None or order.state in wanted]
    listing: Listing[Order] = Listing(
        sorted(rows, key=lambda o: (o.state.is_working, o.placed_at), reverse=True),
        {
            "time": lambda o: o.placed_at,
            "symbol": lambda o: o.symbol,
            "state": lambda o: o.state.value,
            "quantity": lambda o: o.quantity,
            "price": lambda o: o.price,
        },
        text=lambda o: f"{o.symbol} {o.exchange} {o.side} {o.order_id} {o.strategy} {o.state}",
    )
    if _wants_csv():
        return csv_answer("orders", _ORDER_COLUMNS, listing.all)
    panel = request.args.get("part") == "panel"
    return render_template(
        "books/orders_panel.html" if panel else "books/orders.html",
        section="orders",
        book=book,
        listing=listing,
        state=state,
        unsettled=browser().journal.unsettled(here),
        counts=Counter(_group(order) for order in book.value),
        tabs=order_tabs("orders"),
        names={o.symbol: name_of(o.exchange, o.symbol) for o in listing.rows},
    )


def _group(order: Order) -> str:
    return next(name for name, states in _STATES.items() if order.state in states)


def order_tabs(here: str) -> list[tuple[str, str, int | None, bool]]:
    waiting = platform().approvals.waiting(caller())
    return [
        (url_for("books.orders"), "Orders", None, here == "orders"),
        (url_for("books.trades"), "Trades", None, here == "trades"),
        (url_for("triggers.index"), "GTT and exits", None, here == "triggers"),
        (url_for("baskets.index"), "Baskets", None, here == "baskets"),
        (url_for("approvals.index"), "Action Center", waiting or None, here == "approvals"),
    ]


@blueprint.get("/trades")
def trades() -> str | BaseResponse:
    """Today's fills, newest first."""
    here = caller()
    book: Read[list[Trade]] = attempt(lambda: platform().portfolio.trades(here), [])
    listing: Listing[Trade] = Listing(
        sorted(book.value, key=lambda t: t.traded_at, reverse=True),
        {
            "time": lambda t: t.traded_at,
            "symbol": lambda t: t.symbol,
            "quantity": lambda t: t.quantity,
            "price": lambda t: t.price,
            "value": lambda t: t.price * t.quantity,
        },
        text=lambda t: f"{t.symbol} {t.exchange} {t.side} {t.order_id} {t.strategy}",
    )
    if _wants_csv():
        return csv_answer("trades", _TRADE_COLUMNS, listing.all)
    return render_template(
        "books/trades.html",
        section="orders",
        book=book,
        listing=listing,
        tabs=order_tabs("trades"),
        names={t.symbol: name_of(t.exchange, t.symbol) for t in listing.rows},
    )


@blueprint.get("/positions")
def positions() -> str | BaseResponse:
    """Net positions with their P&L; flat ones of today below."""
    here = caller()
    book: Read[list[Position]] = attempt(lambda: platform().portfolio.positions(here), [])
    made = [PositionRow(row, name_of(row.exchange, row.symbol)) for row in book.value]
    listing: Listing[PositionRow] = Listing(
        sorted(made, key=lambda row: row.position.quantity == 0),
        {
            "symbol": lambda row: row.name,
            "quantity": lambda row: row.position.quantity,
            "pnl": lambda row: row.pnl,
            "product": lambda row: row.position.product.value,
        },
        text=lambda row: f"{row.name} {row.position.symbol} {row.position.exchange} {row.position.product}",
        size=200,
    )
    if _wants_csv():
        return csv_answer("positions", _POSITION_COLUMNS, listing.all)
    convertible: Read[set[tuple[str, str, str]]] = attempt(lambda: _convertible(made), set())
    panel, way = request.args.get("part") == "panel", request.args.get("group", "")
    return render_template(
        "books/positions_panel.html" if panel else "books/positions.html",
        section="positions",
        book=book,
        listing=listing,
        groups=grouped(listing.rows, way),
        shown=grouped(listing.rows, "")[0],
        way=way,
        ways=WAYS,
        form_key=new_form_key(),
        convertible=convertible.value,
        converting=browser().journal.converting(here),
        whole=grouped(made, "")[0],
        funds=attempt(lambda: platform().portfolio.funds(here), None),
        tabs=_position_tabs("positions"),
    )


def _convertible(rows: list[PositionRow]) -> set[tuple[str, str, str]]:
    """(exchange, symbol, product) of the open positions that the broker can hold under another product."""
    held = [row.position for row in rows if row.position.quantity]
    found = zip(held, platform().conversions.targets(caller().account, held), strict=True)
    return {(one.exchange.value, one.symbol, one.product.value) for one, targets in found if targets}


def row_of(row: str) -> tuple[Exchange, str, Product]:
    """The parts of an EXCHANGE:SYMBOL:PRODUCT. Raises NotFound."""
    exchange, _, rest = row.partition(":")
    symbol, _, product = rest.rpartition(":")
    try:
        return Exchange(exchange), symbol, Product(product)
    except ValueError as error:
        raise NotFound("No such open position.") from error


def open_position(row: str) -> Position:
    """The open position of an EXCHANGE:SYMBOL:PRODUCT. Raises NotFound."""
    exchange, symbol, product = row_of(row)
    read: Read[list[Position]] = attempt(lambda: platform().portfolio.positions(caller()), [])
    for position in read.value:
        named = (position.exchange, position.symbol, position.product) == (exchange, symbol, product)
        if named and position.quantity and position.average_price is not None:
            return position
    raise NotFound("No such open position.")


def _position_tabs(here: str) -> list[tuple[str, str, None, bool]]:
    return [
        (url_for("books.positions"), "Positions", None, here == "positions"),
        (url_for("books.holdings"), "Holdings", None, here == "holdings"),
    ]


@blueprint.get("/holdings")
def holdings() -> str | BaseResponse:
    """Delivery shares, settled and settling."""
    here = caller()
    book: Read[list[Holding]] = attempt(lambda: platform().portfolio.holdings(here), [])
    listing: Listing[Holding] = Listing(
        book.value,
        {
            "symbol": lambda h: h.symbol,
            "quantity": lambda h: h.quantity,
            "average": lambda h: h.average_price,
        },
        sort="symbol",
        text=lambda h: f"{h.symbol} {h.exchange}",
        size=200,
    )
    if _wants_csv():
        return csv_answer("holdings", _HOLDING_COLUMNS, listing.all)
    return render_template(
        "books/holdings.html",
        section="positions",
        book=book,
        listing=listing,
        worth=worth,
        gain=gain,
        value=total([worth(h) for h in book.value]),
        total=total([gain(h) for h in book.value]),
        cost=sum((h.average_price * h.quantity for h in book.value), Decimal(0)),
        tabs=_position_tabs("holdings"),
    )


def worth(holding: Holding) -> Decimal | None:
    """Rupees at the last price, None when that is not known."""
    return None if holding.last_price is None else Decimal(repr(holding.last_price)) * holding.quantity


def gain(holding: Holding) -> Decimal | None:
    value = worth(holding)
    return None if value is None else value - holding.average_price * holding.quantity


_ORDER_COLUMNS: dict[str, Callable[[Order], Any]] = {
    "time": lambda o: _ist(o.placed_at),
    "orderid": lambda o: o.order_id,
    "symbol": lambda o: o.symbol,
    "exchange": lambda o: o.exchange.value,
    "action": lambda o: o.side.value,
    "product": lambda o: o.product.value,
    "pricetype": lambda o: o.order_type.value,
    "quantity": lambda o: o.quantity,
    "filled": lambda o: o.filled,
    "price": lambda o: o.price,
    "trigger": lambda o: o.trigger_price,
    "average": lambda o: o.average_price,
    "state": lambda o: o.state.value,
    "strategy": lambda o: o.strategy,
    "reason": lambda o: o.reason,
}
_TRADE_COLUMNS: dict[str, Callable[[Trade], Any]] = {
    "time": lambda t: _ist(t.traded_at),
    "tradeid": lambda t: t.trade_id,
    "orderid": lambda t: t.order_id,
    "symbol": lambda t: t.symbol,
    "exchange": lambda t: t.exchange.value,
    "action": lambda t: t.side.value,
    "product": lambda t: t.product.value,
    "quantity": lambda t: t.quantity,
    "price": lambda t: t.price,
    "value": lambda t: t.price * t.quantity,
    "strategy": lambda t: t.strategy,
}
_POSITION_COLUMNS: dict[str, Callable[[PositionRow], Any]] = {
    "symbol": lambda row: row.position.symbol,
    "exchange": lambda row: row.position.exchange.value,
    "product": lambda row: row.position.product.value,
    "quantity": lambda row: row.position.quantity,
    "average": lambda row: row.position.average_price,
    "last": lambda row: row.position.last_price,
    "unrealised": lambda row: row.position.unrealised,
    "realised": lambda row: row.position.realised,
    "pnl": lambda row: row.pnl,
}
_HOLDING_COLUMNS: dict[str, Callable[[Holding], Any]] = {
    "symbol": lambda h: h.symbol,
    "exchange": lambda h: h.exchange.value,
    "quantity": lambda h: h.quantity,
    "average": lambda h: h.average_price,
    "last": lambda h: h.last_price,
    "value": worth,
    "pnl": gain,
}


def _ist(moment: datetime) -> str:
    return moment.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")

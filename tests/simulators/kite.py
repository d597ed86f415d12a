"""Kite Connect v3, as its servers speak: form in, JSON out, redirect login, binary ticker.

Written from the broker's documents, the published samples and the official SDK (kiteconnect 5.2.2).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode

from domain.clock import IST
from domain.model import Instrument, ModifyOrder, OrderType, PlaceOrder, Product, Side, Trade
from domain.outcomes import Accepted, Refused
from tests.simulators import kite_wire as wire
from tests.simulators.exchange import Entry
from tests.simulators.kite_extras import MutualFunds, Triggers
from tests.simulators.kite_socket import KiteSocket
from tests.simulators.transport import Answer, Request

Kind = TypeVar("Kind")

CODES = {
    "TokenException": 403, "PermissionException": 403, "OrderException": 500, "InputException": 400,
    "DataException": 502, "NetworkException": 503, "GeneralException": 500, "MarginException": 400,
    "HoldingException": 400, "UserException": 403,
}  # fmt: skip
INTERVALS = {
    "minute": "1m", "2minute": "2m", "3minute": "3m", "4minute": "4m", "5minute": "5m", "10minute": "10m",
    "15minute": "15m", "30minute": "30m", "60minute": "1h", "2hour": "2h", "3hour": "3h", "4hour": "4h",
    "hour": "1h", "day": "D",
}  # fmt: skip
WINDOWS = {"1m": 60, "3m": 100, "5m": 100, "10m": 100, "15m": 200, "30m": 200, "1h": 400, "D": 2000}
BARE = (OrderType.MARKET, OrderType.STOP_MARKET)
BAD_TOKEN = "Incorrect `api_key` or `access_token`."


class KiteError(Exception):
    """An error answer: Kite's exception name, its words, and a status when it is not the usual one."""

    def __init__(self, kind: str, words: str, status: int | None = None) -> None:
        super().__init__(words)
        self.kind, self.words, self.status = kind, words, status

    def answer(self) -> Answer:
        body = {"status": "error", "message": self.words, "data": None, "error_type": self.kind}
        return Answer.json(body, self.status or CODES[self.kind])


class KiteSimulator(KiteSocket):
    """Zerodha. Prices in rupees, JSON numbers are numbers, times are IST text."""

    user = "AB1234"
    rates = dict.fromkeys(("place", "modify", "cancel"), 10.0) | {"quotes": 1.0, "candles": 3.0, "": 10.0}

    def __init__(self, name: str = "zerodha", seed: int = 0) -> None:
        super().__init__(name, seed)
        rows = enumerate(self.exchange.instruments.values(), 1594)
        scrips = [wire.Scrip(instrument, number) for number, instrument in rows]
        self.by_key = {scrip.key: scrip for scrip in scrips}
        self.by_token = {scrip.token: scrip for scrip in scrips}
        self.by_instrument = {scrip.instrument.key: scrip for scrip in scrips}
        self.triggers = Triggers(self)
        self.funds = MutualFunds(self)

    def open_sessions(self) -> None:
        token = self.random(16)
        self.credentials = {
            "api_key": "kitesimkey",
            "api_secret": self.random(16),
            "user_id": self.user,
            "request_token": self.new_code(),
            "access_token": token,
        }
        self.tokens[token] = self.user

    def addresses(self, http: str, ws: str) -> dict[str, str]:
        return {"rest": http, "login": f"{http}/connect/login", "auth": f"{http}/connect/login", "stream": ws}

    # -- routes
    def operation(self, request: Request) -> str:
        route = self._route(request)
        return route[0] if route else ""

    def _route(self, request: Request) -> tuple[str, Callable[[Request, list[str]], object]] | None:
        parts = request.path.strip("/").split("/")
        for method, pattern, op, handler in self._routes():
            shape = pattern.split("/")
            if method != request.method or len(shape) != len(parts):
                continue
            if all(want == "*" or want == got for want, got in zip(shape, parts, strict=True)):
                return op, handler
        return None

    def _routes(self) -> Iterable[tuple[str, str, str, Callable[[Request, list[str]], object]]]:
        yield "GET", "connect/login", "login page", self._login_page
        yield "POST", "session/token", "login", self._login
        yield "DELETE", "session/token", "logout", self._logout
        yield "POST", "session/refresh_token", "renew", self._renew
        yield "GET", "user/profile", "profile", lambda r, p: self._profile()
        yield "GET", "user/margins", "funds", lambda r, p: self._funds()
        yield "GET", "user/margins/*", "funds", lambda r, p: self._funds()[p[2]]
        yield "POST", "orders/*", "place", self._place
        yield "PUT", "orders/*/*", "modify", self._modify
        yield "DELETE", "orders/*/*", "cancel", self._cancel
        yield "GET", "orders", "orders", lambda r, p: self._orders()
        yield "GET", "orders/*", "order", self._history
        yield "GET", "orders/*/trades", "order trades", self._order_trades
        yield (
            "GET",
            "trades",
            "trades",
            lambda r, p: [self._trade(t) for t in self.exchange.trades(self.user)],
        )
        yield "GET", "portfolio/positions", "positions", lambda r, p: self._positions()
        yield "PUT", "portfolio/positions", "convert", self._convert
        yield "GET", "portfolio/holdings", "holdings", lambda r, p: self._holdings()
        yield "GET", "portfolio/holdings/auctions", "auctions", lambda r, p: []
        yield "GET", "quote", "quotes", self._quotes
        yield "GET", "quote/ohlc", "quotes", self._quotes
        yield "GET", "quote/ltp", "quotes", self._quotes
        yield "GET", "instruments", "instruments", self._instruments
        yield "GET", "instruments/*", "instruments", self._instruments
        yield "GET", "instruments/historical/*/*", "candles", self._candles
        yield "GET", "instruments/trigger_range/*", "trigger range", self._trigger_range
        yield "POST", "margins/orders", "margin", self._margins
        yield "POST", "margins/basket", "margin", self._basket
        yield "POST", "charges/orders", "charges", self._charges
        yield from self.triggers.routes()
        yield from self.funds.routes()

    def serve(self, request: Request) -> Answer:
        route = self._route(request)
        if route is None:
            return Answer.json({"status": "error", "message": "Route not found", "data": None,
                                "error_type": "GeneralException"}, 404)  # fmt: skip
        try:
            if route[0] not in ("login", "login page", "renew"):
                self._check_token(request)
            data = route[1](request, request.path.strip("/").split("/"))
        except KiteError as error:
            return error.answer()
        if isinstance(data, Answer):
            return data
        return Answer.json({"status": "success", "data": data})

    def failure(self, kind: str, status: int | None) -> Answer:
        if kind == "no_id":
            return Answer.json({"status": "success", "data": {}}, status or 200)
        errors = {
            "rate_limit": KiteError("NetworkException", "Too many requests", 429),
            "expired": KiteError("TokenException", BAD_TOKEN),
            "refuse": KiteError("InputException", "Your order was refused by the rehearsal."),
            "unavailable": KiteError("NetworkException", "Gateway to the OMS is not reachable"),
        }
        error = errors[kind]
        error.status = error.status if status is None else status
        return error.answer()

    # -- login
    def _check_token(self, request: Request) -> None:
        scheme, _, pair = request.headers.get("authorization", "").partition(" ")
        key, _, token = pair.partition(":")
        if scheme != "token" or key != self.credentials["api_key"] or token not in self.tokens:
            raise KiteError("TokenException", BAD_TOKEN)

    def _login_page(self, request: Request, parts: list[str]) -> object:
        if request.argument("api_key") != self.credentials["api_key"]:
            raise KiteError("InputException", "Invalid `api_key`.")
        code = self.new_code()
        given = parse_qsl(request.argument("redirect_params"))
        query = [
            ("action", "login"),
            ("type", "login"),
            ("status", "success"),
            ("request_token", code),
            *given,
        ]
        return Answer.redirect(f"{self.redirect_url}?{urlencode(query)}")

    def _login(self, request: Request, parts: list[str]) -> object:
        form = request.form()
        key, code = form.get("api_key", ""), form.get("request_token", "")
        wanted = hashlib.sha256(f"{key}{code}{self.credentials['api_secret']}".encode()).hexdigest()
        if key != self.credentials["api_key"] or form.get("checksum") != wanted:
            raise KiteError("TokenException", "Invalid `checksum`.")
        if self.codes.pop(code, None) is None:
            raise KiteError("TokenException", "Token is invalid or has expired.")
        return self._session()

    def _renew(self, request: Request, parts: list[str]) -> object:
        return self._session()

    def _session(self) -> dict[str, object]:
        token = self.random(16)
        self.tokens[token] = self.user
        return self._profile() | {
            "api_key": self.credentials["api_key"],
            "access_token": token,
            "public_token": self.random(8),
            "enctoken": self.random(8),
            "refresh_token": self.random(8),
            "silo": "",
            "login_time": wire.stamp(self.clock.now()),
        }

    def _logout(self, request: Request, parts: list[str]) -> object:
        self.tokens.pop(request.argument("access_token"), None)
        return True

    def _profile(self) -> dict[str, object]:
        return {
            "user_id": self.user,
            "user_type": "individual",
            "email": "sim@example.com",
            "user_name": "Rehearsal Trader",
            "user_shortname": "Rehearsal",
            "broker": "ZERODHA",
            "exchanges": ["NSE", "NFO", "BFO", "CDS", "BSE", "MCX"],
            "products": ["CNC", "NRML", "MIS"],
            "order_types": ["MARKET", "LIMIT", "SL", "SL-M"],
            "avatar_url": None,
            "meta": {"demat_consent": "physical"},
        }

    # -- orders
    def _place(self, request: Request, parts: list[str]) -> object:
        form = request.form()
        scrip = self._scrip(form.get("exchange", ""), form.get("tradingsymbol", ""))
        if len(form.get("tag", "")) > 20:
            raise KiteError("InputException", "`tag` is longer than 20 characters.")
        order = PlaceOrder(
            client_order_id=form.get("tag", ""),
            instrument=scrip.instrument,
            side=_word(Side, form, "transaction_type"),
            product=_word(Product, form, "product"),
            order_type=_word(OrderType, form, "order_type"),
            quantity=_number(form, "quantity"),
            price=_maybe(form, "price"),
            trigger_price=_maybe(form, "trigger_price"),
            disclosed_quantity=_maybe(form, "disclosed_quantity") or Decimal(0),
        )
        extra = {"variety": parts[1], "market_protection": form.get("market_protection", "0")}
        if self.strict and order.order_type in BARE and extra["market_protection"] == "0":
            raise KiteError(
                "InputException", "Market orders without market protection are not allowed via API."
            )
        extra["validity"] = form.get("validity", "DAY")
        if form.get("autoslice") == "true":
            return self._sliced(order, extra)
        return {"order_id": _taken(self.exchange.place(self.user, order, **extra))}

    def _sliced(self, order: PlaceOrder, extra: dict[str, str]) -> dict[str, object]:
        """Orders of at most 20 lots, each with its own answer."""
        children: list[dict[str, object]] = []
        left, most = order.quantity, Decimal(20 * order.instrument.lot_size)
        while left > 0:
            piece = replace(order, quantity=min(left, most))
            left -= piece.quantity
            try:
                children.append({"order_id": _taken(self.exchange.place(self.user, piece, **extra))})
            except KiteError as error:
                told = {"code": 400, "error_type": error.kind, "message": error.words, "data": None}
                children.append({"error": told})
        return {"order_id": f"{self.random(5)}", "children": children}

    def _modify(self, request: Request, parts: list[str]) -> object:
        entry, form = self._entry(parts[2], parts[1]), request.form()
        order = entry.order
        kind = _word(OrderType, form, "order_type") if "order_type" in form else order.order_type
        change = ModifyOrder(
            client_order_id="",
            order_id=order.order_id,
            instrument=entry.instrument,
            side=order.side,
            product=order.product,
            order_type=kind,
            quantity=_number(form, "quantity") if "quantity" in form else order.quantity,
            price=_maybe(form, "price") or order.price,
            trigger_price=_maybe(form, "trigger_price") or order.trigger_price,
        )
        return {"order_id": _taken(self.exchange.modify(self.user, change))}

    def _cancel(self, request: Request, parts: list[str]) -> object:
        entry = self._entry(parts[2], parts[1])
        return {"order_id": _taken(self.exchange.cancel(self.user, entry.order.order_id))}

    def _entry(self, order_id: str, variety: str) -> Entry:
        entry = self.exchange.entries.get(order_id)
        if entry is None or entry.extra.get("variety", "regular") != variety:
            raise KiteError("OrderException", "Couldn't find that `order_id`.", 404)
        return entry

    def _orders(self) -> list[dict[str, object]]:
        rows = [wire.order_row(e, self._of(e.instrument)) for e in self.exchange.orders(self.user)]
        if rows and self.plan.pick("orders", frozenset({"unknown_status"})):
            rows[-1]["status"] = "QUEUED AT RISK DESK"
        if rows and self.plan.pick("orders", frozenset({"bad_row"})):
            rows[-1] |= {"quantity": "many", "transaction_type": None}
        return rows

    def _history(self, request: Request, parts: list[str]) -> object:
        entry = self.exchange.entries.get(parts[1])
        if entry is None:
            raise KiteError("OrderException", "Couldn't find that `order_id`.", 404)
        return wire.history_rows(entry, self._of(entry.instrument))

    def _order_trades(self, request: Request, parts: list[str]) -> object:
        return [self._trade(t) for t in self.exchange.trades(self.user) if t.order_id == parts[1]]

    def _trade(self, trade: Trade) -> dict[str, object]:
        return wire.trade_row(trade, self.by_instrument[trade.exchange, trade.symbol])  # type: ignore[index]

    # -- portfolio
    def _positions(self) -> dict[str, object]:
        lines = self.exchange.lines(self.user)
        rows = [
            wire.position_row(line, self._of(line.instrument), self._last(line.instrument)) for line in lines
        ]
        return {"net": rows, "day": rows}

    def _convert(self, request: Request, parts: list[str]) -> object:
        form = request.form()
        scrip = self._scrip(form.get("exchange", ""), form.get("tradingsymbol", ""))
        if form.get("position_type") not in ("day", "overnight"):
            raise KiteError("InputException", "Invalid `position_type`.")
        products = _word(Product, form, "old_product"), _word(Product, form, "new_product")
        side, quantity = _word(Side, form, "transaction_type"), _number(form, "quantity")
        outcome = self.exchange.convert(self.user, scrip.instrument, quantity, products, side)
        if isinstance(outcome, Refused):
            raise KiteError("InputException", outcome.words)
        return True

    def _holdings(self) -> list[dict[str, object]]:
        now = self.clock.now()
        found = []
        for held in self.exchange.holdings(self.user):
            quote = self.market.quote(held.instrument, now)
            assert quote is not None
            found.append(wire.holding_row(held, self._of(held.instrument), quote))
        return found

    def _funds(self) -> dict[str, object]:
        account = self.exchange.account(self.user)
        used = account.balances.orders + account.balances.positions
        return {
            "equity": wire.segment_funds(account.available, used),
            "commodity": wire.segment_funds(Decimal(0), Decimal(0)),
        }

    # -- market data
    def _quotes(self, request: Request, parts: list[str]) -> object:
        asked = [value for name, value in request.query if name == "i"]
        if len(asked) > (500 if len(parts) == 1 else 1000):
            raise KiteError("InputException", "Too many instruments in one call.")
        rows = {}
        for key in asked:
            scrip = self.by_key.get(key)
            depth = self.market.depth(scrip.instrument, self.clock.now()) if scrip else None
            if scrip and depth:
                kept = {
                    "ltp": ("instrument_token", "last_price"),
                    "ohlc": ("instrument_token", "last_price", "ohlc"),
                }
                row = wire.quote_row(depth, scrip)
                rows[key] = row if len(parts) == 1 else {name: row[name] for name in kept[parts[1]]}
        return rows

    def _instruments(self, request: Request, parts: list[str]) -> Answer:
        scrips = [s for s in self.by_token.values() if len(parts) == 1 or s.exchange == parts[1]]
        return Answer(200, wire.master(scrips), "text/csv")

    def _candles(self, request: Request, parts: list[str]) -> object:
        scrip, interval = self.by_token.get(int(parts[2])), INTERVALS.get(parts[3])
        if scrip is None or interval is None:
            raise KiteError("InputException", "invalid token" if scrip is None else "invalid interval")
        start, end = (_moment(request.argument(name)) for name in ("from", "to"))
        if (end - start).days > (limit := WINDOWS.get(interval, 60)):
            raise KiteError("InputException", f"interval exceeds max limit: {limit} days")
        bars = self.market.candles(scrip.instrument, interval, start.date(), end.date())
        rows = [wire.candle_row(bar, interval == "D") for bar in bars]
        if request.argument("oi") == "1":
            rows = [[*row, bar.open_interest] for row, bar in zip(rows, bars, strict=True)]
        return {"candles": rows}

    def _trigger_range(self, request: Request, parts: list[str]) -> object:
        scrips = {v: self.by_key[v] for n, v in request.query if n == "i" and v in self.by_key}
        return {
            key: {"instrument_token": s.token, "lower": self._last(s.instrument) * 0.9,
                  "upper": self._last(s.instrument) * 1.1}
            for key, s in scrips.items()
        }  # fmt: skip

    # -- margins
    def _margins(self, request: Request, parts: list[str]) -> object:
        return [self._margin(row) for row in json.loads(request.body)]

    def _basket(self, request: Request, parts: list[str]) -> object:
        rows = [self._margin(row) for row in json.loads(request.body)]
        total = sum(float(row["total"]) for row in rows)
        final = total * 0.8 if len(rows) > 1 else total
        return {"initial": _margin_row("", "", total), "final": _margin_row("", "", final), "orders": rows,
                "charges": {}}  # fmt: skip

    def _margin(self, row: dict[str, object]) -> dict[str, object]:
        form = {name: str(value) for name, value in row.items()}
        scrip = self._scrip(form["exchange"], form["tradingsymbol"])
        order = PlaceOrder(
            client_order_id="",
            instrument=scrip.instrument,
            side=_word(Side, form, "transaction_type"),
            product=_word(Product, form, "product"),
            order_type=_word(OrderType, form, "order_type"),
            quantity=_number(form, "quantity"),
            price=_maybe(form, "price"),
        )
        return _margin_row(scrip.exchange, scrip.symbol, float(self.exchange.margin(order)))

    def _charges(self, request: Request, parts: list[str]) -> object:
        rows = json.loads(request.body)
        return [row | {"charges": _margin_row("", "", 0)["charges"]} for row in rows]

    # -- small things
    def spelling(self, instrument: Instrument) -> str:
        return self._of(instrument).symbol

    def _scrip(self, exchange: str, symbol: str) -> wire.Scrip:
        scrip = self.by_key.get(f"{exchange}:{symbol}")
        if scrip is None:
            raise KiteError("InputException", f"The instrument {exchange}:{symbol} does not exist.")
        return scrip

    def _of(self, instrument: Instrument) -> wire.Scrip:
        return self.by_instrument[instrument.key]

    def _last(self, instrument: Instrument) -> float:
        quote = self.market.quote(instrument, self.clock.now())
        assert quote is not None
        return quote.last_price


def _taken(outcome: object) -> str:
    """The id of what was taken (rejected rows have one too); otherwise Kite's refusal."""
    if isinstance(outcome, Accepted):
        return outcome.order_id
    assert isinstance(outcome, Refused)
    if outcome.order_id:
        return outcome.order_id
    if outcome.code == "INSUFFICIENT_FUNDS":
        raise KiteError("MarginException", outcome.words)
    if outcome.code in ("ORDER_FINAL", "ORDER_NOT_FOUND"):
        raise KiteError("OrderException", f"Order cannot be changed: {outcome.words}")
    raise KiteError("InputException", outcome.words)


def _word(kind: type[Kind], form: dict[str, str], name: str) -> Kind:
    try:
        return kind(form.get(name, ""))  # type: ignore[call-arg]
    except ValueError:
        raise KiteError("InputException", f"Invalid `{name}`.") from None


def _number(form: dict[str, str], name: str) -> Decimal:
    value = _maybe(form, name)
    if value is None:
        raise KiteError("InputException", f"Missing or empty field `{name}`.")
    return value


def _maybe(form: dict[str, str], name: str) -> Decimal | None:
    try:
        return Decimal(form[name]) or None if form.get(name) else None
    except InvalidOperation:
        raise KiteError("InputException", f"Invalid `{name}`.") from None


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=IST)
    except ValueError:
        raise KiteError("InputException", "invalid from date") from None


def _margin_row(exchange: str, symbol: str, total: float) -> dict[str, object]:
    zero = dict.fromkeys(["exposure", "option_premium", "additional", "bo", "cash"], 0)
    taxes = {"transaction_tax": 0, "transaction_tax_type": "stt", "exchange_turnover_charge": 0,
             "sebi_turnover_charge": 0, "brokerage": 0, "stamp_duty": 0,
             "gst": {"igst": 0, "cgst": 0, "sgst": 0, "total": 0}, "total": 0}  # fmt: skip
    return {"type": "equity", "tradingsymbol": symbol, "exchange": exchange, "span": 0, **zero, "var": total,
            "pnl": {"realised": 0, "unrealised": 0}, "leverage": 1, "charges": taxes, "total": total}  # fmt: skip

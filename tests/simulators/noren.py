"""The Noren OMS, as its servers speak: `jData` text in, JSON strings out, one JSON socket; a face for each house.

Written from the houses' documents and the three NorenRestApiPy builds (0.0.22, 0.0.37, 0.0.41).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from urllib.parse import unquote, unquote_plus, urlencode

import pyotp

from domain.model import Instrument, ModifyOrder, OrderType, PlaceOrder, Trade
from domain.outcomes import Accepted, Outcome, Refused
from tests.simulators import noren_wire as wire
from tests.simulators.exchange import Entry
from tests.simulators.noren_extras import OrderTriggers, Watchlists
from tests.simulators.noren_socket import NorenSocket
from tests.simulators.transport import Answer, Request

Data = dict[str, object]
NO_DATA = 'Error Occurred : 5 "no data"'
EXPIRED = "Session Expired :  Invalid Session Key"
OPERATIONS = {
    "PlaceOrder": "place", "ModifyOrder": "modify", "CancelOrder": "cancel", "ExitSNOOrder": "cancel",
    "OrderBook": "orders", "TradeBook": "trades", "PositionBook": "positions", "Holdings": "holdings",
    "Limits": "funds", "GetQuotes": "quotes", "TPSeries": "candles", "EODChartData": "candles",
    "GetBasketMargin": "margin", "GetOrderMargin": "margin", "GenAcsTok": "login", "QuickAuth": "login",
    "Logout": "logout", "SingleOrdHist": "order", "PlaceGTTOrder": "place gtt", "ModifyGTTOrder": "modify gtt",
    "CancelGTTOrder": "cancel gtt", "GetPendingGTTOrder": "gtts", "SpanCalc": "span",
    "ProductConversion": "convert",
}  # fmt: skip
INTERVALS = {"1": "1m", "3": "3m", "5": "5m", "10": "10m", "15": "15m", "30": "30m", "60": "1h", "120": "2h",
             "240": "4h"}  # fmt: skip


RUPEES = wire.Ticks()


@dataclass(frozen=True, slots=True)
class House:
    """What differs: where it is mounted, how it logs in, how it writes tick sizes, what it refuses when strict."""

    mount: str = "NorenWClientAPI"
    stream: str = "NorenWSAPI"
    login: str = "OAuthlogin/authorize/oauth"
    client: str = "client_id"
    keyed: bool = False
    ticks: wire.Ticks = RUPEES
    bare: frozenset[str] = frozenset({"LMT", "SL-LMT"})


HOUSES = {
    "shoonya": House(ticks=wire.Ticks(cash=100)),
    "zebu": House(bare=frozenset({"LMT", "SL-LMT", "SL-MKT"})),
    "tradesmart": House(mount="NorenWClientAPIv2", ticks=wire.Ticks(cash=100, contracts=100)),
    "flattrade": House(
        mount="PiConnectAPI", stream="PiConnectWSAPI", login="auth", client="app_key", keyed=True
    ),
}


class NorenError(Exception):
    """A refusal: HTTP 200 with `Not_Ok` and the words in `emsg`, unless a status is given."""

    def __init__(self, words: str, status: int = 200) -> None:
        super().__init__(words)
        self.words, self.status = words, status


class NorenSimulator(NorenSocket):
    """One house. All values are strings, both ways."""

    user = "FA1234"
    rates = dict.fromkeys(("place", "modify", "cancel"), 10.0) | {"": 20.0}

    def __init__(self, name: str = "shoonya", seed: int = 0) -> None:
        self.house = HOUSES.get(name, House())
        super().__init__(name, seed)
        numbers: dict[str, int] = {}
        self.by_key: dict[str, wire.Scrip] = {}
        for instrument in self.exchange.instruments.values():
            number = numbers[instrument.exchange] = numbers.get(instrument.exchange, 1000) + 1
            scrip = wire.Scrip(instrument, number)
            self.by_key[scrip.key] = scrip
        self.by_symbol = {(s.exchange, s.symbol): s for s in self.by_key.values()}
        self.by_instrument = {s.instrument.key: s for s in self.by_key.values()}
        self.triggers = OrderTriggers(self)
        self.lists = Watchlists(self)

    def open_sessions(self) -> None:
        token = self.random(32)
        self.credentials = {
            "user_id": self.user,
            "api_key": "norensimkey",
            "api_secret": self.random(16),
            "code": self.new_code(),
            "access_token": token,
            "password": self.random(6),
            "totp_secret": pyotp.random_base32(),
        }
        self.tokens[token] = self.user

    def addresses(self, http: str, ws: str) -> dict[str, str]:
        house = self.house
        found = {
            "rest": f"{http}/{house.mount}",
            "login": f"{http}/{house.login}",
            "stream": f"{ws}/{house.stream}/",
        }
        if house.keyed:
            return found | {"auth": f"{http}/trade/apitoken", "instruments": f"{http}/scripmaster"}
        return found | {"auth": found["login"], "instruments": http}

    # -- routes
    def operation(self, request: Request) -> str:
        route = request.path.strip("/").split("/")
        if request.path.strip("/") == "trade/apitoken":
            return "login"
        if route[0] == self.house.mount and len(route) == 2:
            return OPERATIONS.get(route[1], route[1])
        if request.path.strip("/") == self.house.login:
            return "login page"
        return "instruments" if request.method == "GET" else ""

    def serve(self, request: Request) -> Answer:
        try:
            answer = self._route(request)
        except NorenError as error:
            return self._not_ok(error.words, error.status)
        return answer if isinstance(answer, Answer) else Answer.json(answer)

    def _route(self, request: Request) -> object:
        path = request.path.strip("/")
        if request.op == "instruments":
            return self._master(path.rsplit("/", 1)[-1])
        if request.op == "login page":
            return self._login_page(request)
        if path == "trade/apitoken":
            return self._token_by_json(request)
        route = path.rsplit("/", 1)[-1]
        data, key = _unpacked(request.body.decode())
        if route == "GenAcsTok":
            return self._token(data)
        if route == "QuickAuth":
            return self._quick_auth(data)
        if route not in ("ForgotPassword", "FgtPwdOTP"):
            self._check_token(request, key)
        handler = self._handlers().get(route)
        if handler is None:
            raise NorenError("Invalid Input : unknown route", 404)
        return handler(data)

    def _handlers(self) -> dict[str, Callable[[Data], object]]:
        return {
            "PlaceOrder": self._place,
            "ModifyOrder": self._modify,
            "CancelOrder": self._cancel,
            "ExitSNOOrder": self._cancel,
            "OrderBook": lambda d: self._orders(),
            "SingleOrdHist": self._history,
            "TradeBook": lambda d: self._trades(),
            "PositionBook": lambda d: self._positions(),
            "Holdings": lambda d: self._holdings(),
            "Limits": lambda d: self._limits(),
            "ProductConversion": self._convert,
            "GetQuotes": self._quotes,
            "TPSeries": self._series,
            "EODChartData": self._days,
            "GetBasketMargin": self._basket,
            "GetOrderMargin": self._order_margin,
            "Logout": lambda d: self._logout(),
            **self.triggers.handlers(),
            **self.lists.handlers(),
        }

    def failure(self, kind: str, status: int | None) -> Answer:
        if kind == "no_id":
            return Answer.json({"stat": "Ok", "request_time": self._now()}, status or 200)
        words = {
            "rate_limit": "Request exceeds limit",
            "expired": EXPIRED,
            "refuse": "Invalid Input : refused by the rehearsal",
            "unavailable": "Server Timeout : ",
        }
        return self._not_ok(words[kind], status or 200)

    def _not_ok(self, words: str, status: int = 200) -> Answer:
        return Answer.json({"request_time": self._now(), "stat": "Not_Ok", "emsg": words}, status)

    def _ok(self, **told: object) -> dict[str, object]:
        return {"request_time": self._now(), "stat": "Ok", **told}

    def _now(self) -> str:
        return wire.clock(self.clock.now())

    # -- login
    def _check_token(self, request: Request, key: str) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = key if self.house.keyed or not token or scheme != "Bearer" else token
        if given not in self.tokens:
            raise NorenError(EXPIRED)

    def _login_page(self, request: Request) -> Answer:
        if request.argument(self.house.client) != self.credentials["api_key"]:
            raise NorenError("Invalid client id")
        query = {"code": self.new_code(), "state": request.argument("state")}
        if self.house.keyed:
            query["client"] = self.user
        return Answer.redirect(f"{self.redirect_url}?{urlencode(query)}")

    def _token(self, data: Data) -> dict[str, object]:
        code = str(data.get("code", ""))
        keys = self.credentials
        wanted = _sha(keys["api_key"] + keys["api_secret"] + code)
        if data.get("checksum") != wanted:
            raise NorenError("Invalid Checksum")
        if self.codes.pop(code, None) is None:
            raise NorenError("Invalid Auth Code")
        token = self._new_token()
        return self._ok(access_token=token, susertoken=token, refresh_token=self.random(16), USERID=self.user,
                        actid=self.user, uid=self.user, uname="Rehearsal Trader")  # fmt: skip

    def _token_by_json(self, request: Request) -> dict[str, object]:
        asked = json.loads(request.body)
        code, keys = str(asked.get("request_code", "")), self.credentials
        good = asked.get("api_secret") == _sha(keys["api_key"] + code + keys["api_secret"])
        if not good or self.codes.pop(code, None) is None:
            return {"token": "", "client": "", "stat": "Not_Ok", "status": "Not_Ok", "emsg": "INVALID_INPUT"}
        return {"token": self._new_token(), "client": self.user, "status": "Ok", "stat": "Ok", "emsg": ""}

    def _quick_auth(self, data: Data) -> dict[str, object]:
        keys = self.credentials
        good = data.get("pwd") == _sha(keys["password"]) and data.get("appkey") == _sha(
            f"{self.user}|{keys['api_secret']}"
        )
        if not good or not pyotp.TOTP(keys["totp_secret"]).verify(str(data.get("factor2")), valid_window=1):
            raise NorenError("Invalid Input : Wrong user id or password")
        return self._ok(susertoken=self._new_token(), uname="Rehearsal Trader", actid=self.user, email="",
                        brkname=self.name, exarr=["NSE", "NFO"], lastaccesstime="0")  # fmt: skip

    def _new_token(self) -> str:
        token = self.random(32)
        self.tokens[token] = self.user
        return token

    def _logout(self) -> dict[str, object]:
        self.tokens.clear()
        return self._ok()

    # -- orders
    def _place(self, data: Data) -> object:
        scrip = self.scrip(data)
        if self.strict and data.get("prctyp") not in self.house.bare:
            raise NorenError("Invalid Input : price type is not allowed for API orders")
        order = PlaceOrder(
            client_order_id=str(data.get("remarks") or ""),
            instrument=scrip.instrument,
            side=_word(wire.SIDES, data, "trantype"),
            product=_word(wire.PRODUCTS, data, "prd"),
            order_type=_word(wire.TYPES, data, "prctyp"),
            quantity=_number(data, "qty") or Decimal(0),
            price=_number(data, "prc"),
            trigger_price=_number(data, "trgprc"),
            disclosed_quantity=_number(data, "dscqty") or Decimal(0),
        )
        return self._taken(self.exchange.place(self.user, order, store_refused=True), "norenordno")

    def _modify(self, data: Data) -> object:
        entry = self._entry(data)
        kind: OrderType = _word(wire.TYPES, data, "prctyp")
        if self.strict and data["prctyp"] not in self.house.bare:
            raise NorenError("Invalid Input : price type is not allowed for API orders")
        if "trgprc" in data and not kind.has_trigger:
            raise NorenError(f"Trigger price invalid - {data['trgprc']}")
        change = ModifyOrder(
            client_order_id="",
            order_id=entry.order.order_id,
            instrument=entry.instrument,
            side=entry.order.side,
            product=entry.order.product,
            order_type=kind,
            quantity=_number(data, "qty") or entry.order.quantity,
            price=_number(data, "prc"),
            trigger_price=_number(data, "trgprc") or entry.order.trigger_price,
        )
        return self._taken(self.exchange.modify(self.user, change), "result")

    def _cancel(self, data: Data) -> object:
        entry = self._entry(data)
        return self._taken(self.exchange.cancel(self.user, entry.order.order_id), "result")

    def _entry(self, data: Data) -> Entry:
        entry = self.exchange.entries.get(str(data.get("norenordno")))
        if entry is None:
            raise NorenError("Rejected : ORA:Order not found")
        return entry

    def _taken(self, outcome: Outcome, name: str) -> dict[str, object]:
        """Refused orders have a number too; their row says why."""
        if isinstance(outcome, Accepted):
            return self._ok(**{name: outcome.order_id})
        assert isinstance(outcome, Refused)
        if outcome.order_id and name == "norenordno":
            return self._ok(norenordno=outcome.order_id)
        raise NorenError(f"Rejected : {outcome.words}")

    def _orders(self) -> object:
        rows = [wire.order_row(e, self.of(e.instrument)) for e in reversed(self.exchange.orders(self.user))]
        if rows and self.plan.pick("orders", frozenset({"unknown_status"})):
            rows[0]["status"] = "HELD_AT_DESK"
        if rows and self.plan.pick("orders", frozenset({"bad_row"})):
            rows[0] |= {"qty": "many", "trantype": "?"}
        return _some(rows)

    def _history(self, data: Data) -> object:
        entry = self._entry(data)
        return [wire.order_row(entry, self.of(entry.instrument))]

    def _trades(self) -> object:
        trades = reversed(self.exchange.trades(self.user))
        return _some(
            [wire.trade_row(t, self.exchange.entries[t.order_id].order, self._of_trade(t)) for t in trades]
        )

    def _of_trade(self, trade: Trade) -> wire.Scrip:
        return self.by_instrument[trade.exchange, trade.symbol]  # type: ignore[index]

    # -- portfolio
    def _positions(self) -> object:
        lines = self.exchange.lines(self.user)
        return _some([wire.position_row(x, self.of(x.instrument), self.last(x.instrument)) for x in lines])

    def _holdings(self) -> object:
        return _some([wire.holding_row(h, self.of(h.instrument)) for h in self.exchange.holdings(self.user)])

    def _limits(self) -> dict[str, object]:
        account = self.exchange.account(self.user)
        used = account.balances.orders + account.balances.positions
        told = {"actid": self.user, "prd": "", "cash": f"{account.available + used:.2f}", "payin": "0.00",
                "brkcollamt": "0.00", "rpnl": "0.00", "unmtom": "0.00"}  # fmt: skip
        return self._ok(**told, **({"marginused": f"{used:.2f}"} if used else {}))

    def _convert(self, data: Data) -> dict[str, object]:
        if data.get("postype") not in ("DAY", "CF"):
            raise NorenError("Invalid Input : Invalid Position Type")
        products = _word(wire.PRODUCTS, data, "prevprd"), _word(wire.PRODUCTS, data, "prd")
        quantity, side = _number(data, "qty") or Decimal(0), _word(wire.SIDES, data, "trantype")
        outcome = self.exchange.convert(self.user, self.scrip(data).instrument, quantity, products, side)
        if isinstance(outcome, Refused):
            raise NorenError(f"Rejected : {outcome.words}")
        return self._ok()

    # -- market data
    def _quotes(self, data: Data) -> dict[str, object]:
        scrip = self.by_key.get(f"{data.get('exch')}|{data.get('token')}")
        depth = self.market.depth(scrip.instrument, self.clock.now()) if scrip else None
        if scrip is None or depth is None:
            raise NorenError(NO_DATA)
        return self._ok(**wire.quote_fields(depth, scrip, self.market.has_traded(scrip.instrument)))

    def _series(self, data: Data) -> object:
        scrip = self.by_key.get(f"{data.get('exch')}|{data.get('token')}")
        interval = INTERVALS.get(str(data.get("intrv") or "1"))
        if scrip is None or interval is None:
            raise NorenError(NO_DATA)
        bars = self._bars(scrip, interval, data, "st", "et")
        return _some([wire.bar_row(bar, scrip) for bar in reversed(bars)])

    def _days(self, data: Data) -> object:
        exchange, _, name = unquote_plus(str(data.get("sym"))).partition(":")
        scrip = next(
            (s for s in self.by_key.values() if s.exchange == exchange and name in (s.symbol, s.name)), None
        )
        if scrip is None:
            return []
        bars = self._bars(scrip, "D", data, "from", "to")
        return [json.dumps(wire.day_row(bar, scrip)) for bar in reversed(bars)][:1201]

    def _bars(self, scrip: wire.Scrip, interval: str, data: Data, first: str, last: str) -> list:  # type: ignore[type-arg]
        now = self.clock.now().timestamp()
        start, end = (float(str(data.get(name) or now)) for name in (first, last))
        days = [self.local_day(at) for at in (start, end)]
        bars = self.market.candles(scrip.instrument, interval, *days)
        return [bar for bar in bars if interval == "D" or start <= bar.start <= end]

    # -- margins
    def _basket(self, data: Data) -> dict[str, object]:
        legs = [data, *list(data.get("basketlists") or [])]  # type: ignore[call-overload]
        total = sum((self._margin(leg) for leg in legs), Decimal(0))
        return self._ok(marginused=f"{total:.2f}", marginusedtrade=f"{total:.2f}", marginusedprev="0.00")

    def _order_margin(self, data: Data) -> dict[str, object]:
        return self._ok(ordermargin=f"{self._margin(data):.2f}", cash="1000000.00")

    def _margin(self, data: Data) -> Decimal:
        order = PlaceOrder(
            client_order_id="",
            instrument=self.scrip(data).instrument,
            side=_word(wire.SIDES, data, "trantype"),
            product=_word(wire.PRODUCTS, data, "prd"),
            order_type=_word(wire.TYPES, data, "prctyp"),
            quantity=_number(data, "qty") or Decimal(0),
            price=_number(data, "prc"),
        )
        return self.exchange.margin(order)

    # -- small things
    def spelling(self, instrument: Instrument) -> str:
        return self.of(instrument).symbol

    def _master(self, name: str) -> Answer:
        scrips = list(self.by_key.values())
        if self.house.keyed:
            wanted = {"NSE_Equity.csv": "NSE", "BSE_Equity.csv": "BSE", "Nfo_Index_Derivatives.csv": "NFO",
                      "Bfo_Index_Derivatives.csv": "BFO", "Currency_Derivatives.csv": "CDS",
                      "Commodity.csv": "MCX"}.get(name)  # fmt: skip
            rows = [
                s.flat_row() for s in scrips if s.exchange == wanted and s.instrument.exchange != "BSE_INDEX"
            ]
            return Answer(200, "\n".join([wire.FLAT_COLUMNS, *rows, ""]).encode(), "text/csv")
        exchange = name.removesuffix("_symbols.txt.zip")
        if exchange not in ("NSE", "BSE", "NFO", "BFO", "CDS", "MCX"):
            raise NorenError("not found", 404)
        return Answer(200, wire.master(scrips, self.house.ticks, exchange), "application/zip")

    def scrip(self, data: Data) -> wire.Scrip:
        scrip = self.by_symbol.get((str(data.get("exch")), unquote_plus(str(data.get("tsym")))))
        if scrip is None:
            raise NorenError("Invalid Input : Invalid Trading Symbol")
        return scrip

    def of(self, instrument: Instrument) -> wire.Scrip:
        return self.by_instrument[instrument.key]

    def last(self, instrument: Instrument) -> float:
        quote = self.market.quote(instrument, self.clock.now())
        assert quote is not None
        return quote.last_price


def _unpacked(body: str) -> tuple[Data, str]:
    """The JSON of `jData=`, and the `jKey` behind it when there is one."""
    text, _, key = body.partition("&jKey=")
    if not text.startswith("jData="):
        raise NorenError("Invalid Input : jData is not there")
    try:
        data = json.loads(unquote(text.removeprefix("jData=")))
    except ValueError:
        raise NorenError("Invalid Input : jData is not valid json object") from None
    return data, key


def _word(table: dict, data: Data, name: str):  # type: ignore[no-untyped-def,type-arg]
    for member, code in table.items():
        if code == data.get(name):
            return member
    raise NorenError(f"Invalid Input : {name}")


def _number(data: Data, name: str) -> Decimal | None:
    text = str(data.get(name) or "0")
    try:
        return (Decimal(text) if text != "None" else Decimal(0)) or None
    except InvalidOperation:
        raise NorenError(f"Invalid Input : {name}") from None


def _some(rows: list) -> list:  # type: ignore[type-arg]
    if not rows:
        raise NorenError(NO_DATA)
    return rows


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

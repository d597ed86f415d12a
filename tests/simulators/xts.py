"""Symphony XTS, as its servers speak: two services with a token each; one face, seven houses.

Written from the vendor's documents as its houses repeat them, and from xts-api-client 0.1.26.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qsl, urlencode

from domain.model import Instrument, InstrumentKind, ModifyOrder, OrderType, PlaceOrder
from domain.outcomes import Accepted, Outcome, Refused
from tests.simulators import xts_wire as wire
from tests.simulators.exchange import Entry
from tests.simulators.transport import Answer, Request
from tests.simulators.xts_socket import XtsSocket

Data = dict[str, object]
INTERVALS = {"1": "1s", "60": "1m", "120": "2m", "180": "3m", "300": "5m", "600": "10m", "900": "15m", "1800": "30m",
             "3600": "1h", "D": "D"}  # fmt: skip
BINARY, JSON = "apibinarymarketdata", "apimarketdata"
FOUR = ("NSECM", "BSECM", "NSEFO", "BSEFO")


@dataclass(frozen=True, slots=True)
class House:
    """What differs. `login`: "key", "access" (token by redirect) or "session" (finished session by redirect)."""

    mounts: tuple[str, ...] = (JSON,)
    market: str = JSON
    feed: str = JSON
    login: str = "key"
    segments: tuple[str, ...] = tuple(wire.SEGMENTS)
    iso_times: bool = False
    bare_positions: bool = False
    margin: bool = False


HOUSES = {
    "iifl": House(iso_times=True),
    "fivepaisaxts": House(segments=FOUR),
    "compositedge": House(login="access"),
    "ibulls": House(mounts=(JSON, BINARY), market=BINARY, feed=BINARY, segments=(*FOUR, "MCXFO")),
    "jainamxts": House(mounts=(BINARY,), market=BINARY, feed=BINARY, segments=FOUR),
    "rmoney": House(mounts=(JSON, BINARY), market=BINARY, login="session", segments=FOUR, bare_positions=True,
                    margin=True),
}  # fmt: skip


class XtsError(Exception):
    """A refusal: `type` error with a code and words."""

    def __init__(self, code: str, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.code, self.words, self.status = code, words, status


class XtsSimulator(XtsSocket):
    """One house."""

    user = "XT1234"
    investor = True
    rates = dict.fromkeys(("place", "modify", "cancel"), 10.0) | {"": 20.0}

    def __init__(self, name: str = "iifl", seed: int = 0) -> None:
        self.house = HOUSES.get(name, House())
        super().__init__(name, seed)
        numbers: dict[str, int] = {}
        self.by_key: dict[tuple[int, int], wire.Scrip] = {}
        for instrument in self.exchange.instruments.values():
            segment = wire.HOMES[instrument.exchange]
            numbers[segment] = numbers.get(segment, 1000) + 1
            scrip = wire.Scrip(instrument, numbers[segment])
            if segment in self.house.segments:
                self.by_key[scrip.key] = scrip
        self.by_instrument = {s.instrument.key: s for s in self.by_key.values()}
        self.modified: set[str] = set()

    def open_sessions(self) -> None:
        self.credentials = {
            "api_key": "xtsinteractivekey",
            "api_secret": self.random(16),
            "api_key_market": "xtsmarketkey",
            "api_secret_market": self.random(16),
            "access_token": self.random(16),
            "redirect_url": self.redirect_url,
            "code": self.new_code(),
        }

    def new_code(self) -> str:
        """The `session` that the login page returns: an access token good for one login, or a session."""
        if self.house.login == "session":
            told = {
                "userID": self.user,
                "token": self._new_token("interactive"),
                "isInvestorClient": self.investor,
            }
        else:
            token = self.random(16)
            self.codes[token] = self.user
            told = {"userID": self.user, "accessToken": token}
        return json.dumps(told)

    def addresses(self, http: str, ws: str) -> dict[str, str]:
        house = self.house
        found = {
            "rest": f"{http}/interactive",
            "market": f"{http}/{house.market}",
            "feed": f"{http}/{house.feed}",
            "stream": f"{ws}/{house.feed}/socket.io",
            "order_stream": f"{ws}/interactive/socket.io",
        }
        page = {} if house.login == "key" else {"login": f"{http}/interactive/thirdparty"}
        return found | page

    # -- routes
    def operation(self, request: Request) -> str:
        mount, _, route = "/".join(part for part in request.path.split("/") if part).partition("/")
        if mount == "interactive":
            return wire.INTERACTIVE.get(f"{request.method} {route}", "")
        return wire.MARKET.get(f"{request.method} {route}", "") if mount in self.house.mounts else ""

    def serve(self, request: Request) -> Answer:
        try:
            told = self._route(request)
        except XtsError as error:
            return self._failed(error.code, error.words, error.status)
        except (KeyError, TypeError) as error:
            return self._failed("e-apirl-0001", f"Bad Request {error}", 400, errors=[{"field": [str(error)]}])
        if isinstance(told, Answer):
            return told
        return Answer.json({"type": "success", "code": f"s-{request.op}-0001", "description": "Request sent",
                            "result": told})  # fmt: skip

    def _route(self, request: Request) -> object:
        interactive = request.path.strip("/").startswith("interactive")
        data = _unpacked(request)
        if request.op == "login":
            return self._log_in(data) if interactive else self._market_login(data)
        if request.op == "login page":
            return self._login_page(request)
        handler = self._handlers().get(request.op)
        if handler is None:
            raise XtsError("e-app-004", "Cannot find the route", 404)
        kind = "interactive" if interactive else "market"
        if request.op not in ("instruments", "indices"):
            self._check_token(request, kind)
        if request.op == "logout":
            return self._log_out(kind)
        return handler(data)

    def _handlers(self) -> dict[str, Callable[[Data], object]]:
        return {
            "logout": lambda data: {},
            "place": self._place,
            "modify": self._modify,
            "cancel": self._cancel,
            "cancel all": self._cancel_all,
            "orders": self._orders,
            "trades": lambda data: self._trades(),
            "positions": self._positions,
            "convert": self._convert,
            "holdings": lambda data: self._holdings(),
            "funds": lambda data: self._balance(),
            "profile": lambda data: {"ClientId": self.user, "ClientName": "Rehearsal Trader"},
            "quotes": self._quotes,
            "candles": self._ohlc,
            "instruments": self._master,
            "indices": self._indices,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "config": lambda data: {"exchangeSegments": wire.SEGMENTS},
            "search": self._search,
            **({"margin": self._margin} if self.house.margin else {}),
        }

    def failure(self, kind: str, status: int | None) -> Answer:
        if kind == "no_id":
            return Answer.json({"type": "success", "code": "s-orders-0001", "description": "Request sent",
                                "result": {}}, status or 200)  # fmt: skip
        code, words, usual = {
            "rate_limit": ("e-apirl-0004", "API rate limit exceeded", 429),
            "expired": ("e-session-0007", "Invalid Token", 400),
            "refuse": ("e-orders-0005", "Refused by the rehearsal", 400),
            "unavailable": ("e-app-001", "Internal server error", 500),
        }[kind]
        return self._failed(code, words, status or usual)

    @staticmethod
    def _failed(code: str, words: str, status: int, **more: object) -> Answer:
        told = {"type": "error", "code": code, "description": words, "result": more}
        return Answer.json(told, status)

    # -- login
    def _check_token(self, request: Request, kind: str) -> None:
        if self.tokens.get(request.headers.get("authorization", "")) != kind:
            raise XtsError("e-session-0007", "Invalid Token")

    def _login_page(self, request: Request) -> Answer:
        if request.argument("appKey") != self.credentials["api_key"]:
            raise XtsError("e-user-0001", "Invalid appKey")
        back = request.argument("returnURL")
        if self.posts_back:
            return Answer.page(wire.approval(back, self.new_code()))
        return Answer.redirect(
            f"{back}{'&' if '?' in back else '?'}{urlencode({'session': self.new_code()})}"
        )

    def _log_in(self, data: Data) -> Data:
        keys = self.credentials
        if (data.get("appKey"), data.get("secretKey")) != (keys["api_key"], keys["api_secret"]):
            raise XtsError("e-user-0001", "Invalid appKey or secretKey")
        if self.house.login == "access" and self.codes.pop(str(data.get("accessToken")), None) is None:
            raise XtsError("e-user-0001", "Invalid accessToken")
        token = self._new_token("interactive")
        return {"token": token, "userID": self.user, "isInvestorClient": self.investor, "enums": {}}

    def _market_login(self, data: Data) -> Data:
        """A new market login ends the one before."""
        keys = self.credentials
        if (data.get("appKey"), data.get("secretKey")) != (keys["api_key_market"], keys["api_secret_market"]):
            raise XtsError("e-user-0001", "Invalid appKey or secretKey")
        self._log_out("market")
        self.subscribed.clear()
        return {"token": self._new_token("market"), "userID": self.user, "appVersion": "2.0",
                "application_expiry_date": "31-12-2030"}  # fmt: skip

    def _new_token(self, kind: str) -> str:
        token = f"eyJ{self.random(24)}"
        self.tokens[token] = kind
        return token

    def _log_out(self, kind: str) -> Data:
        for token in [token for token, of in self.tokens.items() if of == kind]:
            del self.tokens[token]
        return {}

    # -- orders
    def _place(self, data: Data) -> object:
        order = PlaceOrder(
            client_order_id=str(data.get("orderUniqueIdentifier") or ""),
            instrument=self._named(data["exchangeSegment"], data["exchangeInstrumentID"]).instrument,
            side=_word(wire.SIDES, data, "orderSide"),
            product=_word(wire.PRODUCTS, data, "productType"),
            order_type=_word(wire.TYPES, data, "orderType"),
            quantity=_number(data, "orderQuantity") or Decimal(0),
            price=_number(data, "limitPrice"),
            trigger_price=_number(data, "stopPrice"),
            disclosed_quantity=_number(data, "disclosedQuantity") or Decimal(0),
        )
        if len(order.client_order_id) > 20:
            raise XtsError("e-orders-0001", "orderUniqueIdentifier is longer than 20")
        told = self._taken(self.exchange.place(self.user, order, store_refused=True))
        return told | {"OrderUniqueIdentifier": order.client_order_id, "ClientID": self.user}

    def _modify(self, data: Data) -> object:
        entry = self._entry(data)
        kind: OrderType = _word(wire.TYPES, data, "modifiedOrderType")
        change = ModifyOrder(
            client_order_id="",
            order_id=entry.order.order_id,
            instrument=entry.instrument,
            side=entry.order.side,
            product=_word(wire.PRODUCTS, data, "modifiedProductType"),
            order_type=kind,
            quantity=_number(data, "modifiedOrderQuantity") or entry.order.quantity,
            price=_number(data, "modifiedLimitPrice"),
            trigger_price=_number(data, "modifiedStopPrice"),
        )
        told = self._taken(self.exchange.modify(self.user, change))
        self.modified.add(entry.order.order_id)
        return told

    def _cancel(self, data: Data) -> object:
        return self._taken(self.exchange.cancel(self.user, self._entry(data).order.order_id))

    def _convert(self, data: Data) -> object:
        """The request is taken; whether it is done shows in the positions alone."""
        one = self._named(data["exchangeSegment"], data["exchangeInstrumentID"]).instrument
        products = _word(wire.PRODUCTS, data, "oldProductType"), _word(wire.PRODUCTS, data, "newProductType")
        assert data["isDayWise"] in (True, False)
        self.exchange.convert(self.user, one, _number(data, "targetQty") or Decimal(0), products)
        return {}

    def _cancel_all(self, data: Data) -> object:
        wanted = self._named(data["exchangeSegment"], data["exchangeInstrumentID"]).instrument.key
        for entry in self.exchange.orders(self.user):
            if entry.instrument.key == wanted and entry.order.pending:
                self.exchange.cancel(self.user, entry.order.order_id)
        return {}

    def _entry(self, data: Data) -> Entry:
        entry = self.exchange.entries.get(str(data.get("appOrderID")))
        if entry is None:
            raise XtsError("e-orders-0006", "Order Not Found")
        return entry

    @staticmethod
    def _taken(outcome: Outcome) -> Data:
        """Refused placements have a number too; their row says why."""
        if isinstance(outcome, Accepted):
            return {"AppOrderID": int(outcome.order_id)}
        assert isinstance(outcome, Refused)
        if outcome.order_id and outcome.code != "NOT_OPEN" and outcome.order_id.isdecimal():
            return {"AppOrderID": int(outcome.order_id)}
        raise XtsError("e-orders-0002", outcome.words)

    def _orders(self, data: Data) -> object:
        """Newest first. With a number, that order alone."""
        entries = list(reversed(self.exchange.orders(self.user)))
        if wanted := data.get("appOrderID"):
            entries = [entry for entry in entries if entry.order.order_id == str(wanted)]
        rows = [self._order_row(entry) for entry in entries]
        if rows and self.plan.pick("orders", frozenset({"unknown_status"})):
            rows[0]["OrderStatus"] = "HeldAtDesk"
        if rows and self.plan.pick("orders", frozenset({"bad_row"})):
            rows[0] |= {"OrderQuantity": "many", "OrderSide": "?"}
        return rows

    def _order_row(self, entry: Entry) -> Data:
        modified = entry.order.order_id in self.modified
        return wire.order_row(entry, self._of(entry.instrument), modified, self.house.iso_times)

    def _trades(self) -> object:
        found = []
        for trade in reversed(self.exchange.trades(self.user)):
            row = self._order_row(self.exchange.entries[trade.order_id])
            found.append(wire.trade_row(trade, row, self.house.iso_times))
        return found

    # -- portfolio
    def _positions(self, data: Data) -> object:
        if data.get("dayOrNet") not in ("NetWise", "DayWise"):
            raise XtsError("e-portfolio-0001", "dayOrNet is required")
        bare = self.house.bare_positions
        id_name = "ExchangeInstrumentID" if bare else "ExchangeInstrumentId"
        rows = []
        for line in self.exchange.lines(self.user):
            quote = self.market.quote(line.instrument, self.clock.now())
            assert quote is not None
            rows.append(wire.position_row(line, self._of(line.instrument), quote.last_price, id_name))
        return rows if bare else {"positionList": rows}

    def _holdings(self) -> object:
        rows = [wire.holding_row(h, self._of(h.instrument)) for h in self.exchange.holdings(self.user)]
        return {"ClientId": self.user, "RMSHoldings": {"Holdings": {str(row["ISIN"]): row for row in rows}}}

    def _balance(self) -> object:
        account = self.exchange.account(self.user)
        used = account.balances.orders + account.balances.positions
        return wire.balance(self.user, account.available, used)

    def _margin(self, data: Data) -> object:
        total = Decimal(0)
        for leg in data["portfolio"]:  # type: ignore[attr-defined]
            scrip = self.by_key.get((int(leg["exchange"]), int(leg["exchangeInstrumentId"])))
            if scrip is None:
                raise XtsError("e-margin-0001", "Invalid instrument")
            total += self.exchange.margin(
                PlaceOrder(
                    client_order_id="",
                    instrument=scrip.instrument,
                    side=_word(wire.SIDES, leg, "orderSide"),
                    product=_word(wire.PRODUCTS, leg, "productType"),
                    order_type=_word(wire.TYPES, leg, "orderType"),
                    quantity=_number(leg, "quantity") or Decimal(0),
                    price=_number(leg, "price"),
                )
            )
        return {"brokerageDeatils": {"IsValid": True, "MarginRequired": float(total), "MarginAvailable": 1000000,
                                     "MarginShortfall": 0, "ErrorMessage": ""}}  # fmt: skip

    # -- market data
    def _quotes(self, data: Data) -> object:
        """Numbers of segments and instruments must be numbers here; what is not known is left out."""
        code = int(str(data["xtsMessageCode"]))
        listed = [json.dumps(self.look(code, scrip)) for scrip in self._listed(data)]
        return {"mdp": code, "quotesList": data["instruments"], "listQuotes": listed}

    def _listed(self, data: Data) -> list[wire.Scrip]:
        asked = data["instruments"]
        if isinstance(asked, str):
            asked = json.loads(asked)
        assert isinstance(asked, list)
        if len(asked) > 50:
            raise XtsError("e-quotes-0001", "more than 50 instruments")
        keys = [(one["exchangeSegment"], one["exchangeInstrumentID"]) for one in asked]
        if not all(isinstance(part, int) for key in keys for part in key):
            raise XtsError("e-quotes-0002", "Bad Request")
        return [self.by_key[key] for key in keys if key in self.by_key]

    def _subscribe(self, data: Data) -> object:
        code = int(str(data["xtsMessageCode"]))
        found = self._listed(data)
        fresh = [scrip for scrip in found if code not in self.subscribed.get(scrip.key, ())]
        if found and not fresh:
            raise XtsError("e-session-0002", "Instrument Already Subscribed !")
        for scrip in fresh:
            self.subscribed.setdefault(scrip.key, set()).add(code)
        told = [json.dumps(self.look(code, scrip)) for scrip in fresh]
        return {
            "mdp": code,
            "quotesList": data["instruments"],
            "listQuotes": told,
            "Remaining_Subscription_Count": 900,
        }

    def _unsubscribe(self, data: Data) -> object:
        for scrip in self._listed(data):
            self.subscribed.get(scrip.key, set()).discard(int(str(data["xtsMessageCode"])))
        return {"mdp": data["xtsMessageCode"], "unsubList": data["instruments"]}

    def _ohlc(self, data: Data) -> object:
        scrip = self._named(data["exchangeSegment"], data["exchangeInstrumentID"])
        code = str(data["compressionValue"])
        interval = INTERVALS.get(code)
        if interval is None:
            raise XtsError("e-ohlc-0001", "Invalid compressionValue")
        days = [wire.chart_day(str(data[name])).date() for name in ("startTime", "endTime")]
        if (days[1] - days[0]).days > 7:
            raise XtsError("e-ohlc-0002", "The span is too long")
        bars = self.market.candles(scrip.instrument, interval, *days)
        told = wire.bars(bars, interval, 0 if interval == "D" else int(code))
        return {"exchangeSegment": data["exchangeSegment"], "exchangeInstrumentID": str(scrip.number),
                "dataReponse": told}  # fmt: skip

    # -- the master
    def _master(self, data: Data) -> object:
        listed = data["exchangeSegmentList"]
        segment = str(listed[0] if isinstance(listed, list) else listed)
        if segment not in self.house.segments:
            raise XtsError("e-instrument-0002", "Invalid exchange segment")
        rows = []
        for scrip in self.by_key.values():
            index = scrip.instrument.kind is InstrumentKind.INDEX
            if scrip.segment == segment and (not index or scrip.name == "SENSEX"):
                rows.append(scrip.master_row())
            if scrip.segment == segment and scrip.instrument.kind is InstrumentKind.FUTURE:
                rows.append(scrip.spread_row())
        return "\n".join(rows)

    def _indices(self, data: Data) -> object:
        number = int(str(data["exchangeSegment"]))
        found = [
            s
            for s in self.by_key.values()
            if s.key[0] == number and s.instrument.kind is InstrumentKind.INDEX
        ]
        return {"exchangeSegment": number, "indexList": [f"{s.name}_{s.number}" for s in found]}

    def _search(self, data: Data) -> object:
        wanted = str(data["searchString"]).upper()
        return [{"ExchangeSegment": s.key[0], "ExchangeInstrumentID": s.number, "Name": s.name}
                for s in self.by_key.values() if wanted in s.symbol]  # fmt: skip

    # -- small things
    def spelling(self, instrument: Instrument) -> str:
        scrip = self.by_instrument.get(instrument.key)
        return scrip.symbol if scrip else instrument.symbol

    def _of(self, instrument: Instrument) -> wire.Scrip:
        return self.by_instrument[instrument.key]

    def _named(self, segment: object, number: object) -> wire.Scrip:
        """By the segment's name or number, as texts or numbers."""
        code = wire.SEGMENTS.get(str(segment)) or int(str(segment))
        scrip = self.by_key.get((code, int(str(number))))
        if scrip is None:
            raise XtsError("e-orders-0001", "Invalid instrument")
        return scrip


def _unpacked(request: Request) -> Data:
    """The query, and a body of JSON or of a form, whatever its declared type."""
    found: Data = dict(request.query)
    if request.body:
        text = request.body.decode()
        try:
            found |= json.loads(text)
        except ValueError:
            found |= dict(parse_qsl(text))
    return found


def _word(table: dict, data: Data, name: str):  # type: ignore[no-untyped-def,type-arg]
    for member, code in table.items():
        if code.upper() == str(data.get(name)).upper():
            return member
    raise XtsError("e-orders-0001", f"Bad Request: {name}")


def _number(data: Data, name: str) -> Decimal | None:
    try:
        return Decimal(str(data.get(name) or 0)) or None
    except InvalidOperation:
        raise XtsError("e-orders-0001", f"Bad Request: {name}") from None

"""XTS over HTTP: orders and books at one service, market data at the other. A house overrides attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson

from broker import fields
from broker.data_session import DataSessionBroker
from broker.families.xts import instruments, login, wire
from broker.families.xts.stream import XtsStream
from broker.http import Call, Reply
from broker.interface import BrokerSession, InstrumentLookup, Tokens
from domain import market, model
from domain.clock import Clock
from domain.conversion import ConvertPosition
from domain.errors import (
    BadResponse,
    BrokerError,
    BrokerUnavailable,
    OrderNotFound,
    OrderRejected,
    RateLimited,
    SessionOver,
)
from domain.masters import BadRow
from domain.model import Instrument
from domain.outcomes import Accepted, Outcome

Opening = Callable[..., Tokens]
DEPTH, INTEREST = 1502, 1510
_TOKENS = {"rest": "access_token", "market": "market_token"}
_DAILY = "D"
_REFUSED = frozenset({"400", "404"})


class XtsBroker(DataSessionBroker):
    """One session at an XTS house. Tokens: user_id, access_token (orders), market_user_id, market_token (data).

    opening  how a session begins: `login.with_key`, `login.with_access_token` or `login.with_session`
    """

    opening: ClassVar[Opening] = staticmethod(login.with_key)
    stream = XtsStream
    data_role, data_token, token_header = "market", "market_token", "authorization"

    def __init__(self, session: BrokerSession, find: InstrumentLookup, clock: Clock) -> None:
        super().__init__(session, find, clock)
        self._tags: dict[str, str] = {}

    # -- login
    @classmethod
    def login_page(cls, values: Mapping[str, str], urls: Mapping[str, str], state: str) -> str:
        """Houses with a redirect have a `login` address; the page returns to the address that the form names."""
        if "login" not in cls.manifest.urls:
            return ""
        page, back = urls.get("login") or cls.manifest.urls["login"], values.get("redirect_url", "")
        back += f"{'&' if '?' in back else '?'}{urlencode({'state': state})}"
        return f"{page}?{urlencode({'appKey': values['api_key'], 'returnURL': back})}"

    @classmethod
    def log_in(cls, values: Mapping[str, str], urls: Mapping[str, str], clock: Clock) -> Tokens:
        return cls.opening(cls.manifest, values, {**cls.manifest.urls, **urls}, clock)

    @classmethod
    def log_in_data(cls, values: Mapping[str, str], urls: Mapping[str, str], clock: Clock) -> dict[str, str]:
        return login.market_tokens(cls.manifest, values, {**cls.manifest.urls, **urls}, clock)

    def log_out(self) -> None:
        self.tell(self._call("logout", "DELETE", "user/session"))
        self.tell(self._data_call("logout", "DELETE", "auth/logout"))

    # -- envelope
    def _call(
        self,
        op: str,
        method: str,
        route: str,
        body: Mapping[str, object] | None = None,
        *,
        service: str = "rest",
        **how: Any,
    ) -> Call:
        """A call to the order service, or with `market` to the other; `how` are further fields of Call."""
        token = self.session.tokens[_TOKENS[service]]
        headers = {"authorization": token, "Content-Type": "application/json"}
        how["body"] = orjson.dumps(body) if body else b""
        return Call(op=op, method=method, url=f"{self.url(service)}/{route}", headers=headers, **how)

    def _data_call(
        self, op: str, method: str, route: str, body: Mapping[str, object] | None = None, **how: Any
    ) -> Call:
        return self._call(op, method, route, body, service="market", **how)

    def read_envelope(self, reply: Reply) -> object:
        """`type` decides, not the HTTP status; an empty book may be a failure that says so."""
        answer = fields.row(self.decoded(reply))
        if fields.text(answer, "type").lower() == "success":
            return answer["result"]
        code, words = fields.maybe_text(answer, "code"), wire.words(answer)
        told = words.lower()
        if "data not available" in told or "no data" in told:
            return []
        raise self._error(code, told, words or f"HTTP {reply.status}", reply)

    def _error(self, code: str, told: str, words: str, reply: Reply) -> BrokerError | SessionOver:
        name = self.manifest.name
        if wire.refuses_token(told, reply.status):
            return SessionOver(words)
        if code == "e-apirl-0004" or "rate limit" in told or "too many" in told:
            return RateLimited(name, code, words, reply.retry_after)
        if reply.status >= 500:
            return BrokerUnavailable(name, code, words)
        if code.startswith("e-app") or "timeout" in told or "timed out" in told or not told:
            return BadResponse(name, code, words)
        if "order" in told and "not found" in told:
            return OrderNotFound(name, code, words)
        return OrderRejected(name, code, words)

    def parse_order_id(self, payload: object) -> str:
        return wire.order_id(fields.row(payload))

    # -- orders
    def build_place(self, order: model.PlaceOrder) -> Call:
        data = wire.order_data(order)
        return self._call("place", "POST", "orders", data, kind="orders", urgent=order.urgent)

    def build_modify(self, change: model.ModifyOrder) -> Call:
        data = wire.modify_data(change, self._tags.get(change.order_id, ""))
        return self._call("modify", "PUT", "orders", data, kind="orders")

    def _place(self, order: model.PlaceOrder) -> Outcome:
        outcome = super()._place(order)
        if isinstance(outcome, Accepted):
            self._tags[outcome.order_id] = order.client_order_id
        return outcome

    def _modify(self, change: model.ModifyOrder) -> Outcome:
        """A change carries its order's tag. Another process may have placed it: then the book tells, if it can."""
        if change.order_id not in self._tags:
            with suppress(BrokerError, SessionOver):
                self._fetch_orders()
        return super()._modify(change)

    def build_cancel(self, wish: model.CancelOrder) -> Call:
        query = [("appOrderID", wish.order_id)]
        return self._call("cancel", "DELETE", "orders", query=query, kind="orders", urgent=True)

    def build_convert(self, wish: ConvertPosition, *, carried: bool) -> Call:
        """A success says "request sent" alone: https://utradealgos.dev/site/portfolio/position_conversion, read
        2026-11-25."""
        return self._call("convert", "PUT", "portfolio/positions/convert", wire.convert_data(wish))

    # -- books
    def _fetch_orders(self) -> list[model.Order]:
        def parse(payload: object) -> list[model.Order]:
            rows = fields.rows(payload)
            found = [wire.parse_order(row, self.find) for row in rows]
            tags = [fields.maybe_text(row, "OrderUniqueIdentifier") for row in rows]
            self._tags.update((order.order_id, tag) for order, tag in zip(found, tags, strict=True))
            return sorted(found, key=lambda order: (order.placed_at, int(order.order_id)))

        return self.read(self._call("orders", "GET", "orders"), parse)

    def _fetch_trades(self) -> list[model.Trade]:
        def parse(payload: object) -> list[model.Trade]:
            found = [wire.parse_trade(row, self.find) for row in fields.rows(payload)]
            return sorted(found, key=lambda trade: trade.traded_at)

        return self.read(self._call("trades", "GET", "orders/trades"), parse)

    def _fetch_positions(self) -> list[model.Position]:
        """Some servers put the rows into an object, some do not; an empty object is an empty list."""

        def parse(payload: object) -> list[model.Position]:
            listed = payload["positionList"] if isinstance(payload, dict) and payload else payload or []
            return [wire.parse_position(row, self.find) for row in fields.rows(listed)]

        query = [("dayOrNet", "NetWise")]
        return self.read(self._call("positions", "GET", "portfolio/positions", query=query), parse)

    def _fetch_holdings(self) -> list[model.Holding]:
        def parse(payload: object) -> list[model.Holding]:
            return wire.parse_holdings(payload, self.find) if payload != [] else []

        return self.read(self._call("holdings", "GET", "portfolio/holdings"), parse)

    def _fetch_funds(self) -> model.Funds:
        return self.read(self._call("funds", "GET", "user/balance"), wire.parse_funds)

    def _fetch_margin(self, orders: Sequence[model.PlaceOrder]) -> model.Margin:
        data = {"portfolio": [wire.margin_data(order) for order in orders]}
        return self.read(self._call("margin", "POST", "orders/margindetails", data), wire.parse_margin)

    # -- market data
    def _market_call(self, instruments: Sequence[Instrument], code: int) -> Call:
        listed = [wire.numbered(one) for one in instruments]
        body = {"instruments": listed, "xtsMessageCode": code, "publishFormat": "JSON"}
        return self._data_call("quotes", "POST", "instruments/quotes", body, kind="quotes")

    def build_quotes(self, instruments: Sequence[Instrument]) -> Call:
        return self._market_call(instruments, DEPTH)

    def parse_quotes(self, payload: object, instruments: Sequence[Instrument]) -> list[market.Quote | None]:
        told, now = _by_number(payload), self.clock.now()
        found = [(one, told.get(_number(one))) for one in instruments]
        return [wire.parse_quote(wire.touchline(row), one, now) if row else None for one, row in found]

    def _fetch_quotes(self, instruments: Sequence[Instrument]) -> list[market.Quote | None]:
        """Open interest is another message, asked only of contracts."""
        quotes = super()._fetch_quotes(instruments)
        at = [n for n, one in enumerate(instruments) if one.expiry and quotes[n] is not None]
        size = self.manifest.limits.quotes_per_call
        for start in range(0, len(at), size):
            batch = [instruments[n] for n in at[start : start + size]]
            told = self.read(self._market_call(batch, INTEREST), _by_number)
            for n in at[start : start + size]:
                quote, row = quotes[n], told.get(_number(instruments[n]))
                if quote is not None and row is not None:
                    quotes[n] = replace(quote, open_interest=fields.whole(row, "OpenInterest"))
        return quotes

    def _fetch_depth(self, instrument: Instrument) -> market.Depth:
        def parse(payload: object) -> market.Depth:
            row = _by_number(payload)[_number(instrument)]
            return wire.parse_depth(row, instrument, self.clock.now())

        return self.read(self.build_quotes([instrument]), parse)

    def build_candles(self, instrument: Instrument, code: str, start: date, end: date) -> Call:
        query = [
            ("exchangeSegment", instrument.broker_exchange),
            ("exchangeInstrumentID", instrument.broker_token),
            ("startTime", wire.chart_time(datetime.combine(start, time.min))),
            ("endTime", wire.chart_time(datetime.combine(end, time.max))),
            ("compressionValue", code),
        ]
        return self._data_call("candles", "GET", "instruments/ohlc", query=query, kind="candles")

    def parse_candles(self, payload: object, interval: str) -> list[market.Candle]:
        code = self.manifest.can.candles[interval].code
        return wire.parse_bars(payload, interval, 0 if code == _DAILY else int(code)) if payload else []

    # -- the master
    def _fetch_instruments(
        self, folder: Path, progress: Callable[[str, int, int], None]
    ) -> Iterable[Instrument | BadRow]:
        """A file for each segment and for each list of indices. A refused one is reported beside what the rest hold."""
        segments = [wire.SEGMENT.write(one) for one in model.Exchange if one in self.manifest.can.exchanges
                    and one not in model.QUOTE_ONLY]  # fmt: skip
        calls = {
            f"{segment}.json": self._data_call(
                "instruments", "POST", "instruments/master", {"exchangeSegmentList": [segment]}
            )
            for segment in segments
        }
        for segment in {"NSECM", "BSECM"} & set(segments):
            query = [("exchangeSegment", str(wire.NUMBERS[segment]))]
            calls[f"{segment}.indices.json"] = self._data_call(
                "indices", "GET", "instruments/indexlist", query=query
            )
        missing = []
        for name, call in calls.items():
            try:
                self.download(call, folder / name, progress)
            except BadResponse as error:
                if error.code not in _REFUSED:
                    raise
                (folder / name).unlink(missing_ok=True)
                missing.append(BadRow(0, "a file of the master was refused", f"{name}: {error}"))
        return [*missing, *instruments.read(folder)] if missing else instruments.read(folder)


def _number(instrument: Instrument) -> tuple[int, int]:
    return wire.NUMBERS[instrument.broker_exchange], int(instrument.broker_token)


def _by_number(payload: object) -> dict[tuple[int, int], fields.Row]:
    """Market data objects by segment and number. Each is JSON inside a string."""
    if payload == []:
        return {}
    found = {}
    for text in fields.row(payload)["listQuotes"]:  # type: ignore[attr-defined]
        row = fields.row(orjson.loads(text) if isinstance(text, str) else text)
        number = fields.whole(row, "ExchangeSegment"), fields.whole(row, "ExchangeInstrumentID")
        found[number] = row
    return found

"""Kite Connect v3 over HTTP: which call serves which wish, and what its error types mean."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import orjson

from broker import catalog, fields
from broker.http import Call, Reply
from broker.interface import BrokerSession, InstrumentLookup, Tokens
from broker.postback import Postback
from broker.protection import protected_leg
from broker.sequence import RestBroker, form
from broker.zerodha import instruments, login, postback, wire
from broker.zerodha.stream import KiteStream
from domain import market, model
from domain.clock import Clock
from domain.conversion import ConvertPosition
from domain.errors import (
    BadResponse,
    BrokerError,
    BrokerUnavailable,
    InsufficientFunds,
    OrderNotFound,
    OrderRejected,
    RateLimited,
    SessionOver,
)
from domain.masters import BadRow
from domain.model import Instrument
from domain.outcomes import Outcome, Refused

# https://kite.trade/docs/connect/v3/exceptions/, read 2026-11-24
ERRORS: dict[str, type[BrokerError]] = {
    "InputException": OrderRejected,
    "OrderException": OrderRejected,
    "UserException": OrderRejected,
    "PermissionException": OrderRejected,
    "HoldingException": OrderRejected,
    "MarginException": InsufficientFunds,
    "NetworkException": BrokerUnavailable,
    "DataException": BadResponse,
    "GeneralException": BadResponse,
}
_REGULAR = "regular"


class Zerodha(RestBroker):
    """One Kite Connect session. Tokens: api_key, access_token, user_id."""

    manifest = catalog.manifest("zerodha")
    stream: ClassVar[type[KiteStream]] = KiteStream
    no_market_data = frozenset({"PermissionException"})

    def __init__(self, session: BrokerSession, find: InstrumentLookup, clock: Clock) -> None:
        super().__init__(session, find, clock)
        tokens = session.tokens
        self._headers = {
            "X-Kite-Version": "3",
            "Authorization": f"token {tokens['api_key']}:{tokens['access_token']}",
            "Accept-Encoding": "gzip",
        }
        self._varieties: dict[str, str] = {}
        self._varieties_lock = threading.Lock()

    @classmethod
    def login_page(cls, values: Mapping[str, str], urls: Mapping[str, str], state: str) -> str:
        return login.page(values, urls, state)

    @classmethod
    def log_in(cls, values: Mapping[str, str], urls: Mapping[str, str], clock: Clock) -> Tokens:
        return login.log_in(values, urls, clock)

    @classmethod
    def read_postback(cls, body: bytes) -> Postback:
        return postback.read(body)

    def log_out(self) -> None:
        tokens = self.session.tokens
        query = [("api_key", tokens["api_key"]), ("access_token", tokens["access_token"])]
        self.tell(self._call("logout", "DELETE", "/session/token", query=query))

    # -- envelope
    def read_envelope(self, reply: Reply) -> object:
        envelope = fields.row(self.decoded(reply))
        if envelope.get("status") == "success" and not envelope.get("error_type"):
            return envelope["data"]
        if envelope.get("status") != "error" and not envelope.get("error_type"):
            raise ValueError("neither success nor error")
        raise self._error(
            fields.maybe_text(envelope, "error_type"), fields.maybe_text(envelope, "message"), reply
        )

    def _error(self, kind: str, words: str, reply: Reply) -> BrokerError | SessionOver:
        if kind == "TokenException":
            return SessionOver(words)
        if reply.status == 429:
            return RateLimited(self.manifest.name, kind, words, reply.retry_after)
        told = words.lower()
        if kind == "OrderException" and ("timed out" in told or "timeout" in told):
            return BadResponse(self.manifest.name, kind, words)
        if "order_id" in told and ("find" in told or "exist" in told or "invalid" in told):
            return OrderNotFound(self.manifest.name, kind, words)
        return ERRORS.get(kind, BadResponse)(self.manifest.name, kind, words)

    def parse_order_id(self, payload: object) -> str:
        return fields.text(fields.row(payload), "order_id")

    def _call(
        self,
        op: str,
        method: str,
        path: str,
        *,
        kind: str = "default",
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, str] | None = None,
        json: object = None,
        urgent: bool = False,
    ) -> Call:
        headers, content = self._headers, b""
        if body is not None:
            headers = headers | {"Content-Type": "application/x-www-form-urlencoded"}
            content = form(body)
        elif json is not None:
            headers = headers | {"Content-Type": "application/json"}
            content = orjson.dumps(json)
        url = self.url("rest") + path
        return Call(
            op=op,
            method=method,
            url=url,
            kind=kind,
            headers=headers,
            query=query,
            body=content,
            urgent=urgent,
        )

    # -- orders
    def build_place(self, order: model.PlaceOrder) -> Call:
        body = wire.order_form(order)
        return self._call("place", "POST", "/orders/regular", kind="orders", body=body, urgent=order.urgent)

    def build_modify(self, change: model.ModifyOrder) -> Call:
        path = self._order_path(change.order_id)
        return self._call("modify", "PUT", path, kind="orders", body=wire.modify_form(change))

    def build_cancel(self, wish: model.CancelOrder) -> Call:
        return self._call("cancel", "DELETE", self._order_path(wish.order_id), kind="orders", urgent=True)

    def _modify(self, change: model.ModifyOrder) -> Outcome:
        return self._by_variety(change.order_id, lambda: super(Zerodha, self)._modify(change))

    def _cancel(self, wish: model.CancelOrder) -> Outcome:
        return self._by_variety(wish.order_id, lambda: super(Zerodha, self)._cancel(wish))

    def _by_variety(self, order_id: str, send: Callable[[], Outcome]) -> Outcome:
        """Send under the variety that we know. When it is refused as unknown, learn the order's own from the book.

        An order placed on the broker's screens (amo, iceberg, auction, co) answers only under its own variety.
        """
        known = self._variety(order_id) != _REGULAR
        outcome = send()
        if known or not isinstance(outcome, Refused) or outcome.code != "ORDER_NOT_FOUND":
            return outcome
        try:
            self.fetch_orders()
        except (BrokerError, SessionOver):
            return outcome
        return send() if self._variety(order_id) != _REGULAR else outcome

    def _order_path(self, order_id: str) -> str:
        return f"/orders/{self._variety(order_id)}/{order_id}"

    def _variety(self, order_id: str) -> str:
        with self._varieties_lock:
            return self._varieties.get(order_id, _REGULAR)

    def _learn_varieties(self, rows: Iterable[fields.Row]) -> None:
        other = {fields.text(r, "order_id"): fields.text(r, "variety") for r in rows if r.get("variety")}
        with self._varieties_lock:
            self._varieties = {order_id: name for order_id, name in other.items() if name != _REGULAR}

    # -- conversions
    def build_convert(self, wish: ConvertPosition, *, carried: bool) -> Call:
        body = wire.convert_form(wish, carried=carried)
        return self._call("convert", "PUT", "/portfolio/positions", body=body)

    def parse_converted(self, payload: object) -> bool:
        if payload is not True:
            raise ValueError("neither done nor refused")
        return True

    def fetch_carried(self, wish: ConvertPosition) -> tuple[Decimal, Decimal]:
        call = self._call("positions", "GET", "/portfolio/positions")
        return self.read(call, lambda payload: wire.parse_carried(payload, wish))

    # -- triggers
    def _place_gtt(self, wish: model.PlaceGtt) -> Outcome:
        return self.write_trigger(self._call("place gtt", "POST", "/gtt/triggers", body=self._gtt(wish)))

    def _modify_gtt(self, trigger_id: str, wish: model.PlaceGtt) -> Outcome:
        path = f"/gtt/triggers/{trigger_id}"
        return self.write_trigger(self._call("modify gtt", "PUT", path, body=self._gtt(wish)))

    def _cancel_gtt(self, trigger_id: str) -> Outcome:
        return self.write_trigger(
            self._call("cancel gtt", "DELETE", f"/gtt/triggers/{trigger_id}", urgent=True)
        )

    def write_trigger(self, call: Call) -> Outcome:
        """As `write`, for answers that carry a trigger's id."""
        return self.write(call, parse_id=lambda payload: fields.text(fields.row(payload), "trigger_id"))

    def _gtt(self, wish: model.PlaceGtt) -> dict[str, str]:
        return wire.gtt_form(wish, [protected_leg(leg, wish.instrument) for leg in wish.legs])

    def _fetch_gtts(self) -> list[model.Gtt]:
        def parse(payload: object) -> list[model.Gtt]:
            found = self.each(wire.parse_gtt)(payload)
            active = [gtt for gtt in found if gtt.status == "active"]
            return sorted(active, key=lambda gtt: str(gtt.created_at), reverse=True)

        return self.read(self._call("gtts", "GET", "/gtt/triggers"), parse)

    # -- books
    def _fetch_orders(self) -> list[model.Order]:
        def parse(payload: object) -> list[model.Order]:
            rows = fields.rows(payload)
            self._learn_varieties(rows)
            return [wire.parse_order(row, self.find) for row in rows]

        return self.read(self._call("orders", "GET", "/orders"), parse)

    def _fetch_trades(self) -> list[model.Trade]:
        return self.read(self._call("trades", "GET", "/trades"), self.each(wire.parse_trade))

    def _fetch_positions(self) -> list[model.Position]:
        call = self._call("positions", "GET", "/portfolio/positions")
        return self.read(call, lambda payload: wire.parse_positions(payload, self.find))

    def _fetch_holdings(self) -> list[model.Holding]:
        return self.read(self._call("holdings", "GET", "/portfolio/holdings"), self.each(wire.parse_holding))

    def _fetch_funds(self) -> model.Funds:
        return self.read(self._call("funds", "GET", "/user/margins"), wire.parse_funds)

    def _fetch_margin(self, orders: Sequence[model.PlaceOrder]) -> model.Margin:
        rows = [wire.margin_row(order) for order in orders]
        if len(rows) == 1:
            return self.read(self._call("margin", "POST", "/margins/orders", json=rows), wire.parse_margin)
        query = [("consider_positions", "true")]
        return self.read(
            self._call("margin", "POST", "/margins/basket", query=query, json=rows), wire.parse_margin
        )

    # -- market data
    def build_quotes(self, instruments: Sequence[Instrument]) -> Call:
        query = [("i", wire.quote_key(instrument)) for instrument in instruments]
        return self._call("quotes", "GET", "/quote", kind="quotes", query=query)

    def parse_quotes(self, payload: object, instruments: Sequence[Instrument]) -> list[market.Quote | None]:
        """What the broker does not know is silently absent from its answer."""
        found, now = fields.row(payload), self.clock.now()
        rows = [(found.get(wire.quote_key(instrument)), instrument) for instrument in instruments]
        return [wire.parse_quote(fields.row(row), i, now) if row is not None else None for row, i in rows]

    def _fetch_depth(self, instrument: Instrument) -> market.Depth:
        def parse(payload: object) -> market.Depth:
            row = fields.row(payload).get(wire.quote_key(instrument))
            return wire.parse_depth(fields.row(row), instrument, self.clock.now())

        return self.read(self.build_quotes([instrument]), parse)

    def build_candles(self, instrument: Instrument, code: str, start: date, end: date) -> Call:
        path = f"/instruments/historical/{instrument.broker_token}/{code}"
        query = [("from", f"{start} 00:00:00"), ("to", f"{end} 23:59:59"), ("continuous", "0"), ("oi", "1")]
        return self._call("candles", "GET", path, kind="candles", query=query)

    def parse_candles(self, payload: object, interval: str) -> list[market.Candle]:
        bars = fields.row(payload).get("candles")
        if not isinstance(bars, list):
            raise ValueError("no candles")
        return [wire.parse_candle(bar, interval == "D") for bar in bars]

    def _fetch_instruments(
        self, folder: Path, progress: Callable[[str, int, int], None]
    ) -> Iterable[Instrument | BadRow]:
        path = folder / "instruments.csv"
        self.download(self._call("instruments", "GET", "/instruments"), path, progress)
        return instruments.read(path)

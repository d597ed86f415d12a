"""Noren over HTTP: one POST a route. A house overrides attributes; what they mean stands beside them."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import ClassVar
from urllib.parse import urlencode

from broker import fields
from broker.families.noren import instruments, login, snapshots, wire
from broker.families.noren.stream import NorenStream, key_of
from broker.http import Call, Reply
from broker.interface import BrokerSession, InstrumentLookup, Tokens
from broker.protection import protected_leg
from broker.sequence import RestBroker
from domain import market, model
from domain.clock import IST, Clock
from domain.conversion import ConvertPosition
from domain.errors import BadResponse, BrokerError, OrderNotFound, OrderRejected, RateLimited, SessionOver
from domain.masters import BadRow
from domain.model import Instrument
from domain.outcomes import Outcome

log = logging.getLogger(__name__)

EVERY_ROUTE = frozenset({"*"})
_DAILY = "EOD"
_FEW = 4
"""Quotes that are asked for one by one, also where a stream brings many."""
_TURN = 5.0
_SESSION_OVER = re.compile(
    r"session (key|token|id|expired|invalid|timed?.?out|not found)|(invalid|expired|no) session"
)
"""Not the bare word: exchanges speak of trading sessions when they refuse an order."""


class NorenBroker(RestBroker):
    """One session at a Noren house. Tokens: user_id, account_id, access_token.

    keyed_routes    routes that want the token as `jKey` in a form body; the others carry it as a Bearer header
    margin_route    GetBasketMargin asks for all orders at once, GetOrderMargin for each (no benefit of a hedge)
    holding_parts   pots that make up a holding, besides the larger of npoadqty and dpqty; `holding_less` go out
    pnl_from_positions  whether Limits says nothing of profit, so that the positions are asked
    place_extra     fields that a house wants in every placement
    masters         the module whose `read` gives the rows of a folder of master files, prices in rupees
    """

    keyed_routes: ClassVar[frozenset[str]] = frozenset()
    margin_route: ClassVar[str] = "GetBasketMargin"
    holding_parts: ClassVar[tuple[str, ...]] = ("btstqty", "holdqty", "brkcolqty", "unplgdqty", "benqty")
    holding_less: ClassVar[tuple[str, ...]] = ("usedqty",)
    master_files: ClassVar[tuple[str, ...]] = tuple(
        f"{exchange}_symbols.txt.zip" for exchange in ("NSE", "BSE", "NFO", "BFO", "CDS", "MCX")
    )
    client_id_name: ClassVar[str] = "client_id"
    pnl_from_positions: ClassVar[bool] = False
    place_extra: ClassVar[Mapping[str, str]] = {}
    masters: ModuleType = instruments
    stream = NorenStream

    def __init__(self, session: BrokerSession, find: InstrumentLookup, clock: Clock) -> None:
        super().__init__(session, find, clock)
        self._streaming = threading.Lock()

    # -- login
    @classmethod
    def login_page(cls, values: Mapping[str, str], urls: Mapping[str, str], state: str) -> str:
        page = urls.get("login") or cls.manifest.urls["login"]
        return f"{page}?{urlencode({cls.client_id_name: values['api_key'], 'state': state})}"

    @classmethod
    def log_in(cls, values: Mapping[str, str], urls: Mapping[str, str], clock: Clock) -> Tokens:
        url = urls.get("rest") or cls.manifest.urls["rest"]
        return login.generate_token(cls.manifest, values, url, clock)

    def log_out(self) -> None:
        self.tell(self._call("Logout", {"ordersource": "API"}))

    # -- envelope
    def _call(
        self, route: str, data: Mapping[str, object], *, kind: str = "default", urgent: bool = False
    ) -> Call:
        tokens = self.session.tokens
        asked = {"uid": tokens["user_id"], "actid": tokens["account_id"], **data}
        keyed = route in self.keyed_routes or self.keyed_routes is EVERY_ROUTE
        if keyed:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            content = wire.body(asked, tokens["access_token"])
        else:
            headers = {"Content-Type": "text/plain", "Authorization": f"Bearer {tokens['access_token']}"}
            content = wire.body(asked)
        url = f"{self.url('rest')}/{route}"
        return Call(op=route, method="POST", url=url, kind=kind, headers=headers, body=content, urgent=urgent)

    def read_envelope(self, reply: Reply) -> object:
        """Books are bare lists; an empty one is a failure that says "no data"."""
        if reply.status == 401:
            raise SessionOver(f"{self.manifest.title} ended the session")
        answer = self.decoded(reply)
        if isinstance(answer, list):
            return answer
        row = fields.row(answer)
        words = fields.maybe_text(row, "emsg")
        if fields.text(row, "stat").lower() != "not_ok" and not words:
            return row
        if "no data" in words.lower():
            return []
        raise self._error(words, reply)

    def _error(self, words: str, reply: Reply) -> BrokerError | SessionOver:
        told, name = words.lower(), self.manifest.name
        if "access token" in told or "invalid token" in told or _SESSION_OVER.search(told):
            return SessionOver(words)
        if "exceeds limit" in told:
            return RateLimited(name, "RATE", words, reply.retry_after)
        if "timeout" in told or "timed out" in told or not words:
            return BadResponse(name, "", words or "a failure without words")
        if "order not found" in told or "no such order" in told:
            return OrderNotFound(name, "", words)
        return OrderRejected(name, "", words)

    def parse_order_id(self, payload: object) -> str:
        row = fields.row(payload)
        return fields.text(row, "norenordno" if "norenordno" in row else "result")

    # -- orders
    def build_place(self, order: model.PlaceOrder) -> Call:
        data = {"ordersource": "API", **wire.order_data(order), **self.place_extra}
        return self._call("PlaceOrder", data, kind="orders", urgent=order.urgent)

    def build_modify(self, change: model.ModifyOrder) -> Call:
        return self._call("ModifyOrder", {"ordersource": "API", **wire.modify_data(change)}, kind="orders")

    def build_cancel(self, wish: model.CancelOrder) -> Call:
        data = {"ordersource": "API", "norenordno": wish.order_id}
        return self._call("CancelOrder", data, kind="orders", urgent=True)

    # -- conversions
    def build_convert(self, wish: ConvertPosition, *, carried: bool) -> Call:
        data = {"ordersource": "API", **wire.convert_data(wish, carried=carried)}
        return self._call("ProductConversion", data)

    def parse_converted(self, payload: object) -> bool:
        if fields.text(fields.row(payload), "stat").lower() != "ok":
            raise ValueError("neither done nor refused")
        return True

    def fetch_carried(self, wish: ConvertPosition) -> tuple[Decimal, Decimal]:
        call = self._call("PositionBook", {})
        return self.read(call, lambda payload: wire.parse_carried(payload, wish))

    # -- triggers
    def _place_gtt(self, wish: model.PlaceGtt) -> Outcome:
        return self._trigger("PlaceGTTOrder", self._gtt(wish))

    def _modify_gtt(self, trigger_id: str, wish: model.PlaceGtt) -> Outcome:
        return self._trigger("ModifyGTTOrder", {"al_id": trigger_id, **self._gtt(wish)})

    def _cancel_gtt(self, trigger_id: str) -> Outcome:
        return self._trigger("CancelGTTOrder", {"al_id": trigger_id})

    def _trigger(self, route: str, data: Mapping[str, object]) -> Outcome:
        call = self._call(route, {"ordersource": "API", **data})
        return self.write(call, parse_id=lambda payload: wire.trigger_id(fields.row(payload)))

    def _gtt(self, wish: model.PlaceGtt) -> dict[str, object]:
        (leg,) = wish.legs
        return wire.gtt_data(wish, protected_leg(leg, wish.instrument))

    def _fetch_gtts(self) -> list[model.Gtt]:
        def parse(payload: object) -> list[model.Gtt]:
            return [wire.parse_gtt(row, self.find) for row in reversed(fields.rows(payload))]

        return self.read(self._call("GetPendingGTTOrder", {}), parse)

    # -- books
    def _fetch_orders(self) -> list[model.Order]:
        """The book comes newest first."""

        def parse(payload: object) -> list[model.Order]:
            found = [wire.parse_order(row, self.find) for row in reversed(fields.rows(payload))]
            return sorted(found, key=lambda order: order.placed_at)

        return self.read(self._call("OrderBook", {}), parse)

    def _fetch_trades(self) -> list[model.Trade]:
        def parse(payload: object) -> list[model.Trade]:
            found = [wire.parse_trade(row, self.find) for row in reversed(fields.rows(payload))]
            return sorted(found, key=lambda trade: trade.traded_at)

        return self.read(self._call("TradeBook", {}), parse)

    def _fetch_positions(self) -> list[model.Position]:
        call = self._call("PositionBook", {})
        return self.read(call, lambda payload: wire.parse_positions(payload, self.find))

    def _fetch_holdings(self) -> list[model.Holding]:
        def parse(payload: object) -> list[model.Holding]:
            rows = fields.rows(payload)
            return [wire.parse_holding(row, self.find, self.holding_parts, self.holding_less) for row in rows]

        return self.read(self._call("Holdings", {"prd": "C"}), parse)

    def _fetch_funds(self) -> model.Funds:
        funds = self.read(self._call("Limits", {}), wire.parse_funds)
        if not self.pnl_from_positions:
            return funds
        rows = self._fetch_positions()
        if any(row.realised is None or row.unrealised is None for row in rows):
            raise BadResponse(self.manifest.name, text="a position does not say its profit")
        booked = sum((row.realised or Decimal(0) for row in rows), Decimal(0))
        open_now = sum((row.unrealised or Decimal(0) for row in rows), Decimal(0))
        return replace(funds, realised=booked, unrealised=open_now)

    def _fetch_margin(self, orders: Sequence[model.PlaceOrder]) -> model.Margin:
        rows = [wire.margin_data(order) for order in orders]
        if self.margin_route == "GetBasketMargin":
            data = {**rows[0], "basketlists": rows[1:]} if len(rows) > 1 else rows[0]
            return self.read(
                self._call("GetBasketMargin", data),
                lambda payload: model.Margin(total=fields.decimal(fields.row(payload), "marginused")),
            )
        totals = self._each(self._order_margin, rows)
        return model.Margin(total=sum(totals, Decimal(0)))

    def _order_margin(self, row: Mapping[str, object]) -> Decimal:
        def parse(payload: object) -> Decimal:
            answer = fields.row(payload)
            return fields.decimal(answer, "ordermargin" if "ordermargin" in answer else "marginused")

        return self.read(self._call("GetOrderMargin", {**row, "rorgqty": "0", "rorgprc": "0"}), parse)

    # -- market data
    def build_quotes(self, instruments: Sequence[Instrument]) -> Call:
        (one,) = instruments
        return self._call(
            "GetQuotes", {"exch": one.broker_exchange, "token": one.broker_token}, kind="quotes"
        )

    def parse_quotes(self, payload: object, instruments: Sequence[Instrument]) -> list[market.Quote | None]:
        (one,) = instruments
        row = fields.row(payload or {})
        return [wire.parse_quote(row, one, self.clock.now()) if row.get("lp") else None]

    def _fetch_quotes(self, instruments: Sequence[Instrument]) -> list[market.Quote | None]:
        """Many come by one stream where the manifest says so; what that did not bring is asked for one by one."""
        most = self.manifest.limits.quotes_by_stream
        if not most or len(instruments) <= _FEW:
            return super()._fetch_quotes(instruments)
        found: dict[str, market.Quote | None] = {}
        for start in range(0, len(instruments), most):
            found |= self._streamed(instruments[start : start + most])
        left = [one for one in instruments if key_of(one) not in found]
        found |= zip(map(key_of, left), super()._fetch_quotes(left), strict=True)
        return [found[key_of(one)] for one in instruments]

    def _streamed(self, instruments: Sequence[Instrument]) -> dict[str, market.Quote | None]:
        """By `key_of`, those that a stream brought and that can be read. One stream at a time."""
        if not self._streaming.acquire(timeout=_TURN):
            return {}
        try:
            rows = snapshots.collect(self.url("stream"), self.session, instruments, self.clock)
        finally:
            self._streaming.release()
        found = {}
        for one in instruments:
            if (row := rows.get(key_of(one))) is not None:
                try:
                    (found[key_of(one)],) = self.parse_quotes(row, [one])
                except ValueError as error:
                    log.warning("a quote of the stream is unreadable: %s", error)
        return found

    def _fetch_depth(self, instrument: Instrument) -> market.Depth:
        def parse(payload: object) -> market.Depth:
            return wire.parse_depth(fields.row(payload), instrument, self.clock.now())

        return self.read(self.build_quotes([instrument]), parse)

    def build_candles(self, instrument: Instrument, code: str, start: date, end: date) -> Call:
        first = int(datetime(start.year, start.month, start.day, tzinfo=IST).timestamp())
        last = int(datetime(end.year, end.month, end.day, tzinfo=IST).timestamp()) + 86_399
        if code == _DAILY:
            # Indices go by the name that the house shows, all else by its trading symbol.
            index = instrument.kind is model.InstrumentKind.INDEX
            name = instrument.name if index else instrument.broker_symbol
            data = {"sym": f"{instrument.broker_exchange}:{name}", "from": str(first), "to": str(last)}
            return self._call("EODChartData", data, kind="candles")
        data = {"exch": instrument.broker_exchange, "token": instrument.broker_token}
        return self._call(
            "TPSeries", {**data, "st": str(first), "et": str(last), "intrv": code}, kind="candles"
        )

    def parse_candles(self, payload: object, interval: str) -> list[market.Candle]:
        if not isinstance(payload, list):
            raise ValueError("not a list of bars")
        if interval == "D":
            return [bar for bar in map(wire.parse_day, payload) if bar is not None]
        return [wire.parse_bar(row) for row in fields.rows(payload)]

    def _fetch_candles(
        self, instrument: Instrument, interval: str, start: date, end: date
    ) -> list[market.Candle]:
        """Days end with yesterday at some houses; today's comes from the quote when it is missing."""
        bars = super()._fetch_candles(instrument, interval, start, end)
        today = self.clock.now().astimezone(IST).date()
        midnight = int(datetime(today.year, today.month, today.day, tzinfo=UTC).timestamp())
        if interval != "D" or not start <= today <= end or (bars and bars[-1].start >= midnight):
            return bars
        quote = self._fetch_quotes([instrument])[0]
        if quote is None or quote.at.astimezone(IST).date() != today or not quote.open:
            return bars
        day = (quote.open, quote.high, quote.low, quote.last_price)
        return [*bars, market.Candle(midnight, *day, quote.volume, quote.open_interest)]

    # -- the master
    def _fetch_instruments(
        self, folder: Path, progress: Callable[[str, int, int], None]
    ) -> Iterable[Instrument | BadRow]:
        """Fetch every file, then read them as one. A house that has no such file answers with 404 for it."""
        for name in self.master_files:
            url = f"{self.url('instruments')}/{name}"
            self.download(Call(op="instruments", method="GET", url=url), folder / name, progress)
        rows: Iterable[Instrument | BadRow] = self.masters.read(folder)
        return rows

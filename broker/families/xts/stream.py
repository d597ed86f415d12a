"""XTS's ticks: events of the market data service's socket; subscriptions are HTTP calls beside it.

`<code>-json-full` is a whole object; a partial one, JSON or `t:1_22,110:…` text, holds what changed. Binary packets
have no published layout and are never read for prices: while a socket brings nothing else, quotes are asked instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import orjson

from broker import fields, rows
from broker.families.xts import wire
from broker.families.xts.orders import XtsOrders
from broker.families.xts.socket import XtsSocket, event_object
from broker.fields import Row
from broker.http import Call, HttpClient, NoAnswer, NotSent
from broker.interface import BrokerSession
from broker.pacing import Paced, Pacer
from broker.stream import Frame, Want
from broker.stream_line import Line
from domain.market import Tick
from domain.model import Instrument, StreamMode

log = logging.getLogger(__name__)

Number = tuple[int, int]
TOUCHLINE, DEPTH, INTEREST, LAST_PRICE = 1501, 1502, 1510, 1512
_SUBSCRIBED_ALREADY = "already subscribed"
_COMPACT = {
    "110": "LastTradedPrice", "111": "LastTradedQunatity", "112": "TotalTradedQuantity",
    "113": "AverageTradedPrice", "114": "Open", "115": "High", "116": "Low", "117": "Close",
    "118": "TotalBuyQuantity", "119": "TotalSellQuantity", "ltp": "LastTradedPrice", "ltq": "LastTradedQunatity",
    "v": "TotalTradedQuantity", "ap": "AverageTradedPrice", "o": "Open", "h": "High", "l": "Low", "c": "Close",
    "tb": "TotalBuyQuantity", "ts": "TotalSellQuantity", "ltt": "LastTradedTime",
}  # fmt: skip
_SIDES = {"bi": "Bid", "ai": "Ask"}


class XtsStream(XtsSocket):
    """Prices, and beside them the order service's socket. Tokens: market_user_id, market_token, those of `XtsOrders`.

    last_price_code  the message that LTP subscribes
    poll_every       seconds between quotes where a socket brings binary packets only
    """

    batch = 50
    order_line = True
    last_price_code: ClassVar[int] = LAST_PRICE
    poll_every: ClassVar[float] = 1.0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._known: dict[Number, Want] = {}
        self._heard: dict[Number, dict[str, object]] = {}
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._polling: asyncio.Task[None] | None = None
        self._read_at = 0.0
        same = {
            name: getattr(self, name) for name in ("manifest", "first_pause", "longest_pause", "watch_every")
        }
        orders_alone = self.sinks._replace(state=_not_told)
        self._orders: XtsOrders = type("XtsOrders", (XtsOrders,), same)(
            self.feed, self.session, self.find, self.clock, orders_alone, self.is_open
        )
        limits = self.manifest.limits
        pacer = Pacer(limits.requests, limits.per_minute, self.clock, self.session.counted)
        self._http = HttpClient(pacer, self.clock)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._orders.stop()
        await super().stop()
        self._http.close()

    def start(self) -> None:
        """Order updates are listened for at once; prices from the first `want` on."""
        self._orders.start()

    async def renew(self, session: BrokerSession) -> None:
        """The order service's socket is left alone where the market data's session alone is new."""
        kept = {name: self.session.tokens[name] for name in ("user_id", "access_token")}
        if not kept.items() <= session.tokens.items() or session.urls != self.session.urls:
            await self._orders.renew(session)
        await super().renew(session)

    # -- the socket
    def url(self) -> str:
        tokens = self.session.tokens
        how = {"publishFormat": "JSON", "broadcastMode": "Full"}
        return self.address("stream", tokens["market_user_id"], tokens["market_token"], **how)

    def on_connected(self, line: Line) -> None:
        for want in line.ledger.values():
            self._heard.pop(_number(want.instrument), None)

    def on_event(self, name: str, payload: object) -> list[Tick]:
        if "-json-" not in name or not name[:4].isdecimal():
            return []
        row = _object(payload)
        tick = self._tick(_number_of(row), row)
        self._read_at = self.monotonic()
        return [tick] if tick else []

    def _tick(self, number: Number, row: Row) -> Tick | None:
        """What is known of an instrument with this object; None before its price is."""
        want = self._known.get(number)
        if want is None:
            return None
        heard = self._heard.setdefault(number, {})
        heard.update(wire.touchline(row))
        now = int(self.clock.now().timestamp() * 1000)
        return _tick(want, heard, now) if heard.get("LastTradedPrice") is not None else None

    # -- subscriptions, over HTTP
    def build_subscribe(self, wants: Sequence[Want]) -> Iterable[Frame]:
        """No frames: the calls go out in order, on threads of their own."""
        self._known.update((_number(want.instrument), want) for want in wants)
        self._later("POST", wants)
        return ()

    def build_unsubscribe(self, wants: Sequence[Want]) -> Iterable[Frame]:
        """What was heard goes too: wanted again, an instrument has no price until one comes."""
        for want in wants:
            self._heard.pop(_number(want.instrument), None)
            if self._known.get(_number(want.instrument)) == want:
                del self._known[_number(want.instrument)]
        self._later("PUT", wants)
        return ()

    def _later(self, method: str, wants: Sequence[Want]) -> None:
        by_code: dict[int, list[Want]] = {}
        for want in wants:
            for code in self._codes(want):
                by_code.setdefault(code, []).append(want)
        for code, same in by_code.items():
            self._keep(asyncio.create_task(self._subscription(method, code, same)))

    def _codes(self, want: Want) -> tuple[int, ...]:
        code = {StreamMode.LTP: self.last_price_code, StreamMode.QUOTE: TOUCHLINE}.get(
            StreamMode(want.mode), DEPTH
        )
        return (code, INTEREST) if want.instrument.expiry and want.mode > StreamMode.LTP else (code,)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _subscription(self, method: str, code: int, wants: Sequence[Want]) -> None:
        body = {"instruments": [wire.numbered(want.instrument) for want in wants], "xtsMessageCode": code}
        async with self._turn:
            told = await self._ask(method, "subscription", body)
        if told is None or method == "PUT":
            return
        self._beside_the_socket(told)
        for want in wants:
            if (line := self._home.get(want.key)) is not None:
                line.confirmed([want.key])

    def _beside_the_socket(self, told: Row) -> None:
        """The objects that a call brought are as good as events."""
        ticks = [tick for row in _listed(told) if (tick := self._tick(_number_of(row), row))]
        for line in self.lines:
            if own := [tick for tick in ticks if (tick.exchange, tick.symbol) in line.ledger]:
                line.ticked(own)
        if ticks:
            self.on_ticks(ticks)

    async def _ask(self, method: str, route: str, body: dict[str, object]) -> Row | None:
        """The result of a call; None when it failed, which the line's own watch makes good by asking again."""
        base = self.session.urls.get("feed") or self.manifest.urls["feed"]
        tokens = self.session.tokens
        token = tokens["market_token"]
        call = Call(
            op=route,
            method=method,
            url=f"{base}/instruments/{route}",
            headers={"authorization": token, "Content-Type": "application/json"},
            body=orjson.dumps(body),
        )
        try:
            reply = await asyncio.to_thread(self._http.send, call)
            answer = fields.row(reply.json())
        except (Paced, NotSent, NoAnswer, ValueError) as error:
            log.warning("feed=%s %s failed: %s", self.feed, route, type(error).__name__)
            return None
        words = str(answer.get("description"))
        if answer.get("type") == "success" or _SUBSCRIBED_ALREADY in words.lower():
            result = answer.get("result")
            return result if isinstance(result, dict) else {}
        log.warning("feed=%s %s refused: %s", self.feed, route, words.replace(token, "…")[:200])
        if wire.refuses_token(words.lower(), reply.status):
            self._keep(asyncio.create_task(self.go_on_after(tokens)))
        return None

    # -- binary packets
    def on_binary(self) -> None:
        if self._polling is None:
            log.warning(
                "feed=%s sends binary packets; quotes are asked for what brings nothing else", self.feed
            )
            self._polling = asyncio.create_task(self._poll())
            self._keep(self._polling)

    async def _poll(self) -> None:
        """Quotes every second, for as long as no event can be read."""
        while True:
            await asyncio.sleep(self.poll_every)
            if self.monotonic() - self._read_at < self.poll_every * 5:
                continue
            wants = list(self._known.values())
            for at in range(0, len(wants), self.batch):
                listed = [wire.numbered(want.instrument) for want in wants[at : at + self.batch]]
                body = {"instruments": listed, "xtsMessageCode": DEPTH, "publishFormat": "JSON"}
                told = await self._ask("POST", "quotes", body)
                self._beside_the_socket(told or {})


def _not_told(state: str, words: str) -> None:
    """The feed's state is that of its prices: without the order socket the order book is read."""


def _object(payload: object) -> Row:
    """An event's object: JSON text, the object itself, or the compact text of a partial one."""
    if not isinstance(payload, str) or not payload.startswith("t:"):
        return event_object(payload)
    parts = payload.split(",")
    cells, best = dict(part.partition(":")[::2] for part in parts), _best(parts)
    segment, _, token = cells.pop("t").partition("_")
    told: dict[str, object] = {_COMPACT[name]: cell for name, cell in cells.items() if name in _COMPACT}
    return told | best | {"ExchangeSegment": segment, "ExchangeInstrumentID": token}


def _best(parts: Sequence[str]) -> dict[str, object]:
    """The first level of either side in a compact text: `bi:0|size|price|orders`; deeper ones are left out."""
    found: dict[str, object] = {}
    for part in parts:
        name, _, cells = part.partition(":")
        level = cells.split("|")
        if name in _SIDES and len(level) >= 3 and level[0] == "0":
            found |= {f"{_SIDES[name]}Size": level[1], f"{_SIDES[name]}Price": level[2]}
    return found


def _listed(result: Row) -> list[Row]:
    listed = result.get("listQuotes")
    return [_object(one) for one in listed] if isinstance(listed, list) else []


def _number_of(row: Row) -> Number:
    return fields.whole(row, "ExchangeSegment"), fields.whole(row, "ExchangeInstrumentID")


def _number(instrument: Instrument) -> Number:
    return wire.NUMBERS[instrument.broker_exchange], int(instrument.broker_token)


def _tick(want: Want, heard: Row, now: int) -> Tick:
    one, deep = want.instrument, want.mode >= StreamMode.DEPTH and "Bids" in heard
    return Tick(
        exchange=one.exchange.value,
        symbol=one.symbol,
        mode=StreamMode.DEPTH if deep else min(want.mode, StreamMode.QUOTE),
        ltt=wire.traded_at(heard) * 1000 or now,
        timestamp=now,
        total_buy_quantity=fields.whole(heard, "TotalBuyQuantity"),
        total_sell_quantity=fields.whole(heard, "TotalSellQuantity"),
        bids=wire.levels(heard, "Bids") if deep else (),
        asks=wire.levels(heard, "Asks") if deep else (),
        **rows.numbers(heard, wire.QUOTE),
    )

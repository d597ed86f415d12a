"""XTS's ticks: Socket.IO over one WebSocket, as a minimal text client; subscriptions are HTTP calls beside it.

Engine.IO 4 frames: `0{…}` opens, `40` joins, the server pings `2` and hears `3`, `42["name", "json"]` is an event.
`<code>-json-full` is a whole object; a partial one, JSON or `t:1_22,110:…` text, holds what changed. Binary packets
have no published layout and are never read for prices: while a socket brings nothing else, quotes are asked instead.
A client library would bring an event loop's worth of reconnecting that `stream_line.py` does already.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson

from broker import fields
from broker.families.xts import wire
from broker.fields import Row
from broker.http import Call, HttpClient, NoAnswer, NotSent
from broker.pacing import Paced, Pacer
from broker.stream import BrokerStream, Frame, Want
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


class XtsStream(BrokerStream):
    """Tokens: market_user_id, market_token. The login is the address; the server's pings prove life.

    last_price_code  the message that LTP subscribes
    poll_every       seconds between quotes where a socket brings binary packets only
    """

    answers_login = True
    silence = 60.0
    batch = 50
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
        limits = self.manifest.limits
        self._http = HttpClient(Pacer(limits.requests, limits.per_minute, self.clock), self.clock)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().stop()
        self._http.close()

    # -- the socket
    def url(self) -> str:
        tokens = self.session.tokens
        base = self.session.urls.get("stream") or self.manifest.urls["stream"]
        query = {
            "token": tokens["market_token"],
            "userID": tokens["market_user_id"],
            "publishFormat": "JSON",
            "broadcastMode": "Full",
            "transport": "websocket",
            "EIO": "4",
        }
        return f"{base}/?{urlencode(query)}"

    def build_login(self) -> Iterable[Frame]:
        yield "40"

    def on_connected(self, line: Line) -> None:
        for want in line.ledger.values():
            self._heard.pop(_number(want.instrument), None)

    def parse(self, frame: Frame, line: Line) -> list[Tick]:
        if isinstance(frame, bytes):
            return []
        if frame.startswith("42"):
            return self._event(orjson.loads(frame[2:]), line)
        if frame.startswith("451-"):
            self._binary()
        elif frame == "2":
            line.say("3")
        elif frame.startswith("40"):
            line.logged_in()
        elif frame.startswith("44"):
            told = orjson.loads(frame[2:])
            line.login_refused(str(told.get("message")) if isinstance(told, dict) else str(told))
        elif frame[:1] == "1" or frame.startswith("41"):
            line.say("1")
        elif not (frame.startswith("0{") or frame == "6"):
            raise ValueError("not a frame of Socket.IO")
        return []

    def _event(self, told: object, line: Line) -> list[Tick]:
        if not isinstance(told, list) or len(told) != 2:
            return []
        name, payload = told
        if name in ("joined", "success"):
            line.logged_in()
            return []
        if not isinstance(name, str) or "-json-" not in name or not name[:4].isdecimal():
            return []
        row = _object(payload)
        number = fields.whole(row, "ExchangeSegment"), fields.whole(row, "ExchangeInstrumentID")
        tick = self._tick(number, row)
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
        for want in wants:
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
        token = self.session.tokens["market_token"]
        call = Call(
            op=route,
            method=method,
            url=f"{base}/instruments/{route}",
            headers={"authorization": token, "Content-Type": "application/json"},
            body=orjson.dumps(body),
        )
        try:
            answer = fields.row((await asyncio.to_thread(self._http.send, call)).json())
        except (Paced, NotSent, NoAnswer, ValueError) as error:
            log.warning("feed=%s %s failed: %s", self.feed, route, type(error).__name__)
            return None
        words = str(answer.get("description"))
        if answer.get("type") == "success" or _SUBSCRIBED_ALREADY in words.lower():
            result = answer.get("result")
            return result if isinstance(result, dict) else {}
        log.warning("feed=%s %s refused: %s", self.feed, route, words.replace(token, "…")[:200])
        return None

    # -- binary packets
    def _binary(self) -> None:
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


def _object(payload: object) -> Row:
    """An event's object: JSON text, the object itself, or the compact text of a partial one."""
    if not isinstance(payload, str):
        return fields.row(payload)
    if not payload.startswith("t:"):
        return fields.row(orjson.loads(payload))
    cells = dict(part.partition(":")[::2] for part in payload.split(","))
    segment, _, token = cells.pop("t").partition("_")
    told: dict[str, object] = {_COMPACT[name]: cell for name, cell in cells.items() if name in _COMPACT}
    return told | {"ExchangeSegment": segment, "ExchangeInstrumentID": token}


def _listed(result: Row) -> list[Row]:
    listed = result.get("listQuotes")
    return [_object(one) for one in listed] if isinstance(listed, list) else []


def _number_of(row: Row) -> Number:
    return fields.whole(row, "ExchangeSegment"), fields.whole(row, "ExchangeInstrumentID")


def _number(instrument: Instrument) -> Number:
    return wire.NUMBERS[instrument.broker_exchange], int(instrument.broker_token)


def _tick(want: Want, heard: Row, now: int) -> Tick:
    one, deep = want.instrument, want.mode >= StreamMode.DEPTH and "Bids" in heard
    real, whole = fields.real, fields.whole
    return Tick(
        exchange=one.exchange.value,
        symbol=one.symbol,
        mode=StreamMode.DEPTH if deep else min(want.mode, StreamMode.QUOTE),
        last_price=real(heard, "LastTradedPrice"),
        ltt=wire.traded_at(heard) * 1000 or now,
        timestamp=now,
        open=real(heard, "Open"),
        high=real(heard, "High"),
        low=real(heard, "Low"),
        close=real(heard, "Close"),
        volume=whole(heard, "TotalTradedQuantity"),
        average_price=real(heard, "AverageTradedPrice"),
        last_quantity=whole(heard, "LastTradedQunatity"),
        total_buy_quantity=whole(heard, "TotalBuyQuantity"),
        total_sell_quantity=whole(heard, "TotalSellQuantity"),
        open_interest=whole(heard, "OpenInterest"),
        bid=real(heard, "BidPrice"),
        ask=real(heard, "AskPrice"),
        bid_quantity=whole(heard, "BidSize"),
        ask_quantity=whole(heard, "AskSize"),
        bids=wire.levels(heard, "Bids") if deep else (),
        asks=wire.levels(heard, "Asks") if deep else (),
    )

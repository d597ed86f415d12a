"""The send sequence over HTTP, written once: build → send → classify → parse.

A broker supplies `build_*` (domain → Call), `read_envelope` (Reply → payload, or the typed error) and `parse_*`
(payload → domain). What is sent, retried, paced, translated into an outcome or hidden from logs is decided here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar
from urllib.parse import urlencode

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay

from broker import fields
from broker.fields import Row
from broker.http import Call, HttpClient, NoAnswer, NotSent, Reply
from broker.interface import Broker, BrokerSession, InstrumentLookup
from broker.manifest import Manifest
from broker.pacing import Paced, Pacer
from broker.protection import protected
from domain.clock import IST, Clock
from domain.conversion import ConvertPosition
from domain.errors import (
    BadResponse,
    BrokerError,
    BrokerUnavailable,
    InsufficientFunds,
    OrderNotFound,
    OrderRejected,
    PriceOutOfBand,
    RateLimited,
    SessionOver,
)
from domain.market import Candle, Quote
from domain.model import CancelOrder, Instrument, ModifyOrder, OrderType, PlaceOrder, Product
from domain.outcomes import Accepted, Ambiguous, Outcome, Refused, SessionExpired, Throttled

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")
AnyOrder = TypeVar("AnyOrder", PlaceOrder, ModifyOrder)

NOT_SENT = "NOT_SENT"
_TAKEN = "taken, not done"
_CODES = {
    InsufficientFunds: "INSUFFICIENT_FUNDS",
    PriceOutOfBand: "PRICE_OUT_OF_BAND",
    OrderNotFound: "ORDER_NOT_FOUND",
}
_LONGEST_WORDS = 400
_PARALLEL_READS = 8


class RestBroker(Broker):
    """A broker reached over HTTP with one request an operation.

    no_market_data  error codes by which it says that the account may not ask for quotes at all
    """

    no_market_data: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, session: BrokerSession, find: InstrumentLookup, clock: Clock) -> None:
        super().__init__(session, find, clock)
        limits = self.manifest.limits
        self.http = HttpClient(Pacer(limits.requests, limits.per_minute, clock, session.counted), clock)

    # -- for subclasses
    def build_place(self, order: PlaceOrder) -> Call:
        raise NotImplementedError

    def build_modify(self, change: ModifyOrder) -> Call:
        raise NotImplementedError

    def build_cancel(self, wish: CancelOrder) -> Call:
        raise NotImplementedError

    def build_convert(self, wish: ConvertPosition, *, carried: bool) -> Call:
        """`carried`: it moves what came over from an earlier day, not what was opened today."""
        raise NotImplementedError

    def parse_converted(self, payload: object) -> bool:
        """Whether the answer says that it is done; False where a good one says no more than that the request was taken.
        Raises ValueError for what says neither."""
        return False

    def fetch_carried(self, wish: ConvertPosition) -> tuple[Decimal, Decimal]:
        """Units of the position (carried from an earlier day, opened today), on its own side. Not read where the broker
        does not ask which of them it is about."""
        return Decimal(0), wish.quantity

    def read_envelope(self, reply: Reply) -> object:
        """The payload of a success; otherwise raises a BrokerError or SessionOver. ValueErrors become BadResponse."""
        raise NotImplementedError

    def parse_order_id(self, payload: object) -> str:
        """The broker's id in the answer to a write; "" or a ValueError when there is none."""
        raise NotImplementedError

    def build_quotes(self, instruments: Sequence[Instrument]) -> Call:
        raise NotImplementedError

    def parse_quotes(self, payload: object, instruments: Sequence[Instrument]) -> list[Quote | None]:
        raise NotImplementedError

    def build_candles(self, instrument: Instrument, code: str, start: date, end: date) -> Call:
        raise NotImplementedError

    def parse_candles(self, payload: object, interval: str) -> list[Candle]:
        """In any order; the sequence sorts."""
        raise NotImplementedError

    def refused_token(self, call: Call, over: SessionOver) -> BrokerError | SessionOver:
        """What a read raises when its token was refused: the session's end, which is told to who listens."""
        self.on_over()
        return over

    def decoded(self, reply: Reply) -> object:
        """The JSON of a reply. What is not JSON is classed by its HTTP status alone."""
        name, code = self.manifest.name, str(reply.status)
        if reply.status == 429:
            raise RateLimited(name, code, "too many calls to the broker", reply.retry_after)
        try:
            return reply.json()
        except ValueError:
            if reply.status >= 500:
                raise BrokerUnavailable(name, code, f"{self.manifest.title} answered HTTP {code}") from None
            raise

    def url(self, role: str) -> str:
        """A base address by role: the session's override, else the manifest's."""
        return self.session.urls.get(role) or self.manifest.urls[role]

    # -- the sequence
    def read(self, call: Call, parse: Callable[[object], Result]) -> Result:
        """Send a read and parse its payload; tried again where the failure was not the request's."""
        for attempt in Retrying(
            retry=retry_if_exception_type((BrokerUnavailable, RateLimited)),
            stop=stop_after_attempt(3) | stop_after_delay(9),
            wait=_wait_before_retry,
            reraise=True,
        ):
            with attempt:
                return self._read_once(call, parse)
        raise AssertionError("tenacity returned nothing")

    def each(self, parse: Callable[[Row, InstrumentLookup], Result]) -> Callable[[object], list[Result]]:
        """A parser of a payload that is a list of rows, from the parser of one row."""
        return lambda payload: [parse(row, self.find) for row in fields.rows(payload)]

    def write(self, call: Call, parse_id: Callable[[object], str] | None = None) -> Outcome:
        """Send an order, a change or a cancel exactly once, and say what came of it.

        parse_id  reads the id out of the payload; `parse_order_id` when None
        """
        try:
            reply = self.http.send(call)
        except Paced as error:
            return Throttled(error.after, "too many calls to the broker; nothing was sent")
        except NotSent as error:
            return Refused(
                NOT_SENT, f"{self.manifest.title} could not be reached ({error}); nothing was sent"
            )
        except NoAnswer as error:
            log.warning("no answer op=%s account=%s why=%s", call.op, self.session.account, error)
            return Ambiguous(f"no answer from {self.manifest.title} ({error})")
        return self._outcome(call, reply, parse_id or self.parse_order_id)

    def tell(self, call: Call) -> None:
        """Send something whose answer does not matter (a logout); never raises for what the broker says."""
        try:
            reply = self.http.send(call)
        except (Paced, NotSent, NoAnswer) as error:
            log.info("not told op=%s why=%s", call.op, type(error).__name__)
            return
        log.info("told op=%s status=%s", call.op, reply.status)

    def _read_once(self, call: Call, parse: Callable[[object], Result]) -> Result:
        name = self.manifest.name
        try:
            reply = self.http.send(call)
        except Paced as error:
            raise RateLimited(name, text="too many calls to the broker", retry_after=error.after) from None
        except (NotSent, NoAnswer) as error:
            raise BrokerUnavailable(name, text=f"{self.manifest.title} did not answer ({error})") from None
        try:
            return parse(self.read_envelope(reply))
        except SessionOver as error:
            raise self._cleaned(self.refused_token(call, error)) from None
        except BrokerError as error:
            raise self._cleaned(error) from None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            log.warning("unreadable op=%s status=%s why=%r", call.op, reply.status, error)
            raise BadResponse(name, str(reply.status), f"unreadable answer to {call.op}") from error

    def _outcome(self, call: Call, reply: Reply, parse_id: Callable[[object], str]) -> Outcome:
        unreadable = Ambiguous(f"unreadable answer to {call.op} (HTTP {reply.status})")
        try:
            order_id = parse_id(self.read_envelope(reply))
        except SessionOver as error:
            self.on_over()
            return SessionExpired(self._words(str(error)))
        except RateLimited as error:
            return Throttled(error.retry_after, self._words(str(error)))
        except (OrderRejected, OrderNotFound) as error:
            return Refused(_CODES.get(type(error)) or error.code or "REJECTED", self._words(str(error)))
        except BrokerError as error:
            return Ambiguous(self._words(str(error)))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            log.warning("unreadable op=%s status=%s why=%r", call.op, reply.status, error)
            return unreadable
        return Accepted(order_id) if order_id and reply.status < 400 else unreadable

    def _words(self, words: str) -> str:
        """A broker's words fit to be shown: one line, of bounded length, without what is secret."""
        for value in self.session.tokens.values():
            if len(value) > 5:
                words = words.replace(value, "…")
        return " ".join(words.split())[:_LONGEST_WORDS]

    def _cleaned(self, error: BrokerError | SessionOver) -> BrokerError | SessionOver:
        words = self._words(str(error))
        if isinstance(error, BrokerError):
            error.text = words
        error.args = (words,)
        return error

    # -- orders
    def _place(self, order: PlaceOrder) -> Outcome:
        priced = self._protected(order)
        return priced if isinstance(priced, Refused) else self.write(self.build_place(priced))

    def _modify(self, change: ModifyOrder) -> Outcome:
        priced = self._protected(change)
        return priced if isinstance(priced, Refused) else self.write(self.build_modify(priced))

    def _cancel(self, wish: CancelOrder) -> Outcome:
        return self.write(self.build_cancel(wish))

    def _convert(self, wish: ConvertPosition) -> Outcome:
        """One request moves what was carried in or what was opened today, never some of both."""
        carried = False
        if wish.product is not Product.INTRADAY:
            try:
                before, today = self.fetch_carried(wish)
            except SessionOver as error:
                return SessionExpired(self._words(str(error)))
            except BrokerError as error:
                words = self._words(f"the position could not be read; nothing was sent: {error}")
                return Refused("NOT_READ", words)
            carried = wish.quantity > today
            if carried and wish.quantity > before:
                words = f"{before:f} were carried in and {today:f} opened today: convert these apart; nothing was sent"
                return Refused("MIXED_DAYS", words)
        call = self.build_convert(wish, carried=carried)
        outcome = self.write(
            call, lambda answer: wish.client_order_id if self.parse_converted(answer) else _TAKEN
        )
        if outcome == Accepted(_TAKEN):
            return Ambiguous(f"{self.manifest.title} took the request; its positions show what became of it")
        return outcome

    def _protected(self, order: AnyOrder) -> AnyOrder | Refused:
        """The order with bare market terms turned into a protected limit, where the broker wants that.

        A market order is priced from a fresh quote; without one nothing is sent.
        """
        if order.order_type not in self.manifest.can.protect:
            return order
        around: float | Decimal = order.trigger_price or 0
        if order.order_type is OrderType.MARKET:
            try:
                quote = self._fetch_quotes([order.instrument])[0]
            except (BrokerError, SessionOver) as error:
                return Refused("NO_PRICE", f"no price to protect a market order with: {error}")
            around = quote.last_price if quote else 0
        if around <= 0:
            return Refused("NO_PRICE", "no price to protect a market order with; nothing was sent")
        return protected(order, around)

    # -- files
    def download(self, call: Call, path: Path, progress: Callable[[str, int, int], None]) -> None:
        """Fetch a master file to `path`. Raises as reads do; never a part of a file."""
        name = self.manifest.name
        try:
            reply = self.http.download(call, path, partial(progress, "download"))
        except Paced as error:
            raise RateLimited(name, text="too many calls to the broker", retry_after=error.after) from None
        except (NotSent, NoAnswer) as error:
            raise BrokerUnavailable(name, text=f"the file did not come whole ({error})") from None
        if reply.status != 200:
            raise BadResponse(name, str(reply.status), f"HTTP {reply.status} instead of the file")

    # -- market data
    def _fetch_quotes(self, instruments: Sequence[Instrument]) -> list[Quote | None]:
        size = self.manifest.limits.quotes_per_call
        batches = [instruments[at : at + size] for at in range(0, len(instruments), size)]

        def fetch(batch: Sequence[Instrument]) -> list[Quote | None]:
            try:
                return self.read(self.build_quotes(batch), lambda payload: self.parse_quotes(payload, batch))
            except OrderRejected as error:
                # Refused when asked alone, an instrument has no quote; refused with others, it spoils theirs.
                if len(batch) > 1 or error.code in self.no_market_data:
                    raise
                return [None]

        return [quote for quotes in self._each(fetch, batches) for quote in quotes]

    def _fetch_candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        window = self.manifest.can.candles[interval]
        bars: dict[int, Candle] = {}
        for first, last in _spans(start, end, window.days):
            call = self.build_candles(instrument, window.code, first, last)
            for bar in self.read(call, lambda payload: self.parse_candles(payload, interval)):
                bars[bar.start] = bar
        return [bars[at] for at in sorted(bars)]

    def _each(self, fetch: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Fetch side by side, results in the order asked; the pacer still decides how fast."""
        if len(items) <= 1:
            return [fetch(item) for item in items]
        with ThreadPoolExecutor(min(_PARALLEL_READS, len(items))) as pool:
            return list(pool.map(fetch, items))

    def close(self) -> None:
        self.http.close()


def send_once(call: Call, clock: Clock, title: str) -> Reply:
    """One call outside a session (a login step). Raises BrokerUnavailable when no answer came."""
    client = HttpClient(Pacer({}, {}, clock), clock)
    try:
        return client.send(call)
    except (NotSent, NoAnswer) as error:
        raise BrokerUnavailable(title, text=f"{title} did not answer ({error})") from None
    finally:
        client.close()


def session_end(manifest: Manifest, clock: Clock) -> datetime | None:
    """The next daily cut of the manifest's login, None when sessions do not end daily."""
    if not manifest.login.expires_at:
        return None
    now = clock.now().astimezone(IST)
    cut = datetime.combine(now.date(), time.fromisoformat(manifest.login.expires_at), IST)
    return cut if cut > now else cut + timedelta(days=1)


def form(values: Mapping[str, object]) -> bytes:
    """A url-encoded form body, in the order given."""
    return urlencode({name: str(value) for name, value in values.items()}).encode()


def _wait_before_retry(state: RetryCallState) -> float:
    """What the broker asked for, else 0.2 s, then 0.4 s; never more than 3 s on a caller's thread."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, RateLimited) else 0.0
    return min(asked or 0.1 * 2**state.attempt_number, 3.0)


def _spans(start: date, end: date, days: int) -> list[tuple[date, date]]:
    """[start, end] cut into spans of at most `days` days; one span when days is 0."""
    if days <= 0 or start > end:
        return [(start, end)]
    firsts = range(0, (end - start).days + 1, days)
    return [(start + timedelta(n), min(start + timedelta(n + days - 1), end)) for n in firsts]

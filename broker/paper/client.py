"""The paper exchange as a Broker: each thread asks over a socket of its own.

An order is sent once. When its answer does not come, the exchange is asked what became of it; only when that
is not to be had either is the outcome Ambiguous.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, TypeVar

import msgspec
import zmq

from broker.catalog import manifest
from broker.interface import Broker, BrokerSession, InstrumentLookup
from broker.paper import wire
from domain.clock import Clock
from domain.conversion import ConvertPosition
from domain.errors import BadResponse, BrokerUnavailable, InvalidRequest
from domain.ledger import PaperDay, PaperUpdate
from domain.market import Candle, Depth, Quote
from domain.model import (
    CancelOrder,
    Funds,
    Holding,
    Instrument,
    Margin,
    ModifyOrder,
    Order,
    PlaceOrder,
    Position,
    Trade,
)
from domain.outcomes import Ambiguous, Outcome, Refused

log = logging.getLogger(__name__)

T = TypeVar("T")
Socket = zmq.Socket[bytes]
Connect = Callable[[], Socket]

_WRITE = 6.0
_ANSWER = 4.0
_QUOTE = 0.02  # more for each instrument that is asked for: its day is computed when it is first asked
_SLOW = 15.0
_LOOK = 6.0
_SLICE = 0.1
_GONE = "The paper exchange does not answer"


class NotReached(Exception):
    """Nothing was sent: the exchange is not there."""


class NoAnswer(Exception):
    """Sent, and no readable answer came back in time."""


class Link:
    """A process's way to the exchange. Each thread has a socket, made when first needed; one that failed is dropped."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._local = threading.local()
        self._numbers = itertools.count(1)

    def ask(self, account: str, feed: str, request: wire.Request, wait: float) -> msgspec.Raw:
        """One call and its reply's body, `wait` seconds for the way there and as many for the answer.

        Raises NotReached, NoAnswer, InvalidRequest, BrokerUnavailable.
        """
        call = wire.Call(next(self._numbers), account, feed, request)
        reply = self._exchange(call, wait)
        if reply.fault is None:
            return reply.body
        if reply.fault.code == "BAD_REQUEST":
            raise InvalidRequest(reply.fault.words, reply.fault.field)
        raise BrokerUnavailable("paper", reply.fault.code, reply.fault.words)

    def _exchange(self, call: wire.Call, wait: float) -> wire.Reply:
        socket = self._socket()
        done = False
        try:
            self._send(socket, wire.encode(call), wait)
            reply = self._receive(socket, call.number, wait)
            done = True
            return reply
        finally:
            if not done:
                self.close()

    def close(self) -> None:
        """Give this thread's socket back."""
        socket: Socket | None = self._local.__dict__.pop("socket", None)
        if socket is not None:
            socket.close(linger=0)

    def _socket(self) -> Socket:
        socket: Socket | None = getattr(self._local, "socket", None)
        if socket is None:
            socket = self._local.socket = self._connect()
        return socket

    @staticmethod
    def _send(socket: Socket, payload: bytes, wait: float) -> None:
        if not socket.poll(int(wait * 1000), zmq.POLLOUT):
            raise NotReached
        try:
            socket.send(payload, zmq.NOBLOCK)
        except zmq.Again as error:
            raise NotReached from error

    @staticmethod
    def _receive(socket: Socket, number: int, wait: float) -> wire.Reply:
        """The reply of a number. A peer that is gone (nothing can be sent to it) is not waited for."""
        end = time.monotonic() + wait
        while (left := end - time.monotonic()) > 0:
            if not socket.poll(int(min(left, _SLICE) * 1000) + 1):
                if not socket.poll(0, zmq.POLLOUT) and not socket.poll(0):
                    break
                continue
            try:
                reply = wire.read_reply(socket.recv(zmq.NOBLOCK))
            except msgspec.DecodeError as error:
                raise NoAnswer from error
            if reply.number == number:
                return reply
        raise NoAnswer


def connector(urls: dict[str, str], tokens: dict[str, str]) -> Connect:
    """How to connect from a session alone: `urls["exchange"]`, and CURVE keys server, public, secret in `tokens`."""
    context: zmq.Context[Socket] = zmq.Context.instance()

    def connect() -> Socket:
        socket = context.socket(zmq.DEALER)
        socket.linger = 0
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        if tokens:
            socket.curve_serverkey = tokens["server"].encode()
            socket.curve_publickey = tokens["public"].encode()
            socket.curve_secretkey = tokens["secret"].encode()
        socket.connect(urls["exchange"])
        return socket

    return connect


class PaperBroker(Broker):
    """One account at the paper exchange. `urls["feed"]` names its market, "paper" when it does not."""

    manifest = manifest("paper")

    def __init__(
        self, session: BrokerSession, find: InstrumentLookup, clock: Clock, link: Link | None = None
    ) -> None:
        super().__init__(session, find, clock)
        self._link = link or Link(connector(session.urls, session.tokens))
        self._feed = session.urls.get("feed", "paper")

    # -- orders
    def _place(self, order: PlaceOrder) -> Outcome:
        return self._write(wire.Place(order), order.client_order_id)

    def _modify(self, change: ModifyOrder) -> Outcome:
        return self._write(wire.Modify(change), change.client_order_id)

    def _cancel(self, wish: CancelOrder) -> Outcome:
        return self._write(wire.Cancel(wish), wish.client_order_id)

    def _convert(self, wish: ConvertPosition) -> Outcome:
        return self._write(wire.Convert(wish), wish.client_order_id)

    def _write(self, request: wire.Write, client_order_id: str) -> Outcome:
        try:
            raw = self._link.ask(self.session.account, self._feed, request, _WRITE)
            return msgspec.msgpack.decode(raw, type=wire.Told).outcome()
        except NotReached:
            return Refused("UNAVAILABLE", f"{_GONE}: nothing was sent")
        except BrokerUnavailable as error:
            return Refused("UNAVAILABLE", str(error))
        except (NoAnswer, msgspec.MsgspecError, ValueError):
            return self._look_up(client_order_id)

    def _look_up(self, client_order_id: str) -> Outcome:
        """What an unanswered order was told, if the exchange can say."""
        end = time.monotonic() + _LOOK
        while (left := end - time.monotonic()) > 0:
            try:
                raw = self._link.ask(self.session.account, self._feed, wire.Find(client_order_id), left)
                told = msgspec.msgpack.decode(raw, type=wire.Told | None)
                if told is not None:
                    return told.outcome()
            except (NotReached, NoAnswer, BrokerUnavailable, msgspec.MsgspecError, ValueError) as error:
                log.debug("looking up an order again after %r", error)
            time.sleep(min(0.2, left))
        return Ambiguous(f"{_GONE}; the order may have reached it")

    # -- reads
    def _read(self, request: wire.Request, kind: type[T], wait: float | None = None) -> T:
        try:
            raw = self._ask_twice(request, wait or _ANSWER)
            return msgspec.msgpack.decode(raw, type=kind)
        except (NotReached, NoAnswer) as error:
            raise BrokerUnavailable("paper", "UNAVAILABLE", _GONE) from error
        except msgspec.MsgspecError as error:
            raise BadResponse("paper", "", "The paper exchange's answer cannot be read") from error

    def _ask_twice(self, request: wire.Request, wait: float) -> msgspec.Raw:
        try:
            return self._link.ask(self.session.account, self._feed, request, wait)
        except NoAnswer:
            return self._link.ask(self.session.account, self._feed, request, wait)

    def _fetch_orders(self) -> list[Order]:
        return self._read(wire.Orders(), list[Order])

    def _fetch_trades(self) -> list[Trade]:
        return self._read(wire.Trades(), list[Trade])

    def _fetch_positions(self) -> list[Position]:
        return self._read(wire.Positions(), list[Position])

    def _fetch_holdings(self) -> list[Holding]:
        return self._read(wire.Holdings(), list[Holding])

    def _fetch_funds(self) -> Funds:
        return self._read(wire.Money(), Funds)

    def _fetch_margin(self, orders: Sequence[PlaceOrder]) -> Margin:
        return self._read(wire.Margins(list(orders)), Margin)

    def _fetch_quotes(self, instruments: Sequence[Instrument]) -> list[Quote | None]:
        wait = _ANSWER + len(instruments) * _QUOTE
        return self._read(wire.Quotes(list(instruments)), list[Quote | None], wait)

    def _fetch_depth(self, instrument: Instrument) -> Depth:
        found: Any = self._read(wire.MarketDepth(instrument), Depth | None)  # type: ignore[arg-type]
        if not isinstance(found, Depth):
            raise BrokerUnavailable("paper", "NO_QUOTE", f"No price is known for {instrument.symbol}")
        return found

    def _fetch_candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        return self._read(wire.Candles(instrument, interval, start, end), list[Candle], _SLOW)

    # -- what only a paper account has
    def fetch_order_updates(self, since: int) -> list[tuple[int, Order]]:
        """Up to 1,000 order transitions numbered above `since`, in order; the numbering has no gaps."""
        updates = self._read(wire.Updates(since), list[PaperUpdate])
        return [(update.seq, update.order) for update in updates]

    def fetch_terms(self) -> dict[str, str]:
        """Every term of the account (leverages, fills, charges …), as text."""
        return self._read(wire.TermsOf(), dict[str, str])

    def change_terms(self, changes: dict[str, str]) -> dict[str, str]:
        """Change some terms; returns all of them. Raises InvalidRequest naming the one that is wrong."""
        return self._read(wire.TermsOf(changes), dict[str, str])

    def reset(self) -> int:
        """Begin again with the starting capital. The old books are kept under the old generation's number."""
        return self._read(wire.Reset(), int)

    def fetch_days(self, generation: int = 0) -> list[PaperDay]:
        """How the account stood at the end of each trading day; generation 0 is the present one."""
        return self._read(wire.Days(generation), list[PaperDay])

    def close(self) -> None:
        """Give back this thread's socket; other threads' end with them."""
        self._link.close()

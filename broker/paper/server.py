"""The exchange's process: one thread that takes calls, steps the markets, keeps what changed, and then answers.

Up to 64 calls share one durable commit, and nobody is answered before it. What storage refuses never happened:
the state is read again from storage and the calls are tried one by one. Market reads go to a thread of their own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
import zmq

from broker import facts
from broker.paper import desk, wire
from broker.paper.account import Outbox
from broker.paper.answers import outcome_of
from broker.paper.charges import ChargeBook
from broker.paper.exchange import PaperExchange
from broker.paper.hours import Hours
from broker.paper.live import LiveFeeds
from broker.paper.market import Market
from broker.paper.numbers import Numbers
from broker.paper.quotes import tick_of
from broker.paper.reader import MarketReader
from broker.paper.rules import Terms
from broker.paper.settlement import Lookup, Timekeeper, underlying_lookup
from domain.calendar import MarketCalendar
from domain.clock import Clock
from domain.errors import InvalidRequest
from domain.ledger import LedgerChanges, LedgerState, PaperAnswer, PaperDay, PaperUpdate
from domain.market import Tick
from domain.model import Exchange, Instrument
from domain.outcomes import Ambiguous, Refused

log = logging.getLogger(__name__)

Socket = zmq.Socket[bytes]
BATCH = 64
STEP = 0.25
FIRST_LOOKS = 0.01
AT_A_TIME = 50
CATCH_UP = timedelta(seconds=60)
_SEND_FAILED = "The paper exchange could not keep the order, so it was not taken"


class Ledger(Protocol):
    """The exchange's store. `save` is one durable transaction: all of it, or it raises and nothing is kept."""

    def save(self, changes: LedgerChanges) -> None: ...

    def load(self, since: datetime) -> LedgerState: ...

    def last_order(self, prefix: str) -> int: ...

    def last_trade(self, prefix: str) -> int: ...

    def answer(self, client_order_id: str) -> PaperAnswer | None: ...

    def updates(self, account: str, since: int, limit: int = 1000) -> list[PaperUpdate]: ...

    def days(self, account: str, generation: int) -> list[PaperDay]: ...


class Publisher(Protocol):
    """Where ticks and bells go. All of it is called from the exchange's thread."""

    def wanted(self, feed: str) -> Mapping[tuple[str, str], int]:
        """(exchange, symbol) of the ticks that somebody listens to."""
        ...

    def tick(self, feed: str, tick: Tick) -> None: ...

    def ring(self, account: str) -> None:
        """Something about the account's orders has changed and is stored."""
        ...

    def poll(self) -> Iterable[tuple[str, str, str]]:
        """(feed, exchange, symbol) that somebody began to listen to. Called at every step."""
        ...


Make = Callable[[str, Outbox], PaperExchange | None]
"""A blank exchange for a feed's market, on an outbox; None when there is no such market."""


class Server:
    """See the module docstring. `socket` is a bound ROUTER; the server closes it when `run` ends."""

    def __init__(
        self,
        socket: Socket,
        ledger: Ledger,
        feeds: Iterable[str],
        make: Make,
        clock: Clock,
        publisher: Publisher,
        lookup: Lookup,
        reader: MarketReader,
        timekeeper: Timekeeper,
    ) -> None:
        self._socket = socket
        self._ledger = ledger
        self._feeds = tuple(feeds)
        self._make = make
        self._clock = clock
        self._publisher = publisher
        self._lookup = lookup
        self._reader = reader
        self._timekeeper = timekeeper
        self._outbox = Outbox()
        self._new: dict[tuple[str, str, str], None] = {}
        self._stop = threading.Event()
        self._venues: dict[str, PaperExchange] = {}
        self._stepped: datetime = clock.now()
        self._load()

    def stop(self) -> None:
        """End `run` after its present turn. Any thread may call it."""
        self._stop.set()

    def run(self) -> None:
        """Serve until `stop`. Raises what storage raises when the state cannot even be read."""
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._reader.done, zmq.POLLIN)
        next_step = self._clock.monotonic()
        try:
            while not self._stop.is_set():
                wait = max(0.0, next_step - self._clock.monotonic())
                ready = dict(poller.poll(int(wait * 1000) + 1))
                if self._reader.done in ready:
                    self._pass_on()
                if self._socket in ready:
                    self._serve()
                if self._clock.monotonic() >= next_step:
                    self.step()
                    next_step = self._clock.monotonic() + STEP
        finally:
            self._reader.close()
            self._socket.close(linger=500)

    def _load(self) -> None:
        now = self._clock.now()
        state = self._ledger.load(now - timedelta(days=2))
        self._outbox = Outbox()
        self._venues = {}
        for feed in dict.fromkeys((*self._feeds, *(account.feed for account in state.accounts))):
            venue = self._make(feed, self._outbox)
            if venue is not None:
                self._venues[feed] = desk.restored(venue, state)
        since = max(now - CATCH_UP, state.last_change or now)
        self._stepped = min(now, since)

    # -- calls
    def _serve(self) -> None:
        batch = self._receive()
        if not batch:
            return
        changed: set[str] = set()
        try:
            for venue in self._venues.values():
                self._timekeeper.keep(venue, self._clock.now())
            replies = [(peer, self._answer(call)) for peer, call in batch]
            changed |= self._keep()
        except Exception:
            log.exception("a batch of %d calls was not kept; reading the books again", len(batch))
            self._load()
            replies = [(peer, self._answer_alone(call, changed)) for peer, call in batch]
        for peer, payload in replies:
            self._socket.send_multipart([peer, payload], zmq.NOBLOCK)
        self._ring(changed)  # after the replies: somebody waits for those

    def _receive(self) -> list[tuple[bytes, wire.Call]]:
        batch: list[tuple[bytes, wire.Call]] = []
        while len(batch) < BATCH and int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            try:
                peer, payload = self._socket.recv_multipart(zmq.NOBLOCK)
                call = wire.read_call(payload)
            except zmq.Again:
                break
            except (ValueError, msgspec.DecodeError) as error:
                log.warning("a call that cannot be read was dropped: %s", error)
                continue
            if isinstance(call.request, wire.MARKET_READS):
                self._reader.ask(peer, call)
            else:
                batch.append((peer, call))
        return batch

    def _answer(self, call: wire.Call) -> bytes:
        venue = self._venue(call)
        if venue is None:
            return wire.fault(call.number, "BAD_REQUEST", f"There is no market '{call.feed}'", "feed")
        try:
            return wire.reply(call.number, desk.handle(venue, self._ledger, call, self._clock.now()))
        except InvalidRequest as error:
            return wire.fault(call.number, "BAD_REQUEST", str(error), error.field)

    def _venue(self, call: wire.Call) -> PaperExchange | None:
        """The market that the account trades on. One with nothing open goes where it asks to."""
        home = next((venue for venue in self._venues.values() if call.account in venue.accounts), None)
        asked = self._venues.get(call.feed)
        if asked is None and (asked := self._make(call.feed, self._outbox)) is not None:
            self._venues[call.feed] = asked
        if home is None or asked is None or home is asked:
            return home or asked
        return desk.moved(home, asked, call.account)

    def _answer_alone(self, call: wire.Call, changed: set[str]) -> bytes:
        """The second try of a call whose batch failed: with a commit of its own. Adds to `changed` who has news."""
        try:
            reply = self._answer(call)
            changed |= self._keep()
        except Exception:
            log.exception("a call was not kept account=%s", call.account)
            self._load()
            return self._sorry(call)
        return reply

    def _sorry(self, call: wire.Call) -> bytes:
        if not isinstance(call.request, wire.Write):
            return wire.fault(call.number, "UNAVAILABLE", "The paper exchange cannot reach its books")
        client_order_id = desk.client_order_id(call.request)
        try:
            known = self._ledger.answer(client_order_id)
        except Exception:
            log.exception("an order's fate cannot be read account=%s", call.account)
            return wire.reply(
                call.number, wire.Told.of(Ambiguous("The paper exchange cannot read its books"))
            )
        if known is not None:
            return wire.reply(call.number, wire.Told.of(outcome_of(known)))
        return wire.reply(call.number, wire.Told.of(Refused("UNAVAILABLE", _SEND_FAILED)))

    def _keep(self) -> set[str]:
        """Make what has changed durable; the accounts whose orders did."""
        changes = self._outbox.take()
        if changes:
            self._ledger.save(changes)
        return {update.account for update in changes.updates}

    def _ring(self, accounts: set[str]) -> None:
        for account in accounts:
            self._publisher.ring(account)

    def _pass_on(self) -> None:
        for peer, payload in self._reader.take():
            self._socket.send_multipart([peer, payload], zmq.NOBLOCK)

    # -- markets
    def step(self) -> None:
        """Let every market reach the present: its ticks meet the orders, days turn, listeners hear."""
        now = self._clock.now()
        since, self._stepped = self._stepped, max(self._stepped, now)
        self._new.update(dict.fromkeys(self._publisher.poll()))
        venues = list(self._venues.items())
        try:
            met = [(feed, self._meet(venue, since, now)) for feed, venue in venues]
            changed = self._keep()
        except Exception:
            log.exception("a step of the market was not kept; reading the books again")
            self._load()
            return
        self._ring(changed)
        for feed, ticks in met:
            self._show(feed, ticks)
        for feed, venue in venues:
            self._show_others(feed, venue, since, now)
        self._look_first(now)

    def _meet(self, venue: PaperExchange, since: datetime, now: datetime) -> list[Tick]:
        """Ticks of the instruments that orders rest on."""
        ticks = venue.market.ticks(venue.watched(), since, now) if now > since else []
        for tick in ticks:
            venue.on_tick(tick)
        self._timekeeper.keep(venue, now)
        return ticks

    def _show_others(self, feed: str, venue: PaperExchange, since: datetime, now: datetime) -> None:
        """Ticks that are only listened to, a few instruments at a time: calls are served in between."""
        met = {(one.exchange.value, one.symbol) for one in venue.watched()}
        only_heard = [pair for pair in self._publisher.wanted(feed) if pair not in met]
        for first in range(0, len(only_heard), AT_A_TIME):
            pairs = only_heard[first : first + AT_A_TIME]
            found = [one for pair in pairs if (one := self._find(*pair)) is not None]
            self._show(feed, venue.market.ticks(found, since, now) if now > since else [])
            if first + AT_A_TIME < len(only_heard):
                self._serve()

    def _show(self, feed: str, ticks: list[Tick]) -> None:
        for tick in ticks:
            self._publisher.tick(feed, tick)
            self._new.pop((feed, tick.exchange, tick.symbol), None)

    def _look_first(self, now: datetime) -> None:
        """Show those who have just come how things stand: a quiet instrument may not trade for a while."""
        end = self._clock.monotonic() + FIRST_LOOKS
        while self._new and self._clock.monotonic() < end:
            feed, exchange, symbol = next(iter(self._new))
            del self._new[feed, exchange, symbol]
            venue, instrument = self._venues.get(feed), self._find(exchange, symbol)
            depth = venue.market.depth(instrument, now) if venue and instrument else None
            if depth is not None:
                self._publisher.tick(feed, tick_of(depth))

    def _find(self, exchange: str, symbol: str) -> Instrument | None:
        try:
            return self._lookup(Exchange(exchange), symbol)
        except ValueError:
            return None


def assemble(
    socket: Socket,
    ledger: Ledger,
    markets: Callable[[], dict[str, Market]],
    clock: Clock,
    publisher: Publisher,
    lookup: Lookup,
    terms: Terms | None = None,
    live: LiveFeeds | None = None,
    calendar: Callable[[], MarketCalendar] | None = None,
) -> Server:
    """A server from its parts. The engine and the market reads each get markets of their own, by feed.

    `live` makes a market, on exchange hours, of every feed named `<broker>:<account>`; the others keep `calendar`,
    and never close without one.
    """
    numbers = Numbers(ledger.last_order, ledger.last_trade)
    charge = ChargeBook(facts.rows("charges")).of
    own = markets()

    def make(feed: str, outbox: Outbox) -> PaperExchange | None:
        if feed in own:
            own_hours = Hours(calendar) if calendar is not None else None
            return PaperExchange(own[feed], numbers, terms or Terms(), charge, outbox, own_hours)
        if live is None or ":" not in feed:
            return None
        market, hours = live.market(feed), Hours(live.calendar)
        return PaperExchange(market, numbers, terms or Terms(), charge, outbox, hours, patient=True)

    reader = MarketReader(markets, clock)
    timekeeper = Timekeeper(underlying_lookup(lookup))
    return Server(socket, ledger, own, make, clock, publisher, lookup, reader, timekeeper)

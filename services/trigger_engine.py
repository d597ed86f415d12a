"""The worker's watch over triggers: which prices to hear, whose they are, and which legs they set off.

Ticks come from the account's own feed; after a gap and each second the snapshot is asked, and where a feed says nothing
for three seconds broker quotes are read (the trigger then shows `degraded`). A live trigger never hears a simulated
price, nor one of a closed market. What a leg does when its price came is in `services/trigger_fires.py`.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Protocol

from database import accounts as account_rows
from database import triggers as rows
from database.engine import Database
from database.triggers import ACTIVE, BELOW, EXPIRED, UNKNOWN, Trigger, TriggerLeg
from domain.clock import IST, Clock
from domain.errors import PlatformError, Unavailable
from domain.market import Tick
from domain.model import Exchange, Mode, StreamMode
from domain.money import price as price_of
from services.accounts import Accounts
from services.gtt_ending import end_gtt
from services.market_data import MarketData
from services.orders import Orders
from services.sessions import Sessions
from services.tick_bus import TickSubscriber, Topic
from services.trigger_arming import TriggerArming
from services.trigger_endings import TriggerEndings
from services.trigger_fires import TriggerFires

log = logging.getLogger(__name__)

STALE = 10.0
"""Seconds after which a tick of the bus is not a price any more."""
SILENCE = 3.0
Key = tuple[str, str, str]
"""Feed, exchange, symbol."""


class Markets(Protocol):
    def is_open(self, exchange: Exchange, at: datetime) -> bool: ...


class Snapshot(Protocol):
    def last(self, feed: str, pairs: Sequence[tuple[str, str]]) -> list[Tick | None]: ...


@dataclass
class Watch:
    """One instrument of one feed with the triggers that look at it; `heard` is when a fresh price last came."""

    triggers: list[Trigger]
    heard: float
    degraded: bool = False


class TriggerEngine:
    """Owned by one thread: call `run`, end it with `stop`."""

    def __init__(
        self,
        orders_store: Database,
        clock: Clock,
        accounts: Accounts,
        sessions: Sessions,
        orders: Orders,
        market_data: MarketData,
        markets: Markets,
        subscriber: TickSubscriber,
        snapshot: Snapshot,
        fires: TriggerFires,
        tell: Callable[[Trigger, str], None],
    ) -> None:
        """`tell(trigger, words)` lets the owner know what keeps a trigger from its work."""
        self._db = orders_store
        self._clock = clock
        self._accounts = accounts
        self._sessions = sessions
        self._orders = orders
        self._market_data = market_data
        self._markets = markets
        self._ticks = subscriber
        self._snapshot = snapshot
        self._fires = fires
        self._tell = tell
        self._arming = TriggerArming(orders_store, clock, orders, market_data, fires.caller)
        self._endings = TriggerEndings(orders_store, clock, fires.positions, fires.caller, tell)
        self._watches: dict[Key, Watch] = {}
        self._version: object = None
        self._trails: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        self._stop = threading.Event()

    def run(self) -> None:
        """Watch until `stop`. A failure is logged and the watch goes on."""
        self._safe(self.resume)
        self._safe(self.refresh)
        second = self._clock.monotonic()
        while not self._stop.is_set():
            if self._ticks.socket.poll(100):
                self._safe(self._hear)
            self._safe(self.refresh)
            if self._clock.monotonic() - second >= 1.0:
                second = self._clock.monotonic()
                self.each_second()
        self._ticks.close()

    def stop(self) -> None:
        self._stop.set()

    @staticmethod
    def _safe(step) -> None:  # type: ignore[no-untyped-def]
        try:
            step()
        except PlatformError as error:
            log.warning("triggers: %s", error)
        except Exception:
            log.exception("triggers failed")

    # -- what there is to watch
    def resume(self) -> None:
        """Place the orders of legs that were claimed by an engine that died."""
        self._fires.resume()

    def refresh(self) -> None:
        """Read the triggers again if anything in the store changed."""
        version = self._db.version()
        if version is not None and version == self._version:
            return
        self._safe(self._arming.arm)
        with self._db.read() as connection:
            active = rows.in_state(connection, ACTIVE)
        found: dict[Key, list[Trigger]] = defaultdict(list)
        for trigger in active:
            key = self._key(trigger) if trigger.resident_id is None else None
            if key is not None:
                found[key].append(self._with_trail(trigger))
        for key in set(self._watches) - set(found):
            del self._watches[key]
            self._ticks.drop(_topic(key))
        for key, triggers in found.items():
            watch = self._watches.get(key)
            if watch is None:
                self._watches[key] = Watch(triggers, self._clock.monotonic())
                self._ticks.want(_topic(key))
            else:
                watch.triggers = triggers
        self._version = version

    def _key(self, trigger: Trigger) -> Key | None:
        """Whose price it waits for; None when that cannot be told. Of a live account always its broker's feed, also
        while it is not logged in: what the simulated market says is no price for it."""
        try:
            account = replace(self._accounts.account(trigger.account_id), mode=trigger.mode)
            simulated = account.is_paper or account.mode is not Mode.LIVE
            feed = self._sessions.feed_of(account) if simulated else f"{account.broker}:{account.id}"
        except PlatformError as error:
            log.error("a trigger is not watched trigger=%s: %s", trigger.id, error)
            return None
        return feed, trigger.exchange.value, trigger.symbol

    # -- prices
    def _hear(self) -> None:
        gap = False
        for seen in self._ticks.receive():
            gap = gap or seen.gap
            try:
                tick = seen.tick()
            except ValueError as error:
                log.error("a tick cannot be read topic=%s: %s", seen.topic, error)
                continue
            self.hear(seen.topic.feed, tick)
        if gap:
            self._ask_snapshot()

    def hear(self, feed: str, tick: Tick) -> None:
        """A tick of the bus, which repeats the last one of before a silence to whoever asks anew: no old one counts."""
        if self._clock.now().timestamp() - tick.timestamp / 1000 <= STALE:
            self.price((feed, tick.exchange, tick.symbol), tick.last_price)

    def price(self, key: Key, last_price: float) -> None:
        """A fresh price of one feed's instrument, from that feed."""
        watch = self._watches.get(key)
        if watch is None or last_price <= 0:
            return
        watch.heard = self._clock.monotonic()
        if watch.degraded:
            self._mark(watch, False)
        if self._trades(key):
            self._weigh(watch, last_price)

    def _trades(self, key: Key) -> bool:
        """Whether orders meet a market now. The simulated one never closes."""
        if key[0] == account_rows.PAPER:
            return True
        try:
            return self._markets.is_open(Exchange(key[1]), self._clock.now())
        except PlatformError as error:
            log.error("triggers wait: %s", error)
            return False

    def _weigh(self, watch: Watch, last_price: float) -> None:
        """Fire what this price sets off. What goes wrong with one trigger holds up no other."""
        for trigger in list(watch.triggers):
            try:
                if self._sets_off(trigger, last_price):
                    watch.triggers.remove(trigger)
            except Exception:
                log.exception("trigger failed trigger=%s", trigger.id)
                self._fires.put_off(trigger)

    def _sets_off(self, trigger: Trigger, last_price: float) -> bool:
        for leg in trigger.legs:
            leg = self._trail(trigger, leg, last_price)
            if _met(leg, last_price) and self._fires.fire(trigger, leg):
                return True
        return False

    def each_second(self) -> None:
        """End what is overdue, look where ticks may have been lost, at what was sent and at what was left behind; and
        read all again, since feeds and logins change without a word in this store."""
        self._version = None
        for step in (
            self._expire,
            self._arming.keep_up,
            self.refresh,
            self._fires.resume,
            self._fires.follow,
            self._endings.end_closed,
            self._ask_snapshot,
            self._read_silent,
            self._keep_trails,
        ):
            self._safe(step)

    def _ask_snapshot(self) -> None:
        by_feed: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for feed, exchange, symbol in self._watches:
            by_feed[feed].append((exchange, symbol))
        today = self._clock.now().astimezone(IST).date()
        for feed, pairs in by_feed.items():
            for pair, tick in zip(pairs, self._snapshot.last(feed, pairs), strict=True):
                if tick is not None and _day(tick) == today:
                    self.price((feed, *pair), tick.last_price)

    def _read_silent(self) -> None:
        now = self._clock.monotonic()
        for key, watch in list(self._watches.items()):
            if now - watch.heard < SILENCE or not watch.triggers or not self._trades(key):
                continue
            if not watch.degraded:
                self._mark(watch, True)
            try:
                self._read_quote(key, watch)
            except PlatformError as error:
                log.warning("no price for a trigger exchange=%s symbol=%s: %s", key[1], key[2], error)
            except Exception:
                log.exception("no price for a trigger exchange=%s symbol=%s", key[1], key[2])

    def _read_quote(self, key: Key, watch: Watch) -> None:
        """Ask the broker instead of its feed; one that is not logged in has no price, and the simulated one is none."""
        caller = self._fires.caller(watch.triggers[0])
        if self._sessions.feed_of(caller.account) == key[0]:
            quote = self._market_data.quote(caller, key[2], key[1])
            if self._sessions.feed_of(caller.account) == key[0]:
                if quote.last_price > 0:
                    self._weigh(watch, quote.last_price)
                return
        for trigger in watch.triggers:
            self._tell(trigger, f"{caller.account.name} is not logged in to its broker: it sees no prices.")

    def _mark(self, watch: Watch, degraded: bool) -> None:
        watch.degraded = degraded
        for trigger in watch.triggers:
            self._db.write(lambda c, i=trigger.id: rows.note(c, i, degraded=int(degraded)))  # type: ignore[misc]

    # -- trailing
    def _with_trail(self, trigger: Trigger) -> Trigger:
        """The trigger with trails as far as this engine has followed them, which may be further than the store."""
        legs = []
        for leg in trigger.legs:
            kept = self._trails.get((trigger.id, leg.leg))
            legs.append(leg if kept is None else replace(leg, best=kept[0], trigger_price=kept[1]))
        return replace(trigger, legs=tuple(legs))

    def _trail(self, trigger: Trigger, leg: TriggerLeg, last_price: float) -> TriggerLeg:
        if leg.trail is None or leg.best is None:
            return leg
        key = (trigger.id, leg.leg)
        best, stop = self._trails.get(key, (leg.best, leg.trigger_price or Decimal(0)))
        seen = Decimal(repr(last_price))
        if (seen > best) if leg.fires == BELOW else (seen < best):
            distance = -leg.trail if leg.fires == BELOW else leg.trail
            account = self._fires.caller(trigger).account
            instrument = self._orders.resolve(account, trigger.exchange, trigger.symbol)
            best, stop = seen, price_of(float(seen + distance), instrument.tick_size)
            self._trails[key] = (best, stop)
        return replace(leg, best=best, trigger_price=stop)

    def _keep_trails(self) -> None:
        """Write how far trails have come; what could not be written is kept in mind and written later."""
        moved = dict(self._trails)
        for (trigger_id, leg), (best, stop) in moved.items():
            self._db.write(
                lambda c, t=trigger_id, n=leg, b=best, s=stop: rows.move_trail(c, t, n, b, s)  # type: ignore[misc]
            )
            del self._trails[trigger_id, leg]
        if moved:
            self._version = None
            self.refresh()

    def _expire(self) -> None:
        """End what has lapsed; what a broker keeps only once it is over there too, or it would still fire."""
        now = self._clock.now()
        with self._db.read() as connection:
            standing = rows.in_state(connection, ACTIVE, UNKNOWN)
        for trigger in standing:
            if trigger.expires_at is None or trigger.expires_at > now or self._fires.waits(trigger):
                continue
            try:
                if trigger.resident_id is not None:
                    self._end_there(trigger, trigger.resident_id)
                self._db.write(lambda c, t=trigger: rows.move(c, t.id, t.state, EXPIRED, now))  # type: ignore[misc]
            except PlatformError as error:
                self._fires.put_off(trigger)
                self._tell(trigger, f"It has lapsed and could not be ended at the broker: {error}")

    def _end_there(self, trigger: Trigger, resident_id: str) -> None:
        words = end_gtt(self._sessions.broker_for(self._fires.caller(trigger).account), resident_id)
        if words:
            raise Unavailable(words)


def _met(leg: TriggerLeg, last_price: float) -> bool:
    if leg.trigger_price is None or leg.state != rows.PENDING:
        return False
    seen = Decimal(repr(last_price))
    return seen <= leg.trigger_price if leg.fires == BELOW else seen >= leg.trigger_price


def _day(tick: Tick) -> date:
    """The IST day that a feed had it on."""
    return datetime.fromtimestamp(tick.timestamp / 1000, UTC).astimezone(IST).date()


def _topic(key: Key) -> Topic:
    return Topic(key[0], StreamMode.LTP.value, key[1], key[2])

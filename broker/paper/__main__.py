"""The exchange role's process: builds the market, the books and the server, and serves until SIGTERM."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import NamedTuple

import zmq

import config
from broker.paper.live import LiveFeeds
from broker.paper.market import Market
from broker.paper.recordings import read_recordings
from broker.paper.server import assemble
from broker.paper.settlement import Lookup
from broker.paper.simulated import SEED, SimulatedMarket
from commands.locks import AlreadyRunning, hold
from config import Settings, SystemClock
from database.engine import Database, open_database
from database.paper_ledger import PaperLedger
from domain.calendar import Calendar
from domain.clock import IST, Clock
from domain.market import Tick
from domain.model import StreamMode
from services import pulse
from services.bus import Bus
from services.event_bus import EventBus, book_topic
from services.instruments import Instruments
from services.market_calendar import MarketCalendar
from services.snapshot import Snapshots
from services.tick_bus import FeedState, TickPublisher, TickSubscriber, Topic

log = logging.getLogger(__name__)

FEED = "paper"
EX_TEMPFAIL = 75
EX_CONFIG = 78
_AT_ONCE = 100_000


class BusPublisher:
    """Ticks and bells onto the bus."""

    def __init__(self, bus: Bus, feeds: frozenset[str], monotonic: Callable[[], float]) -> None:
        self._ticks = TickPublisher(bus, feeds.__contains__, monotonic)
        self._events = EventBus(bus)
        for feed in feeds:
            self._ticks.state(FeedState(feed, feed, "live", int(time.time() * 1000)))

    def wanted(self, feed: str) -> Mapping[tuple[str, str], int]:
        return self._ticks.wanted(feed)

    def tick(self, feed: str, tick: Tick) -> None:
        self._ticks.tick(feed, tick)

    def ring(self, account: str) -> None:
        if account.isdigit():
            self._events.ring(book_topic(int(account)))

    def poll(self) -> list[tuple[str, str, str]]:
        pulse.beat()
        topics = [change.topic for change in self._ticks.poll() if change.wanted]
        return [(topic.feed, topic.exchange, topic.symbol) for topic in topics]

    def close(self) -> None:
        self._ticks.close()
        self._events.close()


class BusTicks:
    """Ticks of brokers' feeds off the bus, for accounts in analyze mode."""

    def __init__(self, bus: Bus) -> None:
        self._subscriber = TickSubscriber(bus)
        self._snapshots = Snapshots(bus)
        self._wanted: dict[str, frozenset[tuple[str, str]]] = {}

    def want(self, feed: str, pairs: frozenset[tuple[str, str]]) -> None:
        before = self._wanted.get(feed, frozenset())
        self._wanted[feed] = pairs
        for pair in pairs - before:
            self._subscriber.want(Topic(feed, StreamMode.QUOTE, *pair))
        for pair in before - pairs:
            self._subscriber.drop(Topic(feed, StreamMode.QUOTE, *pair))

    def receive(self) -> list[tuple[str, Tick]]:
        return [(seen.topic.feed, seen.tick()) for seen in self._subscriber.receive(_AT_ONCE)]

    def last(self, feed: str, pairs: Sequence[tuple[str, str]]) -> list[Tick | None]:
        return self._snapshots.last(feed, pairs)

    def close(self) -> None:
        self._subscriber.close()


class Stage(NamedTuple):
    """What paper accounts trade on: markets by feed, the time they show, and the calendar they keep (None: none)."""

    markets: Callable[[], dict[str, Market]]
    clock: Clock
    calendar: Callable[[], Calendar] | None = None


def main(settings: Settings) -> int:
    """Serve the exchange; EX_TEMPFAIL when another process of this install already does."""
    try:
        lock = hold(settings.data_dir / "exchange.lock")
    except AlreadyRunning as error:
        log.error("the paper exchange is already running: %s", error)
        return EX_TEMPFAIL
    with contextlib.ExitStack() as held:
        held.callback(lock.close)
        database = held.enter_context(
            contextlib.closing(open_database(settings.database_url, "paper", settings.data_dir))
        )
        ledger = PaperLedger(database)
        if not ledger.claim():
            log.error("the paper exchange is already running on another host")
            return EX_TEMPFAIL
        platform = held.enter_context(
            contextlib.closing(open_database(settings.database_url, "platform", settings.data_dir))
        )
        calendar = MarketCalendar(platform, SystemClock())
        try:
            stage = stage_of(settings, ledger, calendar)
        except (OSError, ValueError) as error:
            log.error("PAPER_REPLAY: %s", error)
            return EX_CONFIG
        _serve(settings, ledger, platform, calendar, stage)
    return 0


def stage_of(settings: Settings, ledger: PaperLedger, calendar: MarketCalendar) -> Stage:
    """The simulated market, or the recording that the settings name. Raises OSError and ValueError."""
    real = SystemClock()
    if not settings.paper_replay:
        return Stage(lambda: {FEED: SimulatedMarket(SEED, real)}, real)
    shown = read_recordings(settings.replay_paths, calendar.current())
    clock = shown.clock(real, settings.paper_replay_from, settings.paper_replay_speed, ledger.last_change())
    log.info(
        "replaying %d instruments from %s at %g times real time",
        len(shown.tapes),
        clock.now().astimezone(IST).isoformat(timespec="seconds"),
        settings.paper_replay_speed,
    )
    return Stage(lambda: {FEED: shown.market(calendar.current(), clock, FEED)}, clock, calendar.current)


def _serve(
    settings: Settings, ledger: PaperLedger, platform: Database, calendar: MarketCalendar, stage: Stage
) -> None:
    """Until SIGTERM. Accounts of live feeds have no market while the clock shows recorded time."""
    bus = Bus(settings.data_dir, "exchange", _tcp(settings))
    publisher = BusPublisher(bus, frozenset({FEED}), stage.clock.monotonic)
    ticks = BusTicks(bus)
    live = LiveFeeds(ticks, calendar.current, stage.clock) if stage.calendar is None else None
    server = assemble(
        bus.bind(zmq.ROUTER, bus.addresses.exchange, send=0, receive=0),
        ledger,
        stage.markets,
        stage.clock,
        publisher,
        lookup_of(settings, platform, calendar, SystemClock()),
        live=live,
        calendar=stage.calendar,
    )

    def end(_signal: int, _frame: FrameType | None) -> None:
        server.stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with contextlib.ExitStack() as open_things:
        for thing in (bus, publisher, ticks):
            open_things.callback(thing.close)
        log.info("paper exchange serves")
        server.run()


def lookup_of(settings: Settings, platform: Database, calendar: MarketCalendar, clock: SystemClock) -> Lookup:
    """Instruments of the paper master by exchange and symbol."""
    instruments = Instruments(platform, settings.data_dir / "instruments", clock, calendar.current)
    return lambda exchange, symbol: instruments.get(FEED, exchange, symbol)


def _tcp(settings: Settings) -> str:
    return f"tcp://{settings.zmq_host}:{settings.zmq_port}" if settings.bus_transport == "tcp" else ""


if __name__ == "__main__":
    sys.exit(main(config.load()))

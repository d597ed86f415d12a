"""From what is wanted on the bus to what brokers' sockets subscribe, and their ticks and states back onto the bus.

A feed opens when somebody wants it, or when its account's order updates need it, and follows the account's login:
a new login is taken over without a gap, a finished one is told as `expired` until the next. Lookups run in threads.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import zmq

from domain.errors import PlatformError, SessionOver
from domain.market import Tick
from domain.model import Order
from services.bus import Bus
from services.tick_bus import LINGER, FeedState, TickPublisher
from websocket_proxy.order_news import PAUSES, OrderNews

log = logging.getLogger(__name__)

T = TypeVar("T")
_POLL: Final = 0.1
_GATHER: Final = 0.02
"""Seconds that wishes of listeners are gathered."""
_LOOK: Final = 5.0


class Stream(Protocol):
    """An open feed (`broker.stream.BrokerStream`)."""

    overflow: set[tuple[str, str]]

    def start(self) -> None: ...

    def want(self, wants: Any) -> None: ...

    async def renew(self, session: Any) -> None: ...

    async def stop(self) -> None: ...


class Sinks(Protocol):
    """`broker.stream.StreamSinks`, as a maker."""

    def __call__(
        self,
        ticks: Callable[[Sequence[Tick]], None],
        orders: Callable[[Sequence[Order]], None],
        state: Callable[[str, str], None],
    ) -> Any: ...


class Feeds(Protocol):
    """`services.broker_feeds.BrokerFeeds`: all of it blocks."""

    def login(self, feed: str) -> Any: ...

    def open(self, feed: str, login: Any, sinks: Any, is_open: Callable[[], bool]) -> Stream: ...

    def wants(self, feed: str, modes: Mapping[tuple[str, str], int]) -> Any: ...

    def always(self) -> list[str]: ...

    def is_open(self, feed: str) -> bool: ...

    def apply(self, feed: str, orders: Sequence[Order]) -> None: ...

    def catch_up(self, feed: str) -> None: ...


class _Open:
    """One feed's present state."""

    def __init__(self, news: OrderNews) -> None:
        self.news = news
        self.stream: Stream | None = None
        self.login: Any = None
        self.market_open = True
        self.told = ""
        self.lock = asyncio.Lock()


class FeedHub:
    """Runs on the loop that made it, between `start` and `stop`."""

    def __init__(
        self,
        bus: Bus,
        feeds: Feeds,
        sinks: Sinks,
        threads: Executor,
        linger: float = LINGER,
        look: float = _LOOK,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        """`sinks` makes what a stream tells things to; `look` is seconds between looks at logins, `pauses` between the
        tries to store order news or to read what was missed of it."""
        self._feeds = feeds
        self._sinks = sinks
        self._threads = threads
        self._look_every = look
        self._pauses = pauses
        self._loop = asyncio.get_running_loop()
        self._publisher = TickPublisher(bus, lambda feed: ":" in feed, time.monotonic, linger)
        self._open: dict[str, _Open] = {}
        self._always: set[str] = set()
        self._due: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._descriptor = int(self._publisher.socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._descriptor, self._poll)
        self._spawn(self._turn())
        self._spawn(self._look())

    async def stop(self) -> None:
        """Close every feed."""
        self._loop.remove_reader(self._descriptor)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for known in self._open.values():
            if known.stream is not None:
                await known.stream.stop()
        self._publisher.close()

    # -- rounds
    async def _turn(self) -> None:
        while True:
            await asyncio.sleep(_POLL)
            self._poll()

    def _poll(self) -> None:
        for change in self._publisher.poll():
            feed = change.topic.feed
            if feed not in self._due:
                self._due.add(feed)
                self._loop.call_later(_GATHER, self._settle_soon, feed)

    def _settle_soon(self, feed: str) -> None:
        self._due.discard(feed)
        self._spawn(self._settle(feed))

    async def _look(self) -> None:
        """Follow logins and market hours: every few seconds, so that a morning's login needs nobody's help."""
        while True:
            try:
                self._always = set(await self._run(self._feeds.always))
                for feed in {*self._always, *self._open}:
                    await self._settle(feed)
            except Exception:
                log.exception("feeds could not be looked at")
            await asyncio.sleep(self._look_every)

    # -- one feed
    async def _settle(self, feed: str) -> None:
        """Make a feed what its login and its listeners ask for."""
        known = self._open.get(feed)
        if known is None:
            known = self._open[feed] = _Open(
                OrderNews(feed, partial(self._run, self._feeds.apply, feed), self._pauses)
            )
        async with known.lock:
            modes = self._publisher.wanted(feed)
            if not modes and feed not in self._always:
                await self._close(feed, known, "nobody listens")
                return
            try:
                login = await self._run(self._feeds.login, feed)
            except SessionOver as over:
                await self._close(feed, known, str(over))
                self._tell(feed, known, "expired", str(over))
                return
            known.market_open = await self._run(self._feeds.is_open, feed)
            if known.stream is None:
                await self._begin(feed, known, login)
            elif login != known.login:
                known.login = login
                await known.stream.renew(login.session)
            wants = await self._run(self._feeds.wants, feed, modes)
            if known.stream is not None:
                known.stream.want(wants)

    async def _begin(self, feed: str, known: _Open, login: Any) -> None:
        def ticks(found: Sequence[Tick]) -> None:
            for tick in found:
                self._publisher.tick(feed, tick)

        def orders(found: Sequence[Order]) -> None:
            self._spawn(known.news.add(found))

        sinks = self._sinks(ticks, orders, lambda state, words: self._tell(feed, known, state, words))
        known.login = login
        known.stream = await self._run(self._feeds.open, feed, login, sinks, lambda: known.market_open)
        known.stream.start()
        log.info("feed opened feed=%s", feed)

    async def _close(self, feed: str, known: _Open, why: str) -> None:
        if known.stream is not None:
            await known.stream.stop()
            known.stream = None
            log.info("feed closed feed=%s why=%s", feed, why)
        known.told = ""
        self._publisher.forget(_account(feed))

    def _tell(self, feed: str, known: _Open, state: str, words: str) -> None:
        if known.told != state:
            known.told = state
            if state == "live":
                self._spawn(self._catch_up(feed))
            self._publisher.state(FeedState(feed, _account(feed), state, int(time.time() * 1000), words))

    async def _catch_up(self, feed: str) -> None:
        """Read what a feed missed that is back, again with longer pauses while that fails; in the end the look of each
        minute finds it."""
        for pause in (*self._pauses, None):
            try:
                await self._run(self._feeds.catch_up, feed)
                return
            except PlatformError as error:
                log.warning("book not read after a reconnect feed=%s: %s", feed, error)
                if isinstance(error, SessionOver):
                    return
            except Exception:
                log.exception("book not kept after a reconnect feed=%s", feed)
            if pause is not None:
                await asyncio.sleep(pause)

    # -- inside
    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a feed's work failed", exc_info=error)

    async def _run(self, call: Callable[..., T], *arguments: object) -> T:
        return await self._loop.run_in_executor(self._threads, call, *arguments)


def _account(feed: str) -> str:
    return feed.rpartition(":")[2]

"""The stream role's process: the bus's middle, the public socket, brokers' feeds. Serves until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import config
from config import Settings
from services import pulse
from services.bus import open_bus
from websocket_proxy.forwarder import Forwarder

if TYPE_CHECKING:
    from services.broker_feeds import BrokerFeeds
    from services.platform import Platform
    from websocket_proxy.access import FeedFacts
    from websocket_proxy.origins import Origins
    from websocket_proxy.parts import Parts

log = logging.getLogger(__name__)

EX_TEMPFAIL = 75
_THREADS = 8


def main(settings: Settings) -> int:
    """Serve; EX_TEMPFAIL when another stream role of this install is there, 1 when the port is taken.

    The bus comes first and what takes long to import after it: other roles wait for the bus, nothing else.
    """
    logging.getLogger("picows").setLevel(logging.CRITICAL)  # a line for each broken frame of each stranger
    try:
        forwarder = Forwarder(open_bus(settings, "stream"))
    except OSError as error:
        log.error("the stream role is already running: %s", error)
        return EX_TEMPFAIL
    forwarder.start()
    from services.platform import build_platform

    platform = build_platform(settings, "stream")
    # Ticks make no cycles; collecting after every few hundred objects costs a third of parsing (`bench parse`).
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        return _run(serve(settings, platform))
    except OSError as error:
        log.error("cannot listen on %s:%s: %s", settings.websocket_host, settings.websocket_port, error)
        return 1
    finally:
        platform.close()
        forwarder.stop()


def _run(work: Coroutine[Any, Any, int]) -> int:
    if sys.platform == "win32":  # its usual loop cannot watch the bus's sockets
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(work)
    import uvloop

    return uvloop.run(work)


async def serve(settings: Settings, platform: Platform) -> int:
    """Until a signal says so. Raises OSError when the port stays taken."""
    from broker.stream import StreamSinks
    from websocket_proxy.feed import FeedHub
    from websocket_proxy.server import Server

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="stream") as threads:
        server = Server(platform.bus, parts(settings, platform, threads))
        feeds = FeedHub(platform.bus, broker_feeds(platform), StreamSinks, threads)
        feeds.start()
        try:
            await server.start(settings.websocket_host, settings.websocket_port)
            log.info("websocket serves host=%s port=%s", settings.websocket_host, server.port)
            while not stop.is_set():
                pulse.beat()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pulse.EVERY)
        finally:
            await feeds.stop()
            await server.stop()
    return 0


def parts(settings: Settings, platform: Platform, threads: ThreadPoolExecutor) -> Parts:
    """What the server is made of, from the platform."""
    from broker import catalog
    from services.addresses import Proxies
    from services.bans import Bans
    from websocket_proxy.access import PlatformAccess
    from websocket_proxy.parts import Parts

    proxies = Proxies(settings.trusted_proxies)

    def address(peer: str, headers: Mapping[str, str]) -> str:
        return proxies.client(peer, headers.get("x-forwarded-for", ""))

    def known(broker: str, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        return [platform.instruments.get(broker, exchange, symbol) is not None for exchange, symbol in pairs]

    return Parts(
        access=PlatformAccess(
            platform.accounts, platform.sessions, platform.tickets, feed_facts(), _session_lives(platform)
        ),
        events=platform.updates,
        known=known,
        brokers=catalog.names(),
        origins=origins(settings),
        address=address,
        banned=Bans(platform.databases["platform"], platform.clock),
        threads=threads,
    )


def broker_feeds(platform: Platform) -> BrokerFeeds:
    """Brokers' feeds of the accounts that are logged in."""
    from services.broker_feeds import BrokerFeeds

    return BrokerFeeds(
        platform.accounts,
        platform.sessions,
        platform.instruments,
        platform.calendar,
        platform.updates,
        platform.clock,
    )


def feed_facts() -> dict[str, FeedFacts]:
    """What each broker's feed offers, by its manifest."""
    from broker import catalog
    from websocket_proxy.access import FeedFacts

    return {
        name: FeedFacts(manifest.can.streams, manifest.limits.depth_levels)
        for name in catalog.names()
        if (manifest := catalog.manifest(name))
    }


def origins(settings: Settings) -> Origins:
    """The dashboard's own origins and those that CORS allows."""
    from websocket_proxy.origins import Origins

    public = [urlsplit(url) for url in (settings.host_server, settings.websocket_url)]
    local = {f"http://{name}:{settings.flask_port}" for name in ("127.0.0.1", "localhost", "[::1]")}
    own = f"{public[0].scheme}://{public[0].netloc}"
    return Origins({own, *settings.cors_allowed_origins, *local}, [url.hostname or "" for url in public])


def _session_lives(platform: Platform) -> Callable[[str], bool]:
    from database import sessions as session_rows

    def lives(hashed: str) -> bool:
        with platform.databases["platform"].read() as connection:
            row = session_rows.find(connection, hashed, platform.clock.now())
        return row is not None and row.user_id is not None

    return lives


if __name__ == "__main__":
    sys.exit(main(config.load()))

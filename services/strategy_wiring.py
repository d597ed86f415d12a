"""How the host of strategies is put together from a platform: the doors' half, and the worker's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from services.strategy_keeper import KeeperParts, StrategyKeeper
from services.strategy_keys import RunKeys
from services.strategy_launch import Addresses
from services.strategy_readiness import Readiness
from services.strategy_sweep import StrategySweep

if TYPE_CHECKING:
    from config import Settings
    from services.platform import Platform

_ANY = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104


def build_keeper(platform: Platform, fence: Callable[[Connection], bool]) -> StrategyKeeper:
    """The keeper of a worker; `fence(connection)` says whether that worker still holds its lease."""
    settings, store = platform.settings, platform.databases["platform"]
    parts = KeeperParts(
        store=store,
        logs=platform.databases["logs"],
        data_dir=settings.data_dir,
        clock=platform.clock,
        bell=platform.event_bus,
        keys=RunKeys(store, platform.vault, platform.accounts, platform.clock),
        values=platform.strategy_host.values,
        readiness=Readiness(
            platform.databases["orders"],
            platform.accounts,
            platform.sessions,
            platform.instruments,
            platform.clock,
            ports(settings),
        ),
        sessions=lambda exchange, day: platform.calendar.current().sessions(exchange, day),
        addresses=addresses(settings),
        sweep=StrategySweep(
            store,
            platform.clock,
            platform.accounts,
            platform.orders,
            platform.order_plans,
            platform.portfolio,
            platform.strategy_book,
        ).look,
    )
    return StrategyKeeper(parts, fence)


def ports(settings: Settings) -> tuple[tuple[str, int], tuple[str, int]]:
    """Host and port of the web server and of the feed, as this machine reaches them."""
    web = (_reached(settings.flask_host_ip), settings.flask_port)
    return web, (_reached(settings.websocket_host), settings.websocket_port)


def addresses(settings: Settings) -> Addresses:
    """Where a strategy on this machine finds the platform, with the ports it really has."""
    http, socket = _reached(settings.flask_host_ip), _reached(settings.websocket_host)
    return Addresses(
        http=f"http://{_bracketed(http)}:{settings.flask_port}",
        public=settings.host_server,
        socket=f"ws://{_bracketed(socket)}:{settings.websocket_port}",
        socket_host=socket,
        socket_port=settings.websocket_port,
    )


def _reached(host: str) -> str:
    return _ANY.get(host, host)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host

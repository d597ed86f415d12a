"""What the stream role is handed by its composition root, and nothing it could fetch itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from websocket_proxy.access import Access
from websocket_proxy.orders import OrderEvents
from websocket_proxy.origins import Origins
from websocket_proxy.verbs import Known


class Banned(Protocol):
    """Addresses that are not served. `services.bans.Bans` is the real one."""

    def look(self) -> bool:
        """Read them, which blocks; whether they changed."""
        ...

    def covers(self, address: str) -> bool:
        """As of the last look; reads nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """origins   which pages may connect
    brokers   the names `get_supported_brokers` lists
    known     see `verbs.Wants`
    address   (peer's IP, headers) -> the client's IP, believing trusted proxies only
    banned    addresses that are not served
    threads   where blocking reads run
    """

    access: Access
    events: OrderEvents
    known: Known
    brokers: Sequence[str]
    origins: Origins
    address: Callable[[str, Mapping[str, str]], str]
    banned: Banned
    threads: Executor

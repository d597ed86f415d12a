"""Which pages may open the socket. Programs send no Origin, or (websocket-client does) the server's own address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit


class Origins:
    """The dashboard's origins and those an administrator allowed.

    The server's own address counts as allowed when it is named by an IP address, as localhost or by a name of ours:
    any other name could be one that somebody pointed at this machine.
    """

    def __init__(self, allowed: Iterable[str], names: Iterable[str]) -> None:
        """`allowed` are origins such as https://algo.example.com; "*" is not one. `names` are host names of ours."""
        self._allowed = frozenset(_plain(origin) for origin in allowed if origin != "*")
        self._names = frozenset(name.lower() for name in names) | {"localhost"}

    def may(self, origin: str, host: str) -> bool:
        """`origin` and `host` as the two headers say."""
        if _plain(origin) in self._allowed:
            return True
        parts = urlsplit(origin)
        return (
            bool(parts.netloc)
            and parts.netloc.lower() == host.lower()
            and self._is_ours(parts.hostname or "")
        )

    def _is_ours(self, name: str) -> bool:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.lower() in self._names
        return True


def _plain(origin: str) -> str:
    return origin.strip().rstrip("/").lower()

"""Who is at the other end of a connection, believing forwarding headers only from proxies that are trusted."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache


class Proxies:
    """The networks whose X-Forwarded-* headers are believed."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)

    def trusts(self, peer: str) -> bool:
        address = _address(peer)
        return address is not None and any(address in network for network in self._networks)

    def client(self, peer: str, forwarded_for: str) -> str:
        """The nearest address that is not a trusted proxy's, reading the header from its end; `peer` by default."""
        at = peer
        for hop in reversed(forwarded_for.split(",")):
            if not self.trusts(at):
                return at
            address = _address(hop.strip())
            if address is None:
                return at
            at = str(address)
        return at


@lru_cache(1024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found

"""Addresses and networks that page, API and feed do not serve, by an administrator's word, until a time or lifted."""

from __future__ import annotations

import ipaddress
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from database import settings as rows
from database.engine import Database, hold
from domain.clock import Clock
from domain.errors import InvalidRequest, NotFound
from services.accounts import Caller

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAME = "bans"
_LOOK_EVERY = 1.0
_MOST = 500
_WIDEST = {4: 8, 6: 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """One network that is shut out. `until` None: until it is lifted."""

    network: str
    reason: str
    by: str
    at: datetime
    until: datetime | None


class Bans:
    """Kept as one row; a process that serves reads it again about once a second."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._now: tuple[tuple[Network, Ban], ...] = ()

    def holds(self, address: str) -> bool:
        """Whether nothing is served to an address; looks again when the last look is a second old."""
        if self._clock.monotonic() - self._looked_at >= _LOOK_EVERY:
            self.look()
        return self.covers(address)

    def look(self) -> bool:
        """Read what is in force; whether that differs from the last look."""
        with self._lock:
            self._looked_at = self._clock.monotonic()
            before = self._now
            self._now = tuple((ipaddress.ip_network(ban.network), ban) for ban in self.listed())
            return before != self._now

    def covers(self, address: str) -> bool:
        """Whether an address was banned at the last look, and still is. Reads nothing."""
        if not self._now:
            return False
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        plain = getattr(peer, "ipv4_mapped", None) or peer
        return any(plain in network and self._lasts(ban) for network, ban in self._now)

    def listed(self) -> list[Ban]:
        """What is in force, newest first."""
        with self._db.read() as connection:
            return [ban for ban in _read(connection) if self._lasts(ban)][::-1]

    def add(self, caller: Caller, network: str, reason: str, lasts: timedelta | None) -> Ban:
        """Shut a network out. Raises InvalidRequest, also for one that holds the caller or this machine."""
        wanted = _network(network)
        for own in (caller.address, "127.0.0.1", "::1"):
            if own and ipaddress.ip_address(own) in wanted:
                raise InvalidRequest(
                    f"{wanted} holds {own}: you would shut yourself or the server out.", "network"
                )
        now = self._clock.now()
        ban = Ban(
            network=str(wanted),
            reason=reason.strip()[:200],
            by=caller.username,
            at=now,
            until=None if lasts is None else now + lasts,
        )

        def work(connection: Connection) -> None:
            hold(connection, _NAME)
            kept = [one for one in _read(connection) if self._lasts(one) and one.network != ban.network]
            if len(kept) >= _MOST:
                raise InvalidRequest(f"There are {_MOST} bans already: ban a network instead.", "network")
            _write(connection, [*kept, ban])

        self._db.write(work)
        self._looked_at = float("-inf")
        return ban

    def lift(self, network: str) -> None:
        """Serve a network again. Raises NotFound."""

        def work(connection: Connection) -> bool:
            hold(connection, _NAME)
            kept = _read(connection)
            left = [one for one in kept if one.network != network]
            _write(connection, left)
            return len(left) < len(kept)

        if not self._db.write(work):
            raise NotFound(f"{network} is not banned.")
        self._looked_at = float("-inf")

    def _lasts(self, ban: Ban) -> bool:
        return ban.until is None or ban.until > self._clock.now()


def _network(text: str) -> Network:
    try:
        found = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise InvalidRequest(
            "Write an address or a network, such as 203.0.113.7 or 203.0.113.0/24.", "network"
        ) from error
    if found.prefixlen < _WIDEST[found.version]:
        raise InvalidRequest(f"{found} is too wide: /{_WIDEST[found.version]} at most.", "network")
    return found


def _read(connection: Connection) -> list[Ban]:
    return [
        Ban(
            network=one["network"],
            reason=one["reason"],
            by=one["by"],
            at=datetime.fromisoformat(one["at"]),
            until=datetime.fromisoformat(one["until"]) if one["until"] else None,
        )
        for one in rows.load(connection, _NAME) or []
    ]


def _write(connection: Connection, bans: list[Ban]) -> None:
    values = [
        {
            "network": one.network,
            "reason": one.reason,
            "by": one.by,
            "at": one.at.isoformat(),
            "until": one.until.isoformat() if one.until else "",
        }
        for one in bans
    ]
    rows.save(connection, _NAME, values)

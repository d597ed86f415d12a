"""What one socket, one key and the whole server may take. Beyond a bound there is an answer, never a slow death."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """connections    sockets at once; more are refused with HTTP 503
    waiting        of those, not yet authenticated
    per_account    authenticated sockets of one account
    subscriptions  held by one socket, each mode counted
    topics         instruments and modes on the whole server
    per_message    instruments in one request
    watched        bells heard by one page
    grace          seconds to authenticate in
    attempts       failed authentications before the socket is closed
    ping_every     seconds between pings, and to the pong
    stalled        seconds a socket may take nothing before it is closed
    recheck        seconds between looks at whether a key or session still holds
    """

    connections: int = 5000
    waiting: int = 500
    per_account: int = 1000
    subscriptions: int = 10_000
    topics: int = 100_000
    per_message: int = 10_000
    watched: int = 100
    grace: float = 15.0
    attempts: int = 5
    ping_every: float = 20.0
    stalled: float = 30.0
    recheck: float = 30.0

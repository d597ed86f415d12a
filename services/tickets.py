"""Tickets: how a browser page opens the socket without ever holding an API key.

A page asks the web role for one over its session and shows it to the stream role within seconds. It is signed,
short-lived and works once. The stream role remembers what it has seen and refuses what was made before it started,
so a ticket works once even across a restart; no row is written.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
from typing import Final, NamedTuple

import msgspec

from domain.clock import Clock
from domain.errors import Unauthorized

LIFE: Final = 30.0
_MAC = 32


class Claim(NamedTuple):
    """What a ticket says. `session` names the browser session it came from, "" for none."""

    user_id: int
    account_id: int
    session: str
    made_at: float
    nonce: bytes


class Tickets:
    """Made in web, redeemed in stream; both hold the same secret."""

    def __init__(self, secret: str, clock: Clock, life: float = LIFE) -> None:
        """`life` is seconds."""
        self._key = hmac.new(secret.encode(), b"socket ticket", hashlib.sha256).digest()
        self._clock = clock
        self._life = life
        self._started = clock.now().timestamp()
        self._seen: dict[bytes, float] = {}
        self._lock = threading.Lock()

    def issue(self, user_id: int, account_id: int, session: str = "") -> str:
        """A ticket for one socket of this account. The caller has checked that the account is the user's."""
        claim = Claim(user_id, account_id, session, self._clock.now().timestamp(), secrets.token_bytes(12))
        body = msgspec.msgpack.encode(claim)
        return base64.urlsafe_b64encode(self._sign(body) + body).decode()

    def redeem(self, ticket: str) -> Claim:
        """What the ticket says, the first time. Raises Unauthorized, always in the same words."""
        try:
            raw = base64.urlsafe_b64decode(ticket.encode())
            if not hmac.compare_digest(raw[:_MAC], self._sign(raw[_MAC:])):
                raise ValueError("signature")
            claim = msgspec.msgpack.decode(raw[_MAC:], type=Claim)
        except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
            raise Unauthorized("Invalid ticket") from error
        now = self._clock.now().timestamp()
        made_here = self._started <= claim.made_at <= now + self._life
        if not made_here or now - claim.made_at > self._life or not self._first(claim.nonce, now):
            raise Unauthorized("Invalid ticket")
        return claim

    def _first(self, nonce: bytes, now: float) -> bool:
        with self._lock:
            for old in [seen for seen, until in self._seen.items() if until < now]:
                del self._seen[old]
            if nonce in self._seen:
                return False
            self._seen[nonce] = now + 2 * self._life
            return True

    def _sign(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, hashlib.sha256).digest()

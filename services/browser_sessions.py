"""Server-side browser sessions: a random cookie, a hashed row.

Sign-out, a changed password and the daily cut end them for good.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection

from database import sessions as rows
from database.engine import Database
from database.sessions import Device, SessionRow
from domain.clock import IST, Clock

__all__ = ["BrowserSession", "BrowserSessions", "Device"]

GUEST_LIFETIME = timedelta(hours=1)
TRUST = timedelta(days=30)
MOST_SESSIONS = 5
_TOUCH_EVERY = timedelta(seconds=60)
_AGENT = 256


@dataclass(slots=True, kw_only=True)
class BrowserSession:
    """One open session. `data` is what pages keep in it; `hash` names the row, the cookie is not kept."""

    hash: str
    user_id: int | None
    address: str
    agent: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    data: dict[str, Any] = field(default_factory=dict)


def hash_cookie(cookie: str) -> str:
    """What a session or device cookie is found by."""
    return hashlib.sha256(cookie.encode()).hexdigest()


class BrowserSessions:
    """`cut` (IST) ends signed-in sessions daily; `ended(user_id)` hears of those that were cut short."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        cut: time = time(3, 0),
        ended: Callable[[int], None] = lambda _user_id: None,
    ) -> None:
        self._db = database
        self._clock = clock
        self._cut = cut
        self._ended = ended

    # -- one session
    def open(self, cookie: str) -> BrowserSession | None:
        """The session of a cookie as the database has it now; None when it has ended or never was."""
        if not 20 <= len(cookie) <= 128:
            return None
        with self._db.read() as connection:
            row = rows.find(connection, hash_cookie(cookie), self._clock.now())
        return None if row is None else _opened(row)

    def begin(
        self,
        user_id: int | None,
        data: dict[str, Any],
        *,
        address: str,
        agent: str,
        replaces: str | None = None,
    ) -> tuple[str, BrowserSession]:
        """A new session and its cookie; the session `replaces` (a hash) ends in the same transaction."""
        cookie = secrets.token_urlsafe(32)
        now = self._clock.now()
        row = SessionRow(
            hash=hash_cookie(cookie),
            user_id=user_id,
            data=json.dumps(data),
            address=address,
            agent=agent[:_AGENT],
            created_at=now,
            seen_at=now,
            expires_at=now + GUEST_LIFETIME if user_id is None else self._next_cut(now),
        )

        def work(connection: Connection) -> bool:
            rows.end_expired(connection, now)
            over = bool(replaces) and rows.end(connection, replaces or "")
            rows.add(connection, row)
            return bool(self._crowded_out(connection, user_id, row.hash, now)) or over

        if self._db.write(work) and user_id is not None:
            self._ended(user_id)
        return cookie, _opened(row)

    def save(self, session: BrowserSession) -> bool:
        """Keep a session's data; False when the session was ended meanwhile."""
        text = json.dumps(session.data)
        now = self._clock.now()
        return self._db.write(lambda c: rows.save(c, session.hash, text, now))

    def touch(self, session: BrowserSession, address: str) -> None:
        """Note that the session is in use, at most once a minute."""
        now = self._clock.now()
        if session.user_id is not None and now - session.seen_at >= _TOUCH_EVERY:
            self._db.write(lambda c: rows.touch(c, session.hash, address, now))

    def _next_cut(self, now: datetime) -> datetime:
        local = now.astimezone(IST)
        cut = datetime.combine(local.date(), self._cut, IST)
        return cut if cut > local else cut + timedelta(days=1)

    @staticmethod
    def _crowded_out(connection: Connection, user_id: int | None, kept: str, now: datetime) -> list[str]:
        """End the sessions beyond the most a user may have, those seen longest ago first."""
        if user_id is None:
            return []
        others = [row.hash for row in rows.of_user(connection, user_id, now) if row.hash != kept]
        return [hashed for hashed in others[MOST_SESSIONS - 1 :] if rows.end(connection, hashed)]

    def lives(self, hashed: str) -> bool:
        """Whether the session of this hash is signed in still; for sockets that outlive the page's request."""
        with self._db.read() as connection:
            row = rows.find(connection, hashed, self._clock.now())
        return row is not None and row.user_id is not None

    # -- ending
    def end(self, session: BrowserSession) -> None:
        if self._db.write(lambda c: rows.end(c, session.hash)) and session.user_id is not None:
            self._ended(session.user_id)

    def end_of_user(self, user_id: int, hashed: str) -> bool:
        """End one of a user's sessions; False when it is not theirs."""
        found = next((one for one in self.of_user(user_id) if one.hash == hashed), None)
        if found is not None:
            self.end(found)
        return found is not None

    def end_all(self, user_id: int, *, but: str | None = None) -> int:
        """End a user's sessions `but` one (a hash) and stop trusting their devices. Returns how many."""
        now = self._clock.now()

        def work(connection: Connection) -> list[str]:
            rows.distrust_devices(connection, user_id)
            found = [row.hash for row in rows.of_user(connection, user_id, now) if row.hash != but]
            return [hashed for hashed in found if rows.end(connection, hashed)]

        over = self._db.write(work)
        if over:
            self._ended(user_id)
        return len(over)

    def of_user(self, user_id: int) -> list[BrowserSession]:
        """The one seen last first."""
        with self._db.read() as connection:
            return [_opened(row) for row in rows.of_user(connection, user_id, self._clock.now())]

    # -- devices
    def knows_device(self, cookie: str, user_id: int) -> bool:
        """Whether this user has signed in from the device that holds this cookie."""
        return self._device(cookie, user_id) is not None

    def trusts_device(self, cookie: str, user_id: int) -> bool:
        """Whether the user told this device not to ask for a code, less than thirty days ago."""
        device = self._device(cookie, user_id)
        until = device.trusted_until if device else None
        return until is not None and until > self._clock.now()

    def keep_device(self, cookie: str, user_id: int, *, agent: str, trust: bool) -> str:
        """Remember that a user signed in from a device. Returns its cookie, a new one when it had none."""
        cookie = cookie if 20 <= len(cookie) <= 128 else secrets.token_urlsafe(32)
        now = self._clock.now()
        until = now + TRUST if trust else None
        hashed = hash_cookie(cookie)
        self._db.write(lambda c: rows.keep_device(c, hashed, user_id, agent[:_AGENT], until, now))
        return cookie

    def devices_of(self, user_id: int) -> list[Device]:
        with self._db.read() as connection:
            return rows.devices_of(connection, user_id)

    def forget_device(self, user_id: int, hashed: str) -> bool:
        return self._db.write(lambda c: rows.forget_device(c, hashed, user_id))

    def _device(self, cookie: str, user_id: int) -> Device | None:
        if not 20 <= len(cookie) <= 128:
            return None
        with self._db.read() as connection:
            return rows.device(connection, hash_cookie(cookie), user_id)


def _opened(row: SessionRow) -> BrowserSession:
    return BrowserSession(
        hash=row.hash,
        user_id=row.user_id,
        address=row.address,
        agent=row.agent,
        created_at=row.created_at,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
        data=json.loads(row.data),
    )

"""Lockouts of the sign-in pages, counted from rows so that a restart forgets nothing.

A device that a user has signed in from has its own count: strangers who guess at a name can shut out other
strangers, never the owner at a known browser.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from database import login_attempts as rows
from database.engine import Database, hold
from database.login_attempts import Attempt
from domain.clock import Clock
from domain.errors import PlatformError

__all__ = ["Attempt", "LockedOut", "LoginGuard", "Try"]

WINDOW = timedelta(minutes=15)
TRIES = 10
TRIES_OF_ADDRESS = 30
_KEPT = timedelta(days=90)


class LockedOut(PlatformError):
    """Too many wrong tries. `until` is when the next one will be looked at."""

    def __init__(self, until: datetime) -> None:
        super().__init__("Too many tries.")
        self.until = until


@dataclass(frozen=True, slots=True)
class Try:
    """One try that was let through. `left` is how many more may go wrong before this device has to wait."""

    id: int
    left: int


class LoginGuard:
    """`begin` counts the try before anything is compared, so parallel guesses cannot outrun the count."""

    def __init__(self, database: Database, clock: Clock, *, tries: int = TRIES) -> None:
        self._db = database
        self._clock = clock
        self._tries = tries

    def begin(self, subject: str, kind: str, *, address: str, agent: str, device: str = "") -> Try:
        """Let a try through or raise LockedOut. `device`: the known device's hash, "" for an unknown one."""
        now = self._clock.now()
        said = {"subject": subject.casefold()[:128], "kind": kind, "address": address[:64]}
        said |= {"agent": agent[:256], "device": device}

        def work(connection: Connection) -> tuple[int, int, datetime | None]:
            hold(connection, "tries of passwords and codes")
            left, until = self._room(connection, said["subject"], said["address"], device, now)
            outcome = "blocked" if until else "trying"
            return rows.add(connection, **said, outcome=outcome, at=now), left, until

        attempt_id, left, until = self._db.write(work)
        if until is not None:
            raise LockedOut(until)
        return Try(attempt_id, left - 1)

    def succeeded(self, attempt: Try) -> None:
        self._db.write(lambda c: rows.settle(c, attempt.id, "ok"))

    def failed(self, attempt: Try) -> None:
        self._db.write(lambda c: rows.settle(c, attempt.id, "wrong"))

    def latest(self, subject: str | None = None, limit: int = 100) -> list[Attempt]:
        """Newest first; `subject` None for everybody's."""
        with self._db.read() as connection:
            name = None if subject is None else subject.casefold()
            return rows.latest(connection, subject=name, limit=limit)

    def busiest_addresses(self, days: int = 7) -> list[tuple[str, int, datetime]]:
        """Addresses whose tries failed: address, how many, the newest; most first."""
        with self._db.read() as connection:
            return rows.busiest_addresses(connection, self._clock.now() - timedelta(days=days))

    def forget_old(self) -> int:
        """Drop tries older than ninety days."""
        before = self._clock.now() - _KEPT
        return self._db.write(lambda c: rows.forget_before(c, before))

    def _room(
        self, connection: Connection, subject: str, address: str, device: str, now: datetime
    ) -> tuple[int, datetime | None]:
        """How many tries may still go wrong, and until when none may (None: now is fine)."""
        since = now - WINDOW
        if device:
            counts = [(rows.failures_of_device(connection, device, since), self._tries)]
        else:
            counts = [
                (rows.failures_of_subject(connection, subject, since), self._tries),
                (rows.failures_of_address(connection, address, since), TRIES_OF_ADDRESS),
            ]
        left = min(most - len(failures) for failures, most in counts)
        waits = [
            failures[len(failures) - most] + WINDOW for failures, most in counts if len(failures) >= most
        ]
        return left, max(waits, default=None)

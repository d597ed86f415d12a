"""Tells of broker logins that end by the clock: half an hour before, and at the daily cut. Nobody else notices then.

What is told is a bell; the login's state says what it is about. Ends that a broker told are rung by `Sessions`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from services.accounts import Account
from services.sessions import Sessions

log = logging.getLogger(__name__)


class SessionWatch:
    """Looks from one thread. What had ended before the first look is no news."""

    def __init__(
        self, accounts: Callable[[], Iterable[Account]], sessions: Sessions, changed: Callable[[int], None]
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._changed = changed
        self._seen: dict[int, str] = {}

    def look(self) -> None:
        """Ring for each account whose login ends soon, or has ended, since the last look."""
        for account in self._accounts():
            state = self._sessions.state(account)
            before, self._seen[account.id] = self._seen.get(account.id, "none"), state.word
            if state.word == before or state.word not in ("expiring", "expired"):
                continue
            if state.word == "expiring" or before != "none":
                log.warning("broker login %s account=%s until=%s", state.word, account.id, state.expires_at)
                self._changed(account.id)

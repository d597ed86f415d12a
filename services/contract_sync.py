"""Keeps the masters of brokers with a live login fresh: once a day, and at once after a first login."""

from __future__ import annotations

import logging
from datetime import time, timedelta

from database.jobs import DONE
from domain.calendar_day import day_start
from domain.clock import Clock
from services.accounts import Account, Accounts
from services.instruments import Instruments
from services.jobs import Jobs, Progress
from services.masters import load_master
from services.sessions import Sessions

log = logging.getLogger(__name__)

KIND = "master"
PUBLISHED = time(8, 0)
"""IST; brokers have the day's files by then."""
AGAIN = timedelta(minutes=15)
"""How long a failed load waits for its next try."""


class ContractSync:
    """For the worker: compares what masters there are with what there should be."""

    def __init__(
        self, clock: Clock, accounts: Accounts, sessions: Sessions, instruments: Instruments, jobs: Jobs
    ) -> None:
        self._clock = clock
        self._accounts = accounts
        self._sessions = sessions
        self._instruments = instruments
        self._jobs = jobs

    def sync(self) -> int:
        """Load what is missing or of an earlier day; returns how many loads were tried."""
        seen: set[str] = set()
        for account in self._accounts.every_account():
            if account.is_paper or account.broker in seen or not self._is_due(account):
                continue
            seen.add(account.broker)
            self.load(account)
        return len(seen)

    def load(self, account: Account) -> str:
        """Load the master of one account's broker now, as a job; what came of it."""

        def work(progress: Progress) -> str:
            report = load_master(self._sessions, self._instruments, account, progress)
            return f"{report.rows:,} instruments, {report.bad:,} rows put aside"

        return self._jobs.run(KIND, account.broker, work).message

    def ask(self, account: Account) -> None:
        """Have the worker load the master of one account's broker again, whatever its age."""
        self._jobs.ask(KIND, account.broker)

    def _is_due(self, account: Account) -> bool:
        if self._sessions.state(account).word not in ("ok", "expiring"):
            return False
        last = self._jobs.last_of(KIND, account.broker)
        if last is None or last.finished_at is None:
            return True
        asked = self._jobs.asked_at(KIND, account.broker)
        if asked is not None and asked > last.started_at:
            return True
        if last.state != DONE:
            return self._clock.now() - last.finished_at > AGAIN
        return last.finished_at < day_start(self._clock.now(), PUBLISHED)

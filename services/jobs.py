"""Long work with visible progress: the worker runs it, any page watches the row and hears the bell."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from database import jobs as rows
from database import settings as wishes
from database.engine import Database
from database.jobs import DONE, FAILED, Job
from domain.clock import Clock
from domain.errors import PlatformError
from services.event_bus import Bell, job_topic

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
EVERY = 0.4
"""Seconds between two writes of a job's progress."""


class Jobs:
    """Jobs of one platform store."""

    def __init__(self, platform_store: Database, clock: Clock, bell: Bell) -> None:
        self._db = platform_store
        self._clock = clock
        self._bell = bell

    def run(self, kind: str, subject: str, work: Callable[[Progress], str]) -> Job:
        """Do the work here and now, keeping a row; `work(progress)` returns what to say at the end.

        A PlatformError ends the row as failed with its words; other errors do too, and are logged.
        """
        now = self._clock.now()
        job_id = self._db.write(lambda c: rows.begin(c, kind, subject, now))
        self._ring(job_id)
        state, message = self._outcome(work, self._reporter(job_id), kind, subject)
        self._db.write(lambda c: rows.finish(c, job_id, state, message, self._clock.now()))
        self._ring(job_id)
        job = self.last_of(kind, subject)
        assert job is not None
        return job

    def ask(self, kind: str, subject: str) -> None:
        """Wish for a run now; whoever schedules the kind hears of it from `asked_at`."""
        now = self._clock.now().isoformat()
        self._db.write(lambda c: wishes.save(c, _wish(kind, subject), now))

    def asked_at(self, kind: str, subject: str) -> datetime | None:
        """When a run was last wished for."""
        with self._db.read() as connection:
            saved = wishes.load(connection, _wish(kind, subject))
        return None if saved is None else datetime.fromisoformat(saved)

    def latest(self, kind: str | None = None, limit: int = 50) -> list[Job]:
        """The newest jobs, of one kind or (None) all."""
        with self._db.read() as connection:
            return rows.latest(connection, kind, limit)

    def last_of(self, kind: str, subject: str) -> Job | None:
        with self._db.read() as connection:
            return rows.last_of(connection, kind, subject)

    def _outcome(
        self, work: Callable[[Progress], str], progress: Progress, kind: str, subject: str
    ) -> tuple[str, str]:
        try:
            return DONE, work(progress)
        except PlatformError as error:
            log.warning("job failed kind=%s subject=%s: %s", kind, subject, error)
            return FAILED, str(error)
        except Exception:
            log.exception("job failed kind=%s subject=%s", kind, subject)
            return FAILED, "It failed for a reason that stands in the worker's log."

    def _reporter(self, job_id: int) -> Progress:
        written = -EVERY

        def report(stage: str, done: int, total: int) -> None:
            nonlocal written
            moment = self._clock.monotonic()
            if moment - written < EVERY and done != total:
                return
            written = moment
            now = self._clock.now()
            self._db.write(lambda c: rows.progress(c, job_id, stage, done, total, now))
            self._ring(job_id)

        return report

    def _ring(self, job_id: int) -> None:
        self._bell.ring(job_topic(job_id))


def _wish(kind: str, subject: str) -> str:
    return f"wish/{kind}/{subject}"

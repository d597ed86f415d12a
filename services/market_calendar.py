"""The market calendar in force: the facts, corrected by the operator's overrides.

Overrides are read again at most once a second; when they cannot be read, nobody is told that a market is open.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from broker import facts
from database import calendar as rows
from database.engine import Database
from domain.calendar import GROUPS, LISTED, Calendar, DayType, Holiday, HolidayFact, Session
from domain.clock import Clock
from domain.errors import InvalidRequest, NotFound, Unauthorized, Unavailable
from domain.model import Exchange

if TYPE_CHECKING:
    from services.accounts import Caller

_LOOK_EVERY = 1.0
_TIMED = frozenset({DayType.PARTIAL, DayType.SPECIAL, DayType.MUHURAT})


class MarketCalendar:
    """Answers as `domain.calendar.Calendar` does; `current()` is that calendar, for a run of questions."""

    def __init__(self, db: Database, clock: Clock) -> None:
        """`db` is the platform store."""
        self._db = db
        self._clock = clock
        self._calendar: Calendar | None = None
        self._overrides: list[HolidayFact] = []
        self._looked_at = float("-inf")

    def current(self) -> Calendar:
        """The calendar with every override, at most a second old. Raises Unavailable."""
        now = time.monotonic()
        calendar = self._calendar
        if calendar is None or now - self._looked_at >= _LOOK_EVERY:
            overrides = self.overrides()
            if calendar is None or overrides != self._overrides:
                calendar = Calendar(facts.holidays(), facts.sessions(), overrides)
                self._calendar, self._overrides = calendar, overrides
            self._looked_at = now
        return calendar

    def holidays(self, year: int) -> list[Holiday]:
        """The public holiday list of a year, ascending."""
        return self.current().holidays(year)

    def timings(self, day: date) -> list[tuple[Exchange, datetime, datetime]]:
        """Public opening hours of a day; [] means closed."""
        return self.current().timings(day)

    def sessions(self, exchange: Exchange, day: date) -> list[Session]:
        """When an exchange trades on a day."""
        return self.current().sessions(exchange, day)

    def is_open(self, exchange: Exchange, at: datetime) -> bool:
        """Whether an exchange's continuous book is open at an instant."""
        return self.current().is_open(exchange, at)

    def is_trading_day(self, exchange: Exchange, day: date) -> bool:
        """Whether an exchange has a session that day."""
        return self.current().is_trading_day(exchange, day)

    # -- corrections
    def overrides(self) -> list[HolidayFact]:
        """The operator's corrections, by day. Raises Unavailable."""
        try:
            with self._db.read() as connection:
                return rows.overrides(connection)
        except SQLAlchemyError as error:
            raise Unavailable("the market calendar cannot be read") from error

    def correct(self, caller: Caller, fact: HolidayFact) -> None:
        """Set a day's truth for one group of exchanges or one exchange. Raises Unauthorized, InvalidRequest."""
        _admin(caller)
        _check(fact)
        named = replace(fact, name=fact.name.strip()[:120] or "Correction", note=fact.note.strip()[:200])
        self._db.write(lambda c: rows.save(c, named, caller.username, self._clock.now()))
        self._looked_at = float("-inf")

    def take_back(self, caller: Caller, day: date, group: str) -> None:
        """Drop a correction: the facts hold again. Raises Unauthorized, NotFound."""
        _admin(caller)
        if not self._db.write(lambda c: rows.forget(c, day, group)):
            raise NotFound(f"no correction of {group} on {day}")
        self._looked_at = float("-inf")


def _admin(caller: Caller) -> None:
    if not caller.is_admin:
        raise Unauthorized("Only an administrator may correct the calendar.")


def _check(fact: HolidayFact) -> None:
    if fact.group not in GROUPS and fact.group not in {exchange.value for exchange in LISTED}:
        raise InvalidRequest(f"no such market: {fact.group}", "market")
    if (fact.open is None) != (fact.close is None):
        raise InvalidRequest("give both times or none", "open")
    if fact.type in _TIMED and (fact.open is None or fact.close is None or fact.open >= fact.close):
        raise InvalidRequest(f"{fact.type} needs an opening time before its closing time", "open")
    if fact.type not in _TIMED and fact.open is not None:
        raise InvalidRequest(f"{fact.type} has no times", "open")

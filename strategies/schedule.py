"""Whether a strategy should run at an instant, and when next. Pure: the exchange's sessions are handed in.

It answers for a moment, not for an event: whoever was asleep at 09:15 asks at 09:16 and hears the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from domain.clock import IST
from domain.errors import InvalidRequest
from domain.strategies import DAYS, Schedule, ScheduleKind, Window

Span = tuple[datetime, datetime]
Sessions = Callable[[date], Sequence[Span]]

ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
"""Start of the one window that `always` has."""
ONCE_LATE = timedelta(hours=1)
_HORIZON = 30
_LOOK_AGAIN = timedelta(minutes=1)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_RELATIVE = re.compile(r"(open|close)(?:([+-])(\d{1,3})m)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One window on the calendar. `latest` is the last moment it starts by itself; None: as long as it lasts."""

    start: datetime
    stop: datetime | None
    latest: datetime | None = None

    def holds(self, at: datetime) -> bool:
        return self.start <= at and (self.stop is None or at <= self.stop)


@dataclass(frozen=True, slots=True)
class Due:
    """The answer for one moment.

    reason  why there is no window now: "weekend", "holiday", "before_market", "after_market", "day" or "manual"
    until   the answer holds so long at least
    """

    current: Occurrence | None
    next: Occurrence | None
    reason: str
    until: datetime


def due(schedule: Schedule, sessions: Sessions, now: datetime) -> Due:
    """What a schedule says at an aware instant; `sessions(day)` are the exchange's of that day."""
    if schedule.kind is ScheduleKind.MANUAL:
        return Due(None, None, "manual", now + _LOOK_AGAIN)
    if schedule.kind is ScheduleKind.ALWAYS:
        return Due(Occurrence(ALWAYS, None), None, "", now + _LOOK_AGAIN)
    today = now.astimezone(IST).date()
    current = following = None
    for occurrence in _from(schedule, sessions, today - timedelta(days=1)):
        if occurrence.holds(now):
            current = occurrence
        elif occurrence.start > now:
            following = occurrence
            break
    edges = [now + _LOOK_AGAIN]
    edges += [occurrence.start for occurrence in (following,) if occurrence]
    edges += [current.stop] if current and current.stop else []
    reason = "" if current else _why_not(schedule, sessions, now, following)
    return Due(current, following, reason, max(min(edges), now))


def check(schedule: Schedule) -> Schedule:
    """The schedule as it stands. Raises InvalidRequest naming the field that is wrong."""
    wrong = [day for day in schedule.days if day not in DAYS]
    if wrong:
        raise InvalidRequest(f"Not a day: {', '.join(wrong)}. Days are {' '.join(DAYS)}.", "schedule_days")
    for window in schedule.windows:
        for name, text in (("schedule_start", window.start), ("schedule_stop", window.stop)):
            if not (_CLOCK.fullmatch(text) or _RELATIVE.fullmatch(text)):
                raise InvalidRequest(f"Not a time: {text}. Write 09:20, open-5m or close-10m.", name)
        if window.start == window.stop:
            raise InvalidRequest("Start and stop are the same.", "schedule_stop")
    if schedule.kind is ScheduleKind.WINDOWS and not schedule.windows:
        raise InvalidRequest("Give a start time.", "schedule_start")
    if schedule.kind is ScheduleKind.ONCE and schedule.at is None:
        raise InvalidRequest("Give the date and time.", "at")
    if schedule.kind is ScheduleKind.INTERVAL and not 1 <= schedule.every <= 1440:
        raise InvalidRequest("An interval is 1 to 1440 minutes.", "every")
    return schedule


def told(schedule: Schedule) -> str:
    """A schedule in a few words."""
    days = _days_told(schedule.days)
    windows = " and ".join(f"{window.start} to {window.stop}" for window in schedule.windows)
    if schedule.kind is ScheduleKind.MANUAL:
        return "Only when you press Start"
    if schedule.kind is ScheduleKind.ALWAYS:
        return "Always"
    if schedule.kind is ScheduleKind.ONCE:
        return f"Once, {schedule.at.astimezone(IST):%d %b %Y %H:%M}" if schedule.at else "Once"
    if schedule.kind is ScheduleKind.INTERVAL:
        return f"Every {schedule.every} min{f', {windows}' if windows else ''}, {days}"
    return f"{windows}, {days}"


def _days_told(days: tuple[str, ...]) -> str:
    if not days or set(days) == set(DAYS):
        return "every day"
    if days == DAYS[:5]:
        return "Mon to Fri"
    return " ".join(day.capitalize() for day in DAYS if day in days)


def _from(schedule: Schedule, sessions: Sessions, day: date) -> Iterator[Occurrence]:
    """Occurrences from a day on, ascending, as far as is looked."""
    if schedule.kind is ScheduleKind.ONCE:
        if schedule.at is not None:
            late = ONCE_LATE if schedule.late is None else timedelta(minutes=schedule.late)
            yield Occurrence(schedule.at, schedule.at + timedelta(days=1), schedule.at + late)
        return
    for ahead in range(_HORIZON):
        each = day + timedelta(days=ahead)
        if schedule.days and DAYS[each.weekday()] not in schedule.days:
            continue
        spans = sorted(span for window in _windows(schedule) for span in _spans(window, sessions, each))
        for start, stop in spans:
            yield from _within(schedule, start, stop)


def _windows(schedule: Schedule) -> tuple[Window, ...]:
    return schedule.windows or (Window(start="00:00", stop="23:59"),)


def _within(schedule: Schedule, start: datetime, stop: datetime) -> Iterator[Occurrence]:
    if schedule.kind is not ScheduleKind.INTERVAL:
        late = None if schedule.late is None else start + timedelta(minutes=schedule.late)
        yield Occurrence(start, stop, late)
        return
    step = timedelta(minutes=schedule.every)
    while start < stop:
        yield Occurrence(start, stop if start + step >= stop else start + step)
        start += step


def _spans(window: Window, sessions: Sessions, day: date) -> list[Span]:
    """A window of a day, clipped to the sessions; an edge given by the session itself is not clipped."""
    today = list(sessions(day))
    start, stop = _edge(window.start, day, today), _edge(window.stop, day, today)
    if start is None or stop is None:
        return []
    if stop <= start:
        stop += timedelta(days=1)
        today += sessions(day + timedelta(days=1))
    spans = _joined(today)
    if not spans:
        return []
    if _RELATIVE.fullmatch(window.start):
        spans[0] = (min(start, spans[0][0]), spans[0][1])
    if _RELATIVE.fullmatch(window.stop):
        spans[-1] = (spans[-1][0], max(stop, spans[-1][1]))
    clipped = [(max(start, opens), min(stop, closes)) for opens, closes in spans]
    return [(opens, closes) for opens, closes in clipped if opens < closes]


def _edge(text: str, day: date, sessions: Sequence[Span]) -> datetime | None:
    if clock := _CLOCK.fullmatch(text):
        return datetime.combine(day, time(int(clock[1]), int(clock[2])), IST)
    relative = _RELATIVE.fullmatch(text)
    if relative is None or not sessions:
        return None
    base = sessions[0][0] if relative[1] == "open" else sessions[-1][1]
    shift = timedelta(minutes=int(relative[3] or 0))
    return base - shift if relative[2] == "-" else base + shift


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Spans that touch become one: a market that never closes has no midnight."""
    joined: list[Span] = []
    for opens, closes in spans:
        if joined and opens <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(closes, joined[-1][1]))
        else:
            joined.append((opens, closes))
    return joined


def _why_not(schedule: Schedule, sessions: Sessions, now: datetime, following: Occurrence | None) -> str:
    today = now.astimezone(IST).date()
    if schedule.kind is ScheduleKind.ONCE:
        return "before_market" if following else "after_market"
    if not sessions(today):
        return "weekend" if today.weekday() >= 5 else "holiday"
    if schedule.days and DAYS[today.weekday()] not in schedule.days:
        return "day"
    if following is not None and following.start.astimezone(IST).date() == today:
        return "before_market"
    return "after_market"

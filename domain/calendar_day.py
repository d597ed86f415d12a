"""The platform's own day: broker sessions, books and daily counts turn at 03:00 IST."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from domain.clock import IST

TURN = time(3, 0)


def platform_day(moment: datetime, turn: time = TURN) -> date:
    """The IST date whose platform day holds the moment: before 03:00 it is still yesterday."""
    local = moment.astimezone(IST)
    return local.date() if local.time() >= turn else local.date() - timedelta(days=1)


def day_start(moment: datetime, turn: time = TURN) -> datetime:
    """When the platform day that holds the moment began, aware IST."""
    return datetime.combine(platform_day(moment, turn), turn, IST)


def day_end(moment: datetime) -> datetime:
    """When the platform's day that holds the moment ends."""
    return day_start(moment) + timedelta(days=1)

"""Holidays and opening hours; instants are milliseconds since 1970."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from marshmallow import ValidationError, validates_schema

from domain.calendar import Holiday, HolidayType
from domain.model import Exchange
from restx_api.fields.base import EXCHANGES, Day, Keyed, Whole
from restx_api.fields.shapes import INTEGER, STRING, array, data, obj, one_of

FIRST_YEAR, LAST_YEAR = 2020, 2050


class Holidays(Keyed):
    """Which year; this one when it is not said."""

    year = Whole(least=FIRST_YEAR, most=LAST_YEAR)


class Timings(Keyed):
    """Which day."""

    date = Day(required=True)

    @validates_schema
    def _within(self, given: dict[str, Any], **kwargs: Any) -> None:
        if not FIRST_YEAR <= given["date"].year <= LAST_YEAR:
            raise ValidationError(f"Must be between {FIRST_YEAR}-01-01 and {LAST_YEAR}-12-31.", "date")


def holiday(day: Holiday) -> dict[str, Any]:
    """One day of the list."""
    return {
        "date": day.day.isoformat(),
        "description": day.name,
        "holiday_type": day.type,
        "closed_exchanges": list(day.closed),
        "open_exchanges": timings(day.open),
    }


def timings(sessions: Iterable[tuple[Exchange, datetime, datetime]]) -> list[dict[str, Any]]:
    """Each exchange's hours of a day."""
    return [
        {"exchange": exchange, "start_time": _millis(start), "end_time": _millis(end)}
        for exchange, start, end in sessions
    ]


def _millis(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


_HOURS = array(obj({"exchange": one_of(*EXCHANGES), "start_time": INTEGER, "end_time": INTEGER}))
_HOLIDAY = obj(
    {
        "date": STRING,
        "description": STRING,
        "holiday_type": one_of(*(kind.value for kind in HolidayType)),
        "closed_exchanges": array(STRING),
        "open_exchanges": _HOURS,
    }
)
HOLIDAYS = data(array(_HOLIDAY), {"year": INTEGER, "timezone": STRING})
TIMINGS = data(_HOURS)

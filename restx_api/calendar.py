"""The market calendar."""

from __future__ import annotations

from typing import Any

from domain.clock import IST
from restx_api.door import Call, Subject
from restx_api.fields import calendar as fields

calendar = Subject("Calendar")


@calendar.post("/market/holidays", fields.Holidays(), reply=fields.HOLIDAYS)
def holidays(call: Call) -> dict[str, Any]:
    """The holidays of a year, ascending."""
    year = call.body.get("year") or call.platform.clock.now().astimezone(IST).year
    rows = [fields.holiday(day) for day in call.platform.calendar.holidays(year)]
    return {"status": "success", "year": year, "timezone": "Asia/Kolkata", "data": rows}


@calendar.post("/market/timings", fields.Timings(), reply=fields.TIMINGS)
def timings(call: Call) -> dict[str, Any]:
    """Each exchange's hours on a day; an empty list means that all are closed."""
    found = call.platform.calendar.timings(call.body["date"])
    return {"status": "success", "data": fields.timings(found)}

"""Whether a strategy is due: windows against sessions, over midnight, special days, late starts."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from broker import facts
from domain.calendar import Calendar
from domain.clock import IST
from domain.errors import InvalidRequest
from domain.model import Exchange
from domain.strategies import DAYS, Schedule, ScheduleKind, Window
from strategies.schedule import ALWAYS, check, due

pytestmark = pytest.mark.clock
CALENDAR = Calendar(facts.holidays(), facts.sessions())
WEEK = DAYS[:5]


def at(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=IST)


def asked(schedule: Schedule, moment: str, exchange: Exchange = Exchange.NSE):
    return due(schedule, lambda day: CALENDAR.sessions(exchange, day), at(moment).astimezone(UTC))


def windows(*pairs: tuple[str, str], days: tuple[str, ...] = WEEK, **more) -> Schedule:
    return Schedule(windows=tuple(Window(start=a, stop=b) for a, b in pairs), days=days, **more)


WIDE = windows(("09:00", "16:00"))


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        ("2026-11-25 09:14", "before_market"),
        ("2026-11-25 09:15", ""),
        ("2026-11-25 15:30", ""),
        ("2026-11-25 15:31", "after_market"),
        ("2026-11-28 11:00", "weekend"),
        ("2026-01-26 11:00", "holiday"),
    ],
)
def test_a_wide_window_never_exceeds_the_session(moment: str, reason: str) -> None:
    assert asked(WIDE, moment).reason == reason


def test_late_boots_hear_the_same_as_early_ones() -> None:
    assert asked(WIDE, "2026-11-25 09:15").current == asked(WIDE, "2026-11-25 11:47").current


def test_the_next_window_skips_weekend_and_holidays() -> None:
    found = asked(WIDE, "2026-11-27 15:45").next
    assert found is not None and found.start == at("2026-11-30 09:15")


def test_mcx_trades_in_the_evening_of_a_holiday_of_shares() -> None:
    day = asked(windows(("09:00", "23:55")), "2026-04-14 10:00", Exchange.MCX)
    assert day.current is None and day.next is not None
    assert day.next.start == at("2026-04-14 17:00")
    assert asked(windows(("09:00", "23:55")), "2026-04-14 17:30", Exchange.MCX).current is not None
    assert asked(WIDE, "2026-04-14 11:00").reason == "holiday"


def test_a_special_session_on_a_sunday_is_a_session() -> None:
    muhurat = next(
        day
        for day in (date(2026, 10, 15) + timedelta(days=n) for n in range(45))
        if day.weekday() == 6 and CALENDAR.sessions(Exchange.NSE, day)
    )
    opens = CALENDAR.sessions(Exchange.NSE, muhurat)[0][0]
    schedule = windows(("09:00", "23:59"), days=())
    found = due(schedule, lambda day: CALENDAR.sessions(Exchange.NSE, day), opens + timedelta(minutes=5))
    assert found.current is not None and found.current.start == opens


def test_a_settlement_holiday_trades() -> None:
    days = [row.day for row in facts.holidays() if row.type.value == "SETTLEMENT_HOLIDAY"]
    trading = [day for day in days if CALENDAR.sessions(Exchange.NSE, day)]
    if trading:
        assert asked(windows(("09:15", "15:30"), days=()), f"{trading[0]} 11:00").current is not None


def test_windows_over_midnight_hold_on_both_sides() -> None:
    schedule = windows(("22:00", "02:00"), days=())
    for moment in ("2026-11-25 23:59", "2026-11-26 00:30"):
        found = asked(schedule, moment, Exchange.CRYPTO).current
        assert found is not None and found.start == at("2026-11-25 22:00")
        assert found.stop == at("2026-11-26 02:00")
    assert asked(schedule, "2026-11-26 03:00", Exchange.CRYPTO).current is None
    clipped = asked(schedule, "2026-11-25 23:00", Exchange.MCX).current
    assert clipped is not None and clipped.stop == at("2026-11-25 23:55")


def test_several_windows_a_day_have_a_gap() -> None:
    schedule = windows(("09:20", "11:00"), ("13:00", "15:00"))
    assert asked(schedule, "2026-11-25 10:00").current is not None
    between = asked(schedule, "2026-11-25 12:00")
    assert between.current is None and between.next is not None
    assert between.next.start == at("2026-11-25 13:00")


def test_edges_may_follow_the_session_and_reach_beyond_it() -> None:
    schedule = windows(("open-5m", "close+10m"))
    found = asked(schedule, "2026-11-25 09:10").current
    assert found is not None
    assert (found.start, found.stop) == (at("2026-11-25 09:10"), at("2026-11-25 15:40"))


def test_always_is_one_window_and_manual_is_none() -> None:
    always = asked(Schedule(kind=ScheduleKind.ALWAYS), "2026-11-29 03:00").current
    assert always is not None and (always.start, always.stop) == (ALWAYS, None)
    assert asked(Schedule(kind=ScheduleKind.MANUAL), "2026-11-25 11:00").reason == "manual"


def test_once_is_caught_up_for_an_hour() -> None:
    schedule = Schedule(kind=ScheduleKind.ONCE, at=at("2026-11-25 11:00"))
    assert asked(schedule, "2026-11-25 10:59").current is None
    found = asked(schedule, "2026-11-25 11:30").current
    assert found is not None and found.latest == at("2026-11-25 12:00")


def test_an_interval_begins_anew_within_its_windows() -> None:
    schedule = windows(("09:15", "10:00"), kind=ScheduleKind.INTERVAL, every=20)
    starts = [asked(schedule, f"2026-11-25 {moment}").current for moment in ("09:16", "09:36", "09:56")]
    assert [each.start if each else None for each in starts] == [
        at("2026-11-25 09:15"),
        at("2026-11-25 09:35"),
        at("2026-11-25 09:55"),
    ]
    assert asked(schedule, "2026-11-25 10:01").current is None


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(),
        windows(("24:00", "10:00")),
        windows(("9.15", "10:00")),
        windows(("open-5", "10:00")),
        windows(("10:00", "10:00")),
        windows(("09:15", "10:00"), days=("monday",)),
        Schedule(kind=ScheduleKind.ONCE),
        Schedule(kind=ScheduleKind.INTERVAL),
        windows(("٠٩:١٥", "10:00")),
    ],
)
def test_what_cannot_be_read_is_refused(schedule: Schedule) -> None:
    with pytest.raises(InvalidRequest):
        check(schedule)


@given(
    some.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 20)),
    some.sampled_from([Exchange.NSE, Exchange.MCX, Exchange.CRYPTO]),
    some.tuples(some.integers(0, 1439), some.integers(0, 1439)).filter(lambda pair: pair[0] != pair[1]),
)
def test_the_answer_holds_until_it_says_so(
    moment: datetime, exchange: Exchange, pair: tuple[int, int]
) -> None:
    start, stop = (f"{minute // 60:02}:{minute % 60:02}" for minute in pair)
    schedule = check(windows((start, stop), days=()))
    now = moment.replace(tzinfo=IST)
    found = due(schedule, lambda day: CALENDAR.sessions(exchange, day), now)
    assert found.until >= now
    if found.current is not None:
        assert found.current.holds(now) and found.reason == ""
    else:
        assert found.reason
    if found.next is not None:
        assert found.next.start > now
        again = due(schedule, lambda day: CALENDAR.sessions(exchange, day), found.next.start)
        assert again.current is not None and again.current.start <= found.next.start

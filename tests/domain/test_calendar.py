from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest

from broker import facts
from domain.calendar import (
    LISTED,
    AlwaysOpen,
    Calendar,
    DayType,
    HolidayFact,
    HolidayType,
    next_roll,
)
from domain.clock import IST
from domain.model import Exchange

NSE, BSE, NFO, BFO = Exchange.NSE, Exchange.BSE, Exchange.NFO, Exchange.BFO
MCX, CDS, CRYPTO = Exchange.MCX, Exchange.CDS, Exchange.CRYPTO


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return Calendar(facts.holidays(), facts.sessions())


def at(day: date, text: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(text), IST)


def hours(calendar: Calendar, exchange: Exchange, day: date, *, closing_auction: bool = False) -> str:
    spans = calendar.sessions(exchange, day, closing_auction=closing_auction)
    return " ".join(f"{opens:%H:%M}-{closes:%H:%M}" for opens, closes in spans)


def public(calendar: Calendar, day: date) -> dict[str, str]:
    return {e.value: f"{opens:%H:%M}-{closes:%H:%M}" for e, opens, closes in calendar.timings(day)}


@pytest.mark.parametrize(
    ("exchange", "day", "expected"),
    [
        (NSE, date(2026, 7, 31), "09:15-15:30"),
        (NSE, date(2026, 8, 3), "09:15-15:30"),
        (NFO, date(2026, 7, 31), "09:15-15:30"),
        (NFO, date(2026, 8, 3), "09:15-15:40"),
        (CDS, date(2026, 8, 3), "09:00-17:00"),
        (MCX, date(2026, 10, 30), "09:00-23:30"),
        (MCX, date(2026, 11, 2), "09:00-23:55"),
        (MCX, date(2026, 3, 6), "09:00-23:55"),
        (MCX, date(2026, 3, 9), "09:00-23:30"),
        (NSE, date(2026, 11, 24), ""),
        (CDS, date(2026, 11, 24), ""),
        (MCX, date(2026, 11, 24), "17:00-23:55"),
        (MCX, date(2026, 10, 20), "17:00-23:30"),
        (MCX, date(2026, 1, 1), "09:00-17:00"),
        (NSE, date(2026, 1, 1), "09:15-15:30"),
        (MCX, date(2026, 10, 2), ""),
        (NSE, date(2026, 2, 1), "09:15-15:30"),
        (CDS, date(2026, 2, 1), ""),
        (NSE, date(2025, 10, 21), "13:45-14:45"),
        (NSE, date(2026, 4, 1), "09:15-15:30"),
        (CDS, date(2026, 4, 1), ""),
        (NSE, date(2026, 8, 22), ""),
        (Exchange.NSE_INDEX, date(2026, 8, 24), "09:15-15:30"),
    ],
)
def test_hours_by_date(calendar: Calendar, exchange: Exchange, day: date, expected: str) -> None:
    assert hours(calendar, exchange, day) == expected
    assert calendar.is_trading_day(exchange, day) == bool(expected)


def test_shares_with_an_auction_close_earlier_since_august_2026(calendar: Calendar) -> None:
    assert hours(calendar, NSE, date(2026, 7, 31), closing_auction=True) == "09:15-15:30"
    assert hours(calendar, NSE, date(2026, 8, 3), closing_auction=True) == "09:15-15:15"


def test_crypto_never_closes(calendar: Calendar) -> None:
    opens, closes = calendar.sessions(CRYPTO, date(2026, 1, 26))[0]
    assert closes - opens == timedelta(days=1)
    assert calendar.square_off(CRYPTO, date(2026, 1, 26)) is None


@pytest.mark.clock
def test_an_instant_is_judged_by_the_exchanges_own_clock(calendar: Calendar) -> None:
    assert calendar.is_open(NSE, datetime(2026, 8, 24, 3, 45, tzinfo=UTC))
    assert not calendar.is_open(NSE, datetime(2026, 8, 24, 3, 44, 59, tzinfo=UTC))
    assert not calendar.is_open(NSE, datetime(2026, 8, 24, 10, 0, tzinfo=UTC))
    assert calendar.trading_day(datetime(2026, 8, 23, 18, 30, tzinfo=UTC)) == date(2026, 8, 24)
    assert calendar.trading_day(datetime(2026, 8, 23, 18, 29, 59, tzinfo=UTC)) == date(2026, 8, 23)


@pytest.mark.clock
def test_public_times_are_instants_of_india(calendar: Calendar) -> None:
    exchange, opens, closes = calendar.timings(date(2025, 4, 30))[0]
    assert (exchange, opens.timestamp(), closes.timestamp()) == (NSE, 1745984700, 1746007200)
    opens, closes = calendar.timings(date(2025, 4, 30))[-1][1:]
    assert opens.timestamp() % 86400 == 66600
    assert (closes - opens).total_seconds() == 86399


def test_neighbouring_trading_days(calendar: Calendar) -> None:
    assert calendar.next_trading_day(NSE, date(2026, 11, 23)) == date(2026, 11, 25)
    assert calendar.previous_trading_day(NSE, date(2026, 11, 25)) == date(2026, 11, 23)
    assert calendar.on_or_before(NFO, date(2026, 11, 24)) == date(2026, 11, 23)
    assert calendar.on_or_before(NFO, date(2026, 11, 8)) == date(2026, 11, 6)
    assert calendar.on_or_before(NFO, date(2029, 12, 25)) == date(2029, 12, 24)


@pytest.mark.parametrize(
    ("traded", "settles"),
    [
        (date(2026, 8, 24), date(2026, 8, 25)),
        (date(2026, 8, 25), date(2026, 8, 27)),
        (date(2026, 8, 21), date(2026, 8, 24)),
        (date(2026, 11, 23), date(2026, 11, 25)),
        (date(2026, 1, 30), date(2026, 2, 2)),
        (date(2026, 2, 1), date(2026, 2, 2)),
        (date(2026, 3, 31), date(2026, 4, 2)),
        (date(2025, 10, 20), date(2025, 10, 23)),
    ],
)
def test_shares_settle_a_settlement_day_later(calendar: Calendar, traded: date, settles: date) -> None:
    assert calendar.settlement_day(NSE, traded) == settles


def test_a_longer_lag_counts_settlement_days(calendar: Calendar) -> None:
    assert calendar.settlement_day(NSE, date(2026, 8, 21), lag=2) == date(2026, 8, 25)


@pytest.mark.parametrize(
    ("exchange", "day", "auction", "expected"),
    [
        (NSE, date(2026, 8, 24), True, "15:05"),
        (NSE, date(2026, 8, 24), False, "15:20"),
        (NFO, date(2026, 8, 24), False, "15:25"),
        (CDS, date(2026, 8, 24), False, "16:45"),
        (MCX, date(2026, 8, 24), False, "23:05"),
        (MCX, date(2026, 11, 25), False, "23:30"),
        (NSE, date(2025, 10, 21), False, "14:35"),
    ],
)
def test_square_off_follows_the_days_close(
    calendar: Calendar, exchange: Exchange, day: date, auction: bool, expected: str
) -> None:
    assert calendar.square_off(exchange, day, closing_auction=auction) == at(day, expected)


def test_there_is_no_square_off_without_a_session(calendar: Calendar) -> None:
    assert calendar.square_off(NSE, date(2026, 11, 24)) is None


class TestPublicCalendar:
    def test_an_ordinary_day_lists_every_exchange_in_order(self, calendar: Calendar) -> None:
        timings = public(calendar, date(2026, 8, 24))
        assert list(timings) == ["NSE", "BSE", "NFO", "BFO", "MCX", "BCD", "CDS", "NCO", "CRYPTO"]
        assert timings["NSE"] == "09:15-15:30"
        assert timings["NFO"] == timings["BFO"] == "09:15-15:40"
        assert timings["MCX"] == timings["NCO"] == "09:00-23:55"
        assert timings["CDS"] == "09:00-17:00"

    def test_a_weekend_has_crypto_only(self, calendar: Calendar) -> None:
        assert public(calendar, date(2026, 8, 22)) == {"CRYPTO": "00:00-23:59"}
        assert public(calendar, date(2026, 8, 15)) == {"CRYPTO": "00:00-23:59"}

    def test_a_holiday_lists_what_is_open(self, calendar: Calendar) -> None:
        assert public(calendar, date(2026, 11, 24)) == {"MCX": "17:00-23:55", "NCO": "17:00-23:55"}
        assert public(calendar, date(2026, 1, 26)) == {}

    def test_a_special_session_lists_only_itself(self, calendar: Calendar) -> None:
        timings = public(calendar, date(2026, 2, 1))
        assert timings["NSE"] == "09:15-15:30"
        assert timings["MCX"] == "09:00-17:00"
        assert "CDS" not in timings
        assert "CRYPTO" not in timings

    def test_a_settlement_holiday_trades_in_ordinary_hours(self, calendar: Calendar) -> None:
        timings = public(calendar, date(2026, 8, 26))
        assert timings["NSE"] == "09:15-15:30"
        assert timings["MCX"] == "09:00-23:55"
        assert "CDS" not in timings

    def test_the_list_of_a_year_is_ascending_and_typed(self, calendar: Calendar) -> None:
        listed = calendar.holidays(2026)
        assert [each.day for each in listed] == sorted({each.day for each in listed})
        by_day = {each.day: each for each in listed}
        guru_nanak = by_day[date(2026, 11, 24)]
        assert guru_nanak.type is HolidayType.TRADING
        assert [e.value for e in guru_nanak.closed] == ["NSE", "BSE", "NFO", "BFO", "BCD", "CDS"]
        assert [e.value for e, _, _ in guru_nanak.open] == ["MCX", "NCO"]
        assert by_day[date(2026, 2, 1)].type is HolidayType.SPECIAL
        assert by_day[date(2026, 4, 1)].type is HolidayType.SETTLEMENT
        assert [e.value for e in by_day[date(2026, 4, 1)].closed] == ["BCD", "CDS"]
        assert by_day[date(2026, 8, 15)].open == ()
        assert by_day[date(2026, 11, 8)].type is HolidayType.SPECIAL

    def test_new_year_keeps_shares_open(self, calendar: Calendar) -> None:
        timings = public(calendar, date(2026, 1, 1))
        assert timings["NSE"] == "09:15-15:30"
        assert timings["MCX"] == "09:00-17:00"

    def test_years_nobody_announced_are_empty(self, calendar: Calendar) -> None:
        assert calendar.holidays(2020) == []
        assert calendar.holidays(2050) == []

    def test_closed_and_open_never_meet(self, calendar: Calendar) -> None:
        for year in (2025, 2026, 2027):
            for each in calendar.holidays(year):
                if each.type is not HolidayType.SETTLEMENT:
                    assert {e for e, _, _ in each.open} == set(LISTED) - set(each.closed)


def correction(day: date, group: str, kind: DayType, opens: str = "", closes: str = "") -> HolidayFact:
    return HolidayFact(
        day=day,
        group=group,
        name="Correction",
        type=kind,
        open=time.fromisoformat(opens) if opens else None,
        close=time.fromisoformat(closes) if closes else None,
    )


class TestOverrides:
    def test_a_new_holiday_closes_the_group_and_moves_expiries(self) -> None:
        day = date(2026, 9, 29)
        corrected = Calendar(facts.holidays(), facts.sessions(), [correction(day, "EQUITY", DayType.CLOSED)])
        assert not corrected.is_trading_day(NFO, day)
        assert corrected.is_trading_day(MCX, day)
        assert corrected.on_or_before(NFO, day) == date(2026, 9, 28)
        assert day in {each.day for each in corrected.holidays(2026)}

    def test_a_holiday_can_be_taken_back(self) -> None:
        day = date(2026, 11, 24)
        corrected = Calendar(facts.holidays(), facts.sessions(), [correction(day, "EQUITY", DayType.OPEN)])
        assert hours(corrected, NSE, day) == "09:15-15:30"
        assert "NSE" in {e.value for e, _, _ in corrected.timings(day)}

    def test_one_exchange_can_differ_from_its_group(self) -> None:
        day = date(2026, 9, 30)
        special = correction(day, "MCX", DayType.PARTIAL, "17:00", "23:30")
        corrected = Calendar(facts.holidays(), facts.sessions(), [special])
        assert hours(corrected, MCX, day) == "17:00-23:30"
        assert hours(corrected, Exchange.NCO, day) == "09:00-23:30"
        assert {e.value for e, _, _ in corrected.timings(day)} >= {"NSE", "MCX"}

    def test_muhurat_hours_can_be_corrected(self) -> None:
        day = date(2026, 11, 8)
        special = correction(day, "EQUITY", DayType.MUHURAT, "13:45", "14:45")
        corrected = Calendar(facts.holidays(), facts.sessions(), [special])
        assert hours(corrected, NSE, day) == "13:45-14:45"


@pytest.mark.clock
def test_the_paper_market_is_always_open_and_rolls_at_three() -> None:
    market = AlwaysOpen()
    sunday = datetime(2026, 11, 8, 2, 59, tzinfo=IST)
    assert market.is_open(NSE, sunday)
    assert market.trading_day(sunday) == date(2026, 11, 7)
    assert market.trading_day(sunday + timedelta(minutes=1)) == date(2026, 11, 8)
    assert market.square_off(NSE, date(2026, 11, 8)) is None
    assert market.settlement_day(NSE, date(2026, 11, 7)) == date(2026, 11, 8)
    opens, closes = market.sessions(NSE, date(2026, 11, 8))[0]
    assert (opens.hour, closes - opens) == (3, timedelta(days=1))
    assert next_roll(sunday) == datetime(2026, 11, 8, 3, tzinfo=IST)
    assert next_roll(datetime(2026, 11, 8, 3, tzinfo=IST)) == datetime(2026, 11, 9, 3, tzinfo=IST)

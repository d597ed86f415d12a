"""Bars through the service: the broker's own, weeks and months folded from days, and honest refusals."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise

import pytest

from broker import facts
from domain.calendar import Calendar
from domain.clock import IST
from domain.errors import InstrumentNotFound, InvalidRequest, NotFound, NotSupported
from domain.market import Candle
from services.history import History, fold, period_start
from tests.services.market_world import MarketBroker, Masters, OneFeed, StandingClock, caller, cash, utc

RELIANCE = cash("RELIANCE")


class Desk:
    def __init__(self) -> None:
        self.broker = MarketBroker(StandingClock())
        calendar = Calendar(facts.holidays(), facts.sessions())
        self.service = History(Masters.of([RELIANCE]), OneFeed(self.broker), calendar)

    def candles(self, interval: str, start: date, end: date, source: str = "api") -> list[Candle]:
        return self.service.candles(caller(), "RELIANCE", "NSE", interval, start, end, source)


def test_day_bars_carry_their_date_in_india_and_include_both_ends() -> None:
    bars = Desk().candles("D", date(2026, 11, 16), date(2026, 11, 18))
    assert [bar.start for bar in bars] == [utc(2026, 11, 16), utc(2026, 11, 17), utc(2026, 11, 18)]


def test_sixty_minutes_is_an_hour() -> None:
    desk = Desk()
    day = date(2026, 11, 18)
    assert desk.candles("60m", day, day) == desk.candles("1h", day, day) != []


@pytest.mark.parametrize(
    ("period", "stamp"),
    [("W", (2026, 11, 16)), ("M", (2026, 11, 1)), ("Q", (2026, 10, 1)), ("Y", (2026, 1, 1))],
)
def test_longer_bars_are_whole_and_stamped_at_their_start(period: str, stamp: tuple[int, int, int]) -> None:
    desk = Desk()
    bars = desk.candles(period, date(2026, 11, 19), date(2026, 11, 20))
    days = desk.candles("D", date(*stamp), date(2026, 11, 20))
    assert [bar.start for bar in bars] == [utc(*stamp)]
    assert bars[0].open == days[0].open
    assert bars[0].close == days[-1].close
    assert bars[0].high == max(day.high for day in days)
    assert bars[0].low == min(day.low for day in days)
    assert bars[0].volume == sum(day.volume for day in days)


def test_fold_starts_a_new_week_on_monday() -> None:
    days = [Candle(utc(2026, 11, day), day, day, day, day, 1) for day in range(18, 26)]
    weeks = fold(days, "W")
    assert [(week.start, week.open, week.close, week.volume) for week in weeks] == [
        (utc(2026, 11, 16), 18, 22, 5),
        (utc(2026, 11, 23), 23, 25, 3),
    ]


def test_bars_come_ascending_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    late, early = Candle(120, 1, 1, 1, 1, 1), Candle(60, 2, 2, 2, 2, 2)
    monkeypatch.setattr(desk.broker, "_fetch_candles", lambda *asked: [late, early, late])
    assert desk.candles("1m", date(2026, 11, 18), date(2026, 11, 18)) == [early, late]


def test_what_cannot_be_answered_says_so() -> None:
    desk = Desk()
    day = date(2026, 11, 18)
    with pytest.raises(NotFound, match="nothing stored"):
        desk.candles("D", day, day, source="db")
    with pytest.raises(InvalidRequest):
        desk.candles("D", day, date(2026, 11, 17))
    with pytest.raises(NotSupported, match="45s"):
        desk.candles("45s", day, day)
    with pytest.raises(InvalidRequest, match="at most 138 days"):
        desk.candles("1m", date(2020, 1, 1), day)
    with pytest.raises(InstrumentNotFound):
        desk.service.candles(caller(), "NOPE", "NSE", "D", day, day)


def test_intervals_are_the_brokers_and_what_its_days_fold_into() -> None:
    assert Desk().service.intervals(caller()) == (
        *("1m", "2m", "3m", "5m", "10m", "15m", "20m", "30m", "1h", "2h", "3h", "4h", "D"),
        *("W", "M"),
    )


def test_periods_begin_where_the_calendar_says() -> None:
    assert period_start(date(2026, 11, 22), "W") == date(2026, 11, 16)
    assert period_start(date(2026, 11, 23), "W") == date(2026, 11, 23)
    assert period_start(date(2026, 12, 31), "Q") == date(2026, 10, 1)


DAY = date(2026, 11, 18)


def at(hour: int, minute: int) -> int:
    return int(datetime(2026, 11, 18, hour, minute, tzinfo=IST).timestamp())


def test_lengths_that_the_broker_lacks_are_cut_from_the_sessions_opening(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk, asked = Desk(), []
    kept = ("1m", "5m", "1h", "D")
    manifest = desk.broker.manifest
    desk.broker.manifest = replace(manifest, can=replace(manifest.can, intervals=kept))

    def recorded(instrument: object, interval: str, start: date, end: date) -> list[Candle]:
        asked.append(interval)
        step = {"1m": 1, "5m": 5, "1h": 60}[interval]
        return [
            Candle(at(9, 15) + 60 * minute, 100 + minute, 101 + minute, 99 + minute, 100.5 + minute, 10)
            for minute in range(0, 375, step)
            if not 20 <= minute < 40
        ]

    monkeypatch.setattr(desk.broker, "_fetch_candles", recorded)
    twenty = desk.candles("20m", DAY, DAY)
    assert asked == ["5m"]
    assert [bar.start for bar in twenty[:3]] == [at(9, 15), at(9, 55), at(10, 15)]
    assert twenty[0] == Candle(at(9, 15), 100, 116, 99, 115.5, 40)
    assert [bar.start for bar in desk.candles("2h", DAY, DAY)] == [
        at(9, 15),
        at(11, 15),
        at(13, 15),
        at(15, 15),
    ]
    assert desk.candles("2m", DAY, DAY)[0] == Candle(at(9, 15), 100, 102, 99, 101.5, 20)
    assert desk.candles("1h", DAY, DAY)[1].start == at(10, 15)
    assert asked == ["5m", "1h", "1m", "1h"]
    assert desk.service.intervals(caller()) == (
        *("1m", "2m", "3m", "5m", "10m", "15m", "20m", "30m", "1h", "2h", "3h", "4h", "D", "W", "M"),
    )


def test_the_paper_market_keeps_them_all() -> None:
    desk = Desk()
    for interval, minutes in (("2m", 2), ("20m", 20), ("2h", 120), ("4h", 240)):
        bars = desk.candles(interval, DAY, DAY)
        assert {after.start - bar.start for bar, after in pairwise(bars)} == {minutes * 60}
        assert bars[0].open == desk.candles("1m", DAY, DAY)[0].open

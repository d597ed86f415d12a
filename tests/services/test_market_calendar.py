from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest

from database.calendar import OVERRIDES
from database.engine import Database, open_database
from domain.calendar import DayType, HolidayFact
from domain.errors import InvalidRequest, NotFound, Unauthorized, Unavailable
from domain.model import Exchange, Mode, OrderMode
from services import market_calendar as service
from services.accounts import Account, Caller
from services.market_calendar import MarketCalendar
from tests.services.test_instruments import StoppedClock

DAY = date(2026, 12, 1)
CLOSED = HolidayFact(day=DAY, group="EQUITY", name="Election", type=DayType.CLOSED)


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(service, "_LOOK_EVERY", 0.0)
    opened = open_database("", "platform", tmp_path)
    OVERRIDES.create(opened.engine)
    yield opened
    opened.close()


@pytest.fixture
def calendar(db: Database) -> MarketCalendar:
    return MarketCalendar(db, StoppedClock())


def caller(*, admin: bool) -> Caller:
    account = Account(
        id=1,
        user_id=1,
        name="paper",
        broker="paper",
        mode=Mode.ANALYZE,
        order_mode=OrderMode.AUTO,
        is_default=True,
    )
    return Caller(
        user_id=1, username="owner", is_admin=admin, account=account, scopes=frozenset({"read"}), door="page"
    )


ADMIN = caller(admin=True)


def test_the_facts_hold_until_they_are_corrected(calendar: MarketCalendar, db: Database) -> None:
    other = MarketCalendar(db, StoppedClock())
    assert calendar.is_trading_day(Exchange.NSE, DAY)
    assert other.is_trading_day(Exchange.NSE, DAY)
    calendar.correct(ADMIN, CLOSED)
    assert not calendar.is_trading_day(Exchange.NSE, DAY)
    assert not other.is_trading_day(Exchange.NSE, DAY)
    assert DAY in {each.day for each in other.holidays(2026)}
    assert [e.value for e, _, _ in other.timings(DAY)] == ["MCX", "BCD", "CDS", "NCO"]
    calendar.take_back(ADMIN, DAY, "EQUITY")
    assert other.is_open(Exchange.NSE, datetime(2026, 12, 1, 4, tzinfo=UTC))
    assert len(other.sessions(Exchange.NSE, DAY)) == 1


def test_a_correction_replaces_the_one_before(calendar: MarketCalendar) -> None:
    calendar.correct(ADMIN, CLOSED)
    special = HolidayFact(
        day=DAY, group="EQUITY", name=" ", type=DayType.SPECIAL, open=time(10), close=time(11), note="x" * 500
    )
    calendar.correct(ADMIN, special)
    (kept,) = calendar.overrides()
    assert (kept.open, kept.name, len(kept.note)) == (time(10), "Correction", 200)
    assert len(calendar.sessions(Exchange.NSE, DAY)) == 1


def test_only_an_administrator_corrects(calendar: MarketCalendar) -> None:
    with pytest.raises(Unauthorized):
        calendar.correct(caller(admin=False), CLOSED)
    with pytest.raises(Unauthorized):
        calendar.take_back(caller(admin=False), DAY, "EQUITY")
    with pytest.raises(NotFound):
        calendar.take_back(ADMIN, DAY, "EQUITY")


@pytest.mark.parametrize(
    ("group", "kind", "opens", "closes"),
    [
        ("MOON", DayType.CLOSED, None, None),
        ("EQUITY", DayType.SPECIAL, None, None),
        ("EQUITY", DayType.SPECIAL, time(10), None),
        ("EQUITY", DayType.PARTIAL, time(11), time(10)),
        ("EQUITY", DayType.CLOSED, time(10), time(11)),
    ],
)
def test_a_correction_must_make_sense(
    calendar: MarketCalendar, group: str, kind: DayType, opens: time | None, closes: time | None
) -> None:
    fact = HolidayFact(day=DAY, group=group, name="x", type=kind, open=opens, close=closes)
    with pytest.raises(InvalidRequest):
        calendar.correct(ADMIN, fact)
    assert calendar.overrides() == []


def test_an_unreadable_calendar_opens_no_market(calendar: MarketCalendar, db: Database) -> None:
    assert calendar.is_trading_day(Exchange.NSE, DAY)
    OVERRIDES.drop(db.engine)
    with pytest.raises(Unavailable):
        calendar.is_open(Exchange.NSE, datetime(2026, 12, 1, 4, tzinfo=UTC))

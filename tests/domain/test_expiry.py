from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import facts
from domain.calendar import Calendar, DayType, HolidayFact
from domain.expiry import Expiries, expiry_rule
from domain.model import Exchange, InstrumentKind

NFO, BFO, MCX, CDS = Exchange.NFO, Exchange.BFO, Exchange.MCX, Exchange.CDS


def listing(*overrides: HolidayFact) -> Expiries:
    calendar = Calendar(facts.holidays(), facts.sessions(), overrides)
    return Expiries((expiry_rule(row) for row in facts.rows("expiry_rules")), calendar)


@pytest.fixture(scope="module")
def expiries() -> Expiries:
    return listing()


def text(days: list[date]) -> str:
    return " ".join(day.isoformat() for day in days)


AUGUST = date(2026, 8, 18)


def test_nifty_options_as_the_exchange_listed_them(expiries: Expiries) -> None:
    assert text(expiries.options(NFO, "NIFTY", AUGUST)) == (
        "2026-08-18 2026-08-25 2026-09-01 2026-09-08 2026-09-15 2026-09-29 2026-10-27 2026-12-29 2027-03-30"
        " 2027-06-29 2027-12-28 2028-06-27 2028-12-26 2029-06-26 2029-12-24 2030-06-25 2030-12-31 2031-06-24"
    )


def test_sensex_options_as_the_exchange_listed_them(expiries: Expiries) -> None:
    assert text(expiries.options(BFO, "SENSEX", AUGUST)) == (
        "2026-08-20 2026-08-27 2026-09-03 2026-09-10 2026-09-17 2026-09-24 2026-10-01 2026-10-29 2026-12-31"
        " 2027-03-25 2027-06-24 2027-12-30 2028-06-29 2028-12-28 2029-06-28 2029-12-27 2030-06-27 2030-12-26"
        " 2031-06-26"
    )


def test_monthly_contracts(expiries: Expiries) -> None:
    assert text(expiries.futures(NFO, "RELIANCE", AUGUST)) == "2026-08-25 2026-09-29 2026-10-27"
    assert expiries.options(NFO, "RELIANCE", AUGUST) == expiries.futures(NFO, "RELIANCE", AUGUST)
    assert text(expiries.options(NFO, "BANKNIFTY", AUGUST))[33:] == "2026-12-29 2027-03-30 2027-06-29"
    assert text(expiries.futures(BFO, "BANKEX", AUGUST)) == "2026-08-27 2026-09-24 2026-10-29"


def test_expiries_on_holidays_move_to_the_trading_day_before(expiries: Expiries) -> None:
    assert date(2026, 11, 23) in expiries.futures(NFO, "NIFTY", date(2026, 11, 23))
    assert date(2026, 11, 23) not in expiries.futures(NFO, "NIFTY", date(2026, 11, 24))
    october = expiries.options(NFO, "NIFTY", date(2026, 10, 12))
    assert {date(2026, 10, 19), date(2026, 11, 9), date(2026, 11, 23)} <= set(october)
    assert date(2026, 10, 20) not in october
    assert text(expiries.futures(NFO, "TCS", date(2026, 3, 1)))[:10] == "2026-03-30"


def test_an_expiry_moves_with_a_holiday_that_is_added() -> None:
    added = HolidayFact(day=date(2026, 9, 29), group="EQUITY", name="Added", type=DayType.CLOSED)
    assert date(2026, 9, 28) in listing(added).futures(NFO, "NIFTY", AUGUST)


def test_commodities(expiries: Expiries) -> None:
    assert text(expiries.futures(MCX, "GOLD", AUGUST)[:3]) == "2026-10-05 2026-12-04 2027-02-05"
    assert text(expiries.futures(MCX, "CRUDEOIL", AUGUST)[:2]) == "2026-08-19 2026-09-18"
    assert text(expiries.options(MCX, "CRUDEOIL", AUGUST)[:1]) == "2026-09-16"
    assert text(expiries.futures(MCX, "COPPER", AUGUST)[:2]) == "2026-08-31 2026-09-30"
    assert text(expiries.options(MCX, "COPPER", AUGUST)[:2]) == "2026-08-24 2026-09-23"
    assert text(expiries.futures(MCX, "NICKEL", AUGUST)[:1]) == "2026-08-19"
    assert expiries.futures(MCX, "KAPAS", AUGUST) == []


def test_currencies_end_weekly_and_before_the_month_does(expiries: Expiries) -> None:
    listed = expiries.futures(CDS, "USDINR", AUGUST)
    assert {date(2026, 8, 21), date(2026, 8, 27), date(2026, 9, 28)} <= set(listed)
    assert len(listed) == len(set(listed)) == 23


def test_a_kind_asks_for_its_own(expiries: Expiries) -> None:
    assert expiries.of(NFO, "NIFTY", InstrumentKind.PUT, AUGUST) == expiries.options(NFO, "NIFTY", AUGUST)
    assert expiries.of(NFO, "NIFTY", InstrumentKind.FUTURE, AUGUST) == expiries.futures(NFO, "NIFTY", AUGUST)


@given(st.dates(date(2025, 9, 1), date(2029, 12, 31)), st.sampled_from(["NIFTY", "BANKNIFTY", "TCS"]))
def test_whatever_the_day_a_chain_is_sorted_unexpired_and_on_trading_days(day: date, name: str) -> None:
    calendar = Calendar(facts.holidays(), facts.sessions())
    rules = Expiries((expiry_rule(row) for row in facts.rows("expiry_rules")), calendar)
    for listed in (rules.futures(NFO, name, day), rules.options(NFO, name, day)):
        assert listed == sorted(set(listed))
        assert listed[0] >= day
        assert all(calendar.is_trading_day(NFO, each) for each in listed)
    assert len(rules.futures(NFO, name, day)) == 3
    assert len(rules.options(NFO, name, day)) == {"NIFTY": 18, "BANKNIFTY": 6, "TCS": 3}[name]
    assert rules.options(NFO, name, day)[-1] - day < timedelta(days=6 * 366)


def test_a_rule_nobody_knows_is_an_error() -> None:
    row = dict(facts.rows("expiry_rules")[0], rule="now and then")
    with pytest.raises(ValueError, match="now and then"):
        expiry_rule(row)


def test_bullion_options_as_the_exchanges_listed_them(expiries: Expiries) -> None:
    august = date(2025, 8, 14)
    assert text(expiries.options(MCX, "GOLD", august)) == (
        "2025-08-29 2025-09-23 2025-10-31 2025-11-26 2025-12-31 2026-01-27 2026-02-27 2026-03-24 2026-04-30 2026-05-27"
    )
    assert text(expiries.options(MCX, "SILVER", august)[:4]) == "2025-08-27 2025-09-25 2025-10-28 2025-11-26"
    assert text(expiries.options(MCX, "SILVERM", august)[:4]) == "2025-08-20 2025-09-25 2025-10-28 2025-11-19"
    assert text(expiries.options(Exchange.NCO, "SILVERM", august)[:3]) == "2025-08-22 2025-09-23 2025-10-24"
    assert text(expiries.futures(MCX, "CARDAMOM", august)[:2]) == "2025-08-29 2025-09-30"

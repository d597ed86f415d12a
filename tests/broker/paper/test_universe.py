from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from broker import facts
from broker.paper.universe import universe
from database.instrument_files import flaw
from domain.calendar import Calendar
from domain.model import Exchange, Instrument, InstrumentKind
from domain.money import on_grid

DAY = date(2026, 11, 25)


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return Calendar(facts.holidays(), facts.sessions())


@pytest.fixture(scope="module")
def listed(calendar: Calendar) -> dict[tuple[str, str], Instrument]:
    return {row.key: row for row in universe(DAY, calendar)}


def test_there_is_plenty_to_trade(listed: dict[tuple[str, str], Instrument]) -> None:
    kinds = Counter(row.kind for row in listed.values())
    exchanges = Counter(row.exchange for row in listed.values() if row.expiry)
    assert sum(exchanges.values()) >= 20_000
    assert {Exchange.NFO, Exchange.BFO, Exchange.MCX, Exchange.NCO, Exchange.CDS, Exchange.BCD} == set(
        exchanges
    )
    assert kinds[InstrumentKind.INDEX] == 195
    assert kinds[InstrumentKind.EQUITY] == 3321


def test_every_row_stands_every_check(calendar: Calendar) -> None:
    for day in (DAY, date(2027, 6, 1)):
        rows = list(universe(day, calendar))
        assert [flaw(row) for row in rows if flaw(row)] == []
        assert len({row.key for row in rows}) == len(rows)
        assert len({(row.broker_exchange, row.broker_token) for row in rows}) == len(rows)
        assert all(row.expiry >= day for row in rows if row.expiry)
        assert all(calendar.is_trading_day(row.exchange, row.expiry) for row in rows if row.expiry)


def test_the_same_day_gives_the_same_rows_and_a_contract_keeps_its_token(
    calendar: Calendar, listed: dict[tuple[str, str], Instrument]
) -> None:
    assert {row.key: row for row in universe(DAY, calendar)} == listed
    later = {row.key: row for row in universe(DAY + timedelta(days=7), calendar)}
    shared = later.keys() & listed.keys()
    assert len(shared) > 50_000
    assert all(later[key] == listed[key] for key in shared)


def test_a_contract_of_each_sort(listed: dict[tuple[str, str], Instrument]) -> None:
    nifty = listed[Exchange.NFO, "NIFTY29DEC2624300CE"]
    assert (nifty.lot_size, nifty.tick_size, nifty.freeze_quantity) == (65, Decimal("0.05"), 1800)
    assert listed[Exchange.NFO, "NIFTY29DEC26FUT"].tick_size == Decimal("0.1")
    assert listed[Exchange.BFO, "SENSEX26NOV2677600PE"].lot_size == 20
    crude = listed[Exchange.MCX, "CRUDEOIL18DEC26FUT"]
    assert (crude.lot_size, crude.contract_value, crude.freeze_quantity) == (100, 1, 10_000)
    gold = listed[Exchange.MCX, "GOLD31DEC2699600CE"]
    assert (gold.lot_size, gold.tick_size, gold.freeze_quantity) == (100, Decimal("0.5"), 10_000)
    assert (Exchange.MCX, "CARDAMOM31DEC26FUT") in listed and (Exchange.NCO, "SILVERM31DEC26FUT") in listed
    assert listed[Exchange.CDS, "USDINR29DEC26FUT"].lot_size == 1000
    assert listed[Exchange.CDS, "USDINR29DEC2686.25CE"].strike == Decimal("86.25")
    assert listed[Exchange.BCD, "741GS203631DEC26107PE"].name == "741GS2036"
    assert (Exchange.NFO, "M&M29DEC26FUT") in listed
    assert (Exchange.NFO, "NIFTY24NOV2624300CE") not in listed
    assert (Exchange.NFO, "NIFTY01DEC2624300CE") in listed
    infosys = listed[Exchange.NSE, "INFY"]
    assert (infosys.lot_size, infosys.freeze_quantity) == (1, None)


def test_a_contract_is_listed_through_its_last_day(calendar: Calendar) -> None:
    def symbols(day: date) -> set[str]:
        return {row.symbol for row in universe(day, calendar) if row.name == "NIFTY"}

    assert "NIFTY01DEC26FUT" not in symbols(DAY)
    assert "NIFTY01DEC2624300CE" in symbols(date(2026, 12, 1))
    assert "NIFTY01DEC2624300CE" not in symbols(date(2026, 12, 2))


def test_an_underlying_that_leaves_is_listed_to_its_last_expiry_only(calendar: Calendar) -> None:
    def expiries(day: date) -> set[date | None]:
        return {row.expiry for row in universe(day, calendar) if row.name == "DALBHARAT"}

    assert expiries(date(2026, 8, 18)) == {date(2026, 8, 25)}
    assert expiries(date(2026, 8, 26)) == set()


def test_strikes_stand_around_the_level_and_follow_it(calendar: Calendar) -> None:
    def strikes(levels: dict[tuple[Exchange, str], Decimal] | None = None) -> list[Decimal]:
        rows = universe(DAY, calendar, levels)
        return sorted({row.strike for row in rows if row.symbol.startswith("RELIANCE29DEC26") and row.strike})

    level = facts.security(Exchange.NSE, "RELIANCE").reference_price  # type: ignore[union-attr]
    usual = strikes()
    assert usual[0] < level < usual[-1]
    assert {later - earlier for earlier, later in pairwise(usual)} == {Decimal(10)}
    moved = strikes({(Exchange.NFO, "RELIANCE"): level * 2})
    assert moved[0] < level * 2 < moved[-1]
    assert all(on_grid(strike, Decimal(10)) for strike in moved)

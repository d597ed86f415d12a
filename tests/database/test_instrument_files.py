from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from database.instrument_files import InstrumentFile, build, flaw
from domain.masters import BadRow, DamagedMaster, LoadReport
from domain.model import Exchange, Instrument, InstrumentKind
from tests.database.instruments_made import contract, share, some_master

DECEMBER, JANUARY = date(2026, 12, 29), date(2027, 1, 25)
CHAIN = [
    contract("GOLD", DECEMBER, exchange=Exchange.MCX, contract_value=Decimal(100)),
    contract("GOLDM", DECEMBER, exchange=Exchange.MCX),
    *(
        contract("NIFTY", DECEMBER, strike, kind)
        for strike in ("25000", "24950.5")
        for kind in InstrumentKind
        if kind.is_option
    ),
    contract("NIFTY", JANUARY, "25000", freeze_quantity=1800, lot_size=65),
    contract("NIFTY", DECEMBER),
    share("M&M"),
]


def made(folder: Path, rows: list[Instrument | BadRow], previous: int | None = None) -> LoadReport:
    report = LoadReport(broker="test")
    build(folder / "m.sqlite", rows, report, previous)
    return report


@pytest.fixture
def file(tmp_path: Path) -> InstrumentFile:
    made(tmp_path, [*CHAIN])
    return InstrumentFile(tmp_path / "m.sqlite")


@settings(max_examples=30, deadline=None)
@given(random=st.randoms(use_true_random=False), size=st.integers(1, 100))
def test_every_instrument_comes_back_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, random: Random, size: int
) -> None:
    folder = tmp_path_factory.mktemp("master")
    rows = some_master(random, size)
    assert made(folder, [*rows]).rows == len(rows)
    file = InstrumentFile(folder / "m.sqlite")
    assert sorted(file.rows(None), key=repr) == sorted(rows, key=repr)
    for row in rows:
        assert file.by_symbol(row.exchange, row.symbol) == row
        assert file.by_broker(row.broker_exchange, row.broker_token) == row
    file.close()


def test_names_are_exact(file: InstrumentFile) -> None:
    assert file.by_symbol("NSE", "M&M") is not None
    assert file.by_symbol("NSE", "m&m") is None
    assert file.by_symbol("BSE", "M&M") is None
    assert file.expiries("GOLD", "MCX", options=False) == [DECEMBER]
    assert file.expiries("GOL", "MCX", options=False) == []


def test_chains(file: InstrumentFile) -> None:
    assert file.expiries("NIFTY", "NFO", options=True) == [DECEMBER, JANUARY]
    assert file.expiries("NIFTY", "NFO", options=False) == [DECEMBER]
    assert file.strikes("NIFTY", DECEMBER, InstrumentKind.CALL, "NFO") == [Decimal("24950.5"), Decimal(25000)]
    assert [row.symbol for row in file.chain("NIFTY", JANUARY, "NFO")] == ["NIFTY25JAN2725000CE"]
    assert file.counts() == {"MCX": 2, "NFO": 6, "NSE": 1}


def test_a_brokers_symbol_finds_the_plain_share(tmp_path: Path) -> None:
    plain = share("ANURAS", broker_symbol="ANURAS", broker_token="1")
    warrant = share("ANURAS-W1", broker_symbol="ANURAS", broker_token="2")
    made(tmp_path, [warrant, plain])
    file = InstrumentFile(tmp_path / "m.sqlite")
    assert file.by_broker("NSE", "ANURAS") == plain
    assert file.by_broker("NSE", "2") == warrant
    assert file.by_broker("NSE", "3") is None


def test_a_file_cannot_be_changed_through_a_reader(file: InstrumentFile) -> None:
    with pytest.raises(sqlite3.OperationalError):
        file._connection.execute("DELETE FROM instruments")


def test_no_file_is_no_master(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 20)
    for name in ("absent.sqlite", "x.sqlite"):
        with pytest.raises(sqlite3.Error):
            InstrumentFile(tmp_path / name)


FUTURE = contract("NIFTY", DECEMBER)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (replace(FUTURE, lot_size=0), "lot size below 1"),
        (replace(FUTURE, tick_size=Decimal(0)), "tick size not above 0"),
        (replace(FUTURE, tick_size=Decimal("NaN")), "tick size not above 0"),
        (replace(FUTURE, tick_size=Decimal(1) / 3), "a number of more than 8 decimals"),
        (replace(FUTURE, contract_value=Decimal("Infinity")), "a number of more than 8 decimals"),
        (replace(FUTURE, broker_token=""), "no token"),
        (replace(FUTURE, symbol="NIFTY"), "symbol outside the grammar"),
        (replace(FUTURE, expiry=JANUARY), "symbol reads back as another contract"),
        (replace(FUTURE, name="BANKNIFTY"), "symbol of another underlying"),
        (replace(share("INFY"), symbol="IN FY"), "symbol outside the grammar"),
        (replace(share("INFY"), exchange=Exchange.NFO), "symbol outside the grammar"),
    ],
)
def test_what_cannot_be_traded_is_named(row: Instrument, reason: str) -> None:
    assert flaw(FUTURE) is None
    assert flaw(row) == reason


def many(count: int) -> list[Instrument | BadRow]:
    return [share(f"S{number}", broker_token=str(number)) for number in range(count)]


def test_two_contracts_of_one_token_are_both_put_aside(tmp_path: Path) -> None:
    twin = share("TWIN", broker_token="7")
    report = made(tmp_path, [*many(300), twin])
    assert (report.rows, report.read) == (299, 301)
    assert report.put_aside == {"token of two contracts": 2}
    file = InstrumentFile(tmp_path / "m.sqlite")
    assert file.by_symbol("NSE", "TWIN") is file.by_symbol("NSE", "S7") is file.by_broker("NSE", "7") is None


def test_three_contracts_of_one_symbol_are_all_put_aside(tmp_path: Path) -> None:
    rows = [*many(300), *(share("SAME", broker_token=f"t{n}") for n in range(3))]
    report = made(tmp_path, rows)
    assert report.rows == 300
    assert report.put_aside == {"symbol of two contracts": 3}


def test_a_row_that_stands_twice_is_kept_once(tmp_path: Path) -> None:
    report = made(tmp_path, [*many(100), *many(1)])
    assert report.rows == 100
    assert report.put_aside == {"repeated row": 1}


def test_many_shared_tokens_block_the_import(tmp_path: Path) -> None:
    shared = [share(f"T{number}", broker_token=str(number)) for number in range(10)]
    with pytest.raises(DamagedMaster, match="token of two contracts") as caught:
        made(tmp_path, [*many(300), *shared])
    assert caught.value.row == 301
    assert list(tmp_path.iterdir()) == []


def test_bad_rows_are_counted_until_they_are_too_many(tmp_path: Path) -> None:
    report = made(tmp_path, [*many(100), BadRow(101, "NaN", "a cell"), BadRow(102, "NaN", "another")])
    assert report.put_aside == {"NaN": 2}
    assert report.examples == {"NaN": "row 101: a cell"}
    with pytest.raises(DamagedMaster, match="3 of 103"):
        made(tmp_path, [*many(100), *(BadRow(n, "NaN") for n in (101, 102, 103))])


def test_an_empty_master_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedMaster, match="no instrument"):
        made(tmp_path, [])


@pytest.mark.parametrize(("count", "accepted"), [(70, True), (69, False), (300, True), (301, False)])
def test_a_master_that_shrank_or_grew_too_much_is_refused(tmp_path: Path, count: int, accepted: bool) -> None:
    if accepted:
        assert made(tmp_path, many(count), previous=100).rows == count
        return
    with pytest.raises(DamagedMaster, match="100 instruments"):
        made(tmp_path, many(count), previous=100)


def test_a_file_that_fails_leaves_the_old_one_as_it_was(tmp_path: Path) -> None:
    made(tmp_path, many(10))
    before = (tmp_path / "m.sqlite").read_bytes()

    def breaks() -> list[Instrument | BadRow]:
        raise DamagedMaster("row 3 cannot be read", 3)

    with pytest.raises(DamagedMaster):
        build(tmp_path / "m.sqlite", (row for row in breaks()), LoadReport(broker="test"))
    assert (tmp_path / "m.sqlite").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m.sqlite"]

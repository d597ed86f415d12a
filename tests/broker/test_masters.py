"""The loaders against the real files, and against rows made wrong one by one."""

from __future__ import annotations

import gzip
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from broker.families.noren import instruments as noren
from broker.shoonya import instruments as shoonya
from broker.tradesmart import instruments as tradesmart
from broker.upstox import instruments as upstox
from broker.zerodha import instruments as kite
from database.instrument_files import InstrumentFile, build
from domain.masters import BadRow, DamagedMaster, LoadReport
from domain.model import Exchange, Instrument, InstrumentKind
from domain.symbols import Contract, parse

SHARED = Path(__file__).parents[3] / "shared" / "data"
FILES = SHARED / "instruments"

MASTERS = {
    "upstox": (upstox, FILES / "upstox_complete_2025-08-20.json.gz", 95_846, 95_822),
    "kite": (kite, FILES / "kite_nfo_bfo_2026-08-21.csv.gz", 39_941, 39_941),
    "kite sample": (kite, SHARED / "kite" / "instruments_all.csv", 99, 99),
    "noren NSE": (noren, FILES / "noren_NSE_symbols.txt.gz", 8_634, 8_634),
    "noren NFO": (noren, FILES / "noren_NFO_symbols.txt", 37, 37),
}


def needs(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"needs {path.name} of ../shared/data")
    return path


def loaded(rows: Iterable[Instrument | BadRow], folder: Path) -> tuple[InstrumentFile, LoadReport]:
    report = LoadReport(broker="test")
    build(folder / "m.sqlite", rows, report)
    return InstrumentFile(folder / "m.sqlite"), report


Loaded = Callable[[str], tuple[InstrumentFile, LoadReport]]


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """The real masters by name, each built once."""
    made: dict[str, tuple[InstrumentFile, LoadReport]] = {}

    def get(name: str) -> tuple[InstrumentFile, LoadReport]:
        if name not in made:
            loader, path, *_ = MASTERS[name]
            made[name] = loaded(loader.read(needs(path)), tmp_path_factory.mktemp("master"))
        return made[name]

    yield get
    for file, _ in made.values():
        file.close()


@pytest.mark.shared
@pytest.mark.parametrize("name", MASTERS)
def test_every_row_of_the_real_file_is_an_instrument_or_named(name: str, master: Loaded) -> None:
    _, _, read, kept = MASTERS[name]
    file, report = master(name)
    assert (report.read, report.rows) == (read, kept)
    assert report.bad == read - kept
    assert all(report.examples[reason] for reason in report.put_aside)
    for row in file.rows(None):
        contract = parse(row.symbol, row.exchange)
        base = row.symbol if row.expiry is None else row.name
        assert contract == Contract(base, row.kind, row.expiry, row.strike)
        assert file.by_broker(row.broker_exchange, row.broker_token) == row


@pytest.mark.shared
def test_upstox_rows_that_teach_something(master: Loaded) -> None:
    file, report = master("upstox")
    assert report.put_aside == {"COM is an underlying, not a contract": 24}

    def one(exchange: str, symbol: str) -> Instrument:
        row = file.by_symbol(exchange, symbol)
        assert row is not None, symbol
        return row

    assert one("NSE_INDEX", "NIFTY").broker_token == "NSE_INDEX|Nifty 50"
    assert one("BSE_INDEX", "BSESMALLCAP").broker_symbol == "SMLCAP"
    assert one("NSE", "M&MFIN").broker_token == "NSE_EQ|INE774D01024"
    assert one("NSE", "M&MFIN-N3").broker_token == "NSE_EQ|INE774D08MG3"
    assert one("BSE", "12MFLS3").broker_symbol == "12 MFLS3"
    assert one("NSE", "INFY").freeze_quantity is None
    zinc = one("MCX", "ZINC22AUG25257.5CE")
    assert (zinc.lot_size, zinc.contract_value, zinc.freeze_quantity, zinc.tick_size) == (
        5,
        1000,
        100,
        Decimal("0.01"),
    )
    gold = one("MCX", "GOLD05DEC25FUT")
    assert (gold.lot_size, gold.contract_value, gold.freeze_quantity) == (1, 100, 10)
    rupee = one("CDS", "JPYINR27MAR2661CE")
    assert (rupee.lot_size, rupee.contract_value, rupee.tick_size) == (1, 1000, Decimal("0.0025"))
    assert one("NFO", "NIFTY28AUG25FUT").freeze_quantity == 1800
    assert file.counts()["NCO"] == 7774
    assert len(file.strikes("USDINR", date(2025, 8, 26), InstrumentKind.CALL, "CDS")) > 50


@pytest.mark.shared
def test_kite_rows_that_teach_something(master: Loaded) -> None:
    file, _ = master("kite")
    weekly = file.by_broker("NFO", "NIFTY2690125000CE")
    assert weekly is not None
    assert weekly.symbol == "NIFTY01SEP2625000CE"
    assert (weekly.lot_size, weekly.freeze_quantity, weekly.contract_value) == (65, 1800, 1)
    names = {row.name for row in file.rows("NFO")}
    assert {"M&M", "BAJAJ-AUTO", "360ONE", "NIFTYNXT50"} <= names
    assert any(row.strike != int(row.strike) for row in file.rows("NFO") if row.strike)


@pytest.mark.shared
def test_one_contract_has_one_symbol_at_both_brokers(master: Loaded) -> None:
    """The files are a year apart, so it is the long-dated contracts that they share."""
    (here, _), (there, _) = master("upstox"), master("kite")
    both = {row.symbol for row in here.rows("BFO")} & {row.symbol for row in there.rows("BFO")}
    assert len(both) > 100
    for symbol in both:
        one, other = here.by_symbol("BFO", symbol), there.by_symbol("BFO", symbol)
        assert one is not None and other is not None
        assert (one.expiry, one.strike, one.kind, one.name) == (
            other.expiry,
            other.strike,
            other.kind,
            other.name,
        )


@pytest.mark.shared
def test_noren_rows_that_teach_something(master: Loaded) -> None:
    file, _ = master("noren NSE")
    nifty = file.by_symbol("NSE_INDEX", "NIFTY")
    assert nifty is not None
    assert (nifty.broker_symbol, nifty.broker_exchange, nifty.broker_token) == ("NIFTY INDEX", "NSE", "26000")
    for symbol, spelling in {
        "YAARI": "YAARI-BE",
        "ZTECH": "ZTECH-SM",
        "VERTIS": "VERTIS-IV",
        "VERTIS-BL": "VERTIS-BL",
        "8MN30-SG": "8MN30-SG",
    }.items():
        row = file.by_symbol("NSE", symbol)
        assert row is not None and row.broker_symbol == spelling


@pytest.mark.shared
@pytest.mark.parametrize("share", [0.1, 0.95])
def test_a_real_file_cut_short_is_damaged(share: float, tmp_path: Path) -> None:
    for loader, path, *_ in (MASTERS["upstox"], MASTERS["kite"], MASTERS["noren NFO"]):
        data = needs(path).read_bytes()
        (tmp_path / "cut").write_bytes(data[: int(len(data) * share) - 5])
        with pytest.raises(DamagedMaster):
            deque(loader.read(tmp_path / "cut"), maxlen=0)


FUTURE: dict[str, Any] = {
    "segment": "NSE_FO",
    "name": "NIFTY",
    "expiry": 1774895399000,
    "instrument_type": "FUT",
    "underlying_symbol": "NIFTY",
    "instrument_key": "NSE_FO|51714",
    "lot_size": 65,
    "freeze_quantity": 1800.0,
    "exchange_token": "51714",
    "tick_size": 10.0,
    "trading_symbol": "NIFTY FUT 30 MAR 26",
    "strike_price": 0.0,
    "qty_multiplier": 1.0,
}
CALL = FUTURE | {
    "instrument_type": "CE",
    "strike_price": 24000.5,
    "tick_size": 5.0,
    "instrument_key": "NSE_FO|1",
}


def upstox_rows(folder: Path, *rows: dict[str, Any]) -> list[Instrument | BadRow]:
    path = folder / "complete.json.gz"
    path.write_bytes(gzip.compress(json.dumps(rows).encode()))
    return list(upstox.read(path))


def test_an_upstox_contract(tmp_path: Path) -> None:
    future, call = upstox_rows(tmp_path, FUTURE, CALL)
    assert isinstance(future, Instrument) and isinstance(call, Instrument)
    assert (future.symbol, future.expiry, future.tick_size) == (
        "NIFTY30MAR26FUT",
        date(2026, 3, 30),
        Decimal("0.1"),
    )
    assert (call.symbol, call.strike, call.tick_size) == (
        "NIFTY30MAR2624000.5CE",
        Decimal("24000.5"),
        Decimal("0.05"),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"lot_size": float("nan")},
        {"tick_size": float("nan")},
        {"tick_size": None},
        {"expiry": None},
        {"expiry": float("inf")},
        {"expiry": 10**30},
        {"underlying_symbol": float("nan")},
        {"underlying_symbol": "NIF TY"},
        {"strike_price": float("nan")},
        {"strike_price": "24000"},
        {"strike_price": 0.0},
        {"lot_size": 65.5},
        {"freeze_quantity": []},
        {"instrument_type": ["CE"]},
        {"segment": {}},
        {"trading_symbol": ""},
    ],
)
def test_an_upstox_row_with_a_bad_cell_is_put_aside(tmp_path: Path, change: dict[str, Any]) -> None:
    good, bad = upstox_rows(tmp_path, FUTURE, CALL | change)
    assert isinstance(good, Instrument)
    assert isinstance(bad, BadRow)
    assert bad.number == 2
    assert bad.reason


def test_a_missing_field_or_new_segment_is_put_aside(tmp_path: Path) -> None:
    lacking = {key: value for key, value in CALL.items() if key != "expiry"}
    bad, new = upstox_rows(tmp_path, lacking, CALL | {"segment": "MOON_FO"})
    assert isinstance(bad, BadRow) and "expiry" in bad.detail
    assert isinstance(new, BadRow) and "MOON_FO" in new.reason


KITE = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange\n"
)


def kite_rows(folder: Path, text: str) -> list[Instrument | BadRow]:
    (folder / "kite.csv").write_text(KITE + text)
    return list(kite.read(folder / "kite.csv"))


def test_kite_spellings(tmp_path: Path) -> None:
    rows = kite_rows(
        tmp_path,
        "256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE\n"
        "265,1,SENSEX,SENSEX,0,,0,0,0,EQ,INDICES,BSE\n"
        "1,1,SNSX50,SNSX50,0,,0,0,0,EQ,INDICES,BSE\n"
        "2,2,GIFT NIFTY,GIFT NIFTY,0,,0,0,0,EQ,INDICES,NSEIX\n"
        "3,3,CENTRALBK-BE,CENTRAL BANK,0,,0,0.05,1,EQ,NSE,NSE\n"
        "4,4,CDSL-BE,CDSL,0,,0,0.05,1,EQ,NSE,NSE\n"
        "5,5,CDSL,CDSL,0,,0,0.05,1,EQ,NSE,NSE\n"
        "6,6,BAJAJ-AUTO,BAJAJ AUTO,0,,0,0.05,1,EQ,NSE,NSE\n"
        "7,7,BANKNIFTY18JAN23500CE,,0,2018-01-25,23500.0,0.05,40,CE,NFO-OPT,NFO\n"
        "8,8,GOLD26DECFUT,GOLD,0,2026-12-04,0,1,1,FUT,MCX-FUT,MCX\n"
        "9,9,USDINR26DECFUT,USDINR,0,2026-12-29,0,0.0025,1,FUT,CDS-FUT,CDS\n",
    )
    assert [row.symbol if isinstance(row, Instrument) else row for row in rows] == [
        "NIFTY",
        "SENSEX",
        "SENSEX50",
        "GIFTNIFTY",
        "CENTRALBK",
        "CDSL-BE",
        "CDSL",
        "BAJAJ-AUTO",
        "BANKNIFTY25JAN1823500CE",
        "GOLD04DEC26FUT",
        "USDINR29DEC26FUT",
    ]
    gold, rupee = rows[-2], rows[-1]
    assert isinstance(gold, Instrument) and isinstance(rupee, Instrument)
    assert (gold.contract_value, gold.freeze_quantity) == (100, 10)
    assert (rupee.contract_value, rupee.freeze_quantity) == (1000, 10_000)
    assert {row.exchange for row in rows[:4] if isinstance(row, Instrument)} == {
        Exchange.NSE_INDEX,
        Exchange.BSE_INDEX,
        Exchange.GLOBAL_INDEX,
    }


@pytest.mark.parametrize(
    "line",
    [
        "1,1,NIFTY26AUGFUT,NIFTY,0,2026-08-25,0,nan,65,FUT,NFO-FUT,NFO",
        "1,1,NIFTY26AUGFUT,NIFTY,0,2026-08-32,0,0.1,65,FUT,NFO-FUT,NFO",
        "1,1,NIFTY26AUGFUT,NIFTY,0,,0,0.1,65,FUT,NFO-FUT,NFO",
        "1,1,NIFTY26AUGFUT,nan,0,2026-08-25,0,0.1,65,FUT,NFO-FUT,NFO",
        "1,1,NIFTY26AUGFUT,NIFTY,0,2026-08-25,0,0.1,NaN,FUT,NFO-FUT,NFO",
        ",1,NIFTY26AUGFUT,NIFTY,0,2026-08-25,0,0.1,65,FUT,NFO-FUT,NFO",
        "1,1,X,,0,2026-08-25,5,0.1,65,CE,NFO-FUT,NFO",
        "1,1,NIFTY26AUG5CE,NIFTY,0,2026-08-25,0,0.1,65,CE,NFO-OPT,NFO",
        "1,1,SPOT,SPOT,0,,0,0.1,1,EQ,MCX,MCX",
        "1,1,X,X,0,,0,0.1,1,EQ,MOON,MOON",
        "1,1,X,X,0,,0,0.1,1,EQ,INDICES,MOON",
        "1,1,X,X",
    ],
)
def test_a_kite_row_that_cannot_be_read_is_put_aside(tmp_path: Path, line: str) -> None:
    (row,) = kite_rows(tmp_path, line + "\n")
    assert isinstance(row, BadRow)
    assert row.number == 1


def test_noren_derivatives_and_currencies(tmp_path: Path) -> None:
    columns = "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,"
    (tmp_path / "BFO_symbols.txt").write_text(
        f"{columns}\nBFO,826625,20,BSXOPT,SENSEX26AUG69500CE,27-AUG-2026,OPTIDX,CE,69500,0.05,\n"
        "BFO,1,75,SX50FUT,SENSEX5026AUGFUT,27-AUG-2026,FUTIDX,XX,0,0.05,\n"
        "BFO,2,20,BSXOPT,ODD,27-AUG-2026,OPTIDX,CE,69500,0.05,\n"
        "BFO,3,20,BSXOPT,SENSEX26AUG69500PE,27-AUG-2026,OPTIDX,ZZ,69500,0.05,\n"
    )
    (tmp_path / "MCX_symbols.txt").write_text(
        "Exchange,Token,LotSize,GNGD,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,\n"
        "MCX,9,1,1,CRUDEOIL,CRUDEOIL19NOV26,19-NOV-2026,FUTCOM,XX,0,1,\n"
    )
    (tmp_path / "BSE_symbols.txt").write_text(
        "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\nBSE,500325,1,RELIANCE,RELIANCE,A,0.05,\n"
    )
    rows = list(noren.read(tmp_path))
    assert [row.symbol for row in rows if isinstance(row, Instrument)] == [
        "SENSEX27AUG2669500CE",
        "SENSEX5027AUG26FUT",
        "RELIANCE",
        "CRUDEOIL19NOV26FUT",
        "SENSEX",
        "BANKEX",
    ]
    assert len([row for row in rows if isinstance(row, BadRow)]) == 2


def test_a_noren_folder_without_masters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedMaster, match="no \\*_symbols"):
        list(noren.read(tmp_path))


CASH_FILE = "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\n"


@pytest.mark.parametrize("house", [shoonya, tradesmart])
def test_a_house_that_counts_in_paise_counts_its_indices_so_too(tmp_path: Path, house: ModuleType) -> None:
    (tmp_path / "NSE_symbols.txt").write_text(
        f"{CASH_FILE}NSE,3045,1,SBIN,SBIN-EQ,EQ,5,\nNSE,26000,1,Nifty 50,NIFTY INDEX,INDEX,5,\n"
        "NSE,2277,1,MRF,MRF-EQ,EQ,500,\nNSE,26009,1,Nifty Bank,NIFTY BANK,INDEX,0,\n"
    )
    ticks = {row.symbol: row.tick_size for row in house.read(tmp_path)}
    assert ticks == {
        "SBIN": Decimal("0.05"), "NIFTY": Decimal("0.05"), "MRF": Decimal(5), "BANKNIFTY": Decimal("0.05")
    }  # fmt: skip


@pytest.mark.parametrize("house", [shoonya, tradesmart])
def test_a_file_with_parts_of_a_rupee_is_not_in_paise(tmp_path: Path, house: ModuleType) -> None:
    """A tick a hundred times too fine would let every price through and put protected ones off the grid."""
    (tmp_path / "NSE_symbols.txt").write_text(
        f"{CASH_FILE}NSE,3045,1,SBIN,SBIN-EQ,EQ,0.05,\nNSE,2277,1,MRF,MRF-EQ,EQ,5,\n"
    )
    ticks = {row.symbol: row.tick_size for row in house.read(tmp_path)}
    assert ticks == {"SBIN": Decimal("0.05"), "MRF": Decimal(5)}

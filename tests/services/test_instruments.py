from __future__ import annotations

import gzip
import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from broker import facts
from broker.paper import universe as paper_universe
from database.engine import open_database
from database.masters import MASTERS
from domain.calendar import Calendar
from domain.errors import InvalidRequest, Unavailable
from domain.masters import DamagedMaster
from domain.model import Exchange, Instrument, InstrumentKind
from services import instruments as service
from services.instruments import Instruments
from tests.database.instruments_made import contract, share

DECEMBER = date(2026, 12, 29)


class StoppedClock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "instruments"
        self.clock = StoppedClock()
        self.db = open_database("", "platform", folder)
        MASTERS.create(self.db.engine)
        self.instruments = self.process()

    def process(self) -> Instruments:
        """Another process's view of the same install."""
        return Instruments(
            self.db, self.folder, self.clock, lambda: Calendar(facts.holidays(), facts.sessions())
        )

    def load(self, *rows: Instrument, broker: str = "zerodha") -> str:
        self.clock.at += timedelta(seconds=1)
        return self.instruments.load_rows(broker, rows, "test", force=True).file

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(service, "_LOOK_EVERY", 0.0)
    made = World(tmp_path)
    yield made
    made.instruments.close()
    made.db.close()


def rows(count: int) -> list[Instrument]:
    return [share(f"S{number}", broker_token=str(number)) for number in range(count)]


def test_nothing_is_known_before_a_master_is_loaded(world: World) -> None:
    known = world.instruments
    assert known.get("zerodha", "NSE", "INFY") is None
    assert known.find("zerodha", "NSE", "1") is None
    assert known.search("zerodha", "INFY") == []
    assert known.expiries("zerodha", "NIFTY", "NFO", "futures") == []
    assert list(known.rows("zerodha")) == []
    assert known.status() == []


def test_lookups(world: World) -> None:
    infosys = share("INFY", broker_symbol="INFY-EQ", broker_token="1594")
    call = contract("NIFTY", DECEMBER, "25000")
    world.load(infosys, call)
    known = world.instruments
    for _ in range(2):
        assert known.get("zerodha", "NSE", "INFY") == infosys
        assert known.find("zerodha", "NSE", "1594") == known.find("zerodha", "NSE", "INFY-EQ") == infosys
        assert known.lookup("zerodha")("NSE", "1594") == infosys
        assert known.get("zerodha", "BSE", "INFY") is None
        assert known.get("upstox", "NSE", "INFY") is None
    assert known.strikes("zerodha", "NIFTY", DECEMBER, InstrumentKind.CALL, "NFO") == [Decimal(25000)]
    assert known.chain("zerodha", "NIFTY", DECEMBER, "NFO") == [call]
    assert known.search("zerodha", "25000 nifty") == [call]
    assert list(known.rows("zerodha", "NFO")) == [call]
    assert known.counts("zerodha") == {"NFO": 1, "NSE": 1}
    assert known.row_id("zerodha", "NSE", "INFY") == 1


def test_expiries_begin_today(world: World) -> None:
    days = [date(2026, 11, 24), date(2026, 11, 25), DECEMBER]
    world.load(*(contract("NIFTY", day) for day in days), contract("NIFTYNXT50", date(2026, 12, 1)))
    assert world.instruments.expiries("zerodha", "NIFTY", "NFO", "futures") == days[1:]
    world.clock.at = datetime(2026, 11, 25, 18, 30, tzinfo=UTC)
    assert world.instruments.expiries("zerodha", "NIFTY", "NFO", "futures") == days[2:]


def test_a_new_master_is_seen_by_other_processes_and_threads(world: World) -> None:
    other = world.process()
    world.load(share("OLD"))
    seen: list[object] = []
    go, done = threading.Event(), threading.Event()

    def reader() -> None:
        seen.append(other.get("zerodha", "NSE", "OLD"))
        done.set()
        go.wait(10)
        seen.append(other.get("zerodha", "NSE", "OLD"))
        seen.append(other.get("zerodha", "NSE", "NEW"))
        other.close()

    thread = threading.Thread(target=reader)
    thread.start()
    assert done.wait(10)
    assert other.get("zerodha", "NSE", "NEW") is None
    world.load(share("NEW"))
    go.set()
    thread.join(10)
    assert [bool(each) for each in seen] == [True, False, True]
    assert other.get("zerodha", "NSE", "OLD") is None
    other.close()


def test_a_look_costs_the_store_at_most_one_read_a_second(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.load(share("INFY"))
    monkeypatch.setattr(service, "_LOOK_EVERY", 60.0)
    known = world.process()
    assert known.get("zerodha", "NSE", "INFY")
    monkeypatch.setattr(world.db, "read", None)
    for _ in range(100):
        assert known.get("zerodha", "NSE", "INFY")
    known.close()


def test_an_unreadable_store_leaves_what_is_known(world: World) -> None:
    world.load(share("INFY"))
    assert world.instruments.get("zerodha", "NSE", "INFY")
    MASTERS.drop(world.db.engine)
    assert world.instruments.get("zerodha", "NSE", "INFY")
    with pytest.raises(Unavailable):
        world.process().get("zerodha", "NSE", "INFY")


def test_a_damaged_master_leaves_the_one_in_use(world: World) -> None:
    world.load(*rows(100))
    before = world.files()

    def breaks() -> Iterator[Instrument]:
        yield from rows(50)
        raise DamagedMaster("row 51 cannot be read", 51)

    with pytest.raises(DamagedMaster, match="row 51"):
        world.instruments.load_rows("zerodha", breaks(), "test")
    with pytest.raises(DamagedMaster, match="no instrument"):
        world.instruments.load_rows("zerodha", [], "test")
    with pytest.raises(DamagedMaster, match="100 instruments"):
        world.instruments.load_rows("zerodha", rows(10), "test")
    assert world.files() == before
    assert world.instruments.get("zerodha", "NSE", "S99")
    assert world.instruments.load_rows("zerodha", rows(10), "test", force=True).rows == 10


def test_old_files_go_once_nobody_reads_them(world: World) -> None:
    first = world.load(*rows(3))
    second = world.load(*rows(3))
    assert world.instruments.clean_up() == []
    world.clock.at += timedelta(seconds=31)
    assert world.instruments.clean_up() == []
    stale = world.folder / "zerodha" / ".x.sqlite.1.building"
    stale.touch()
    for path in (world.folder / "zerodha" / first, world.folder / "zerodha" / second, stale):
        os.utime(path, (time.time() - 4000, time.time() - 4000))
    assert sorted(world.instruments.clean_up()) == [stale.name, f"zerodha/{first}"]
    assert world.files() == [f"zerodha/{second}"]
    assert world.instruments.get("zerodha", "NSE", "S1")


def test_a_file_that_is_gone_is_said_and_made_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "universe", lambda *_: iter(rows(5)))
    report = world.instruments.load_paper()
    (world.folder / "paper" / report.file).unlink()
    fresh = world.process()
    with pytest.raises(Unavailable, match="load it again"):
        fresh.get("paper", "NSE", "S1")
    assert fresh.load_paper().changed
    assert fresh.get("paper", "NSE", "S1")
    fresh.close()


def test_the_paper_master_is_made_once_a_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[date] = []

    def few(day: date, *_: object) -> Iterator[Instrument]:
        made.append(day)
        yield from rows(5)

    monkeypatch.setattr(service, "universe", few)
    assert world.instruments.load_paper().changed
    assert not world.instruments.load_paper().changed
    assert world.instruments.load_paper(date(2026, 11, 26)).changed
    assert world.instruments.load_paper(date(2026, 11, 26), {(Exchange.NFO, "TCS"): Decimal(1)}).changed
    monkeypatch.setattr(service, "fingerprint", lambda: "other facts")
    assert world.instruments.load_paper(date(2026, 11, 26)).changed
    assert made == [date(2026, 11, 25), *[date(2026, 11, 26)] * 3]


def test_the_real_paper_master(world: World) -> None:
    report = world.instruments.load_paper()
    assert report.rows > 50_000
    assert report.put_aside == {}
    known = world.instruments
    assert known.get("paper", "NFO", "NIFTY29DEC26FUT")
    assert known.expiries("paper", "NIFTY", "NFO", "options")[0] == date(2026, 12, 1)
    assert known.status()[0].source == "facts"
    assert paper_universe.fingerprint().startswith(facts.digest()[:10])


ROW = {
    "segment": "NSE_EQ",
    "name": "INFOSYS LIMITED",
    "instrument_type": "EQ",
    "instrument_key": "NSE_EQ|INE009A01021",
    "lot_size": 1,
    "tick_size": 5.0,
    "trading_symbol": "INFY",
}


class TestFiles:
    def saved(self, folder: Path) -> Path:
        path = folder / "complete.json.gz"
        path.write_bytes(gzip.compress(json.dumps([ROW]).encode()))
        return path

    def test_a_file_is_read_by_its_brokers_loader(self, world: World, tmp_path: Path) -> None:
        path = self.saved(tmp_path)
        assert world.instruments.load_file(path, "upstox").changed
        assert world.instruments.find("upstox", "NSE_EQ", "NSE_EQ|INE009A01021")
        assert not world.instruments.load_file(path, "upstox").changed
        assert world.instruments.load_file(path, "other", "upstox").rows == 1

    @pytest.mark.parametrize("name", ["nobody", "paper", "../upstox", "zerodha.wire", "", "families"])
    def test_a_broker_without_a_loader_is_refused(self, world: World, tmp_path: Path, name: str) -> None:
        with pytest.raises(InvalidRequest, match="no loader"):
            world.instruments.load_file(self.saved(tmp_path), name)

    def test_a_family_reads_for_its_members(self, world: World, tmp_path: Path) -> None:
        path = tmp_path / "NSE_symbols.txt"
        path.write_text(
            "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\nNSE,3045,1,SBIN,SBIN-EQ,EQ,0.05,\n"
        )
        assert world.instruments.load_file(path, "noren").rows == 1
        assert world.instruments.load_file(path, "flattrade", "noren").rows == 1
        assert world.instruments.find("flattrade", "NSE", "SBIN-EQ")


def test_one_resolve_takes_microseconds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_LOOK_EVERY", 1.0)
    world.load(*rows(2000))
    known = world.instruments
    for warm in (False, True):
        started = time.perf_counter()
        for number in range(2000):
            assert known.get("zerodha", "NSE", f"S{number}")
        each = (time.perf_counter() - started) / 2000
        assert each < (20e-6 if warm else 200e-6)

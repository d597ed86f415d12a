"""XTS's master: rows are read by their own width, whatever a numerator says, and a cut file is never a short one."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.families.xts import instruments
from domain.masters import BadRow, DamagedMaster
from domain.model import Exchange, Instrument, InstrumentKind

SBIN = "NSECM|3045|8|SBIN|SBIN-EQ|EQ|SBIN-EQ|1100100003045|583.5|477.4|300000|0.05|1|1|SBIN|INE062A01020|1|1|SBIN-EQ|0|-1|-1"  # noqa: E501
FUTURE = "NSEFO|51714|1|NIFTY|NIFTY26MARFUT|FUTIDX|NIFTY-FUTIDX|2608900051714|26000|21000|1801|0.1|65|1|-1|Nifty 50|2026-03-30T14:30:00|NIFTY 30MAR2026|1|1|NIFTY26MARFUT"  # noqa: E501
OPTION = "NSEFO|43239|2|NIFTY|NIFTY2631024000CE|OPTIDX|NIFTY-OPTIDX|2606900043239|500|0.05|1801|0.05|65|1|-1|Nifty 50|2026-03-10T14:30:00|24000|3|NIFTY 10MAR2026 CE 24000|1|1|NIFTY2631024000CE"  # noqa: E501
CRUDE = "MCXFO|430268|1|CRUDEOIL|CRUDEOIL18DEC26FUT|FUTCOM|CRUDEOIL-FUTCOM|1|1|1|10000|1|1|1|-1|CRUDEOIL|2026-12-18T23:30:00|CRUDEOIL 18DEC2026|3|1|CRUDEOIL18DEC26FUT"  # noqa: E501
RUPEE = "NSECD|1402|2|USDINR|USDINR27NOV2684.25CE|OPTCUR|USDINR-OPTCUR|1|1|1|10001|0.0025|1|1000|-1|USDINR|2026-11-27T12:30:00|84.25|4|USDINR 27NOV2026 PE 84.25|1|1|USDINR26NOV84.25PE"  # noqa: E501
SPREAD = FUTURE.replace("|51714|1|", "|951714|4|")
SENSEX = "BSECM|1|8|SENSEX|SENSEX|SPOT|SENSEX-SPOT|1|1|1|1|0.05|1|1|SENSEX|-|1|1|SENSEX|0|0|0"


def written(folder: Path, *rows: str, name: str = "NSEFO.json") -> Path:
    told = {"type": "success", "code": "s-x", "description": "", "result": "\n".join(rows)}
    (folder / name).write_text(json.dumps(told))
    return folder


def read(folder: Path) -> list[Instrument]:
    found = list(instruments.read(folder))
    assert all(isinstance(one, Instrument) for one in found), found
    return found  # type: ignore[return-value]


def test_every_shape_of_row(tmp_path: Path) -> None:
    found = read(written(tmp_path, SBIN, FUTURE, OPTION, SPREAD, CRUDE, RUPEE))
    assert [one.symbol for one in found] == [
        "SBIN", "NIFTY30MAR26FUT", "NIFTY10MAR2624000CE", "CRUDEOIL18DEC26FUT", "USDINR27NOV2684.25PE",
    ]  # fmt: skip
    _, future, option, crude, rupee = found
    assert (future.strike, future.expiry, future.lot_size) == (None, date(2026, 3, 30), 65)
    assert (option.kind, option.strike, option.tick_size) == (InstrumentKind.CALL, 24000, Decimal("0.05"))
    assert (option.broker_exchange, option.broker_token, option.broker_symbol) == (
        "NSEFO", "43239", "NIFTY2631024000CE",
    )  # fmt: skip
    assert (crude.exchange, crude.kind, crude.contract_value) == (Exchange.MCX, InstrumentKind.FUTURE, 100)
    assert (rupee.exchange, rupee.contract_value) == (Exchange.CDS, 1000)


def test_indices_come_once_whether_listed_or_in_the_master(tmp_path: Path) -> None:
    written(tmp_path, SBIN, name="NSECM.json")
    written(tmp_path, SENSEX, name="BSECM.json")
    for segment, listed in (
        ("NSECM", ["NIFTY 50_26000", "NIFTY BANK_26001", "nameless"]),
        ("BSECM", ["SENSEX_1"]),
    ):
        (tmp_path / f"{segment}.indices.json").write_text(json.dumps({"result": {"indexList": listed}}))
    found = list(instruments.read(tmp_path))
    indices = [one for one in found if isinstance(one, Instrument) and one.kind is InstrumentKind.INDEX]
    assert sorted((one.exchange, one.symbol, one.broker_token) for one in indices) == [
        ("BSE_INDEX", "SENSEX", "1"), ("NSE_INDEX", "BANKNIFTY", "26001"), ("NSE_INDEX", "NIFTY", "26000"),
    ]  # fmt: skip
    assert [one.detail for one in found if isinstance(one, BadRow)] == ["nameless"]


STRANGE = [
    "NSEFO|1|2",
    "MOON|1|2",
    OPTION.replace("|24000|3|", "|24000|7|"),
    FUTURE.replace("2026-03-30", "soon"),
    FUTURE.replace("|65|", "|many|"),
    "|",
]


@pytest.mark.parametrize("row", STRANGE)
def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, row: str) -> None:
    first, second = instruments.read(written(tmp_path, row, SBIN))
    assert isinstance(first, BadRow) and first.number == 1
    assert isinstance(second, Instrument)


def test_a_file_cut_anywhere_is_damaged(tmp_path: Path) -> None:
    whole = (written(tmp_path, SBIN, FUTURE) / "NSEFO.json").read_bytes()
    for size in range(0, len(whole) - 2, 37):
        (tmp_path / "NSEFO.json").write_bytes(whole[:size])
        with pytest.raises(DamagedMaster):
            list(instruments.read(tmp_path))


def test_a_refusal_is_no_master(tmp_path: Path) -> None:
    (tmp_path / "NSEFO.json").write_text('{"type":"error","code":"e","description":"Invalid","result":{}}')
    with pytest.raises(DamagedMaster):
        list(instruments.read(tmp_path))


def test_a_file_of_many_pieces_keeps_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruments, "_CHUNK", 101)
    rows = [SBIN.replace("|3045|", f"|{n}|") for n in range(1, 60)]
    assert [one.broker_token for one in read(written(tmp_path, *rows))] == [str(n) for n in range(1, 60)]


@given(st.lists(st.text(max_size=40), max_size=5))
def test_strange_rows_are_rows_or_named(tmp_path_factory: pytest.TempPathFactory, rows: list[str]) -> None:
    folder = tmp_path_factory.mktemp("m")
    for found in instruments.read(written(folder, *rows)):
        assert isinstance(found, Instrument | BadRow)

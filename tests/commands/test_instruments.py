"""`instruments load` says what became of every row; a bad file changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import config
from commands.__main__ import main
from database import migrate

HEADER = "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\n"
ROWS = [f"NSE,{number},1,S{number},S{number}-EQ,EQ,0.05,\n" for number in range(100)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    settings = config.load(tmp_path / "data", {})
    migrate.upgrade_all("", settings.data_dir)
    return settings.data_dir


def instruments(home: Path, *words: str) -> int:
    return main(["instruments", *words, "--data-dir", str(home)])


def test_load_and_status(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    master = tmp_path / "NSE_symbols.txt"
    master.write_text(HEADER + "".join(ROWS) + "NSE,100,nan,BAD,BAD-EQ,EQ,0.05,\n")
    assert instruments(home, "load", str(master), "--broker", "noren") == 0
    shown = capsys.readouterr().out
    assert "noren: 100 of 101 rows in use" in shown
    assert "put aside 1: a field is missing or not readable (row 101:" in shown
    assert instruments(home, "load", str(master), "--broker", "noren") == 0
    assert "in use already" in capsys.readouterr().out
    assert instruments(home, "status") == 0
    shown = capsys.readouterr().out
    assert "100 instruments, 1 put aside" in shown
    assert "NSE 100" in shown


def test_a_bad_file_is_one_line_and_changes_nothing(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    master = tmp_path / "NSE_symbols.txt"
    master.write_text(HEADER + "".join(ROWS))
    assert instruments(home, "load", str(master), "--broker", "noren") == 0
    capsys.readouterr()
    for text, words in (
        (HEADER + "".join(ROWS)[:-3], "row 100 cannot be read"),
        ("", "the file is empty"),
        (HEADER + "".join(ROWS[:20]), "has 100 instruments, this one 20"),
    ):
        master.write_text(text)
        assert instruments(home, "load", str(master), "--broker", "noren") == 1
        refusal = capsys.readouterr().err
        assert words in refusal and refusal.count("\n") == 1
    assert instruments(home, "status") == 0
    assert "100 instruments" in capsys.readouterr().out
    assert instruments(home, "load", str(master), "--broker", "noren", "--force") == 0
    assert "20 of 20" in capsys.readouterr().out


def test_what_cannot_be_loaded_is_said(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").write_text("x")
    assert instruments(home, "load", str(tmp_path / "absent"), "--broker", "noren") == 1
    assert "there is no" in capsys.readouterr().err
    assert instruments(home, "load", str(tmp_path / "x"), "--broker", "nobody") == 1
    assert "no loader" in capsys.readouterr().err

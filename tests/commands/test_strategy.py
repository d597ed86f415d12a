"""`manage.py strategy` over a real install without a worker."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

import config
from commands.__main__ import main
from database import migrate
from strategies import sandbox, shelter


def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """An install with one user; the words that name it."""
    data = ("--data-dir", str(tmp_path / "data"))
    migrate.upgrade_all("", config.load(tmp_path / "data", {}).data_dir)
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\n"))
    assert main(["user", "add", "asha", "--admin", "--password-stdin", *data]) == 0
    return data


@pytest.mark.parametrize(("abi", "warns"), [(0, True), (6, False)])
def test_a_machine_that_does_not_shut_strategies_in_is_warned_of(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    abi: int,
    warns: bool,
) -> None:
    data = installed(tmp_path, monkeypatch)
    monkeypatch.setattr(sandbox, "landlock_version", lambda: abi)
    source = tmp_path / "mine.py"
    source.write_text("print(1)\n")
    capsys.readouterr()
    for words in (("upload", str(source), "--manual"), ("list",)):
        assert main(["strategy", *words, *data]) == 0
        shown = capsys.readouterr()
        assert (shelter.OPEN in shown.err) is warns and shelter.OPEN not in shown.out
        assert "mine" in shown.out


def test_versions_are_kept_and_brought_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = installed(tmp_path, monkeypatch)
    source = tmp_path / "mine.py"
    source.write_text("print(1)\n")
    assert main(["strategy", "upload", str(source), "--manual", *data]) == 0
    source.write_text("print(2)\n")
    assert main(["strategy", "save", "mine", str(source), "--note", "two", *data]) == 0
    assert main(["strategy", "save", "mine", "--version", "1", *data]) == 0
    capsys.readouterr()
    assert main(["strategy", "show", "mine", *data]) == 0
    shown = capsys.readouterr().out
    assert "version 3, " in shown and "by asha: version 1 again" in shown and "by asha: two" in shown


def test_what_cannot_be_uploaded_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of a gigabyte is not read for that."""
    data = installed(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("print(1)\n")
    with Path("huge.py").open("wb") as file:
        file.truncate(1 << 30)
    assert main(["strategy", "upload", "mine.py", "--manual", *data]) == 0
    capsys.readouterr()
    for words, said in (
        ("upload none.py", "none.py cannot be read: No such file"),
        ("upload mine.py --exchange FOO", "there is no exchange 'FOO'; use NSE"),
        ("upload huge.py", "8 MB at most"),
        ("save mine", "give a file, or --version"),
    ):
        assert main(["strategy", *words.split(), *data]) == 1
        told = capsys.readouterr().err
        assert said in told and told.count("\n") == 1, words

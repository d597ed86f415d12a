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


@pytest.mark.parametrize(("abi", "warns"), [(0, True), (6, False)])
def test_a_machine_that_does_not_shut_strategies_in_is_warned_of(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    abi: int,
    warns: bool,
) -> None:
    data = ("--data-dir", str(tmp_path / "data"))
    migrate.upgrade_all("", config.load(tmp_path / "data", {}).data_dir)
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\n"))
    assert main(["user", "add", "asha", "--admin", "--password-stdin", *data]) == 0
    monkeypatch.setattr(sandbox, "landlock_version", lambda: abi)
    source = tmp_path / "mine.py"
    source.write_text("print(1)\n")
    capsys.readouterr()
    for words in (("upload", str(source), "--manual"), ("list",)):
        assert main(["strategy", *words, *data]) == 0
        shown = capsys.readouterr()
        assert (shelter.OPEN in shown.err) is warns and shelter.OPEN not in shown.out
        assert "mine" in shown.out

"""The command line as a whole: verbs are found, --data-dir stands anywhere, mistakes are one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from commands import verbs
from commands.__main__ import main, parser_for, take_data_dir
from commands.test import options

ROOT = Path(__file__).resolve().parents[2]


def test_every_verb_says_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    for verb, words in verbs.summaries().items():
        assert words and f"  {verb} " in shown
    assert {
        "run",
        "test",
        "setup",
        "doctor",
        "user",
        "apikey",
        "account",
        "bench",
        "backup",
        "restore",
    } <= set(verbs.summaries())


@pytest.mark.parametrize("verb", verbs.summaries())
def test_every_verb_has_a_help_page(verb: str) -> None:
    assert "--data-dir" in parser_for(verb).format_help()


@pytest.mark.parametrize(
    "words",
    [["--data-dir", "x", "add", "raj"], ["add", "--data-dir", "x", "raj"], ["add", "raj", "--data-dir=x"]],
)
def test_the_data_directory_stands_anywhere(words: list[str]) -> None:
    assert take_data_dir(words) == (Path("x"), ["add", "raj"])


def test_an_unknown_verb_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fly"]) == 2
    assert "no verb 'fly'" in (words := capsys.readouterr().err) and "  run " in words


def test_a_wrong_setting_is_one_line_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "commands", "run", "--data-dir", str(tmp_path), "--port", "99999"],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: FLASK_PORT") and ran.stderr.count("\n") == 1


def test_the_test_verb_runs_all_but_campaigns_unless_told() -> None:
    assert options([])[:2] == ["-m", "not campaign"] and "-n" in options([])
    assert options(["-m", "campaign"])[:2] == ["-m", "campaign"]
    assert (
        options(["--randomly-seed=7"]).count("--randomly-seed=1")
        == 0
        < options([]).count("--randomly-seed=1")
    )
    assert options([str(ROOT / "tests")]) == [str(ROOT / "tests"), "-m", "not campaign"]

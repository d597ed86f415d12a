"""A fresh clone, a broken environment, another directory: `manage.py` still gets there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.timeout(300)
MAIN = "import os, sys; print(sys.argv[1:], os.getcwd(), sys.prefix, 'marker' in sys.path)"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A project with manage.py, one verb that tells what it was given, and nothing to install."""
    home = tmp_path / "a clone"
    (home / "commands").mkdir(parents=True)
    shutil.copy(ROOT / "manage.py", home)
    shutil.copy(ROOT / "commands" / "verbs.py", home / "commands")
    (home / "commands" / "__init__.py").touch()
    (home / "commands" / "__main__.py").write_text(MAIN)
    (home / "requirements.txt").write_text("# nothing\n")
    (home / "requirements-dev.txt").write_text("# nothing either\n")
    return home


def manage(clone: Path, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": "marker",
    }
    return subprocess.run(
        [sys.executable, str(clone / "manage.py"), *words],
        cwd=cwd or clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def everything(home: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in home.rglob("*") if "__pycache__" not in path.parts}


def test_a_fresh_clone_is_prepared_once_and_runs_from_anywhere(clone: Path, tmp_path: Path) -> None:
    first = manage(clone, "hello", "--x", "1", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert first.stdout.split("] ")[0] == "['hello', '--x', '1'"
    assert str(tmp_path) in first.stdout and str(clone / ".venv") in first.stdout
    assert "Preparing .venv" in first.stderr
    before = everything(clone)
    second = manage(clone, "hello")
    assert second.stderr == "" and everything(clone) == before
    assert "False" in second.stdout, "somebody else's PYTHONPATH must not reach us"


def test_a_half_made_environment_is_repaired(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").write_text("#!/bin/false\n")
    (clone / ".venv" / "bin" / "python").chmod(0o755)
    assert manage(clone, "hello").returncode == 0
    for stamp in (clone / ".venv").glob("*.installed"):
        stamp.write_text("3.11 of another list\n")
    again = manage(clone, "hello")
    assert again.returncode == 0 and "Installing" in again.stderr and "Preparing" not in again.stderr


def test_what_cannot_be_installed_is_said_and_tried_again(clone: Path) -> None:
    wheel = clone / "missing_one-1.0-py3-none-any.whl"
    (clone / "requirements.txt").write_text(f"missing_one @ {wheel.as_uri()} --hash=sha256:{'0' * 64}\n")
    failed = manage(clone, "hello")
    assert failed.returncode == 1 and "could not be prepared" in failed.stderr
    assert "missing_one" in failed.stderr
    (clone / "requirements.txt").write_text("# nothing\n")
    assert manage(clone, "hello").returncode == 0


def test_the_help_page_needs_no_environment(clone: Path) -> None:
    shown = manage(clone, "--help")
    assert shown.returncode == 0 and "manage.py VERB" in shown.stdout
    assert not (clone / ".venv").exists()


def test_it_imports_nothing_but_the_standard_library() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import manage; from commands import verbs; verbs.usage()"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr

"""Sizes, tidiness, and nothing of the machine that the code was written on."""

from __future__ import annotations

import ast
import os
import re
import statistics
import subprocess
import sys

import pytest

from tests.architecture.source import ROOMS, ROOT, at, committed, python, tree

LONGEST_FILE = 500
LONGEST_FUNCTION = 50
TYPICAL_FUNCTION = 10
_HOME = re.compile(r"/(?:work|farm|root)/[a-z]")
_TEXT = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".sh",
    ".html",
    ".js",
    ".css",
    ".yml",
    ".yaml",
    ".json",
    ".conf",
    ".service",
    "",
}


def _functions() -> list[tuple[str, int, bool]]:
    found = []
    for path in python():
        product = path.relative_to(ROOT).parts[0] in ROOMS
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                found.append((f"{at(path, node.lineno)} {node.name}", length, product))
    return found


def test_files_stay_readable() -> None:
    lengths = {path: path.read_text(encoding="utf-8").count("\n") for path in python()}
    assert [f"{at(path, n)}" for path, n in lengths.items() if n > LONGEST_FILE] == []


def test_functions_stay_readable() -> None:
    functions = _functions()
    assert [f"{name}: {length} lines" for name, length, _ in functions if length > LONGEST_FUNCTION] == []
    assert statistics.median(length for _, length, product in functions if product) <= TYPICAL_FUNCTION


def test_no_machine_is_named() -> None:
    wrong = []
    for path in committed():
        if path.suffix in _TEXT and path.stat().st_size < 1_000_000:
            text = path.read_text(encoding="utf-8", errors="replace")
            wrong += [at(path, text[: m.start()].count("\n") + 1) for m in _HOME.finditer(text)]
    assert wrong == []


@pytest.mark.parametrize("check", [["format", "--check", "."], ["check", "."]], ids=["format", "lint"])
def test_ruff_is_content(check: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "ruff", *check], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-1000:]


def test_import_contracts_are_kept() -> None:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as lint; lint()",
        "--no-cache",
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-1000:]


@pytest.mark.timeout(300)
def test_mypy_is_content() -> None:
    rooms = [
        "domain",
        "broker",
        "services",
        "database",
        "strategies",
        "blueprints",
        "restx_api",
        "websocket_proxy",
    ]
    command = [sys.executable, "-m", "mypy", "--strict", *rooms]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-1000:]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_the_clock_tests_pass_in_every_zone(zone: str) -> None:
    """Only the files that name the mark are read in each zone: nothing else gives it to a test."""
    marked = [path for path in python("tests") if "mark.clock" in path.read_text(encoding="utf-8")]
    files = [str(path.relative_to(ROOT)) for path in marked if path.name.startswith("test_")]
    options = ["-q", "-m", "clock", "-p", "no:randomly", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=ROOT,
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]

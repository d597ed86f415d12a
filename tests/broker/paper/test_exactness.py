"""No float comes near the money: the ledger's modules are read for them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LEDGER = (
    "domain/ledger.py",
    "broker/paper/account.py",
    "broker/paper/booked.py",
    "broker/paper/charges.py",
    "broker/paper/rules.py",
    "database/paper_ledger.py",
    "database/paper_tables.py",
)


@pytest.mark.parametrize("path", LEDGER)
def test_the_ledger_has_no_float(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    literals = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Constant) and type(n.value) is float]
    names = [
        n.lineno for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in ("float", "Float", "round")
    ]
    assert literals + names == []

"""Manifests are facts that can be read without importing a broker, and the budgets that they are meant to keep."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
from collections import defaultdict
from pathlib import Path

import pytest

from broker import catalog
from broker.manifest import read_manifest, unpacked

ROOT = Path(catalog.__file__).parent
MEMBER, ALONE, SHARED = 60, 900, 6


def code_lines(path: Path) -> list[str]:
    """Lines of code, stripped: no blank lines, comments, docstrings or imports."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            left_out.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                left_out.update(range(body[0].lineno, (body[0].end_lineno or 0) + 1))
    kept: set[int] = set()
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in silent | {tokenize.ENDMARKER}:
            kept.update(range(token.start[0], token.end[0] + 1))
    lines = source.splitlines()
    return [lines[number - 1].strip() for number in sorted(kept - left_out)]


def packages() -> dict[str, list[Path]]:
    """Every broker and family, paper left out: its files of Python."""
    homes = [ROOT / name for name in catalog.names() if name != "paper"]
    homes += [path for path in (ROOT / "families").iterdir() if path.is_dir() and path.name != "__pycache__"]
    return {str(home.relative_to(ROOT)): sorted(home.glob("*.py")) for home in homes}


def test_a_family_member_costs_sixty_lines_and_a_stand_alone_nine_hundred() -> None:
    for name, files in packages().items():
        size = sum(len(code_lines(path)) for path in files)
        member = "/" not in name and bool(catalog.manifest(name).family)
        assert size <= (MEMBER if member else ALONE), f"{name}: {size}"


def test_no_two_brokers_share_six_lines() -> None:
    homes: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for name, files in packages().items():
        for path in files:
            lines = code_lines(path)
            for at in range(len(lines) - SHARED + 1):
                homes[tuple(lines[at : at + SHARED])].add(name)
    shared = {window: names for window, names in homes.items() if len(names) > 1}
    assert not shared, next(iter(shared.items()))


@pytest.mark.parametrize("name", catalog.names())
def test_a_manifest_is_complete(name: str) -> None:
    manifest = catalog.manifest(name)
    assert manifest.name == name and manifest.title and manifest.docs
    assert (
        manifest.can.exchanges and manifest.can.order_types and manifest.can.products and manifest.can.reads
    )
    if manifest.login.kind != "none":
        assert {"rest"} <= set(manifest.urls)
        assert all(url.startswith(("https://", "wss://")) for url in manifest.urls.values())
        packed = manifest.login.key_format.split(":::")
        assert set(packed) <= {field.name for field in manifest.login.fields}


def test_the_classes_of_a_house_that_counts_all_calls_together_stay_below_its_limit() -> None:
    """TradeSmart refuses above 8 a second or 110 a minute, whatever the calls are (brokers/tradesmart.md)."""
    limits = catalog.manifest("tradesmart").limits
    assert sum(limits.requests.values()) <= 8
    assert sum(limits.per_minute.values()) <= 110


def test_reading_every_manifest_imports_no_broker() -> None:
    script = (
        "import sys; from broker import catalog;"
        "[catalog.manifest(name) for name in catalog.names()];"
        "bad = [m for m in sys.modules if m.startswith(tuple(f'broker.{n}' for n in catalog.names()))];"
        "bad += [m for m in ('urllib3', 'websockets') if m in sys.modules];"
        "print(bad)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT.parent)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 'x'", "exchanges"),
        ("name = 'x'\nsurprise = 1", "surprise"),
        ("name = 'x'\n[can]\nexchanges = ['MOON']", "MOON"),
        ("not toml", "m.toml"),
    ],
)
def test_a_wrong_manifest_names_its_file_and_fault(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "m.toml"
    path.write_text(text)
    if words == "exchanges":
        assert read_manifest(path).can.exchanges == frozenset()
        return
    with pytest.raises(ValueError, match=words) as failure:
        read_manifest(path)
    assert "m.toml" in str(failure.value)


def test_what_other_installs_keep_is_unpacked_into_the_form() -> None:
    kept = {"BROKER_API_KEY": "FA1234:::client", "BROKER_API_SECRET": " hush "}
    noren = catalog.manifest("shoonya").login
    assert unpacked(noren, kept) == {"user_id": "FA1234", "api_key": "client", "api_secret": "hush"}
    assert unpacked(noren, {"BROKER_API_KEY": "client"}) == {"api_key": "client"}
    kite = catalog.manifest("zerodha").login
    assert unpacked(kite, {"BROKER_API_KEY": "key", "BROKER_API_KEY_MARKET": "x"}) == {"api_key": "key"}
    assert unpacked(kite, {}) == {}

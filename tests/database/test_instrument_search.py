from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from database import instrument_search
from database.instrument_files import InstrumentFile, build
from domain.masters import LoadReport
from domain.model import Exchange, Instrument
from tests.database.instruments_made import share, some_master


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> Iterator[None]:
    """Blocks of three rows, so that small masters have many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instrument_search, "BLOCK", 3)
        yield


def brute_force(rows: list[Instrument], query: str, exchange: str | None, limit: int) -> list[Instrument]:
    """The contract's search, word by word over every row."""
    words = query.upper().split()

    def rank(row: Instrument) -> int | None:
        texts = [text.upper() for text in (row.symbol, row.broker_symbol, row.name, row.broker_token)]
        for word in words:
            is_strike = (
                re.fullmatch(r"\d+(\.\d+)?", word) and row.strike is not None and Decimal(word) == row.strike
            )
            if not is_strike and not any(word in text for text in texts):
                return None
        if row.symbol == query.upper().strip():
            return 0
        if row.symbol.startswith(query.upper().strip()):
            return 1
        return 2 if all(word in row.symbol for word in words) else 3

    if not words:
        return []
    found = [
        (rank(row), len(row.symbol), row.symbol, row.exchange, row)
        for row in rows
        if (exchange is None or row.exchange == exchange) and rank(row) is not None
    ]
    return [row for *_, row in sorted(found, key=lambda hit: hit[:4])][:limit]


def queries(random: Random, rows: list[Instrument], count: int) -> Iterator[str]:
    """Words cut out of the rows' own texts, strikes spelt otherwise, and words of nobody."""
    for _ in range(count):
        words = []
        row = random.choice(rows)
        for _ in range(random.choice((1, 1, 2, 2, 3))):
            text = random.choice((row.symbol, row.symbol, row.broker_symbol, row.name, row.broker_token))
            start = random.randrange(len(text) or 1)
            words.append(text[start : start + random.choice((1, 2, 3, 4, 30))] or "25")
            if row.strike is not None and random.random() < 0.2:
                words.append(random.choice((f"{row.strike:.3f}", f"0{row.strike}", f"{row.strike}")))
            if random.random() < 0.3:
                row = random.choice(rows)
        yield random.choice((str.lower, str.upper))(" ".join(words))


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 120), st.sampled_from([1, 3, 10, 500]))
def test_search_equals_brute_force(random: Random, size: int, limit: int) -> None:
    rows = some_master(random, size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.sqlite"
        build(path, rows, LoadReport(broker="test"))
        file = InstrumentFile(path)
        for query in queries(random, rows, 12):
            exchange = random.choice((None, None, "NSE", "NFO", "MCX"))
            assert file.search(query, exchange, limit) == brute_force(rows, query, exchange, limit), query
        file.close()


@pytest.fixture
def found(tmp_path: Path) -> InstrumentFile:
    build(
        tmp_path / "m.sqlite",
        [share("INFY", name="Infosys"), share("INFY", Exchange.BSE)],
        LoadReport(broker="t"),
    )
    return InstrumentFile(tmp_path / "m.sqlite")


@pytest.mark.parametrize(
    "query", ["", "   ", "\t\n", "\0", "INFY\0", "\ud800", '"', "'; --", "INFY OR NSE", "*", "^IN"]
)
def test_odd_queries_find_nothing_and_break_nothing(found: InstrumentFile, query: str) -> None:
    assert found.search(query, None, 500) == []


def test_case_and_order_do_not_matter(found: InstrumentFile) -> None:
    assert [row.exchange for row in found.search("infy", None, 500)] == ["BSE", "NSE"]
    assert [row.exchange for row in found.search("sys infy", None, 500)] == ["NSE"]
    assert [row.exchange for row in found.search("in", "BSE", 500)] == ["BSE"]

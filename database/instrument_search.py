"""Finding instruments by words: how the index of a master is laid out, and the ranked query over it.

A row is two lines of text: its symbol, and all that is searched in it (symbol, broker's symbol, name, token, strike).
Lines stand in small blocks, a block's rows are one exchange's, and rows and blocks follow the order of the answer
(shorter symbol, then alphabet). FTS5 trigram indexes say which blocks can hold all words; those are read and checked
word by word, so an answer is exact and its cost stays bounded: with rows indexed instead of blocks, common words
(a strike, CE) cost tens of milliseconds.
"""

from __future__ import annotations

import re
import sqlite3
from array import array
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import lru_cache

from database.types import from_units
from domain.symbols import strike_text

BLOCK = 16
_MAX_TRIGRAMS = 48
_MAX_ALTERNATIVES = 400
_TOP = "\U0010ffff"
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,8})?", re.ASCII)

_INDEX = "content='', detail='none', tokenize='trigram case_sensitive 1'"
SCHEMA = f"""
CREATE TABLE search_blocks(id INTEGER PRIMARY KEY, exchange TEXT NOT NULL, first INTEGER NOT NULL, ids BLOB NOT NULL,
    symbols TEXT NOT NULL, texts TEXT NOT NULL);
CREATE VIRTUAL TABLE search_symbols USING fts5(line, {_INDEX});
CREATE VIRTUAL TABLE search_texts USING fts5(line, {_INDEX});
CREATE VIRTUAL TABLE search_symbols_words USING fts5vocab('search_symbols', 'row');
CREATE VIRTUAL TABLE search_texts_words USING fts5vocab('search_texts', 'row');
"""

Line = tuple[int, str, str, str, str, str, int | None]
"""(id, exchange, symbol, broker_symbol, name, broker_token, strike in units), ids in the order of the answer."""


def index(connection: sqlite3.Connection, lines: Iterable[Line]) -> None:
    """Fill the search tables of a file that is being built. Blocks are numbered in the order of their first rows."""
    open_blocks: dict[str, list[tuple[int, str, str]]] = {}
    blocks: list[tuple[int, str, bytes, str, str]] = []
    for row_id, exchange, symbol, broker_symbol, name, token, strike in lines:
        block = open_blocks.setdefault(exchange, [])
        block.append((row_id, symbol, _line(symbol, broker_symbol, name, token, strike)))
        if len(block) == BLOCK:
            blocks.append(_block(exchange, open_blocks.pop(exchange)))
    blocks += [_block(exchange, block) for exchange, block in open_blocks.items()]
    blocks.sort()
    numbered = [(number, exchange, first, *rest) for number, (first, exchange, *rest) in enumerate(blocks, 1)]
    connection.executemany("INSERT INTO search_blocks VALUES (?, ?, ?, ?, ?, ?)", numbered)
    for table, column in (("search_symbols", 4), ("search_texts", 5)):
        connection.executemany(
            f"INSERT INTO {table}(rowid, line) VALUES (?, ?)",
            ((row[0], f"{row[column]}\n\n") for row in numbered),
        )
        connection.execute(f"INSERT INTO {table}({table}) VALUES ('optimize')")


def search(connection: sqlite3.Connection, query: str, exchange: str | None, limit: int) -> list[int]:
    """Row ids of the best `limit` matches, best first; [] for a blank query.

    Every word must occur in symbol, broker's symbol, name or token, or be the strike. The symbol itself comes
    first, then symbols that begin with it, then those that hold all words, then the rest; shorter before longer,
    then by alphabet.
    """
    words = query.upper().split()
    if not words or "\0" in query or any("\ud800" <= letter <= "\udfff" for letter in query):
        return []
    best = _exact(connection, words[0], exchange, limit) if len(words) == 1 else []
    if len(best) >= limit:
        return best[:limit]
    ranked = dict.fromkeys(best)
    ranked.update(dict.fromkeys(_inside(connection, words, exchange, limit)))
    if len(ranked) < limit:
        ranked.update(dict.fromkeys(_elsewhere(connection, words, exchange, limit)))
    return list(ranked)[:limit]


def _line(symbol: str, broker_symbol: str, name: str, token: str, strike: int | None) -> str:
    """The searchable text of a row; what the symbol holds already is left out."""
    line = symbol
    for text in (broker_symbol, name):
        if text not in symbol:
            line += f"\t{text}"
    line += f"\t{token}\t" if strike is None else f"\t{token}\t{_strike_text(strike)}"
    return line.replace("\n", " ").upper()


@lru_cache(65536)
def _strike_text(strike: int) -> str:
    return strike_text(from_units(strike))


def _block(exchange: str, rows: Sequence[tuple[int, str, str]]) -> tuple[int, str, bytes, str, str]:
    ids = array("I", (row_id for row_id, _, _ in rows))
    return (
        ids[0],
        exchange,
        ids.tobytes(),
        "\n".join(row[1] for row in rows),
        "\n".join(row[2] for row in rows),
    )


def _exact(connection: sqlite3.Connection, word: str, exchange: str | None, limit: int) -> list[int]:
    """The symbol itself, then symbols that begin with the word."""
    where, more = ("AND exchange = ?", (exchange,)) if exchange else ("", ())
    equal = connection.execute(
        f"SELECT id FROM instruments INDEXED BY by_symbol WHERE symbol = ? {where} ORDER BY id", (word, *more)
    )
    prefix = connection.execute(
        "SELECT id FROM instruments INDEXED BY by_symbol WHERE symbol > ? AND symbol < ?"
        f" {where} ORDER BY id LIMIT ?",
        (word, word + _TOP, *more, limit),
    )
    return [row[0] for row in equal] + [row[0] for row in prefix]


def _inside(
    connection: sqlite3.Connection, words: Sequence[str], exchange: str | None, limit: int
) -> list[int]:
    """Rows whose symbol holds every word, ascending."""
    blocks = _candidates(connection, "symbols", words, {}, exchange)
    return _collect(blocks, words, {}, limit, lambda line: True)


def _elsewhere(
    connection: sqlite3.Connection, words: Sequence[str], exchange: str | None, limit: int
) -> list[int]:
    """Rows that match, but not by their symbol alone, ascending."""
    strikes = {word: text for word in words if (text := _other_spelling(word)) is not None}

    def not_inside(line: str) -> bool:
        symbol = line.partition("\t")[0]
        return not all(word in symbol for word in words)

    blocks = _candidates(connection, "texts", words, strikes, exchange)
    return _collect(blocks, words, strikes, limit, not_inside)


def _collect(
    blocks: Iterable[tuple[int, bytes, str]],
    words: Sequence[str],
    strikes: dict[str, str],
    limit: int,
    keep: Callable[[str], bool],
) -> list[int]:
    """The first `limit` rows with a line that holds every word and is to be kept; reads no block it need not."""
    found: list[int] = []
    for first, ids, body in blocks:
        if len(found) >= limit and first > found[-1]:
            break
        if not all(word in body or word in strikes for word in words):
            continue
        lines = body.split("\n")
        hits: Iterable[int] = range(len(lines))
        for word in words:
            hits = _matching(lines, hits, word, strikes.get(word))
        numbers = array("I", ids)
        found += [numbers[hit] for hit in hits if keep(lines[hit])]
        if len(found) >= limit:
            found = sorted(found)[:limit]
    return sorted(found)[:limit]


def _matching(lines: Sequence[str], hits: Iterable[int], word: str, strike: str | None) -> list[int]:
    if strike is None:
        return [hit for hit in hits if word in lines[hit]]
    return [hit for hit in hits if word in lines[hit] or lines[hit].endswith(f"\t{strike}")]


def _other_spelling(word: str) -> str | None:
    """The strike's own text when a numeric word spells it another way (025000, 292.50), else None."""
    if _NUMBER.fullmatch(word) is None or not Decimal(word):
        return None
    text = strike_text(Decimal(word))
    return text if text != word else None


def _candidates(
    connection: sqlite3.Connection,
    column: str,
    words: Sequence[str],
    strikes: dict[str, str],
    exchange: str | None,
) -> Iterable[tuple[int, bytes, str]]:
    """(first id, ids, lines) of every block that can hold all words, in the order of their first ids."""
    wanted = [
        part
        for word in words
        if (part := _condition(connection, column, word, strikes.get(word))) is not None
    ]
    if "" in wanted:
        return ()
    where = " AND blocks.exchange = ?" if exchange else ""
    more = (exchange,) if exchange else ()
    columns = f"SELECT blocks.first, blocks.ids, blocks.{column}"
    if not wanted:
        return connection.execute(
            f"{columns} FROM search_blocks AS blocks WHERE TRUE{where} ORDER BY id", more
        )
    table = f"search_{column}"
    return connection.execute(
        f"{columns} FROM {table} CROSS JOIN search_blocks AS blocks ON blocks.id = {table}.rowid"
        f" WHERE {table} MATCH ?{where} ORDER BY {table}.rowid",
        (" AND ".join(wanted), *more),
    )


def _condition(connection: sqlite3.Connection, column: str, word: str, strike: str | None) -> str | None:
    """What the index can say of one word: an FTS5 expression, "" when no block has it, None when it can say nothing."""
    parts = []
    for text in [word] if strike is None else [word, f"\t{strike}"]:
        if len(text) > 2:
            trigrams = {text[i : i + 3] for i in range(min(len(text) - 2, _MAX_TRIGRAMS))}
            parts.append(" AND ".join(_quoted(trigram) for trigram in sorted(trigrams)))
            continue
        beginnings = connection.execute(
            f"SELECT term FROM search_{column}_words WHERE term >= ? AND term < ? LIMIT ?",
            (text, text + _TOP, _MAX_ALTERNATIVES + 1),
        ).fetchall()
        if len(beginnings) > _MAX_ALTERNATIVES:
            return None
        parts.append(" OR ".join(_quoted(row[0]) for row in beginnings))
    parts = [f"({part})" for part in parts if part]
    return f"({' OR '.join(parts)})" if parts else ""


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'

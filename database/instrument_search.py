"""Finding instruments by words: how the index of a master is laid out, and the ranked query over it.

Every row is one line of text (symbol, broker's symbol, name, token, strike); lines stand in blocks, a block's rows are
one exchange's, in the order of the answer (shorter symbol, then alphabet). An FTS5 trigram index says which blocks can
hold all words; those are read and checked word by word, so an answer is exact and its cost stays bounded: indexing rows
instead made common words (a strike, CE) cost tens of milliseconds.
"""

from __future__ import annotations

import re
import sqlite3
from array import array
from collections.abc import Iterable, Sequence
from decimal import Decimal

from database.types import from_units
from domain.symbols import strike_text

BLOCK = 16
_MAX_TRIGRAMS = 48
_TOP = "\U0010ffff"
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,8})?", re.ASCII)

SCHEMA = """
CREATE TABLE search_blocks(id INTEGER PRIMARY KEY, exchange TEXT NOT NULL, first INTEGER NOT NULL, ids BLOB NOT NULL,
    body TEXT NOT NULL);
CREATE VIRTUAL TABLE search USING fts5(body, content='', detail='none', tokenize='trigram case_sensitive 1');
CREATE VIRTUAL TABLE search_words USING fts5vocab('search', 'row');
"""

Line = tuple[int, str, str, str, str, str, int | None]
"""(id, exchange, symbol, broker_symbol, name, broker_token, strike in units), ids in the order of the answer."""


def index(connection: sqlite3.Connection, lines: Iterable[Line]) -> None:
    """Fill the search tables of a file that is being built. Blocks are numbered in the order of their first rows."""
    open_blocks: dict[str, list[tuple[int, str]]] = {}
    blocks: list[tuple[int, str, bytes, str]] = []
    for row_id, exchange, symbol, broker_symbol, name, token, strike in lines:
        block = open_blocks.setdefault(exchange, [])
        block.append((row_id, _line(symbol, broker_symbol, name, token, strike)))
        if len(block) == BLOCK:
            blocks.append(_block(exchange, open_blocks.pop(exchange)))
    blocks += [_block(exchange, block) for exchange, block in open_blocks.items()]
    blocks.sort()
    connection.executemany(
        "INSERT INTO search_blocks VALUES (?, ?, ?, ?, ?)",
        (
            (number, exchange, first, ids, body)
            for number, (first, exchange, ids, body) in enumerate(blocks, 1)
        ),
    )
    connection.executemany(
        "INSERT INTO search(rowid, body) VALUES (?, ?)",
        ((number, f"{body}\n") for number, (*_, body) in enumerate(blocks, 1)),
    )
    connection.execute("INSERT INTO search(search) VALUES ('optimize')")


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
    inside, elsewhere = _scan(connection, words, exchange, limit)
    ranked = dict.fromkeys(best)
    ranked.update(dict.fromkeys(inside))
    ranked.update(dict.fromkeys(elsewhere))
    return list(ranked)[:limit]


def _line(symbol: str, broker_symbol: str, name: str, token: str, strike: int | None) -> str:
    """The searchable text of a row; what the symbol holds already is left out."""
    texts = [symbol]
    texts += [text for text in (broker_symbol.upper(), name.upper()) if text not in symbol]
    texts += [token.upper(), "" if strike is None else strike_text(from_units(strike))]
    return "\t".join(" ".join(text.split()) for text in texts)


def _block(exchange: str, rows: Sequence[tuple[int, str]]) -> tuple[int, str, bytes, str]:
    ids = array("I", (row_id for row_id, _ in rows))
    return ids[0], exchange, ids.tobytes(), "\n".join(line for _, line in rows)


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


def _scan(
    connection: sqlite3.Connection, words: Sequence[str], exchange: str | None, limit: int
) -> tuple[list[int], list[int]]:
    """Ids of rows whose symbol holds every word, and of other rows that match; each ascending, at most `limit`."""
    strikes = {word: text for word in words if (text := _other_spelling(word)) is not None}
    inside: list[int] = []
    elsewhere: list[int] = []
    for first, ids, body in _candidates(connection, words, strikes, exchange):
        if len(inside) >= limit and first > inside[-1]:
            break
        if not all(word in body or word in strikes for word in words):
            continue
        lines = body.split("\n")
        hits: Iterable[int] = range(len(lines))
        for word in words:
            hits = _matching(lines, hits, word, strikes.get(word))
        numbers = array("I", ids)
        for hit in hits:
            symbol = lines[hit].partition("\t")[0]
            (inside if all(word in symbol for word in words) else elsewhere).append(numbers[hit])
        if len(inside) >= limit:
            inside = sorted(inside)[:limit]
    return sorted(inside)[:limit], sorted(elsewhere)[:limit]


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
    connection: sqlite3.Connection, words: Sequence[str], strikes: dict[str, str], exchange: str | None
) -> Iterable[tuple[int, bytes, str]]:
    """(first id, ids, body) of every block that can hold all words, in the order of their first ids."""
    wanted = [part for word in words if (part := _condition(connection, word, strikes.get(word))) is not None]
    if "" in wanted:
        return ()
    where = " AND blocks.exchange = ?" if exchange else ""
    more = (exchange,) if exchange else ()
    columns = "SELECT blocks.first, blocks.ids, blocks.body"
    if not wanted:
        return connection.execute(
            f"{columns} FROM search_blocks AS blocks WHERE TRUE{where} ORDER BY id", more
        )
    return connection.execute(
        f"{columns} FROM search CROSS JOIN search_blocks AS blocks ON blocks.id = search.rowid"
        f" WHERE search MATCH ?{where} ORDER BY search.rowid",
        (" AND ".join(wanted), *more),
    )


def _condition(connection: sqlite3.Connection, word: str, strike: str | None) -> str | None:
    """What the index can say of one word: an FTS5 expression, "" when no block has it, None when it can say nothing."""
    texts = [word] if strike is None else [word, f"\t{strike}"]
    parts = []
    for text in texts:
        if len(text) == 2:
            found = connection.execute(
                "SELECT term FROM search_words WHERE term >= ? AND term < ?", (text, text + _TOP)
            )
            parts.append(" OR ".join(_quoted(row[0]) for row in found))
        elif len(text) > 2:
            trigrams = {text[i : i + 3] for i in range(min(len(text) - 2, _MAX_TRIGRAMS))}
            parts.append(" AND ".join(_quoted(trigram) for trigram in sorted(trigrams)))
        else:
            return None
    parts = [f"({part})" for part in parts if part]
    return f"({' OR '.join(parts)})" if parts else ""


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'

"""One store, several processes: who waits, and for how long."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from database import engine
from database.engine import Database, open_database


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    database = open_database("", "orders", tmp_path)
    database.write(lambda c: c.execute(text("CREATE TABLE lines (word TEXT)")))
    yield database
    database.close()


@pytest.fixture
def another(store: Database, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's connection, which holds the write lock."""
    connection = sqlite3.connect(tmp_path / "orders.db", isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def add(store: Database, word: str) -> None:
    store.write(lambda c: c.execute(text("INSERT INTO lines VALUES (:word)"), {"word": word}))


def words(store: Database) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(text("SELECT word FROM lines ORDER BY word")).scalars())


def test_a_write_waits_for_another_process(store: Database, another: sqlite3.Connection) -> None:
    another.execute("INSERT INTO lines VALUES ('first')")
    threading.Timer(0.2, lambda: another.execute("COMMIT")).start()
    add(store, "second")
    assert words(store) == ["first", "second"]


def test_a_lock_that_stays_is_an_error_and_nothing_is_kept(
    store: Database, another: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_BUSY_MS", 50)
    with pytest.raises((sqlite3.OperationalError, SQLAlchemyError), match="locked"):
        add(store, "never")
    another.execute("ROLLBACK")
    add(store, "later")
    assert words(store) == ["later"]


def test_one_failing_member_of_a_group_fails_alone(store: Database) -> None:
    """Eight threads share commits; the one whose work raises keeps nothing, the others everything."""
    begun = threading.Barrier(8)
    wrong: list[Exception] = []

    def work(number: int) -> None:
        begun.wait()
        for turn in range(20):
            try:
                store.write(partial(_insert_or_raise, word=f"{number}-{turn:02}", fails=number == 3))
            except ArithmeticError as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = words(store)
    assert len(wrong) == 20 and len(kept) == 140
    assert not [word for word in kept if word.startswith("3-")]


def _insert_or_raise(connection: Connection, word: str, *, fails: bool) -> None:
    connection.execute(text("INSERT INTO lines VALUES (:word)"), {"word": word})
    if fails:
        raise ArithmeticError(word)

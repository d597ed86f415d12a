"""Schema steps are complete, atomic, and never touch what they do not know."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command

from database import migrate, revisions
from database.engine import FILES, open_database


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A branch of steps of our own for the `logs` store."""
    home = tmp_path / "steps"
    (home / "logs").mkdir(parents=True)
    (home / "env.py").write_text((revisions.STEPS / "env.py").read_text())
    monkeypatch.setattr(revisions, "STEPS", home)
    step(home, "0001_first", None, 'op.execute("CREATE TABLE one (id INTEGER)")')
    return home


def step(home: Path, name: str, down: str | None, *lines: str) -> None:
    body = "\n    ".join(lines)
    (home / "logs" / f"{name}.py").write_text(
        f"from alembic import op\nrevision = {name!r}\ndown_revision = {down!r}\n"
        f"def upgrade():\n    {body}\ndef downgrade():\n    pass\n"
    )


@pytest.mark.parametrize("name", FILES)
def test_the_steps_make_what_the_tables_say(name: str, tmp_path: Path) -> None:
    assert migrate.upgrade("", name, tmp_path)
    assert migrate.difference(name, "", tmp_path) == []
    assert not migrate.upgrade("", name, tmp_path)


def test_a_failing_step_changes_nothing(steps: Path, tmp_path: Path) -> None:
    migrate.upgrade("", "logs", tmp_path)
    step(
        steps,
        "0002_bad",
        "0001_first",
        'op.execute("CREATE TABLE two (id INTEGER)")',
        'op.execute("NONSENSE")',
    )
    with pytest.raises(Exception, match="syntax"):
        migrate.upgrade("", "logs", tmp_path)
    assert "two" not in tables(tmp_path / "logs.db")
    step(steps, "0002_bad", "0001_first", 'op.execute("CREATE TABLE two (id INTEGER)")')
    assert migrate.upgrade("", "logs", tmp_path)
    assert "two" in tables(tmp_path / "logs.db")


def test_a_store_is_copied_before_it_changes(steps: Path, tmp_path: Path) -> None:
    migrate.upgrade("", "logs", tmp_path)
    with closing(sqlite3.connect(tmp_path / "logs.db")) as connection, connection:
        connection.execute("INSERT INTO one VALUES (7)")
    step(steps, "0002_drop", "0001_first", 'op.execute("DROP TABLE one")')
    migrate.upgrade("", "logs", tmp_path)
    with closing(sqlite3.connect(tmp_path / "backups" / "logs-0001_first.db")) as copy:
        assert copy.execute("SELECT id FROM one").fetchall() == [(7,)]


def test_a_newer_store_is_refused_untouched(steps: Path, tmp_path: Path) -> None:
    step(steps, "0002_later", "0001_first", 'op.execute("CREATE TABLE two (id INTEGER)")')
    migrate.upgrade("", "logs", tmp_path)
    (steps / "logs" / "0002_later.py").unlink()
    with pytest.raises(migrate.NewerSchema, match="0002_later"):
        migrate.upgrade("", "logs", tmp_path)
    assert "two" in tables(tmp_path / "logs.db")


def test_two_upgraders_do_it_once(tmp_path: Path) -> None:
    done: list[Any] = []
    threads = [
        threading.Thread(target=lambda: done.append(migrate.upgrade("", "platform", tmp_path)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False, True]


def test_every_start_can_tell_whether_there_is_work(tmp_path: Path) -> None:
    assert not revisions.is_current("logs", tmp_path)
    migrate.upgrade("", "logs", tmp_path)
    assert revisions.is_current("logs", tmp_path)
    (tmp_path / "logs.db").write_bytes(b"not a database")
    assert not revisions.is_current("logs", tmp_path)


@pytest.mark.postgres
def test_postgres_gets_the_same_stores_as_schemas(postgres_url: str, tmp_path: Path) -> None:
    assert migrate.upgrade_all(postgres_url, tmp_path) == list(FILES)
    assert [migrate.difference(name, postgres_url, tmp_path) for name in FILES] == [[]] * len(FILES)
    assert migrate.upgrade_all(postgres_url, tmp_path) == []


@pytest.mark.postgres
def test_on_postgres_a_failing_step_changes_nothing(steps: Path, postgres_url: str, tmp_path: Path) -> None:
    migrate.upgrade(postgres_url, "logs", tmp_path)
    step(
        steps,
        "0002_bad",
        "0001_first",
        'op.execute("CREATE TABLE two (id INTEGER)")',
        'op.execute("NONSENSE")',
    )
    with pytest.raises(Exception, match="syntax"):
        migrate.upgrade(postgres_url, "logs", tmp_path)
    step(steps, "0002_bad", "0001_first", 'op.execute("CREATE TABLE two (id INTEGER)")')
    assert migrate.upgrade(postgres_url, "logs", tmp_path)


def test_people_and_runs_of_the_first_schema_are_kept(tmp_path: Path) -> None:
    """The administrator stays one, everybody else may trade as before, and no old run waits for a sweep."""
    first = _at_first_schema(tmp_path)
    with closing(sqlite3.connect(first)) as connection:
        for number, (name, admin) in enumerate((("asha", 1), ("ravi", 0)), 1):
            _fill(connection, "users", id=number, name=name, folded=name, is_admin=admin)
        _fill(connection, "strategy_runs", id=1)
        connection.commit()
    assert migrate.upgrade("", "platform", tmp_path)
    assert migrate.difference("platform", "", tmp_path) == []
    with closing(sqlite3.connect(first)) as connection:
        assert connection.execute("SELECT name, role FROM users ORDER BY id").fetchall() == [
            ("asha", "admin"),
            ("ravi", "trader"),
        ]
        assert connection.execute("SELECT sweep FROM strategy_runs").fetchall() == [("",)]


def _at_first_schema(home: Path) -> Path:
    """A platform store as the first step makes it."""
    store = open_database("", "platform", home)
    with store.engine.connect() as connection:
        command.upgrade(migrate._config("platform", connection), "0001_first")
    store.close()
    return home / "platform.db"


def _fill(connection: sqlite3.Connection, table: str, **values: Any) -> None:
    """Insert a row; columns that are not named and must not be empty get a zero."""
    for _, name, _, needed, *_ in connection.execute(f"PRAGMA table_info({table})"):
        if needed and name not in values:
            values[name] = 0
    places = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", list(values.values()))

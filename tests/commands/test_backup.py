"""A backup taken while orders are written opens again; a bad archive changes nothing."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import pytest

import config
from commands import backup, locks, prepare, restore
from commands.__main__ import main
from database import migrate


@pytest.fixture
def home(tmp_path: Path) -> Path:
    settings = config.load(tmp_path / "data", {})
    migrate.upgrade_all("", settings.data_dir)
    with closing(sqlite3.connect(settings.data_dir / "logs.db")) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS counted (n INTEGER)")
    keys = settings.data_dir / "keys"
    keys.mkdir(mode=0o700)
    (keys / "bus.secret").write_text("key of the bus")
    return settings.data_dir


def count(home: Path) -> int:
    with closing(sqlite3.connect(home / "logs.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM counted").fetchone()[0])


def add(home: Path, rows: int = 1) -> None:
    with closing(sqlite3.connect(home / "logs.db", timeout=30)) as connection:
        for n in range(rows):
            with connection:
                connection.execute("INSERT INTO counted VALUES (?)", (n,))


def test_a_backup_holds_what_was_committed_and_restores(home: Path, tmp_path: Path) -> None:
    add(home, 3)
    writer = threading.Thread(target=add, args=(home, 200))
    writer.start()
    assert main(["backup", str(tmp_path / "a.tgz"), "--data-dir", str(home)]) == 0
    writer.join()
    assert (tmp_path / "a.tgz").stat().st_mode & 0o777 == 0o600
    assert count(home) == 203
    assert main(["restore", str(tmp_path / "a.tgz"), "--data-dir", str(home)]) == 0
    assert 3 <= count(home) <= 203
    assert prepare.is_prepared(config.load(home, {})), "a restored install can start at once"
    (kept,) = (home / "backups").glob("before-restore-*")
    with closing(sqlite3.connect(kept / "logs.db")) as old:
        assert old.execute("SELECT count(*) FROM counted").fetchone() == (203,)


def test_keys_are_inside_only_when_asked(home: Path, tmp_path: Path) -> None:
    secret = config.load(home, {}).app_key
    main(["backup", str(tmp_path / "a.tgz"), "--data-dir", str(home)])
    main(["backup", str(tmp_path / "b.tgz"), "--data-dir", str(home), "--with-keys"])
    with tarfile.open(tmp_path / "a.tgz") as plain, tarfile.open(tmp_path / "b.tgz") as full:
        assert set(plain.getnames()) == {"backup.json", *(f"{name}.db" for name in backup.STORES)}
        assert {".env", "keys/bus.secret"} <= set(full.getnames())
    (home / ".env").unlink()
    assert config.load(home, {}).app_key != secret
    assert main(["restore", str(tmp_path / "b.tgz"), "--data-dir", str(home), "--with-keys"]) == 0
    assert config.load(home, {}).app_key == secret


def test_a_running_install_is_not_restored_over(home: Path, tmp_path: Path) -> None:
    main(["backup", str(tmp_path / "a.tgz"), "--data-dir", str(home)])
    with locks.hold(home / "run" / "exchange.lock"):
        assert main(["restore", str(tmp_path / "a.tgz"), "--data-dir", str(home)]) == 1


def archive(path: Path, files: dict[str, bytes], link: str = "") -> Path:
    with tarfile.open(path, "w:gz") as made:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
        if link:
            entry = tarfile.TarInfo("orders.db")
            entry.type, entry.linkname = tarfile.SYMTYPE, link
            made.addfile(entry)
    return path


def about(**stores: str) -> bytes:
    return json.dumps({"stores": stores, "keys": False}).encode()


@pytest.mark.parametrize(
    ("files", "link", "words"),
    [
        ({"backup.json": about(orders="0001_first"), "orders.db": b"nonsense" * 1000}, "", "damaged"),
        ({"backup.json": about(orders="0001_first")}, "", "missing"),
        ({"backup.json": about(orders="9999_later"), "orders.db": b""}, "", "does not know"),
        ({"orders.db": b""}, "", "no list of contents"),
        ({"backup.json": about(), "../escaped": b"x"}, "", "no backup of ours"),
        ({"backup.json": about(), "keys/../../escaped": b"x"}, "", "no backup of ours"),
        ({"backup.json": about(orders="0001_first")}, "/etc/passwd", "no backup of ours"),
    ],
)
def test_a_bad_archive_changes_nothing(
    home: Path, tmp_path: Path, files: dict[str, bytes], link: str, words: str
) -> None:
    before = (home / "orders.db").read_bytes()
    with pytest.raises(restore.Unfit, match=words):
        restore.restore(archive(tmp_path / "bad.tgz", files, link), config.places(home), with_keys=False)
    assert (home / "orders.db").read_bytes() == before
    assert not list(home.glob("backups/*")) and not (tmp_path / "escaped").exists()

"""Output is kept as lines, at a bounded rate, in bounded space, without secrets."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import NotFound
from strategies import logs
from strategies.logs import LogPump


class Hands:
    def now(self) -> datetime:
        return datetime(2026, 11, 25, 3, 45, 0, 118000, UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def pump():
    pump = LogPump(Hands())
    pump.start()
    yield pump
    pump.stop()


def piped(pump: LogPump, folder: Path, rate: int = 1 << 20, hidden: tuple[str, ...] = ()) -> int:
    os.mkfifo(folder / "pipe")
    write = os.open(folder / "pipe", os.O_RDWR)
    pump.attach("s", folder / "pipe", folder / "s.log", rate, hidden)
    return write


def wait_for(path: Path, words: str, seconds: float = 5.0) -> str:
    until = time.monotonic() + seconds
    while True:
        text = path.read_text() if path.exists() else ""
        if words in text:
            return text
        assert time.monotonic() < until, text[-500:]
        time.sleep(0.01)


def test_lines_are_stamped_in_india_and_unfinished_ones_are_shown(pump: LogPump, tmp_path: Path) -> None:
    write = piped(pump, tmp_path)
    os.write(write, b"one\ntwo")
    text = wait_for(tmp_path / "s.log", "two")
    assert text.splitlines()[0] == "2026-11-25 09:15:00.118 one"
    assert pump.release("s", "exited 0")[-1].endswith("-- exited 0")
    os.close(write)


def test_binary_and_escapes_are_shown_and_not_obeyed(pump: LogPump, tmp_path: Path) -> None:
    write = piped(pump, tmp_path)
    os.write(write, b"\x1b[2Jevil \xff\x00 \xe2\x82\xb9\r\nend\n")
    text = wait_for(tmp_path / "s.log", "end")
    assert "\\x1b[2Jevil \\xff\\x00 \u20b9" in text and "\x1b" not in text
    os.close(write)


def test_secrets_are_hidden(pump: LogPump, tmp_path: Path) -> None:
    write = piped(pump, tmp_path, hidden=("canary-4711",))
    os.write(write, b"key=canary-4711!\n")
    assert "key=[hidden]!" in wait_for(tmp_path / "s.log", "key=")
    os.close(write)


def test_a_loud_strategy_is_taken_at_its_rate(pump: LogPump, tmp_path: Path) -> None:
    write = piped(pump, tmp_path, rate=200 << 10)
    os.set_blocking(write, False)
    begun, sent, chunk = time.monotonic(), 0, (b"x" * 99 + b"\n") * 100
    while time.monotonic() - begun < 2.0:
        try:
            sent += os.write(write, chunk)
        except BlockingIOError:
            time.sleep(0.002)
    assert 200 << 10 < sent < (200 << 10) * 4
    os.close(write)


def test_a_bell_that_fails_does_not_end_the_reading(tmp_path: Path) -> None:
    def fails(strategy_id: str) -> None:
        raise OSError("the bell is gone")

    pump = LogPump(Hands(), fails)
    pump.start()
    write = piped(pump, tmp_path)
    for word in ("one", "two"):
        os.write(write, f"{word}\n".encode())
        wait_for(tmp_path / "s.log", word)
    pump._wrote = lambda strategy_id: None
    pump.stop()
    os.close(write)


def test_a_log_is_turned_over_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "s.log"
    for _ in range(70):
        logs.write(path, "x" * (1 << 20) + "\n")
    files = logs.listed(tmp_path)
    assert len(files) <= logs.MOST_PARTS and sum(each.size for each in files) <= 52 << 20
    logs.tidy(tmp_path, datetime.now(UTC), most=12 << 20)
    assert sum(each.size for each in logs.listed(tmp_path)) <= 12 << 20


def test_reading_goes_on_from_where_one_was(tmp_path: Path) -> None:
    path = tmp_path / "s.log"
    path.write_text("one\ntwo\nthr")
    text, begin, end = logs.read(path)
    assert (text, begin, end) == ("one\ntwo\n", 0, 8)
    path.write_text("one\ntwo\nthree\n")
    assert logs.read(path, 8) == ("three\n", 8, 14)
    assert logs.read(path, 14) == ("", 14, 14)
    assert logs.read(path, None, 7)[0] == "three\n"


def test_only_logs_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "s.log").write_text("x")
    (tmp_path / "link.log").symlink_to("/etc/passwd")
    assert logs.located(tmp_path, "s.log").name == "s.log"
    for name in ("../s.log", "link.log", "/etc/passwd", "s.log\0", "", "none.log"):
        with pytest.raises((NotFound, ValueError)):
            logs.located(tmp_path, name)


def test_search_finds_whatever_the_case(tmp_path: Path) -> None:
    (tmp_path / "s.log").write_text("Alpha\nbeta\n")
    assert list(logs.search(tmp_path, "ALPHA")) == [("s.log", "Alpha")]

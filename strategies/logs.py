"""Strategies' output: taken from their pipes at a bounded rate, kept line by line, turned over by size and age.

A pipe that is not read makes its strategy wait when it prints; that is how a loud one is slowed, and how a strategy
waits for a host that is away. What is kept is text: a time in IST, then the line, with control characters shown.
"""

from __future__ import annotations

import logging
import os
import re
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from domain.clock import IST, Clock
from domain.errors import NotFound

log = logging.getLogger(__name__)

PART_SIZE = 5 << 20
MOST_PARTS = 10
KEPT_DAYS = 7
_CHUNK = 1 << 16
_LONGEST_LINE = 4096
_TURN = 0.05
_UNFINISHED = 0.3
_TAIL = 20
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)
_HIDDEN = b"[hidden]"


@dataclass(slots=True)
class _Tap:
    """One pipe: who hears of it, and what stands in it unfinished."""

    pipe: int
    path: Path
    rate: int
    hidden: tuple[bytes, ...]
    rest: bytes = b""
    rest_at: float = 0.0
    allowance: float = 0.0
    throttled: bool = False
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))
    lines: int = 0


class LogPump:
    """One thread that reads every pipe. `wrote(id)` is called after each turn in which a strategy's log grew."""

    def __init__(self, clock: Clock, wrote: Callable[[str], None] = lambda strategy_id: None) -> None:
        self._clock = clock
        self._wrote = wrote
        self._selector = selectors.DefaultSelector()
        self._taps: dict[str, _Tap] = {}
        self._lock = threading.Lock()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, "")
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="strategy logs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take what is there, and end."""
        self._ends = True
        os.write(self._wake_write, b".")
        self._thread.join()
        for strategy_id in list(self._taps):
            self.release(strategy_id)
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def attach(self, strategy_id: str, pipe: Path, path: Path, rate: int, hidden: Sequence[str] = ()) -> None:
        """Keep what comes from a pipe in a file. `rate` in bytes a second; `hidden` words are not written."""
        self.release(strategy_id)
        end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        words = tuple(word.encode() for word in hidden if len(word) >= 6)
        with self._lock:
            self._taps[strategy_id] = _Tap(end, path, rate, words, allowance=float(rate))
            self._selector.register(end, selectors.EVENT_READ, strategy_id)
        os.write(self._wake_write, b".")

    def release(self, strategy_id: str, words: str = "") -> list[str]:
        """Take the rest of a pipe, close it, add a line of the host's own, and return the last lines."""
        with self._lock:
            tap = self._taps.pop(strategy_id, None)
            if tap is None:
                return []
            if not tap.throttled:
                self._selector.unregister(tap.pipe)
            for _ in range(64):
                if not self._take(tap, _CHUNK):
                    break
            self._finish(tap)
            if words:
                self._keep(tap, [f"-- {words}"])
            os.close(tap.pipe)
        self._wrote(strategy_id)
        return list(tap.tail)

    def say(self, strategy_id: str, words: str) -> None:
        """Add a line of the host's own to a strategy's log."""
        with self._lock:
            tap = self._taps.get(strategy_id)
            if tap is not None:
                self._keep(tap, [f"-- {words}"])
        self._wrote(strategy_id)

    def last_line(self, strategy_id: str) -> str:
        tap = self._taps.get(strategy_id)
        return tap.tail[-1] if tap and tap.tail else ""

    def _run(self) -> None:
        last = time.monotonic()
        while not self._ends:
            began = time.monotonic()
            try:
                grown = self._round(began - last)
            except Exception:
                log.exception("strategy logs")
                grown = True
            last = began
            if grown:
                time.sleep(_TURN)

    def _round(self, passed: float) -> bool:
        """Wait for output, keep it and tell of it; whether there was some. `passed`: seconds since the last round."""
        with self._lock:
            busy = any(tap.throttled or tap.rest for tap in self._taps.values())
        ready = self._selector.select(_TURN if busy else 5.0)
        with self._lock:
            grown = self._turn([str(key.data) for key, _ in ready], time.monotonic(), passed)
        for strategy_id in grown:
            self._wrote(strategy_id)
        return bool(grown)

    def _turn(self, ready: list[str], now: float, passed: float) -> list[str]:
        """Read each pipe that has something, as far as its allowance goes."""
        if "" in ready:
            os.read(self._wake_read, 4096)
        grown = []
        for strategy_id, tap in self._taps.items():
            before = tap.lines
            tap.allowance = min(float(tap.rate), tap.allowance + tap.rate * passed)
            if tap.throttled and tap.allowance >= min(_CHUNK, tap.rate):
                self._selector.register(tap.pipe, selectors.EVENT_READ, strategy_id)
                tap.throttled = False
            elif strategy_id in ready and not tap.throttled:
                self._drain(tap, now)
            if tap.rest and now - tap.rest_at > _UNFINISHED:
                self._finish(tap)
            if tap.lines != before:
                grown.append(strategy_id)
        return grown

    def _drain(self, tap: _Tap, now: float) -> None:
        while tap.allowance > 0:
            taken = self._take(tap, min(_CHUNK, int(tap.allowance) or 1))
            if not taken:
                return
            tap.allowance -= taken
            tap.rest_at = now
        tap.throttled = True
        self._selector.unregister(tap.pipe)

    def _take(self, tap: _Tap, most: int) -> int:
        """Read once and keep the whole lines; how many bytes came."""
        try:
            content = os.read(tap.pipe, most)
        except BlockingIOError:
            return 0
        *lines, tap.rest = (tap.rest + content).split(b"\n")
        while len(tap.rest) > _LONGEST_LINE:
            lines.append(tap.rest[:_LONGEST_LINE])
            tap.rest = tap.rest[_LONGEST_LINE:]
        self._keep(tap, [self._text(tap, line) for line in lines])
        return len(content)

    def _finish(self, tap: _Tap) -> None:
        if tap.rest:
            self._keep(tap, [self._text(tap, tap.rest)])
            tap.rest = b""

    @staticmethod
    def _text(tap: _Tap, line: bytes) -> str:
        for word in tap.hidden:
            line = line.replace(word, _HIDDEN)
        text = line[:_LONGEST_LINE].decode("utf-8", "backslashreplace").rstrip("\r")
        return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)

    def _keep(self, tap: _Tap, lines: list[str]) -> None:
        if not lines:
            return
        stamp = self._clock.now().astimezone(IST).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        stamped = [f"{stamp} {line}" for line in lines]
        tap.tail.extend(stamped)
        tap.lines += len(lines)
        write(tap.path, "\n".join(stamped) + "\n")


def write(path: Path, text: str) -> None:
    """Append, turning the file over when it is full. A full disk loses lines and nothing else."""
    content = text.encode()
    try:
        if path.exists() and path.stat().st_size + len(content) > PART_SIZE:
            turn_over(path)
        with path.open("ab") as file:
            file.write(content)
    except OSError as error:
        log.warning("a strategy's log is not written: %s", error)


def turn_over(path: Path) -> None:
    """Make `x.log` `x.log.1` and so on; the oldest part goes."""
    for number in range(MOST_PARTS - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    path.replace(path.with_name(f"{path.name}.1"))
    path.with_name(f"{path.name}.{MOST_PARTS}").unlink(missing_ok=True)


def tidy(folder: Path, now: datetime, most: int = MOST_PARTS * PART_SIZE) -> None:
    """Delete logs that are too old, and the oldest when all are too large together; the one being written is young."""
    found = sorted(listed(folder), key=lambda entry: entry.at, reverse=True)
    total = 0
    for entry in found:
        total += entry.size
        is_old = (now - entry.at).days >= KEPT_DAYS
        if is_old or total > most:
            (folder / entry.name).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class LogFile:
    """One log file. `at` is when it was last written."""

    name: str
    size: int
    at: datetime


def listed(folder: Path) -> list[LogFile]:
    """Log files, newest first."""
    files = []
    for path in folder.glob("*.log*") if folder.is_dir() else ():
        found = path.stat()
        files.append(LogFile(path.name, found.st_size, datetime.fromtimestamp(found.st_mtime, IST)))
    return sorted(files, key=lambda file: (file.at, file.name), reverse=True)


def located(folder: Path, name: str) -> Path:
    """A log file by its name. Raises NotFound for any other path."""
    path = folder / name
    if not _NAME.fullmatch(name) or ".log" not in name or not path.is_file() or path.is_symlink():
        raise NotFound("No such log.")
    return path


def read(path: Path, after: int | None = None, most: int = 256 << 10) -> tuple[str, int, int]:
    """(text, where it begins, where it ends) of a log, whole lines: from byte `after`, or the last `most` bytes."""
    size = path.stat().st_size
    begin = max(0, size - most) if after is None or after > size else after
    with path.open("rb") as file:
        file.seek(begin)
        content = file.read(most)
    if after is None and begin:
        cut = content.find(b"\n") + 1
        begin, content = begin + cut, content[cut:]
    end = content.rfind(b"\n") + 1
    return content[:end].decode("utf-8", "replace"), begin, begin + end


def search(folder: Path, words: str, most: int = 500) -> Iterator[tuple[str, str]]:
    """(file, line) of lines that hold `words`, newest file first; case does not count."""
    wanted, count = words.casefold(), 0
    for entry in listed(folder):
        with (folder / entry.name).open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if wanted in line.casefold():
                    yield entry.name, line.rstrip("\n")
                    count += 1
                    if count >= most:
                        return

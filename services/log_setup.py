"""How a process writes its log: stdlib calls, one JSON object a line, secrets taken out, files bounded.

Called once by each composition root. `redactor.know(value)` hides a secret that appears at run time.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable, MutableMapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog

from services.redaction import Redactor

log = logging.getLogger(__name__)

redactor = Redactor()

_OURS = (
    *("__main__", "app", "blueprints", "broker", "commands", "database", "domain"),
    *("restx_api", "services", "strategies", "websocket_proxy"),
)
_BYTES = 32 * 1024 * 1024
_PARTS = 8


def configure(
    *,
    role: str,
    level: str = "INFO",
    directory: Path | None = None,
    retention_days: int = 14,
    secrets: Iterable[str] = (),
    console: TextIO | None = None,
) -> None:
    """Send this process's log to `console` (stderr) and, when given, to files of `directory`.

    Other people's libraries log from INFO up whatever the level: their DEBUG shows headers and bodies.
    """
    redactor.know(*secrets)
    stream = sys.stderr if console is None else console
    handlers: list[logging.Handler] = [logging.StreamHandler(stream)]
    handlers[0].setFormatter(_formatter(role, lines=stream.isatty()))
    if directory is not None:
        handlers.append(DailyFile(directory, role, retention_days))
        handlers[1].setFormatter(_formatter(role, lines=False))
    number = logging.getLevelNamesMapping()[level]
    logging.basicConfig(handlers=handlers, level=max(number, logging.INFO), force=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(number)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _formatter(role: str, *, lines: bool) -> logging.Formatter:
    """JSON for machines; for a terminal a short line."""

    def stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        record: logging.LogRecord = event["_record"]
        at = datetime.fromtimestamp(record.created, UTC)
        return {"time": at.isoformat(timespec="milliseconds"), "role": role, **event}

    render = _line if lines else structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
        ],
        processors=[
            stamp,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact,
            render,
        ],
    )


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: redactor.value(value) for key, value in event.items()}


def _line(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    """A line for a person: time of day, level, role, words; a traceback below."""
    trace = f"\n{event['exception']}" if event.get("exception") else ""
    return f"{event['time'][11:19]} {event['level']:<8} {event['role']:<8} {event['event']}{trace}"


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.critical("uncaught", exc_info=(kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        name = args.thread.name if args.thread else "?"
        log.critical(
            "uncaught in thread %s", name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback)
        )


class DailyFile(logging.Handler):
    """`<role>-<UTC date>.<part>.log`, a new part every 32 MiB, deleted after `days`.

    A day keeps at most eight parts: what a shouting process writes beyond goes to the console only. A write
    that fails (a full disk) is dropped: the log never stops the program.
    """

    def __init__(self, directory: Path, role: str, days: int) -> None:
        super().__init__()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._role = role
        self._days = days
        self._part = 0
        self._file: TextIO | None = None
        self._ends = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            if record.created >= self._ends:
                self._start_day(datetime.fromtimestamp(record.created, UTC))
            elif self._file is not None and self._file.tell() > _BYTES:
                self._next_part()
            if self._file is not None:
                self._file.write(line + "\n")
                self._file.flush()
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing more: the console has the line."""

    def close(self) -> None:
        self._close_file()
        super().close()

    def _start_day(self, now: datetime) -> None:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        self._ends = (midnight + timedelta(days=1)).timestamp()
        self._day = f"{now:%Y-%m-%d}"
        self._part = 0
        self._delete_before(f"{now - timedelta(days=self._days):%Y-%m-%d}")
        self._next_part()

    def _next_part(self) -> None:
        self._close_file()
        while self._part < _PARTS and self._file is None:
            self._part += 1
            path = self._directory / f"{self._role}-{self._day}.{self._part}.log"
            if not path.exists() or path.stat().st_size <= _BYTES:
                self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
                path.chmod(0o600)

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _delete_before(self, day: str) -> None:
        for path in self._directory.glob(f"{self._role}-????-??-??.*.log"):
            if path.name[len(self._role) + 1 :][:10] < day:
                path.unlink(missing_ok=True)

"""The product's own log files, read from their end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_CHUNK = 64 * 1024
_MOST_BYTES = 8 * 1024 * 1024
LEVELS = ("debug", "info", "warning", "error", "critical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One event. `detail` is an exception's text, "" for none."""

    at: datetime
    role: str
    level: str
    event: str
    detail: str


class LogReader:
    """Lines of every role's newest files; secrets were taken out when they were written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def roles(self) -> list[str]:
        """Roles that have written, by name."""
        return sorted({path.name.split("-", 1)[0] for path in self._folder.glob("*.log")})

    def tail(self, *, role: str = "", level: str = "", words: str = "", limit: int = 300) -> list[Line]:
        """The newest lines that fit, oldest first. `level` is the least one shown."""
        least = LEVELS.index(level) if level in LEVELS else 0
        found: list[Line] = []
        for path in self._newest(role):
            found += self._fitting(path, least, words.casefold(), limit)
        return sorted(found, key=lambda line: line.at)[-limit:]

    def _newest(self, role: str) -> list[Path]:
        """The last file of each role (or of one)."""
        by_role: dict[str, Path] = {}
        for path in sorted(self._folder.glob("*.log"), key=lambda path: path.stat().st_mtime):
            by_role[path.name.split("-", 1)[0]] = path
        return [path for name, path in by_role.items() if role in ("", name)]

    def _fitting(self, path: Path, least: int, words: str, limit: int) -> list[Line]:
        found: list[Line] = []
        for text in _backwards(path):
            line = _read(text)
            if line is None or LEVELS.index(line.level) < least or words not in text.casefold():
                continue
            found.append(line)
            if len(found) >= limit:
                break
        return found


def _read(text: str) -> Line | None:
    try:
        values = json.loads(text)
        level = str(values.get("level", "info"))
        return Line(
            at=datetime.fromisoformat(values["time"]),
            role=str(values.get("role", "")),
            level=level if level in LEVELS else "info",
            event=str(values.get("event", ""))[:2000],
            detail=str(values.get("exception", ""))[:8000],
        )
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def _backwards(path: Path) -> Iterator[str]:
    """Lines from the last to the first, of the last few megabytes."""
    with path.open("rb") as file:
        at = file.seek(0, 2)
        floor, rest = max(0, at - _MOST_BYTES), b""
        while at > floor:
            step = min(_CHUNK, at - floor)
            at -= step
            file.seek(at)
            parts = (file.read(step) + rest).split(b"\n")
            rest = parts[0]
            yield from (part.decode("utf-8", "replace") for part in reversed(parts[1:]) if part)
        if rest:
            yield rest.decode("utf-8", "replace")

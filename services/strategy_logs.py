"""Logs and files of strategies for the doors: listed, read, searched, packed. The caller's right is looked at first."""

from __future__ import annotations

import difflib
import io
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from domain.errors import InvalidRequest
from services.accounts import Caller
from services.strategy_host import StrategyHost
from strategies import logs
from strategies.logs import LogFile

_SMALL = 1 << 20
_WHOLE = 64 << 20
_LONGEST_DIFF = 5000


class StrategyLogs:
    """Reads what a strategy wrote and what it is made of. All methods raise NotFound for what is not the caller's."""

    def __init__(self, host: StrategyHost) -> None:
        self._host = host

    def listed(self, caller: Caller, strategy_id: str) -> list[LogFile]:
        """Newest first."""
        return logs.listed(self._folder(caller, strategy_id))

    def read(
        self, caller: Caller, strategy_id: str, name: str, after: int | None = None, *, whole: bool = False
    ) -> tuple[str, int, int]:
        """(text, first byte, byte after the last) of a log; see `strategies.logs.read`."""
        path = logs.located(self._folder(caller, strategy_id), name)
        return logs.read(path, 0 if whole and after is None else after, _WHOLE if whole else _SMALL)

    def tail(self, caller: Caller, strategy_id: str, most: int = 64 << 10) -> tuple[str, str, int]:
        """(name, text, byte after the last) of the newest log; "" when there is none yet."""
        folder = self._folder(caller, strategy_id)
        files = logs.listed(folder)
        if not files:
            return "", "", 0
        text, _, end = logs.read(folder / files[0].name, None, most)
        return files[0].name, text, end

    def search(self, caller: Caller, strategy_id: str, words: str) -> Iterator[tuple[str, str]]:
        """(file, line) that hold `words`, of all its logs."""
        if not words.strip():
            raise InvalidRequest("Say what to look for.", "q")
        return logs.search(self._folder(caller, strategy_id), words)

    def path(self, caller: Caller, strategy_id: str, name: str) -> Path:
        return logs.located(self._folder(caller, strategy_id), name)

    def clear(self, caller: Caller, strategy_id: str) -> tuple[int, int]:
        """Delete every log; (how many, bytes). Raises InvalidRequest while it runs."""
        if self._host.get(caller, strategy_id).state.is_live:
            raise InvalidRequest("It is running. Stop it first.")
        folder = self._folder(caller, strategy_id)
        files = logs.listed(folder)
        for each in files:
            (folder / each.name).unlink(missing_ok=True)
        return len(files), sum(each.size for each in files)

    def packed(self, caller: Caller, strategy_id: str, number: int | None = None) -> tuple[str, io.BytesIO]:
        """A version for download: its one file, or a zip of several."""
        files = self._host.files(caller, strategy_id, number)
        if len(files) == 1:
            ((name, content),) = files.items()
            return f"{strategy_id}.py" if name.endswith(".py") else name, io.BytesIO(content)
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        held.seek(0)
        return f"{strategy_id}.zip", held

    def difference(self, caller: Caller, strategy_id: str, old: int, new: int) -> list[str]:
        """A unified diff of two versions' files, line by line."""
        before = self._host.files(caller, strategy_id, old)
        after = self._host.files(caller, strategy_id, new)
        lines: list[str] = []
        for name in sorted({*before, *after}):
            if before.get(name) == after.get(name):
                continue
            old_text, new_text = (
                files.get(name, b"").decode("utf-8-sig").splitlines() for files in (before, after)
            )
            words = difflib.unified_diff(
                old_text, new_text, f"{name}, version {old}", f"{name}, version {new}", lineterm=""
            )
            lines += islice(words, _LONGEST_DIFF)
        return lines

    def _folder(self, caller: Caller, strategy_id: str) -> Path:
        return self._host.places(self._host.get(caller, strategy_id)).logs

"""Reading brokers' master files safely: streamed, never whole, with a cap on what a small file may unfold to.

Yields numbered records; what a broker's fields mean is its own `instruments.py`'s. Raises DamagedMaster, naming the
row, for a file that is truncated, corrupt, empty or a decompression bomb.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

import orjson

from domain.masters import DamagedMaster

MAX_BYTES = 320 * 2**20
MAX_RATIO = 150
"""Real masters unfold to 8-20 times their size; a bomb of a kilobyte to a gigabyte."""

_FREE = 8 * 2**20
_CHUNK = 2**18
_LONGEST_RECORD = 2**20
_BETWEEN = re.compile(r"[, \t\r\n]*")
_BROKEN = (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, NotImplementedError)


class _Capped(io.RawIOBase):
    """The unfolded bytes of a file, up to what its size makes credible."""

    def __init__(self, inner: IO[bytes], size: int, *, packed: bool) -> None:
        self._inner = inner
        self._left = min(MAX_BYTES, max(_FREE, size * MAX_RATIO)) if packed else MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self._inner.read(len(buffer))
        except _BROKEN as error:
            raise DamagedMaster(f"the file cannot be unpacked: {error}") from error
        self._left -= len(piece)
        if self._left < 0:
            raise DamagedMaster("the file unfolds to far more than its size allows")
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._inner.close()
        super().close()


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The plain bytes of a master: as it is, .gz, or the one member of a .zip; told apart by content, not by name."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        inner = _unpacked(file, head)
        with io.BufferedReader(_Capped(inner, size, packed=inner is not file), _CHUNK) as plain:
            yield cast(IO[bytes], plain)


def _unpacked(file: IO[bytes], head: bytes) -> IO[bytes]:
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    return _member(file) if head.startswith(b"PK") else file


def csv_rows(path: Path, columns: Mapping[str, bool]) -> Iterator[tuple[int, dict[str, str] | None]]:
    """(row number from 1, cells by column name) of a CSV with a header; None for a row of another width.

    columns  name -> whether it must be there; any others are passed through
    """
    number = 0
    try:
        with opened(path) as plain, io.TextIOWrapper(plain, encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(_lines(text), strict=True)
            header = [name.strip() for name in next(reader, [])]
            missing = sorted(name for name, needed in columns.items() if needed and name not in header)
            if missing:
                raise DamagedMaster(
                    f"the header lacks {', '.join(missing)}" if header else "the file is empty"
                )
            width = len(header)
            for cells in reader:
                if not cells:
                    continue
                number += 1
                yield number, dict(zip(header, cells, strict=True)) if len(cells) == width else None
    except (csv.Error, UnicodeDecodeError) as error:
        raise DamagedMaster(f"row {number + 1} cannot be read: {error}", number + 1) from error
    except DamagedMaster as error:
        raise _at(error, number) from error


def json_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number from 1, object) of a file that is one JSON array of objects."""
    number = 0
    try:
        with opened(path) as plain, io.TextIOWrapper(plain, encoding="utf-8") as text:
            for item in _array(text):
                number += 1
                if not isinstance(item, dict):
                    raise DamagedMaster(f"row {number} is not an object", number)
                yield number, item
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedMaster(f"row {number + 1} cannot be read: {error}", number + 1) from error
    except DamagedMaster as error:
        raise _at(error, number) from error


def text_of(cell: str) -> str:
    """A cell that must hold something. Raises ValueError, as its neighbours do."""
    if not cell:
        raise ValueError("an empty cell")
    return cell


@lru_cache(maxsize=65536)
def number_of(cell: str) -> Decimal:
    """A cell that must hold a finite number, 0 or above: NaN and infinities are none."""
    try:
        number = Decimal(cell if cell.isascii() and "_" not in cell else "")
    except InvalidOperation:
        raise ValueError(f"{cell!r} is no number") from None
    if not number.is_finite() or number < 0:
        raise ValueError(f"{cell!r} is no number")
    return number


def whole_of(cell: str) -> int:
    """A cell that must hold a whole number; `75.0` is one."""
    number = number_of(cell)
    if number != int(number):
        raise ValueError(f"{cell!r} is no whole number")
    return int(number)


def _at(error: DamagedMaster, number: int) -> DamagedMaster:
    """The same error, saying how far the file could be read."""
    return error if error.row or not number else DamagedMaster(f"after row {number}: {error}", number + 1)


def _member(file: IO[bytes]) -> IO[bytes]:
    try:
        archive = zipfile.ZipFile(file)
        names = [info for info in archive.infolist() if not info.is_dir()]
        if len(names) != 1:
            raise DamagedMaster(f"the archive holds {len(names)} files, not one")
        return archive.open(names[0])
    except (*_BROKEN, RuntimeError) as error:
        raise DamagedMaster(f"the archive cannot be opened: {error}") from error


def _lines(text: IO[str]) -> Iterator[str]:
    """Lines of a text. Every master ends its last row, so one that does not was cut short."""
    while line := text.readline(_LONGEST_RECORD):
        if not line.endswith("\n"):
            raise csv.Error("it has no end: the file was cut short")
        yield line


def _array(text: IO[str]) -> Iterator[Any]:
    """The items of a JSON array, read piece by piece."""
    decoder = json.JSONDecoder()
    buffer = text.read(_CHUNK).lstrip("\ufeff \t\r\n")
    if not buffer.startswith("["):
        raise DamagedMaster("the file is not a JSON array" if buffer else "the file is empty")
    at, wanted, ended, one_by_one = _skip(buffer, 1), _CHUNK // 4, False, 0
    while True:
        while len(buffer) - at < wanted and not ended:
            piece = text.read(_CHUNK)
            ended = not piece
            buffer, one_by_one = buffer[at:] + piece, one_by_one - at
            at = _skip(buffer, 0)
        if at >= len(buffer):
            raise DamagedMaster("the array has no end")
        if buffer[at] == "]":
            if buffer[at + 1 :].strip() or text.read(1).strip():
                raise DamagedMaster("something follows the array's end")
            return
        if at >= one_by_one:
            one_by_one = buffer.rfind("}") + 1
            if many := _many(buffer[at:one_by_one]):
                yield from many
                at, wanted = _skip(buffer, one_by_one), _CHUNK // 4
                continue
        try:
            item, at = decoder.raw_decode(buffer, at)
        except json.JSONDecodeError:
            if ended or wanted > _LONGEST_RECORD:
                raise
            wanted = len(buffer) - at + _CHUNK
            continue
        yield item
        at, wanted = _skip(buffer, at), _CHUNK // 4


def _many(items: str) -> list[Any]:
    """Many items at once, [] where the text is not cut between two items or is wrong somewhere."""
    try:
        return cast(list[Any], orjson.loads(f"[{items}]"))
    except orjson.JSONDecodeError:
        return []


def _skip(buffer: str, at: int) -> int:
    """Past separators and blanks."""
    found = _BETWEEN.match(buffer, at)
    return found.end() if found else at

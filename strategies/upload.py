"""What may become a strategy: one Python file or a zip of several, looked at before any of it is kept."""

from __future__ import annotations

import ast
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from domain.errors import InvalidRequest

LARGEST_UPLOAD = 8 << 20
TOO_LARGE = f"An upload is {LARGEST_UPLOAD >> 20} MB at most."
LARGEST_FILE = 2 << 20
LARGEST_TOTAL = 32 << 20
MOST_FILES = 200
REQUIREMENTS = "requirements.txt"
ENTRIES = ("main.py", "strategy.py", "__main__.py")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\- ]{0,99}", re.ASCII)
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.ASCII)
_KINDS = {".py", ".txt", ".json", ".csv", ".toml", ".yaml", ".yml", ".md", ".ini", ".cfg"}
_BOUND = r"[<>=!~]{1,3}\s*[0-9A-Za-z][0-9A-Za-z.*+!_-]*"
_PACKAGE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[A-Za-z0-9._,\s-]*\])?"
    rf"\s*({_BOUND}(\s*,\s*{_BOUND})*)?\s*(;((?!--)[^@:/\\])*?)?(\s+--hash=sha256:[0-9a-f]{{64}})*",
    re.ASCII,
)
_ARCHIVE = re.compile(r"(?i).*\.(whl|zip|tgz|tbz|txz|tar(\.\w+)?)", re.ASCII)
_MOST_PACKAGES = 200
_SHADOWED = {"sitecustomize.py", "usercustomize.py"}
_LINK = 0o120000


@dataclass(frozen=True, slots=True)
class Bundle:
    """Checked files of one version. `entry` is the one that is run; paths are relative, with /."""

    files: Mapping[str, bytes]
    entry: str

    @property
    def digest(self) -> str:
        return digest_of(self.files)

    @property
    def size(self) -> int:
        return sum(len(content) for content in self.files.values())


def digest_of(files: Mapping[str, bytes]) -> str:
    """SHA-256 over names and contents."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{len(name.encode())}:{name}:{len(files[name])}:".encode())
        total.update(files[name])
    return total.hexdigest()


def read(name: str, content: bytes) -> Bundle:
    """The upload named `name`. Raises InvalidRequest that says what is wrong with which file."""
    if "\0" in name:
        raise InvalidRequest("The file's name holds a NUL.", "strategy_file")
    name = name.replace("\\", "/").rsplit("/", 1)[-1].strip()
    _check_size(content)
    if name.lower().endswith(".zip"):
        return bundle(_unpacked(content))
    if not name.lower().endswith(".py"):
        raise InvalidRequest("Upload a Python file (.py) or a zip of several.", "strategy_file")
    return bundle({safe_stem(name) + ".py": content})


def renewed(current: Mapping[str, bytes], entry: str, name: str, content: bytes) -> Bundle:
    """What an upload makes of a version's files. Raises InvalidRequest.

    A zip takes the place of all of them. A file takes that of the one of its name; else a Python file is the new text
    of the one that is run, and another one, as requirements.txt, is added.
    """
    base = name.replace("\\", "/").rsplit("/", 1)[-1].strip()
    if base.lower().endswith(".zip"):
        return read(base, content)
    _check_size(content)
    path = entry if base.lower().endswith(".py") and base not in current else base
    return bundle({**current, path: content}, entry)


def bundle(files: Mapping[str, bytes], entry: str = "") -> Bundle:
    """Check files as a whole. Raises InvalidRequest."""
    if len(files) > MOST_FILES:
        raise InvalidRequest(f"A strategy has {MOST_FILES} files at most.", "strategy_file")
    folded: dict[str, str] = {}
    for path, content in files.items():
        _check_path(path)
        clash = folded.setdefault(path.casefold(), path)
        if clash != path:
            raise InvalidRequest(
                f"{path} and {clash} are one file on some systems: rename one.", "strategy_file"
            )
        _check_content(path, content)
    if sum(map(len, files.values())) > LARGEST_TOTAL:
        raise InvalidRequest(f"All files together are {LARGEST_TOTAL >> 20} MB at most.", "strategy_file")
    return Bundle(dict(files), entry if entry in files else _entry(files))


def safe_stem(name: str) -> str:
    """A file name's stem, of letters, digits, _ and - only."""
    stem = name.rsplit("/", 1)[-1]
    stem = stem[:-3] if stem.lower().endswith(".py") else stem
    clean = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-")[:40]
    return f"{clean}_" if _RESERVED.fullmatch(clean) else clean or "strategy"


def compiles(path: str, content: bytes) -> str:
    """What keeps a Python file from being compiled, with its line; "" when nothing does."""
    try:
        ast.parse(content, filename=path)
    except SyntaxError as error:
        return f"{path}, line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{path}: {str(error) or 'nested too deeply'}"
    return ""


def _check_size(content: bytes) -> None:
    if len(content) > LARGEST_UPLOAD:
        raise InvalidRequest(TOO_LARGE, "strategy_file")
    if not content.strip():
        raise InvalidRequest("The file is empty.", "strategy_file")


def _entry(files: Mapping[str, bytes]) -> str:
    scripts = sorted(path for path in files if path.endswith(".py") and "/" not in path)
    found = [name for name in ENTRIES if name in scripts] or (scripts if len(scripts) == 1 else [])
    if not found:
        wanted = " or ".join(ENTRIES[:2])
        raise InvalidRequest(f"Which file is run? Name it {wanted}.", "strategy_file")
    return found[0]


def _check_path(path: str) -> None:
    parts = PurePosixPath(path).parts
    bad = not path or path.startswith("/") or "\\" in path or "\0" in path or len(path) > 200
    if bad or "/".join(parts) != path or len(parts) > 6:
        raise InvalidRequest(f"Not a usable path: {path[:80]!r}.", "strategy_file")
    for part in parts:
        if not _PART.fullmatch(part) or _RESERVED.fullmatch(part) or part.endswith((".", " ")):
            raise InvalidRequest(f"Not a usable name: {part[:80]!r} in {path[:80]!r}.", "strategy_file")
    if PurePosixPath(path).suffix.lower() not in _KINDS:
        kinds = " ".join(sorted(_KINDS))
        raise InvalidRequest(f"{path} is of a kind that is not kept. Kept are {kinds}.", "strategy_file")
    if parts[-1] in _SHADOWED:
        raise InvalidRequest(f"{path}: Python would run it before the strategy. Rename it.", "strategy_file")


def _check_content(path: str, content: bytes) -> None:
    if len(content) > LARGEST_FILE:
        raise InvalidRequest(f"{path} is larger than {LARGEST_FILE >> 20} MB.", "strategy_file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.", "strategy_file"
        ) from error
    if "\0" in text:
        raise InvalidRequest(f"{path} holds NUL bytes: it is not text.", "strategy_file")
    if path.endswith(".py") and (problem := compiles(path, content)):
        raise InvalidRequest(f"It does not compile. {problem}", "strategy_file")
    if path == REQUIREMENTS:
        _check_packages(text)


def _check_packages(text: str) -> None:
    """Names and versions only: options, addresses and paths could read this machine's files, or run a build."""
    lines = [line.split("#", 1)[0].strip() for line in re.sub(r"\\\r?\n", " ", text).splitlines()]
    wanted = [line for line in lines if line]
    if len(wanted) > _MOST_PACKAGES:
        raise InvalidRequest(f"{REQUIREMENTS} names {_MOST_PACKAGES} packages at most.", "strategy_file")
    for line in wanted:
        if not _PACKAGE.fullmatch(line) or _ARCHIVE.fullmatch(line):
            words = (
                f"{REQUIREMENTS}: {line[:80]!r} is not a package with a version, such as requests==2.32.3."
            )
            raise InvalidRequest(words, "strategy_file")


def _unpacked(content: bytes) -> dict[str, bytes]:
    """A zip's files. Sizes are held to while unpacking, whatever the directory says."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise InvalidRequest(f"The zip cannot be read: {error}.", "strategy_file") from error
    if len(entries) > MOST_FILES:
        raise InvalidRequest(f"A zip has {MOST_FILES} files at most.", "strategy_file")
    entries = [entry for entry in entries if not entry.filename.startswith(("__MACOSX/", ".git/"))]
    files: dict[str, bytes] = {}
    total = 0
    for entry in entries:
        if (entry.external_attr >> 16) & 0o170000 == _LINK:
            raise InvalidRequest(f"{entry.filename} is a link. Put the file itself in.", "strategy_file")
        if entry.filename in files:
            raise InvalidRequest(f"{entry.filename} is in the zip twice.", "strategy_file")
        _check_path(entry.filename)
        files[entry.filename] = _member(archive, entry)
        total += len(files[entry.filename])
        if total > LARGEST_TOTAL:
            raise InvalidRequest(f"Unpacked it is larger than {LARGEST_TOTAL >> 20} MB.", "strategy_file")
    return _without_top(files)


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(entry) as file:
            content = file.read(LARGEST_FILE + 1)
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError, NotImplementedError, ValueError) as error:
        raise InvalidRequest(f"{entry.filename} cannot be unpacked: {error}.", "strategy_file") from error
    if len(content) > LARGEST_FILE:
        raise InvalidRequest(f"{entry.filename} is larger than {LARGEST_FILE >> 20} MB.", "strategy_file")
    return content


def _without_top(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files without the one folder that holds them all, as zips of a folder have it."""
    tops = {path.split("/", 1)[0] for path in files}
    if len(tops) != 1 or any("/" not in path for path in files):
        return files
    return {path.split("/", 1)[1]: content for path, content in files.items()}

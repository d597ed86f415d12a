"""The product's source as the house rules see it: files, rooms and syntax trees."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "domain",
    "broker",
    "database",
    "strategies",
    "services",
    "blueprints",
    "restx_api",
    "websocket_proxy",
)
ROOTS = ("app.py", "config.py", "manage.py")


@functools.cache
def committed() -> tuple[Path, ...]:
    """What a clone holds, and what is about to be added to it."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(path for line in listing.stdout.splitlines() if (path := ROOT / line).is_file())


def python(*tops: str) -> Iterator[Path]:
    """The Python files below these folders; all of them when none is named. Schema steps are generated."""
    for path in committed():
        name = path.relative_to(ROOT)
        if path.suffix == ".py" and (not tops or name.parts[0] in tops) and "migrations" not in name.parts:
            yield path


def is_composition_root(path: Path) -> bool:
    """Whether the file may read the environment; a hosted strategy is a program of its own."""
    name = path.relative_to(ROOT)
    if name.parts[:2] == ("strategies", "examples"):
        return True
    return name.parts[0] == "commands" or name.name == "__main__.py" or str(name) in ROOTS


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute module) of every import, those inside functions too."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            yield node.lineno, ".".join((*base, *filter(None, [node.module])))


def at(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"

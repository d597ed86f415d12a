"""Strategies that come with the product: a beginner runs one at once, on paper."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import strategies
from domain.model import Exchange
from domain.strategies import Schedule, ScheduleKind, Strategy
from services.accounts import Caller
from services.strategy_host import StrategyHost

_HOME = Path(strategies.__path__[0]) / "examples"


@dataclass(frozen=True, slots=True)
class Example:
    """One script. title: its docstring's first line; about: the rest"""

    name: str
    title: str
    about: str
    code: bytes

    def keep(self, host: StrategyHost, caller: Caller) -> Strategy:
        """A strategy of the caller's made from it; it runs when Start is pressed."""
        return host.upload(
            caller,
            self.name.replace("_", " ").capitalize(),
            f"{self.name}.py",
            self.code,
            Exchange.NSE,
            Schedule(kind=ScheduleKind.MANUAL),
            about=self.title[:200],
        )


def examples() -> list[Example]:
    """By name."""
    return [_read(path) for path in sorted(_HOME.glob("*.py")) if not path.name.startswith("_")]


def example(name: str) -> Example | None:
    return next((each for each in examples() if each.name == name), None)


def _read(path: Path) -> Example:
    code = path.read_bytes()
    words = (ast.get_docstring(ast.parse(code)) or path.stem).split("\n\n", 1)
    return Example(path.stem, words[0].replace("\n", " "), words[1] if len(words) > 1 else "", code)

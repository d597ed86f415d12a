"""What loading a broker's master yields: instruments, rows put aside, and the report of both."""

from __future__ import annotations

from dataclasses import dataclass, field

from domain.errors import PlatformError


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that was put aside. `number` counts rows from 1; `reason` groups, `detail` shows the row's own words."""

    number: int
    reason: str
    detail: str = ""


class DamagedMaster(PlatformError):
    """A master that must not replace the one in use. `row` is where it broke, 0 when no row is to blame."""

    def __init__(self, message: str, row: int = 0) -> None:
        super().__init__(message)
        self.row = row


@dataclass(slots=True, kw_only=True)
class LoadReport:
    """What one load did.

    file         name of the artefact in use afterwards
    rows         instruments in it
    read         rows of the source, those put aside included
    put_aside    reason -> how many
    examples     reason -> the first of them, with its number
    changed      False when the same content was in use already
    """

    broker: str
    file: str = ""
    rows: int = 0
    read: int = 0
    put_aside: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    changed: bool = True
    seconds: float = 0.0

    def put(self, row: BadRow) -> None:
        """Count one row that was put aside."""
        self.put_aside[row.reason] = self.put_aside.get(row.reason, 0) + 1
        self.examples.setdefault(row.reason, f"row {row.number}: {row.detail}"[:300])

    @property
    def bad(self) -> int:
        """Rows put aside."""
        return sum(self.put_aside.values())

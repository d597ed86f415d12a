"""CodeTable: one enum of ours against one broker's spellings, both ways, with no default."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Generic, TypeVar

from domain.errors import NotSupported

Member = TypeVar("Member", bound=Enum)


class UnknownCode(ValueError):
    """A wire code that the table does not list; `code` is the broker's word as it came."""

    def __init__(self, table: str, code: object) -> None:
        super().__init__(f"unknown {table} {code!r}")
        self.code = str(code)


class CodeTable(Generic[Member]):
    """Reads and writes one enum.

    codes  what we send for each member, and read back
    also   further spellings that mean a member when read; never sent
    Codes are compared in upper case with blanks for underscores, as brokers mix them freely.
    """

    def __init__(self, codes: Mapping[Member, str], also: Mapping[str, Member] | None = None) -> None:
        self._write = dict(codes)
        self._read = {_fold(code): member for member, code in codes.items()}
        self._read.update({_fold(code): member for code, member in (also or {}).items()})
        self._name = type(next(iter(self._read.values()))).__name__

    def write(self, member: Member) -> str:
        """The broker's code. NotSupported for a member that the broker has no word for."""
        try:
            return self._write[member]
        except KeyError:
            raise NotSupported(f"no code for {self._name} {member.value}") from None

    def read(self, code: object) -> Member:
        """Our member. UnknownCode for a word that is not listed, and for what is not text."""
        if isinstance(code, str):
            member = self._read.get(code) or self._read.get(_fold(code))
            if member is not None:
                return member
        raise UnknownCode(self._name, code)

    def get(self, code: object) -> Member | None:
        """As `read`, with None for what is not listed."""
        return self._read.get(_fold(code)) if isinstance(code, str) else None


def _fold(code: str) -> str:
    return code.strip().upper().replace("_", " ")

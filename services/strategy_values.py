"""Parameters and secrets of a strategy: variables of its environment, sealed at rest. A secret is never shown again."""

from __future__ import annotations

import re
from dataclasses import dataclass

from database import strategies as rows
from database.crypto import Vault
from database.engine import Database
from database.strategies import SealedValue
from domain.clock import Clock
from domain.errors import InvalidRequest, NotFound
from services.strategy_launch import FORBIDDEN, OURS

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_LONGEST = 8192
_MOST = 100


@dataclass(frozen=True, slots=True)
class Value:
    """A variable as it may be shown: a secret one without its text."""

    name: str
    text: str
    secret: bool


class StrategyValues:
    """Of every strategy. The caller's right to it has been looked at before."""

    def __init__(self, store: Database, clock: Clock, vault: Vault) -> None:
        self._db = store
        self._clock = clock
        self._vault = vault

    def shown(self, strategy_id: str) -> list[Value]:
        """By name."""
        with self._db.read() as connection:
            found = rows.values_of(connection, strategy_id)
        return [
            Value(each.name, "" if each.secret else self._vault.open(each.cipher), each.secret)
            for each in found
        ]

    def set(self, strategy_id: str, name: str, text: str, *, secret: bool) -> None:
        """Set one; it counts from the next start. Raises InvalidRequest naming the field."""
        if not _NAME.fullmatch(name):
            raise InvalidRequest("A variable's name is letters, digits and _, not a digit first.", "name")
        if name in OURS or FORBIDDEN.match(name):
            raise InvalidRequest(f"{name} is not yours to set.", "name")
        if len(text) > _LONGEST or "\0" in text:
            raise InvalidRequest(f"A value is {_LONGEST} characters at most, without NUL.", "value")
        with self._db.read() as connection:
            names = {each.name for each in rows.values_of(connection, strategy_id)}
        if len(names | {name}) > _MOST:
            raise InvalidRequest(f"A strategy has {_MOST} variables at most.", "name")
        value = SealedValue(name=name, secret=secret, cipher=self._vault.seal(text))
        now = self._clock.now()
        self._db.write(lambda c: rows.set_value(c, strategy_id, value, now))

    def forget(self, strategy_id: str, name: str) -> None:
        """Raises NotFound."""
        if not self._db.write(lambda c: rows.forget_value(c, strategy_id, name)):
            raise NotFound("No such variable.")

    def opened(self, strategy_id: str) -> tuple[dict[str, str], list[str]]:
        """(every variable, the texts of the secret ones), for a start."""
        with self._db.read() as connection:
            found = rows.values_of(connection, strategy_id)
        opened = {each.name: self._vault.open(each.cipher) for each in found}
        return opened, [opened[each.name] for each in found if each.secret]

"""The first minute of an installation: until there is a user, whoever holds the printed code may make one."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection

from database import settings as rows
from database import users as user_rows
from database.crypto import Vault
from database.engine import Database
from domain.errors import InvalidRequest, Unauthorized
from services.accounts import Accounts, Role, User

_NAME = "first_run.code"
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


class FirstRun:
    """Only the code's fingerprint is kept; a restart before set-up makes a new code and voids the old one."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._db = database
        self._vault = vault
        self._done = False

    def is_over(self) -> bool:
        """Whether there is a user. Once true it is never asked again."""
        if not self._done:
            with self._db.read() as connection:
                self._done = user_rows.count(connection) > 0
        return self._done

    def new_code(self) -> str | None:
        """A fresh code for the server to print, None when set-up is over."""
        if self.is_over():
            return None
        text = "".join(secrets.choice(_ALPHABET) for _ in range(8))
        fingerprint = self._vault.fingerprint(text)
        self._db.write(lambda c: rows.save(c, _NAME, fingerprint))
        return f"{text[:4]}-{text[4:]}"

    def accepts(self, code: str) -> bool:
        """Whether this is the code last printed."""
        given = self._vault.fingerprint(_plain(code))
        with self._db.read() as connection:
            kept = rows.load(connection, _NAME)
        return isinstance(kept, str) and secrets.compare_digest(kept, given)

    def make_admin(self, accounts: Accounts, code: str, name: str, password: str) -> User:
        """Use the code up and make the administrator. Raises Unauthorized; InvalidRequest keeps the code.

        Exactly one of two racing callers succeeds.
        """
        given = self._vault.fingerprint(_plain(code))
        if not self._db.write(lambda c: _spend(c, given)):
            raise Unauthorized("That is not the set-up code.")
        try:
            return accounts.add_user(name, password, role=Role.ADMIN)
        except InvalidRequest:
            self._db.write(lambda c: rows.save(c, _NAME, given))
            raise


def _plain(code: str) -> str:
    return "".join(code.split()).replace("-", "").upper()


def _spend(connection: Connection, fingerprint: str) -> bool:
    if rows.load(connection, _NAME) != fingerprint or user_rows.count(connection):
        return False
    return rows.forget(connection, _NAME)

"""The one broker login that earlier releases kept in `.env`, taken over into an account, once."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from broker import catalog
from broker.manifest import unpacked
from database import settings as rows
from database.engine import Database
from domain.errors import InvalidRequest
from services.accounts import Account, Accounts
from services.sessions import Sessions

log = logging.getLogger(__name__)

_DONE = "env_import.done"
_BROKER = re.compile(r"/([a-z0-9_]+)/callback/?(?:\?.*)?$")


class EnvImport:
    """`look` may be called at any time, by one process at a time; once done it costs nothing."""

    def __init__(
        self, platform: Database, accounts: Accounts, sessions: Sessions, kept: Mapping[str, str]
    ) -> None:
        """`kept` has the variables by name, "" for what is not set."""
        self._db = platform
        self._accounts = accounts
        self._sessions = sessions
        self._kept = kept
        self._over = not kept["BROKER_API_KEY"]

    def look(self) -> Account | None:
        """Take the login over when that was never done and there is somebody to own it; the account it is in."""
        if self._over or self._was_done():
            self._over = True
            return None
        owner = next((user for user in self._accounts.users() if user.is_admin), None)
        if owner is None:
            return None
        self._over = True  # a login that cannot be read is told once a start
        name = self._broker()
        if not name:
            log.warning("BROKER_API_KEY not taken over: REDIRECT_URL does not end in /<broker>/callback")
            return None
        manifest = catalog.manifest(name)
        account = self._account(owner.id, name, manifest.title)
        try:
            if not any(self._sessions.saved_fields(account).values()):
                self._sessions.save_credentials(account, unpacked(manifest.login, self._kept))
        except InvalidRequest as error:
            log.warning("broker login of .env not taken over account=%s: %s", account.id, error)
            return None
        self._db.write(lambda c: rows.save(c, _DONE, name))
        log.info("broker login of .env taken over account=%s broker=%s; clear it there", account.id, name)
        return account

    def _was_done(self) -> bool:
        with self._db.read() as connection:
            return rows.load(connection, _DONE) is not None

    def _broker(self) -> str:
        found = _BROKER.search(self._kept["REDIRECT_URL"])
        name = found[1] if found else ""
        known = name in catalog.names() and catalog.manifest(name).login.kind != "none"
        return name if known else ""

    def _account(self, user_id: int, broker: str, title: str) -> Account:
        """The first account at the broker; a new one, which starts in analyze mode, when there is none."""
        owned = [one for one in self._accounts.accounts_of(user_id) if one.user_id == user_id]
        there = [account for account in owned if account.broker == broker]
        if there:
            return min(there, key=lambda account: account.id)
        taken = {account.name for account in owned}
        return self._accounts.add_account(user_id, title if title not in taken else f"{title} (.env)", broker)

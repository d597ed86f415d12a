"""Keys of hosted runs: one a run, for its account, alive only while a worker renews it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from database import api_keys as key_rows
from database.crypto import Vault
from database.engine import Database
from domain.clock import Clock
from domain.errors import NotFound
from domain.roles import TRADE
from domain.strategies import Run, Strategy
from services.accounts import Accounts

log = logging.getLogger(__name__)

LIFE = timedelta(seconds=60)
RENEW_EVERY = 20.0


class RunKeys:
    """Mints, renews and ends the keys that strategies are given."""

    def __init__(self, store: Database, vault: Vault, accounts: Accounts, clock: Clock) -> None:
        self._db = store
        self._vault = vault
        self._accounts = accounts
        self._clock = clock
        self._renewed_at = clock.monotonic()

    def mint(self, strategy: Strategy) -> tuple[str, int]:
        """(key, its id). It lapses unless it is renewed. Raises NotFound when the account is gone."""
        key = self._accounts.create_key(
            strategy.user_id,
            account_id=strategy.account_id,
            name=f"strategy {strategy.name}",
            expires_at=self._clock.now() + LIFE,
            strategy=strategy.id,
        )
        key_id = self._accounts.caller_of_key(key, door="strategy").key_id
        assert key_id is not None
        return key, key_id

    def refusal(self, strategy: Strategy) -> str:
        """Why its owner may not have it run on its account now; "" when they may."""
        try:
            owner = self._accounts.caller_of_user(strategy.user_id, strategy.account_id, door="strategy")
        except NotFound:
            return "Its owner or their seat at the account is gone."
        return (
            "" if TRADE in owner.scopes else f"{owner.username} may no longer trade on {owner.account.name}."
        )

    def opened(self, strategy: Strategy, run: Run) -> str:
        """A run's key itself, "" when it is over."""
        if run.key_id is None:
            return ""
        with self._db.read() as connection:
            sealed = key_rows.cipher_of(connection, strategy.user_id, run.key_id)
        return self._vault.open(sealed) if sealed else ""

    def renew_when_due(self, runs: Sequence[Run]) -> None:
        if self._clock.monotonic() - self._renewed_at >= RENEW_EVERY:
            self.renew(runs)

    def renew(self, runs: Sequence[Run]) -> None:
        """Let the keys of live runs last a while longer."""
        self._renewed_at = self._clock.monotonic()
        until = self._clock.now() + LIFE
        keys = [run.key_id for run in runs if run.key_id is not None]
        if keys:
            self._db.write(lambda c: [key_rows.extend(c, key_id, until) for key_id in keys])

    def revoke(self, strategy: Strategy, run: Run) -> None:
        """End a run's key now."""
        key_id, now = run.key_id, self._clock.now()
        if key_id is not None:
            self._db.write(lambda c: key_rows.revoke(c, strategy.user_id, key_id, now))

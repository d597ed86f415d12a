"""An API key for one call that a signed-in person makes from a page; the browser never sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from domain.clock import Clock
from domain.errors import NotFound
from services.accounts import Accounts, Caller

LASTS = timedelta(minutes=2)
"""A key that could not be revoked (the process died) ends by itself."""


@contextmanager
def borrowed_key(accounts: Accounts, caller: Caller, clock: Clock) -> Iterator[str]:
    """A key of the caller's account, with the caller's own rights, while the block runs."""
    key = accounts.create_key(
        caller.user_id,
        account_id=caller.account.id,
        scopes=caller.scopes,
        name="Playground",
        expires_at=clock.now() + LASTS,
    )
    key_id = accounts.caller_of_key(key).key_id
    try:
        yield key
    finally:
        with suppress(NotFound):
            accounts.revoke_key(caller.user_id, key_id or 0)

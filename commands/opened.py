"""The platform of an install, for verbs that use its services."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager

import config
from commands import prepare
from services.accounts import Account, User
from services.platform import Platform, build_platform

__all__ = ["Platform", "account_of", "platform"]


@contextmanager
def platform(args: argparse.Namespace) -> Iterator[Platform]:
    """Prepare the install when it is new, open it, and close it again."""
    os.umask(0o077)
    settings = config.load(args.data_dir)
    prepare.when_needed(settings, args.data_dir)
    opened = build_platform(settings)
    try:
        yield opened
    finally:
        opened.close()


def account_of(opened: Platform, user: User, wanted: str) -> Account | None:
    """The user's account of that name or number; None for "" (the default one). Raises SettingsError."""
    if not wanted:
        return None
    owned = opened.accounts.accounts_of(user.id)
    for account in owned:
        if wanted in (account.name, str(account.id)):
            return account
    names = ", ".join(account.name for account in owned)
    raise config.SettingsError(f"{user.name} has no account {wanted!r} (there are: {names})")

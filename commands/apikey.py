"""Make, list and revoke API keys. `create` prints the key and nothing else."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta

import config
from commands import opened


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make a key and print it")
    create.add_argument(
        "--account", default="", help="name or number; the user's default account when left out"
    )
    create.add_argument("--scopes", default="read,trade", help="of read, trade and login; default read,trade")
    create.add_argument("--name", default="", help="what it is for")
    create.add_argument("--days", type=int, default=0, help="how long it is good for; for ever when left out")
    listing = actions.add_parser("list", help="keys by their last four digits")
    revoke = actions.add_parser("revoke", help="make a key useless")
    revoke.add_argument("id", type=int, help="its number, from `apikey list`")
    for action in (create, listing, revoke):
        action.add_argument("--user", required=True, metavar="NAME")


def run(args: argparse.Namespace) -> int:
    return {"create": create, "list": show, "revoke": revoke}[args.action](args)


def create(args: argparse.Namespace) -> int:
    with opened.platform(args) as platform:
        user = platform.accounts.user_named(args.user)
        account = opened.account_of(platform, user, args.account)
        key = platform.accounts.create_key(
            user.id,
            account_id=account.id if account else None,
            scopes=frozenset(word.strip() for word in args.scopes.split(",") if word.strip()),
            name=args.name,
            expires_at=expiry(args.days),
        )
    print(key)
    return 0


def expiry(days: int) -> datetime | None:
    return config.SystemClock().now() + timedelta(days=days) if days else None


def show(args: argparse.Namespace) -> int:
    with opened.platform(args) as platform:
        user = platform.accounts.user_named(args.user)
        names = {account.id: account.name for account in platform.accounts.accounts_of(user.id)}
        for key in platform.accounts.keys_of(user.id):
            state = (
                "revoked"
                if key.revoked_at
                else f"until {key.expires_at:%Y-%m-%d}"
                if key.expires_at
                else "valid"
            )
            scopes = ",".join(sorted(key.scopes))
            account = names.get(key.account_id, "?")
            print(
                f"{key.id:>4}  ...{key.last_four}  {account:<16} {scopes:<12} {state:<18} {key.name}".rstrip()
            )
    return 0


def revoke(args: argparse.Namespace) -> int:
    with opened.platform(args) as platform:
        platform.accounts.revoke_key(platform.accounts.user_named(args.user).id, args.id)
    print(f"revoked key {args.id}")
    return 0

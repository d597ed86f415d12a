"""List broker and paper accounts, and add one."""

from __future__ import annotations

import argparse

from commands import opened


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="every account, or one user's")
    listing.add_argument("--user", default="", metavar="NAME")
    add = actions.add_parser("add", help="add an account at a broker; `broker login` begins its session")
    add.add_argument("name")
    add.add_argument("--user", required=True, metavar="NAME")
    add.add_argument("--broker", required=True)


def run(args: argparse.Namespace) -> int:
    return {"list": show, "add": add}[args.action](args)


def show(args: argparse.Namespace) -> int:
    with opened.platform(args) as platform:
        users = platform.accounts.users()
        for user in users if not args.user else [platform.accounts.user_named(args.user)]:
            for row in platform.accounts.accounts_of(user.id):
                default = "default" if row.is_default else ""
                modes = f"{row.mode:<8} {row.order_mode:<10}"
                print(
                    f"{row.id:>4}  {user.name:<20} {row.name:<20} {row.broker:<12} {modes} {default}".rstrip()
                )
    return 0


def add(args: argparse.Namespace) -> int:
    with opened.platform(args) as platform:
        user = platform.accounts.user_named(args.user)
        account = platform.accounts.add_account(user.id, args.name, args.broker)
    print(f"added account {account.id} ({account.broker}) for {user.name}")
    return 0

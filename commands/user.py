"""Add and list the people who may sign in, and set a lost password. Each has a paper account of their own."""

from __future__ import annotations

import argparse
import getpass
import sys

from commands import opened
from services.browser import build_browser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="add a user; asks for a password")
    add.add_argument("name")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    add.add_argument("--admin", action="store_true", help="may manage users and the install")
    password = actions.add_parser("password", help="set a new password; ends every session of the user")
    password.add_argument("name")
    password.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )
    password.add_argument("--codes-off", action="store_true", help="also turn login codes off (a lost phone)")
    actions.add_parser("list", help="who there is")


def run(args: argparse.Namespace) -> int:
    return {"add": add, "password": set_password, "list": show}[args.action](args)


def add(args: argparse.Namespace) -> int:
    password = sys.stdin.readline().rstrip("\r\n") if args.password_stdin else ask()
    with opened.platform(args) as platform:
        user = platform.accounts.add_user(args.name, password, admin=args.admin)
    print(f"added {user.name}{' (admin)' if user.is_admin else ''}")
    return 0


def set_password(args: argparse.Namespace) -> int:
    """The way back in for somebody who lost their password: only the server's owner gets here."""
    password = sys.stdin.readline().rstrip("\r\n") if args.password_stdin else ask()
    with opened.platform(args) as platform:
        user = platform.accounts.user_named(args.name)
        platform.accounts.reset_password(user.id, password)
        browser = build_browser(platform.databases, platform.vault, platform.clock)
        ended = browser.sessions.end_all(user.id)
        if args.codes_off:
            browser.second_factor.turn_off(user.id)
    print(f"set the password of {user.name}; {ended} sessions ended")
    return 0


def ask() -> str:
    """A password typed twice. Raises SystemExit when the two differ."""
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise SystemExit("error: the two passwords differ")
    return first


def show(args: argparse.Namespace) -> int:
    with opened.platform(args) as platform:
        for user in platform.accounts.users():
            print(f"{user.id:>4}  {user.name:<24} {'admin' if user.is_admin else ''}".rstrip())
    return 0

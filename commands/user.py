"""The people who may sign in: add, list, give a role, bar, set a password. Each has a paper account of their own."""

from __future__ import annotations

import argparse
import getpass
import sys

from commands import opened
from domain.errors import InvalidRequest
from services.accounts import Role
from services.browser import build_browser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="add a user; asks for a password")
    add.add_argument("name")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    add.add_argument("--admin", action="store_true", help="the same as --role admin")
    add.add_argument("--role", choices=list(Role), default="trader", help="what they may do at most (trader)")
    password = actions.add_parser("password", help="set a new password; ends every session of the user")
    password.add_argument("name")
    password.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )
    password.add_argument("--codes-off", action="store_true", help="also turn login codes off (a lost phone)")
    role = actions.add_parser("role", help="change what a user may do at most, or at one account")
    role.add_argument("name")
    role.add_argument("role", choices=[*Role, "none"], help="none takes a seat at --account away")
    role.add_argument(
        "--account", type=int, metavar="ID", help="at this account of another user (`account list`)"
    )
    for name, words in (
        ("bar", "end sign-in, sessions and keys of a user"),
        ("unbar", "let a user in again"),
    ):
        actions.add_parser(name, help=words).add_argument("name")
    actions.add_parser("list", help="who there is")


def run(args: argparse.Namespace) -> int:
    actions = {"add": add, "password": set_password, "role": set_role, "bar": bar, "unbar": bar, "list": show}
    return actions[args.action](args)


def add(args: argparse.Namespace) -> int:
    password = sys.stdin.readline().rstrip("\r\n") if args.password_stdin else ask()
    with opened.platform(args) as platform:
        role = Role.ADMIN if args.admin else Role(args.role)
        user = platform.accounts.add_user(args.name, password, role=role)
    print(f"added {user.name}{'' if user.role is Role.TRADER else f' ({user.role})'}")
    return 0


def set_role(args: argparse.Namespace) -> int:
    """The ceiling on the server, or the seat at one account of somebody else."""
    wanted = None if args.role == "none" else Role(args.role)
    with opened.platform(args) as platform:
        user = platform.accounts.user_named(args.name)
        if args.account is not None:
            platform.accounts.give_seat(args.account, user.id, wanted)
        elif wanted is None:
            raise InvalidRequest("none takes a seat away: name the account with --account.", "role")
        else:
            platform.accounts.set_role(user.id, wanted)
    print(f"{user.name}: {args.role}{f' at account {args.account}' if args.account is not None else ''}")
    return 0


def bar(args: argparse.Namespace) -> int:
    with opened.platform(args) as platform:
        user = platform.accounts.set_barred(args.name, args.action == "bar")
    print(f"{user.name} {'is barred' if args.action == 'bar' else 'may sign in'}")
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
            print(
                f"{user.id:>4}  {user.name:<24} {user.role:<8} {'barred' if user.disabled_at else ''}".rstrip()
            )
        for seat in platform.accounts.members():
            print(f"      {seat.user:<24} {seat.role:<8} at {seat.account_id} {seat.owner}/{seat.account}")
    return 0

"""Log accounts in to their brokers and out again, and list what each broker can do.

`broker login` asks for what the login form has; with --stdin it reads a JSON object instead: the fields, or the
line that `simulate` prints (its addresses are then used in place of the broker's own). A broker with a login page
names its address; paste the address that it returns to.
"""

from __future__ import annotations

import argparse
import getpass
import json
import secrets
import sys
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from broker import catalog
from broker.capabilities import table
from broker.manifest import LoginField, Manifest
from commands import opened
from config import SettingsError
from services.accounts import Account
from services.masters import load_master

_NOT_URLS = frozenset({"credentials", "control"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="what each broker can do")
    login = actions.add_parser("login", help="begin an account's session and load its master")
    login.add_argument("--stdin", action="store_true", help="read the fields as JSON, ask nothing")
    login.add_argument("--no-master", action="store_true", help="keep the instrument file as it is")
    for parsed in (
        login,
        actions.add_parser("logout", help="end an account's session"),
        actions.add_parser("status", help="whether an account is logged in, and until when"),
    ):
        parsed.add_argument("account", help="name or number of the account")
        parsed.add_argument("--user", default="", metavar="NAME", help="whose account (default: the admin's)")


def run(args: argparse.Namespace) -> int:
    if args.action == "list":
        print(table())
        return 0
    with opened.platform(args) as platform:
        account = _account(platform, args)
        if args.action == "login":
            _log_in(platform, account, args)
        elif args.action == "logout":
            platform.sessions.log_out(account)
        state = platform.sessions.state(account)
    until = f" until {state.expires_at:%Y-%m-%d %H:%M} UTC" if state.expires_at else ""
    print(f"{account.name} at {account.broker}: {state.word}{until} {state.broker_user}".rstrip())
    return 0


def _log_in(platform: opened.Platform, account: Account, args: argparse.Namespace) -> None:
    manifest = catalog.manifest(account.broker)
    given, urls = _given() if args.stdin else ({}, None)
    login = manifest.login
    kept = {f.name: given.get(f.name, "") if args.stdin else _typed(f) for f in login.fields}
    platform.sessions.save_credentials(account, kept, urls)
    page = "" if args.stdin else platform.sessions.login_page(account, secrets.token_hex(8))
    if page:
        print(f"Log in here, then paste the address you are sent to:\n  {page}", file=sys.stderr)
    asked = {f.name: given.get(f.name, "") if args.stdin else _answer(f, manifest) for f in login.ask}
    platform.sessions.log_in(account, asked)
    if not args.no_master:
        report = load_master(platform.sessions, platform.instruments, account, _say)
        print(f"\n{report.rows} instruments, {report.bad} rows put aside", file=sys.stderr)


def _given() -> tuple[dict[str, str], dict[str, str] | None]:
    """(fields, addresses or None) of the JSON on stdin."""
    try:
        told = json.load(sys.stdin)
    except ValueError as error:
        raise SettingsError(f"stdin is not JSON: {error}") from error
    if not isinstance(told, dict):
        raise SettingsError("stdin is not a JSON object")
    if "credentials" not in told:
        return {name: str(value) for name, value in told.items()}, None
    urls = {role: str(url) for role, url in told.items() if role not in _NOT_URLS}
    return {name: str(value) for name, value in told["credentials"].items()}, urls


def _typed(field: LoginField) -> str:
    """A stored field; an empty secret keeps the one that is saved."""
    return getpass.getpass(f"{field.label}: ") if field.secret else input(f"{field.label}: ")


def _answer(field: LoginField, manifest: Manifest) -> str:
    """What is asked at each login: typed as it is, or taken out of a pasted address."""
    text = getpass.getpass(f"{field.label}: ") if not manifest.login.callback else input(f"{field.label}: ")
    returned: Mapping[str, str] = dict(parse_qsl(urlsplit(text).query))
    return next((returned[name] for name in manifest.login.callback if name in returned), text).strip()


def _say(stage: str, done: int, total: int) -> None:
    of = f" of {total / 1e6:.1f}" if total else ""
    print(f"\r{stage}: {done / 1e6:.1f}{of} MB", end="", file=sys.stderr, flush=True)


def _account(platform: opened.Platform, args: argparse.Namespace) -> Account:
    users = platform.accounts.users()
    user = (
        platform.accounts.user_named(args.user) if args.user else next((u for u in users if u.is_admin), None)
    )
    if user is None:
        raise SettingsError("this install has no user yet: `user add NAME --admin`")
    account = opened.account_of(platform, user, args.account)
    assert account is not None
    return account

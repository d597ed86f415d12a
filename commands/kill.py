"""Stop trading: `kill` one account or all of them, and `kill --release`. Needs no web server."""

from __future__ import annotations

import argparse

from commands import opened
from database.controls import EVERY_ACCOUNT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", help="whose account; without it every account is meant")
    parser.add_argument("--account", default="", help="name or number of one of the user's accounts")
    parser.add_argument("--flatten", action="store_true", help="close positions too")
    parser.add_argument("--reason", default="", help="kept with the switch")
    parser.add_argument("--release", action="store_true", help="allow new orders again")
    parser.add_argument("--status", action="store_true", help="only say which switches are on")


def run(args: argparse.Namespace) -> int:
    with opened.platform(args) as platform:
        if not args.status:
            _switch(platform, args)
        kills = platform.kill_switch.listed()
        for kill in kills:
            whom = "every account" if kill.account_id == EVERY_ACCOUNT else f"account {kill.account_id}"
            done = "done" if kill.acted_at else "cancelling is not finished; the worker goes on"
            print(f"on for {whom} since {kill.engaged_at:%Y-%m-%d %H:%M:%S} UTC by {kill.engaged_by}: {done}")
            for line in kill.report.splitlines():
                print(f"  {line}")
        if not kills:
            print("no kill switch is on")
    return 0


def _switch(platform: opened.Platform, args: argparse.Namespace) -> None:
    users = platform.accounts.users()
    user = platform.accounts.user_named(args.user) if args.user else next(u for u in users if u.is_admin)
    account = opened.account_of(platform, user, args.account)
    caller = platform.accounts.caller_of_user(user.id, account.id if account else None, door="cli")
    every = not args.user
    if args.release:
        platform.kill_switch.release(caller, every=every)
    else:
        platform.kill_switch.engage(caller, every=every, flatten=args.flatten, reason=args.reason)

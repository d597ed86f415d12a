"""Hosted strategies: `strategy list`, `upload`, `save`, `start`, `stop`, `restart`, `log`, `show`, `set`, `delete`.

A strategy is named by its id, or by its name where that is one's only. Starting and stopping are done by the worker;
this only says what is wanted, and waits a moment to tell what came of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import datetime
from pathlib import Path

import config
from commands import opened
from domain.clock import IST
from domain.model import Exchange
from domain.strategies import Schedule, ScheduleKind, Strategy, StrategyState, Window
from services.accounts import Caller
from services.strategy_host import EXCHANGES, default_schedule
from strategies import logs, shelter
from strategies.schedule import told
from strategies.upload import LARGEST_UPLOAD, TOO_LARGE

_PATIENCE = 15.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--user", help="whose strategies; without it the install's only user, or its first admin"
    )
    parser.add_argument("--account", default="", help="name or number of the account an upload trades on")
    verbs = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    verbs.add_parser("list", help="every strategy, its state and why")
    upload = verbs.add_parser("upload", help="keep a .py or .zip as a new strategy")
    upload.add_argument("file", type=Path)
    upload.add_argument("--name", default="")
    upload.add_argument("--exchange", default="NSE")
    upload.add_argument(
        "--window", action="append", default=[], help="09:15-15:30, open-5m-close; repeatable"
    )
    save = verbs.add_parser("save", help="keep a file or a .zip as a new version, or an old version again")
    _named(save)
    save.add_argument("file", type=Path, nargs="?")
    save.add_argument("--version", type=int, help="go back to this one instead of giving a file")
    save.add_argument("--note", default="", help="what changed")
    upload.add_argument("--always", action="store_true", help="run at all hours")
    upload.add_argument("--manual", action="store_true", help="run only when started")
    for name, words in (
        ("show", "one strategy, its runs and what its host decided"),
        ("start", "start it, or arm it for its next window"),
        ("stop", "stop it, and keep it off"),
        ("restart", "end its run and start another; its orders stay"),
        ("delete", "stop it and drop its files"),
    ):
        _named(verbs.add_parser(name, help=words))
    verbs.choices["start"].add_argument(
        "--force", action="store_true", help="whatever its schedule says, until it ends"
    )
    log = verbs.add_parser("log", help="its newest log")
    _named(log)
    log.add_argument("--follow", "-f", action="store_true")
    given = verbs.add_parser("set", help="give it a variable; a secret is read from stdin")
    _named(given)
    given.add_argument("variable", help="NAME=value, or NAME with --secret")
    given.add_argument("--secret", action="store_true")


def _named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")


def run(args: argparse.Namespace) -> int:
    """What was asked, after a warning on stderr where this machine does not shut strategies in."""
    if words := shelter.warning():
        print(f"warning: {words}", file=sys.stderr)
    with opened.platform(args) as platform:
        caller = _caller(platform, args)
        return int(_VERBS[args.what](platform, caller, args))


def _caller(platform: opened.Platform, args: argparse.Namespace) -> Caller:
    users = platform.accounts.users()
    if not users:
        raise config.SettingsError("there is no user yet: manage.py user add NAME --admin")
    user = (
        platform.accounts.user_named(args.user)
        if args.user
        else next((each for each in users if each.is_admin), users[0])
    )
    account = opened.account_of(platform, user, args.account)
    return platform.accounts.caller_of_user(user.id, account.id if account else None, door="cli")


def _find(platform: opened.Platform, caller: Caller, name: str) -> Strategy:
    found = [each for each in platform.strategy_host.listed(caller) if name in (each.id, each.name)]
    if len(found) != 1:
        words = "There is no strategy" if not found else "There are several strategies"
        raise config.SettingsError(f"{words} {name!r}; see: manage.py strategy list")
    return found[0]


def _list(platform: opened.Platform, caller: Caller, args: argparse.Namespace) -> int:
    for each in platform.strategy_host.listed(caller):
        due = f", next start {_at(each.next_start)}" if each.next_start and not each.state.is_live else ""
        reason = f" ({each.reason})" if each.reason else ""
        print(f"{each.id}  {each.name}  {each.state}{reason}{due}  {told(each.schedule)}, {each.exchange}")
    return 0


def _show(platform: opened.Platform, caller: Caller, args: argparse.Namespace) -> int:
    strategy = _find(platform, caller, args.name)
    host = platform.strategy_host
    print(f"{strategy.id}: {strategy.name}, {strategy.state} {strategy.reason}".rstrip())
    print(f"  {told(strategy.schedule)}, {strategy.exchange}; version {strategy.version}; {strategy.entry}")
    for each in host.versions(caller, strategy.id)[:10]:
        print(f"  version {each.number}, {_at(each.made_at)} by {each.made_by}: {each.note}")
    for run_ in host.runs(caller, strategy.id, 10):
        end = f"{_at(run_.ended_at)} {run_.reason}" if run_.ended_at else f"process {run_.pid}"
        print(f"  run {run_.generation} of version {run_.version}, {_at(run_.created_at)} to {end}")
    for note in host.notes(caller, strategy.id, 20):
        print(f"  {_at(note.at)} {note.kind:<4} {note.words}")
    return 0


def _upload(platform: opened.Platform, caller: Caller, args: argparse.Namespace) -> int:
    exchange = _exchange(args.exchange)
    schedule = default_schedule(exchange)
    if args.always or args.manual:
        schedule = Schedule(kind=ScheduleKind.ALWAYS if args.always else ScheduleKind.MANUAL)
    elif args.window:
        windows = tuple(_window(text) for text in args.window)
        schedule = Schedule(windows=windows, days=schedule.days)
    made = platform.strategy_host.upload(
        caller, args.name or args.file.stem, args.file.name, _content(args.file), exchange, schedule
    )
    print(made.id)
    return 0


def _save(platform: opened.Platform, caller: Caller, args: argparse.Namespace) -> int:
    strategy, host = _find(platform, caller, args.name), platform.strategy_host
    if (args.file is None) == (args.version is None):
        raise config.SettingsError("give a file, or --version with the number of an old one")
    if args.file is None:
        made = host.roll_back(caller, strategy.id, args.version)
    else:
        made = host.renew(caller, strategy.id, args.file.name, _content(args.file), args.note)
    print(f"version {made.number}; it runs from the next start")
    return 0


def _content(path: Path) -> bytes:
    """A file to upload; one that is too large is not read."""
    try:
        if path.stat().st_size > LARGEST_UPLOAD:
            raise config.SettingsError(TOO_LARGE)
        return path.read_bytes()
    except OSError as error:
        raise config.SettingsError(f"{path} cannot be read: {error.strerror}") from error


def _exchange(name: str) -> Exchange:
    try:
        return Exchange(name.upper())
    except ValueError as error:
        raise config.SettingsError(f"there is no exchange {name!r}; use {', '.join(EXCHANGES)}") from error


def _window(text: str) -> Window:
    """ "09:15-15:30" or "open-5m-close-10m": the last dash before a time or an edge's name parts them."""
    for at in range(len(text) - 1, 0, -1):
        stop = text[at + 1 :]
        if text[at] == "-" and ((stop[:1].isdigit() and ":" in stop) or stop.startswith(("open", "close"))):
            return Window(start=text[:at], stop=stop)
    raise config.SettingsError(f"--window {text}: write START-STOP, such as 09:20-15:15")


def _start(platform: opened.Platform, caller: Caller, args: argparse.Namespace) -> int:
    strategy = _find(platform, caller, args.name)
    started = platform.strategy_host.start(caller, strategy.id, force=args.force)
    if started.armed:
        print(f"armed ({started.reason}); starts {_at(started.next_start)}")
        return 0
    return _await(platform, caller, strategy.id, {StrategyState.RUNNING})


def _stop(platform: opened.Platform, caller: Caller, args: argparse.Namespace) -> int:
    strategy = _find(platform, caller, args.name)
    platform.strategy_host.stop(caller, strategy.id)
    return _await(platform, caller, strategy.id, {StrategyState.STOPPED})


def _restart(platform: opened.Platform, caller: Caller, args: argparse.Namespace) -> int:
    strategy = _find(platform, caller, args.name)
    platform.strategy_host.restart(caller, strategy.id)
    return _await(platform, caller, strategy.id, {StrategyState.RUNNING}, strategy.generation)


def _await(
    platform: opened.Platform, caller: Caller, strategy_id: str, wanted: set[StrategyState], past: int = -1
) -> int:
    """Wait for a state of a run after generation `past` and tell the one that came; 1 when it did not come."""
    until = time.monotonic() + _PATIENCE
    while (found := platform.strategy_host.get(caller, strategy_id)).state not in wanted or (
        found.generation <= past
    ):
        if time.monotonic() > until:
            print(f"{found.state} {found.reason}".rstrip() + "; is the worker running?", file=sys.stderr)
            return 1
        time.sleep(0.2)
    print(f"{found.state} {found.reason}".rstrip())
    return 0


def _delete(platform: opened.Platform, caller: Caller, args: argparse.Namespace) -> int:
    platform.strategy_host.delete(caller, _find(platform, caller, args.name).id)
    print("deleted")
    return 0


def _set(platform: opened.Platform, caller: Caller, args: argparse.Namespace) -> int:
    strategy = _find(platform, caller, args.name)
    name, equals, text = args.variable.partition("=")
    if args.secret == bool(equals):
        raise config.SettingsError("write NAME=value, or NAME --secret with the value on stdin")
    text = sys.stdin.read().rstrip("\n") if args.secret else text
    platform.strategy_host.values.set(strategy.id, name, text, secret=args.secret)
    print(f"{name} is set; it counts from the next start")
    return 0


def _log(platform: opened.Platform, caller: Caller, args: argparse.Namespace) -> int:
    strategy = _find(platform, caller, args.name)
    folder = platform.strategy_host.places(strategy).logs
    files = logs.listed(folder)
    if not files:
        print("no log yet", file=sys.stderr)
        return 1
    name, after = files[0].name, None
    while True:
        text, _, after = logs.read(logs.located(folder, name), after)
        sys.stdout.write(text)
        sys.stdout.flush()
        if not args.follow:
            return 0
        time.sleep(0.3)


def _at(moment: datetime | None) -> str:
    return f"{moment.astimezone(IST):%d %b %H:%M:%S}" if moment else "never"


_VERBS = {
    "list": _list,
    "show": _show,
    "upload": _upload,
    "save": _save,
    "start": _start,
    "stop": _stop,
    "restart": _restart,
    "delete": _delete,
    "set": _set,
    "log": _log,
}

"""One role's process: `python -m commands.role NAME --data-dir DIR`. The supervisor starts these.

A role's own room has `main(settings) -> int`, which serves until SIGTERM and then ends in order.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import NamedTuple

import config
from commands import lifeline


class Role(NamedTuple):
    """Where a role's `main(settings)` stands and what the role is for."""

    module: str
    words: str


ROLES = {
    "exchange": Role("broker.paper.__main__", "the paper exchange"),
    "stream": Role("websocket_proxy.__main__", "broker feeds in, WebSocket clients out"),
    "worker": Role("services.worker", "schedules, reconciliation, strategies"),
    "web": Role("commands.web_server", "REST API and dashboard"),
}
EX_CONFIG = 78
_SWITCH = 0.001
"""Seconds for which a thread may keep the others of its role waiting: an order is three or four of them."""


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="commands.role", description=__doc__)
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--port", default="")
    parser.add_argument("--ws-port", default="")
    parser.add_argument("--parent", type=int, default=0, help="end when this process does")
    parser.add_argument("--listen", type=int, default=-1, help="descriptor of the listening socket (web)")
    parser.add_argument("--pulse", type=int, default=-1, help="descriptor of the pipe to beat into")
    parser.add_argument("--number", type=int, default=1, help="which of several processes of the role")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Serve a role; its exit code. EX_CONFIG says that starting again would not help."""
    args = parse(arguments)
    if args.parent:
        lifeline.die_with(args.parent)
    os.umask(0o077)
    try:
        settings = config.load(args.data_dir, overrides=ports_of(args.port, args.ws_port))
    except config.SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return EX_CONFIG
    name = args.role if args.number == 1 else f"{args.role}-{args.number}"
    _name_process(name)
    sys.setswitchinterval(_SWITCH)
    _log(settings, name)
    if args.pulse >= 0:
        _begin_pulse(args.pulse)
    serve = importlib.import_module(ROLES[args.role].module).main
    return int(serve(settings, args.listen) if args.role == "web" else serve(settings)) or 0


def ports_of(port: str, ws_port: str) -> dict[str, str]:
    """The command line's ports as settings that win over every other source."""
    return {name: value for name, value in (("FLASK_PORT", port), ("WEBSOCKET_PORT", ws_port)) if value}


def _name_process(name: str) -> None:
    from setproctitle import setproctitle

    setproctitle(f"openalgo {name}")


def _begin_pulse(descriptor: int) -> None:
    from services import pulse

    pulse.begin(descriptor)


def _log(settings: config.Settings, name: str) -> None:
    from services import log_setup

    log_setup.configure(
        role=name,
        level=settings.log_level,
        directory=settings.logs if settings.log_to_file else None,
        retention_days=settings.log_retention,
        secrets=settings.secret_values(),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Run the platform: web, feed, paper exchange and worker, until Ctrl-C.

Names of roles (web, stream, worker, exchange) run those only, e.g. one service unit each.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import config
from commands import interpreter, locks, ports, prepare
from commands.probe import Answer
from commands.role import ports_of
from commands.supervisor import Child, Supervisor

log = logging.getLogger("commands.supervisor")

GRACE = {"web": 17.0, "worker": 5.0, "stream": 3.0, "exchange": 5.0}
_FILES = 65_536


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("roles", nargs="*", metavar="ROLE", help=", ".join(GRACE))
    parser.add_argument("--port", default="", help="web port, instead of FLASK_PORT; 0 takes a free one")
    parser.add_argument(
        "--ws-port", default="", help="feed port, instead of WEBSOCKET_PORT; 0 takes a free one"
    )
    parser.add_argument(
        "--replay", type=Path, metavar="PATH", help="let paper accounts trade on recorded candles or ticks"
    )
    parser.add_argument("--replay-from", default="", metavar="TIME", help="market time to begin at, IST")
    parser.add_argument("--replay-speed", default="", metavar="N", help="times as fast as real time")


def run(args: argparse.Namespace) -> int:
    os.umask(0o077)
    if unknown := [role for role in args.roles if role not in GRACE]:
        print(f"error: no such role: {unknown[0]} (there are {', '.join(GRACE)})", file=sys.stderr)
        return 2
    settings = config.load(args.data_dir, overrides=ports_of(args.port, args.ws_port) | _replay_of(args))
    roles = [role for role in GRACE if role in (args.roles or GRACE)]
    _log_to_console(settings)
    _allow_many_files()
    with contextlib.ExitStack() as held:
        try:
            for role in roles:
                held.enter_context(_lock(settings, role))
            sockets = Sockets(settings, roles)
        except (locks.AlreadyRunning, ports.PortTaken) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        held.callback(sockets.close)
        prepare.when_needed(settings, args.data_dir)
        return _supervise(settings, args, roles, sockets)


def _replay_of(args: argparse.Namespace) -> dict[str, str]:
    """The command line's replay as settings."""
    given = {
        "PAPER_REPLAY": str(args.replay.absolute()) if args.replay else "",
        "PAPER_REPLAY_FROM": args.replay_from,
        "PAPER_REPLAY_SPEED": args.replay_speed,
    }
    return {name: value for name, value in given.items() if value}


class Sockets:
    """The web's listening socket, and the ports that the roles will use.

    The supervisor keeps the web's socket open, so a restart of web refuses nobody. Raises ports.PortTaken.
    """

    def __init__(self, settings: config.Settings, roles: list[str]) -> None:
        self.web: socket.socket | None = None
        self.web_port, self.ws_port = settings.flask_port, settings.websocket_port
        if "web" in roles:
            self.web = ports.listen(settings.flask_host_ip, settings.flask_port, "FLASK_PORT")
            self.web_port = int(self.web.getsockname()[1])
            if os.name == "nt":
                self.close()
        try:
            if "stream" in roles:
                self.ws_port = ports.check(settings.websocket_host, settings.websocket_port, "WEBSOCKET_PORT")
        except ports.PortTaken:
            self.close()
            raise

    def close(self) -> None:
        if self.web is not None:
            self.web.close()
            self.web = None


def _lock(settings: config.Settings, role: str) -> IO[str]:
    path = settings.data_dir / "run" / f"{role}.lock"
    try:
        return locks.hold(path)
    except locks.AlreadyRunning as error:
        raise _Taken(role, settings, error.pid) from error


class _Taken(locks.AlreadyRunning):
    def __init__(self, role: str, settings: config.Settings, pid: int) -> None:
        Exception.__init__(
            self,
            f"{role} of {settings.data_dir} runs already (process {pid or '?'}). "
            f"Stop it (kill {pid or 'PID'}), or run another install with --data-dir DIR --port P --ws-port W.",
        )


def _supervise(
    settings: config.Settings, args: argparse.Namespace, roles: list[str], sockets: Sockets
) -> int:
    answer = Answer(settings.flask_host_ip, sockets.web_port) if "web" in roles else None
    feed = (settings.websocket_host, sockets.ws_port) if "stream" in roles else None

    def ready() -> bool:
        return (answer is None or answer.arrived()) and (feed is None or ports.is_open(*feed))

    def on_ready() -> None:
        web = f" http://{config.reach(settings.flask_host_ip)}:{sockets.web_port}" if answer else ""
        stream = f" ws://{config.reach(settings.websocket_host)}:{sockets.ws_port}" if feed else ""
        print(f"ready{web}{stream}" if web or stream else f"ready {' '.join(roles)}", flush=True)
        _tell_systemd()

    # Tens of threads with a heap each, as the C library gives them, keep memory that nothing uses any more.
    heaps = {"MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "2")}
    environment = interpreter.environment() | heaps | _replay_of(args)
    children = [
        Child(
            role if number == 1 else f"{role}-{number}",
            command,
            GRACE[role],
            fds,
            environment,
            _patience(role, roles),
            pulse=os.name != "nt",
        )
        for role in roles
        for number, command, fds in _commands(settings, args, role, sockets)
    ]
    return Supervisor(children, ready, on_ready).run()


def _patience(role: str, roles: list[str]) -> float:
    """The worker can wait: nobody's first request needs it, and a small machine loads the others sooner."""
    return 5.0 if role == "worker" and "web" in roles else 0.0


def _commands(
    settings: config.Settings, args: argparse.Namespace, role: str, sockets: Sockets
) -> list[tuple[int, list[str], tuple[int, ...]]]:
    """(which, command line, descriptors it inherits) of each process of a role."""
    base = interpreter.command("commands.role", role, "--parent", str(os.getpid()))
    base += ["--port", str(sockets.web_port), "--ws-port", str(sockets.ws_port)]
    if args.data_dir is not None:
        base += ["--data-dir", str(settings.data_dir)]
    if role != "web" or sockets.web is None:
        return [(1, base, ())]
    handle = sockets.web.fileno()
    base += ["--listen", str(handle)]
    return [(n, [*base, "--number", str(n)], (handle,)) for n in range(1, settings.web_workers + 1)]


def _tell_systemd() -> None:
    """Type=notify units are told that we are up (sd_notify's protocol: a datagram to NOTIFY_SOCKET)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)


def _allow_many_files() -> None:
    """Raise the soft limit of descriptors: every client, feed and store takes some."""
    if os.name == "nt":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _log_to_console(settings: config.Settings) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines() if sys.stderr.isatty() else _Json())
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        return f"{at:%H:%M:%S} {record.levelname.lower():<8} {'run':<8} {record.getMessage()}"


class _Json(logging.Formatter):
    """The shape of `services.log_setup`, without loading it into the supervisor."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        level = record.levelname.lower()
        return json.dumps({"time": at, "role": "run", "event": record.getMessage(), "level": level})

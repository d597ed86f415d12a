"""Listening sockets: bind one, find a free port, and say who holds one that is taken."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time

PATIENCE = 2.0
_BACKLOG = 1024


class PortTaken(Exception):
    """`str(error)` names the port, who holds it, and what to do."""


def listen(host: str, port: int, variable: str, patience: float = PATIENCE) -> socket.socket:
    """A bound, listening socket. Waits `patience` seconds for a last owner that is just ending. Raises PortTaken.

    Accepted connections inherit TCP_NODELAY; without it an answer written in two parts waits 40 ms for the
    client's delayed acknowledgement.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return _bound(host, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            raise PortTaken(_words(host, port, variable, error)) from error


def check(host: str, port: int, variable: str, patience: float = PATIENCE) -> int:
    """Raises PortTaken unless the port can be bound; the port, or a free one for 0."""
    with listen(host, port, variable, patience) as probe:
        return int(probe.getsockname()[1])


def is_open(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection((reachable(host), port), timeout=0.2):
        return True
    return False


def reachable(host: str) -> str:
    """The address by which this machine reaches a server bound to `host`."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = socket.socket(family, kind, protocol)
    try:
        if os.name != "nt":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made


def _words(host: str, port: int, variable: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{variable}: port {port} is taken{_owner(port)}. "
            f"Stop that program, or choose another port ({variable} in .env, or on the command line)."
        )
    if error.errno == errno.EACCES:
        return f"{variable}: port {port} needs privileges; choose one above 1023"
    return f"{variable}: cannot listen on {host}:{port}: {error.strerror or error}"


def _owner(port: int) -> str:
    """Who listens there, as far as this user may see."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        for row in psutil.net_connections("tcp"):
            if row.status == psutil.CONN_LISTEN and row.laddr and row.laddr.port == port and row.pid:
                return f" by process {row.pid} ({_name(row.pid)})"
    return ""


def _name(pid: int) -> str:
    import psutil

    try:
        return " ".join(psutil.Process(pid).cmdline())[:80] or psutil.Process(pid).name()
    except psutil.Error:
        return "?"

"""Whether the web answers: one request, sent at once and looked at without waiting."""

from __future__ import annotations

import contextlib
import socket

from commands import ports

_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def answers(host: str, port: int, seconds: float = 5.0) -> bool:
    """Whether the server says anything in HTTP within `seconds`."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection((ports.reachable(host), port), timeout=seconds) as asked,
    ):
        asked.sendall(_REQUEST)
        return asked.recv(9).startswith(b"HTTP/1.")
    return False


class Answer:
    """The answer to one request. It is asked again when the connection ends without one."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (ports.reachable(host), port)
        self._socket: socket.socket | None = None

    def arrived(self) -> bool:
        """True once the server said anything in HTTP; never waits."""
        if self._socket is None:
            self._ask()
        if self._socket is None:
            return False
        try:
            start = self._socket.recv(9)
        except BlockingIOError:
            return False
        except OSError:
            start = b""
        self._socket.close()
        self._socket = None
        return start.startswith(b"HTTP/1.")

    def _ask(self) -> None:
        with contextlib.suppress(OSError):
            asked = socket.create_connection(self._address, timeout=0.5)
            asked.sendall(_REQUEST)
            asked.setblocking(False)
            self._socket = asked

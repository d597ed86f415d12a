"""The web role: granian serving the WSGI application with threads, in this one process.

granian's own front keeps a parent process of 30 MB and forks the server from it. Here the server is a thread of
the role itself, so the supervisor's signals and the kernel's reach it directly; the listening socket may come from the
supervisor, and then a restart refuses no connection: it waits in the socket's backlog.
"""

from __future__ import annotations

import gc
import os
import threading

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.net import SocketHolder
from granian.server.mt import MTServer

import config
from commands.bodies import counted

_BACKLOG = 1024
_GRACE = 16
_HEADER_MS = 15_000
_COLLECT = (20_000, 20, 20)
"""New objects between two collections, and collections of young ones between two of older ones: an answered order
leaves hardly a cycle behind, and Python's own 700 looks for some with every one."""


class Server(MTServer):
    """granian's threaded server under an interpreter with a GIL, on a socket that may be given."""

    def __init__(self, settings: config.Settings, listen: int) -> None:
        super().__init__(
            target="app",
            address=settings.flask_host_ip,
            port=settings.flask_port,
            interface=Interfaces.WSGI,
            http=HTTPModes.http1,
            loop=Loops.asyncio,
            backlog=_BACKLOG,
            backpressure=max(settings.web_threads * 4, _BACKLOG),
            blocking_threads=settings.web_threads,
            blocking_threads_idle_timeout=300,
            http1_settings=HTTP1Settings(header_read_timeout=_HEADER_MS, pipeline_flush=True),
            workers_kill_timeout=_GRACE,
            log_enabled=False,
            process_name="openalgo web",
        )
        self._listen = listen

    def _check_gil(self) -> None:
        """The worker releases the GIL while it waits, so threads serve side by side as under a process."""

    def _init_shared_socket(self) -> None:
        if self._listen < 0:
            super()._init_shared_socket()
            return
        self._shd = SocketHolder(os.dup(self._listen), False, _BACKLOG)
        self._sfd = self._listen
        self._ssp = None


def main(settings: config.Settings, listen: int = -1) -> int:
    """Serve until SIGTERM, finishing requests in flight. `listen` is a listening descriptor, -1 for none.

    What was loaded stays for ever, so the collector need not look at it while requests wait. Brokers' packages come
    a moment later: no page waits for them, and no live order should.
    """
    from app import create_app
    from services import pulse

    gc.disable()
    application = create_app(settings)
    gc.freeze()
    gc.set_threshold(*_COLLECT)
    gc.enable()
    threading.Thread(target=pulse.keep_beating, name="pulse", daemon=True).start()
    sessions = application.extensions["platform"].sessions
    threading.Thread(target=sessions.load_brokers, name="brokers", daemon=True).start()
    served = counted(application, settings.web_threads)
    Server(settings, listen).serve(target_loader=lambda: served, wrap_loader=False)
    return 0

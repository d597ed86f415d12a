"""Where the bus is and how a process gets on it: endpoints, runtime directory, sockets with their keys.

One forwarder (in the stream role) binds; everyone else connects, so endpoints never drift.
Not for what travels: ticks are `services/tick_bus.py`, bells `services/event_bus.py`.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import zmq

from services.bus_keys import DOMAIN, Gate, bus_keys

Socket = zmq.Socket[bytes]
HIGH_WATER = 100_000
_TCP = "tcp://127.0.0.1:5555"


@dataclass(frozen=True, slots=True)
class BusAddresses:
    """Endpoints of one install: `publish` and `subscribe` of the forwarder, and the two question sockets."""

    publish: str
    subscribe: str
    snapshot: str
    exchange: str

    @classmethod
    def of(cls, data_dir: Path, tcp: str = "") -> BusAddresses:
        """ipc in a short private directory; TCP ports from `tcp` on when it is given, and on Windows.

        `tcp` is `tcp://host:port`; the four endpoints take that port and the three above it.
        Raises OSError when the directory belongs to another user.
        """
        if not tcp and sys.platform != "win32":
            folder = runtime_dir(data_dir)
            return cls(*(f"ipc://{folder / name}" for name in ("pub", "sub", "snap", "exch")))
        host, _, port = (tcp or _TCP).rpartition(":")
        return cls(*(f"{host}:{int(port) + step}" for step in range(4)))


def runtime_dir(data_dir: Path) -> Path:
    """A private directory with a short path (ipc paths end at 107 bytes).

    It depends on the data directory and the user alone, not on the environment, so that every process of an
    install finds the same one. Raises OSError when somebody else owns it: sockets there would be theirs.
    """
    name = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    user = os.getuid()
    folder = Path("/tmp") / f"openalgo-{user}-{name}"  # noqa: S108
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != user or folder.is_symlink():
        raise OSError(f"{folder} belongs to another user")
    folder.chmod(0o700)
    return folder


class Bus:
    """One process's way onto the bus: its context, its role's keys and the sockets made from them.

    Sockets belong to the thread that uses them. `close` ends all of them, once their users have stopped.
    """

    def __init__(self, data_dir: Path, role: str, tcp: str = "") -> None:
        self.role = role
        self.addresses = BusAddresses.of(data_dir, tcp)
        self.keys = bus_keys(data_dir)
        self.context: zmq.Context[Socket] = zmq.Context()
        self._gate: Gate | None = None
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[Socket] = weakref.WeakSet()

    def connect(self, kind: int, endpoint: str, server: str, send: int = 1000, receive: int = 1000) -> Socket:
        """A socket that connects (and reconnects) to `endpoint`, which the role `server` binds.

        `send` and `receive` are high-water marks, 0 for none. Nothing is queued for a peer that is not there:
        a PUB then drops, other kinds say Again. (A SUB must queue: with IMMEDIATE libzmq 4.3.5 loses what was
        subscribed before the connection stood.) An XPUB thereby hears at once that all is unsubscribed when
        its peer goes.
        """
        socket = self._socket(kind, send, receive)
        own = self.keys.pair(self.role)
        socket.curve_publickey, socket.curve_secretkey = own.public, own.secret
        socket.curve_serverkey = self.keys.pair(server).public
        socket.setsockopt(zmq.IMMEDIATE, int(kind != zmq.SUB))
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 400)
        socket.connect(endpoint)
        return socket

    def bind(self, kind: int, endpoint: str, send: int = 1000, receive: int = 1000) -> Socket:
        """A socket of this role that others connect to; only holders of a bus key get in.

        Raises zmq.ZMQError when the endpoint is taken.
        """
        self._open_gate()
        socket = self._socket(kind, send, receive)
        own = self.keys.pair(self.role)
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = own.public, own.secret
        socket.zap_domain = DOMAIN
        socket.bind(endpoint)
        if endpoint.startswith("ipc://"):
            Path(endpoint.removeprefix("ipc://")).chmod(0o600)
        return socket

    def publisher(self, kind: int = zmq.PUB) -> Socket:
        """A PUB (or XPUB, to see what is wanted) towards the forwarder."""
        return self.connect(kind, self.addresses.publish, "stream", send=HIGH_WATER, receive=0)

    def subscriber(self) -> Socket:
        """A SUB from the forwarder, subscribed to nothing yet; any number of subscriptions gets through."""
        return self.connect(zmq.SUB, self.addresses.subscribe, "stream", send=0, receive=HIGH_WATER)

    def close(self) -> None:
        """Close every socket and end the context. Safe to call twice."""
        for socket in list(self._sockets):
            socket.close(linger=0)
        self.context.term()

    def end(self) -> None:
        """End the context under threads that wait on its sockets: they get ContextTerminated and close them.

        Returns when the last of them has.
        """
        self.context.term()

    def _socket(self, kind: int, send: int, receive: int) -> Socket:
        socket = self.context.socket(kind)
        socket.linger, socket.sndhwm, socket.rcvhwm = 0, send, receive
        if self.addresses.publish.startswith("tcp://"):
            socket.setsockopt(zmq.HEARTBEAT_IVL, 3000)
            socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 10_000)
        self._sockets.add(socket)
        return socket

    def _open_gate(self) -> None:
        with self._lock:
            if self._gate is None:
                self._gate = Gate(self.context, self.keys.allowed)


class BusSettings(Protocol):
    """What of the configuration says where the bus is."""

    @property
    def data_dir(self) -> Path: ...

    @property
    def bus_transport(self) -> str: ...

    @property
    def zmq_host(self) -> str: ...

    @property
    def zmq_port(self) -> int: ...


def open_bus(settings: BusSettings, role: str) -> Bus:
    """This process's Bus, as configured. `role` is one of `services.bus_keys.ROLES`."""
    tcp = f"tcp://{settings.zmq_host}:{settings.zmq_port}" if settings.bus_transport == "tcp" else ""
    return Bus(settings.data_dir, role, tcp)

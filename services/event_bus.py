"""Bells: a topic on the bus that says "look", never what there is to see. The truth is in the database.

A bell can be lost (nobody listens yet, the forwarder restarts), so whoever listens also looks now and then.
"""

from __future__ import annotations

import contextlib
import selectors
import threading
from typing import Final, Protocol

import zmq

from services.bus import Bus, Socket

KINDS: Final = ("order", "book", "job", "log", "login", "broker", "account", "alert")


def order_topic(account_id: int) -> str:
    """An order of this account changed."""
    return f"order|{account_id}|"


def book_topic(account_id: int) -> str:
    """The paper exchange has news of this account; the worker fetches it and then rings `order`."""
    return f"book|{account_id}|"


def account_topic(account_id: int) -> str:
    """An account's mode or broker login changed: sockets look again at whose feed they get."""
    return f"account|{account_id}|"


def job_topic(job_id: int | str) -> str:
    """A job's row changed."""
    return f"job|{job_id}|"


def log_topic(strategy: int | str) -> str:
    """A hosted strategy wrote to its log."""
    return f"log|{strategy}|"


def alert_topic(user_id: int) -> str:
    """A person has to be told of one of their strategies."""
    return f"alert|{user_id}|"


def login_topic(session: int | str) -> str:
    """Something a signed-in browser session must know (password changed, session ended)."""
    return f"login|{session}|"


class Bell(Protocol):
    """What services ring. `services.event_bus.EventBus` is the real one."""

    def ring(self, topic: str) -> None: ...


class EventBus:
    """Rings bells for every process. Any thread may use it; it never waits and needs no listener.

    A publisher hears of every subscription on the bus, and libzmq keeps what it hears (8 KiB a word) until the
    socket is used; a thread of its own does that, so that a process that rings nothing does not grow.
    """

    def __init__(self, bus: Bus) -> None:
        self._socket: Socket = bus.publisher()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._keep_small, name="bells", daemon=True).start()

    def ring(self, topic: str) -> None:
        with self._lock:
            self._socket.send(topic.encode(), zmq.NOBLOCK)

    def close(self) -> None:
        """The thread ends within a second."""
        with self._lock:
            self._closed.set()
            self._socket.close()

    def _keep_small(self) -> None:
        with selectors.DefaultSelector() as selector:
            with self._lock:
                if self._closed.is_set() or self._socket.closed:
                    return
                selector.register(int(self._socket.getsockopt(zmq.FD)), selectors.EVENT_READ)
            while True:
                selector.select(1.0)
                with self._lock:
                    if self._closed.is_set() or self._socket.closed:
                        return
                    self._socket.getsockopt(zmq.EVENTS)


class BellListener:
    """Hears the bells of chosen topics. One thread owns it."""

    def __init__(self, bus: Bus, *prefixes: str) -> None:
        """`prefixes` are topics, or their beginnings such as "order|"."""
        self.socket: Socket = bus.subscriber()
        for prefix in prefixes:
            self.socket.subscribe(prefix.encode())

    def wait(self, seconds: float) -> set[str]:
        """Topics rung since the last call, each once; waits until the first one, at most `seconds`."""
        if not self.socket.poll(int(seconds * 1000)):
            return set()
        rung = set()
        with contextlib.suppress(zmq.Again):
            while True:
                rung.add(self.socket.recv(zmq.NOBLOCK).partition(b"\0")[0].decode("utf-8", "replace"))
        return rung

    def close(self) -> None:
        self.socket.close()

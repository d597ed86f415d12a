"""The bus's middle: publishers meet subscribers here. The only thing on the bus that binds, apart from servers.

It runs in C, in one thread. It keeps nothing: when it dies, both sides reconnect and tell it everything again.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import zmq

from services.bus import HIGH_WATER, Bus

log = logging.getLogger(__name__)


class Forwarder:
    """Passes ticks and bells down and subscriptions up until `stop`."""

    def __init__(self, bus: Bus) -> None:
        """`bus` is the forwarder's own: `stop` ends it.

        Raises OSError (zmq.ZMQError is one) when another forwarder of this install is there.
        """
        self._bus = bus
        self._lock = _hold(bus.addresses.publish)
        self._publishers = bus.bind(zmq.XSUB, bus.addresses.publish, send=0, receive=HIGH_WATER)
        self._subscribers = bus.bind(zmq.XPUB, bus.addresses.subscribe, send=HIGH_WATER, receive=0)
        self._thread = threading.Thread(target=self._run, name="bus-forwarder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and free the endpoints."""
        self._bus.end()
        self._thread.join()
        if self._lock is not None:
            os.close(self._lock)

    def _run(self) -> None:
        try:
            zmq.proxy(self._publishers, self._subscribers)
        except zmq.ContextTerminated:
            log.info("bus forwarder ended")
        finally:
            self._publishers.close(linger=0)
            self._subscribers.close(linger=0)


def _hold(endpoint: str) -> int | None:
    """Lock an ipc endpoint: a second bind would not fail but take it over. TCP needs no lock."""
    if not endpoint.startswith("ipc://"):
        return None
    import fcntl

    path = Path(endpoint.removeprefix("ipc://")).with_suffix(".lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor

"""The bus's middle: publishers meet subscribers here. The only thing on the bus that binds, apart from servers.

It runs in C, in one thread. It keeps nothing: when it dies, both sides reconnect and tell it everything again.
"""

from __future__ import annotations

import logging
import threading

import zmq

from services.bus import HIGH_WATER, Bus

log = logging.getLogger(__name__)


class Forwarder:
    """Passes ticks and bells down and subscriptions up until `stop`."""

    def __init__(self, bus: Bus) -> None:
        """Binds both ends. Raises zmq.ZMQError when another forwarder of this install holds them."""
        self._publishers = bus.bind(zmq.XSUB, bus.addresses.publish, send=0, receive=HIGH_WATER)
        self._subscribers = bus.bind(zmq.XPUB, bus.addresses.subscribe, send=HIGH_WATER, receive=0)
        control = f"inproc://forwarder-{id(self)}"
        self._inside = bus.context.socket(zmq.PAIR)
        self._inside.bind(control)
        self._outside = bus.context.socket(zmq.PAIR)
        self._outside.connect(control)
        self._thread = threading.Thread(target=self._run, name="bus-forwarder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and free the endpoints."""
        self._outside.send(b"TERMINATE")
        self._thread.join()
        self._outside.close(linger=0)

    def _run(self) -> None:
        try:
            zmq.proxy_steerable(self._publishers, self._subscribers, None, self._inside)
        finally:
            for socket in (self._publishers, self._subscribers, self._inside):
                socket.close(linger=0)
            log.info("bus forwarder ended")

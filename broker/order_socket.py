"""Order updates that have a socket of their own, and the order book for as long as that is down.

What happened while nobody listened is read from the book as soon as the socket is back; a broker that refuses the
socket is read every few seconds instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, ClassVar

from broker import catalog
from broker.interface import Broker, BrokerSession
from broker.stream import BrokerStream, Frame
from broker.stream_line import Line
from domain.errors import BrokerError, SessionOver

log = logging.getLogger(__name__)


class OrderSocket(BrokerStream):
    """Goes before the class that knows the broker's frames; `parse` gives orders to `on_orders`.

    poll_every  seconds between looks at the order book while the socket is down
    """

    order_line = True
    poll_every: ClassVar[float] = 3.0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._client: Broker = self._connected()
        self._trouble = ""
        self._polling: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    def start(self) -> None:
        super().start()
        if self._polling is None:
            self._polling = asyncio.create_task(self._poll())

    async def renew(self, session: BrokerSession) -> None:
        await super().renew(session)
        old, self._client = self._client, self._connected()
        old.close()

    async def stop(self) -> None:
        tasks = [task for task in (self._polling, self._reading) if task is not None]
        self._polling = self._reading = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await super().stop()
        self._client.close()

    def build_welcome(self, line: Line) -> Iterable[Frame]:
        """Sends nothing: an open socket brings updates. What was missed before is read."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_book())
        return ()

    def _connected(self) -> Broker:
        return catalog.load(self.manifest.name)(self.session, self.find, self.clock)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self.poll_every)
            if self.lines[0].state != "up":
                await self._read_book()

    async def _read_book(self) -> None:
        try:
            book = await asyncio.to_thread(self._client.fetch_orders)
        except (BrokerError, SessionOver) as error:
            if str(error) != self._trouble:
                log.warning("feed=%s order book not read: %s", self.feed, error)
            self._trouble = str(error)
            return
        self._trouble = ""
        if book:
            self.on_orders(book)

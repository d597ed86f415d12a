"""Order news of a feed on its way into the store: in the order in which it came, and again soon when it was not stored.

What cannot be stored is tried again with longer pauses. News that fails alone for all of them is given up with an
error, and the look at the account, each minute, is its net. The rest goes on meanwhile: what is stored late is not
taken for newer than it is (`services/order_updates.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from domain.model import Order

log = logging.getLogger(__name__)

GATHER: Final = 0.02
"""Seconds that news is gathered: the first is usually of an order whose own answer is just being written."""
PAUSES: Final = (0.25, 0.5, 1.0, 2.0, 4.0, *(5.0,) * 10)
"""Seconds between the tries of one piece of news, a minute in all; what comes meanwhile waits for the next."""
MOST: Final = 2_000
"""News that waits; above it the oldest is let go."""


class OrderNews:
    """Of one feed, on the loop that calls `add`."""

    def __init__(
        self,
        feed: str,
        store: Callable[[Sequence[Order]], Awaitable[None]],
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        """`store` raises for what it did not keep; nothing of it is kept then."""
        self._feed = feed
        self._store = store
        self._pauses = pauses
        self._waiting: list[Order] = []
        self._busy = False

    async def add(self, orders: Sequence[Order]) -> None:
        """Store these after all that came before; returns once nothing waits, or at once while another call stores."""
        self._waiting.extend(orders)
        self._keep_to_most()
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                await asyncio.sleep(GATHER)
                await self._store_all()
        finally:
            self._busy = False

    async def _store_all(self) -> None:
        """Store what waits in one commit; where that fails the first alone and the rest alone, so that one bad piece
        holds up no other: it is tried again with what has come since."""
        news = self._take()
        if await self._stored(news):
            return
        for pause in self._pauses:
            if len(news) > 1 and await self._stored(news[:1]):
                self._put_back(news[1:])
                return
            if len(news) > 1 and await self._stored(news[1:]):
                news = news[:1]
            await asyncio.sleep(pause)
            news += self._take()
            if await self._stored(news):
                return
        log.error("order news given up feed=%s order=%s", self._feed, news[0])
        self._put_back(news[1:])

    def _take(self) -> list[Order]:
        news, self._waiting = self._waiting, []
        return news

    async def _stored(self, news: Sequence[Order]) -> bool:
        try:
            await self._store(news)
        except Exception:
            log.exception("order news not stored, it is tried again feed=%s pieces=%s", self._feed, len(news))
            return False
        return True

    def _put_back(self, news: Sequence[Order]) -> None:
        self._waiting = [*news, *self._waiting]
        self._keep_to_most()

    def _keep_to_most(self) -> None:
        if len(self._waiting) > MOST:
            log.error("order news let go feed=%s pieces=%s", self._feed, len(self._waiting) - MOST)
            del self._waiting[:-MOST]

"""Order events to sockets: read from the database by (account, seq), so that none is ever missed.

A bell says that an account has news; a look every few seconds covers a lost bell. Events are encoded once for all
sockets of an account. One account's reading is serialised, so that every socket sees its events in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, Protocol, TypeVar

from domain.model import OrderEvent
from websocket_proxy import messages
from websocket_proxy.client import Client

log = logging.getLogger(__name__)

T = TypeVar("T")

PAGE: Final = 500


class OrderEvents(Protocol):
    """Where events are read; both methods block."""

    def since(self, account_id: int, seq: int, limit: int = 500) -> list[OrderEvent]:
        """Events numbered above `seq`, in order, at most `limit`."""
        ...

    def last_seq(self, account_id: int) -> int: ...


class _Desk:
    """One account's readers."""

    def __init__(self) -> None:
        self.seq = 0
        self.lock = asyncio.Lock()
        self.clients: set[Client] = set()
        self.rung = False


class OrderDesks:
    """Who gets which account's order events."""

    def __init__(self, events: OrderEvents, threads: Executor) -> None:
        self._events = events
        self._threads = threads
        self._desks: dict[int, _Desk] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def takes(self, client: Client) -> bool:
        return any(client in desk.clients for desk in self._desks.values())

    async def subscribe(
        self,
        client: Client,
        account_id: int,
        user: str,
        resume_from: int | None,
        answer: Callable[[int], None],
    ) -> None:
        """Send every event after `resume_from` (None: from now on). `answer(seq)` is called first."""
        desk = self._desks.setdefault(account_id, _Desk())
        last = await self._run(self._events.last_seq, account_id)
        answer(last)
        seq = last if resume_from is None else min(resume_from, last)
        while seq < last and not client.closing:
            seq = await self._replay(client, account_id, user, seq, last)
            await client.room()
        async with desk.lock:
            if desk.clients:
                await self._catch_up(account_id, desk)
            else:
                desk.seq = seq
            while seq < desk.seq and not client.closing:
                seq = await self._replay(client, account_id, user, seq, desk.seq)
            if not client.closing:
                desk.clients.add(client)
        self.ring(account_id)

    def drop(self, client: Client) -> None:
        """No more events for this socket."""
        for account_id, desk in list(self._desks.items()):
            desk.clients.discard(client)
            if not desk.clients and not desk.lock.locked():
                del self._desks[account_id]

    def ring(self, account_id: int) -> None:
        """Something may be new for this account."""
        desk = self._desks.get(account_id)
        if desk is None or desk.rung or not desk.clients:
            return
        desk.rung = True
        task = asyncio.get_running_loop().create_task(self._deliver(account_id, desk))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def look(self) -> None:
        """Ring for everybody: bells can be lost."""
        for account_id in list(self._desks):
            self.ring(account_id)

    async def _deliver(self, account_id: int, desk: _Desk) -> None:
        try:
            async with desk.lock:
                desk.rung = False
                await self._catch_up(account_id, desk)
        except Exception:
            desk.rung = False
            log.exception("order events of account %s could not be read", account_id)

    async def _catch_up(self, account_id: int, desk: _Desk) -> None:
        """Send everybody what is new. The desk's lock is held."""
        while True:
            events = await self._run(self._events.since, account_id, desk.seq, PAGE)
            for event in events:
                self._tell(desk, event)
            if len(events) < PAGE:
                return

    def _tell(self, desk: _Desk, event: OrderEvent) -> None:
        desk.seq = event.seq
        encoded: dict[str, bytes] = {}
        for client in list(desk.clients):
            user = client.identity.user if client.identity else ""
            if user not in encoded:
                encoded[user] = messages.order_update(event, user)
            client.send(encoded[user])

    async def _replay(self, client: Client, account_id: int, user: str, seq: int, last: int) -> int:
        """Send one page of the events after `seq` up to `last`; the number reached."""
        events = await self._run(self._events.since, account_id, seq, min(PAGE, last - seq))
        for event in events:
            client.send(messages.order_update(event, user))
        return events[-1].seq if events else last

    async def _run(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

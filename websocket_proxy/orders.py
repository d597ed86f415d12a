"""Order events to sockets: read from the database by (account, seq), so that none is ever missed.

A bell says that an account has news; a look every few seconds covers a lost bell. Events are encoded once for all
sockets of an account that keep up. One that does not is left behind and catches up by itself, page by page as it
reads, so that nothing is dropped and nothing piles up; a socket that takes nothing at all is closed by the server.
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

PAGE: Final = 200


class OrderEvents(Protocol):
    """Where events are read; both methods block."""

    def since(self, account_id: int, seq: int, limit: int = 500) -> list[OrderEvent]:
        """Events numbered above `seq`, in order, at most `limit`."""
        ...

    def last_seq(self, account_id: int) -> int: ...


class _Desk:
    """One account's readers that are all at `seq`. The lock is held while events are read for them."""

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
        self._behind: dict[Client, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def subscribe(
        self, client: Client, account_id: int, resume_from: int | None, answer: Callable[[int], None]
    ) -> None:
        """Send every event after `resume_from` (None: from now on). `answer(last seq)` is called first."""
        last = await self._run(self._events.last_seq, account_id)
        answer(last)
        if not client.closing:
            self._follow(client, account_id, last if resume_from is None else min(resume_from, last))

    def drop(self, client: Client) -> None:
        """No more events for this socket."""
        task = self._behind.pop(client, None)
        if task is not None:
            task.cancel()
        for desk in self._desks.values():
            desk.clients.discard(client)

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
        """Ring for everybody (bells can be lost) and forget accounts that nobody follows."""
        for account_id, desk in list(self._desks.items()):
            if not desk.clients and not desk.lock.locked():
                del self._desks[account_id]
            else:
                self.ring(account_id)

    # -- those who keep up
    async def _deliver(self, account_id: int, desk: _Desk) -> None:
        try:
            async with desk.lock:
                desk.rung = False
                await self._catch_up(account_id, desk)
        except Exception:
            desk.rung = False
            log.exception("order events of account %s could not be read", account_id)

    async def _catch_up(self, account_id: int, desk: _Desk) -> None:
        """Send everybody at the desk what is new. Its lock is held."""
        while desk.clients:
            events = await self._run(self._events.since, account_id, desk.seq, PAGE)
            for event in events:
                self._tell(account_id, desk, event)
            if len(events) < PAGE:
                return

    def _tell(self, account_id: int, desk: _Desk, event: OrderEvent) -> None:
        encoded: dict[str, bytes] = {}
        for client in list(desk.clients):
            if client.paused_at:
                desk.clients.discard(client)
                self._follow(client, account_id, desk.seq)
                continue
            user = _user(client)
            if user not in encoded:
                encoded[user] = messages.order_update(event, user)
            client.send(encoded[user])
        desk.seq = event.seq

    # -- those who are behind
    def _follow(self, client: Client, account_id: int, seq: int) -> None:
        task = asyncio.get_running_loop().create_task(self._replay(client, account_id, seq))
        self._behind[client] = task
        task.add_done_callback(lambda done: self._followed(client, done))

    def _followed(self, client: Client, task: asyncio.Task[None]) -> None:
        if self._behind.get(client) is task:
            del self._behind[client]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("order events could not be replayed", exc_info=error)
            client.close(1011, "order updates could not be read")

    async def _replay(self, client: Client, account_id: int, seq: int) -> None:
        """Send what comes after `seq` as the client reads it, then join those who keep up."""
        last = await self._run(self._events.last_seq, account_id)
        while seq < last:
            seq = await self._send_page(client, account_id, seq, last)
            if seq >= last:
                last = await self._run(self._events.last_seq, account_id)
        await client.room()
        desk = self._desks.setdefault(account_id, _Desk())
        async with desk.lock:
            if desk.clients:
                await self._catch_up(account_id, desk)
            else:
                desk.seq = seq
            while seq < desk.seq:
                seq = await self._send_page(client, account_id, seq, desk.seq)
            if not client.closing:
                desk.clients.add(client)
        self.ring(account_id)

    async def _send_page(self, client: Client, account_id: int, seq: int, last: int) -> int:
        """One page of the events after `seq` up to `last`, when the client has room; the number reached."""
        await client.room()
        events = await self._run(self._events.since, account_id, seq, min(PAGE, last - seq))
        user = _user(client)
        for event in events:
            client.send(messages.order_update(event, user))
        return events[-1].seq if events else last

    async def _run(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)


def _user(client: Client) -> str:
    return client.identity.user if client.identity else ""

"""The public socket server: who gets in, who must leave, where bells go. Verbs and the hot path stand apart."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from picows import (
    WSListener,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from services.bus import Bus
from services.snapshot import StreamStats
from websocket_proxy import messages
from websocket_proxy.access import Identity
from websocket_proxy.client import LARGEST_MESSAGE, SEND_BUFFER, Client
from websocket_proxy.fanout import Fanout
from websocket_proxy.limits import Limits
from websocket_proxy.messages import Problem
from websocket_proxy.orders import OrderDesks
from websocket_proxy.parts import Banned, Parts
from websocket_proxy.snapshot import SnapshotServer
from websocket_proxy.states import FeedStates
from websocket_proxy.verbs import Verbs, Wants

log = logging.getLogger(__name__)

_SWEEP: Final = 0.25
_LAG: Final = 0.5
_TELL: Final = 0.1
_LOOK: Final = 2.0
_FORGET: Final = 60.0
_BANS: Final = 1.0
_BANNED: Final = (4403, "this address is not served")
_GOODBYE: Final = 1.0


class Server:
    """One stream role's door. Made on the loop it runs on."""

    def __init__(self, bus: Bus, parts: Parts, limits: Limits = Limits()) -> None:
        self._parts = parts
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self.clients: set[Client] = set()
        self.waiting: set[Client] = set()
        self.closes: Counter[int] = Counter()
        self._accounts: dict[int, set[Client]] = {}
        self._pending: dict[Client, set[tuple[str, str]]] = {}
        self.states = FeedStates(self.now, self._feed_changed)
        self.fanout = Fanout(bus, self._bell, self.now)
        self.desks = OrderDesks(parts.events, parts.threads)
        self.snapshots = SnapshotServer(bus, self.fanout, self.states.is_live, self.now, self.stats)
        self._verbs = Verbs(
            Wants(
                access=parts.access,
                known=parts.known,
                admit=self._admit,
                brokers=parts.brokers,
                fanout=self.fanout,
                desks=self.desks,
                states=self.states,
                limits=limits,
                threads=parts.threads,
            )
        )
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._looking: set[asyncio.Task[None]] = set()
        self.handle = self._verbs.handle
        self.stalled = self.fanout.stalled

    # -- life
    async def start(self, host: str, port: int) -> None:
        """Listen. Raises OSError when the port stays taken for two seconds, DatabaseError when bans cannot be read."""
        await self._loop.run_in_executor(self._parts.threads, self._parts.banned.look)
        for attempt in range(8):
            try:
                self._server = await ws_create_server(
                    self._arrive,
                    host,
                    port,
                    max_frame_size=LARGEST_MESSAGE,
                    disconnect_on_exception=False,
                    websocket_handshake_timeout=5,
                    read_buffer_init_size=4096,
                    reuse_address=True,
                )
                break
            except OSError:
                if attempt == 7:
                    raise
                await asyncio.sleep(0.25)
        for every, work in (
            (_SWEEP, self._sweep),
            (_TELL, self._tell),
            (_LOOK, self.desks.look),
            (_FORGET, self.snapshots.forget_old),
        ):
            self._tasks.append(self._loop.create_task(self._repeat(every, work)))
        self._tasks.append(self._loop.create_task(self._recheck_forever()))
        self._tasks.append(self._loop.create_task(self._shut_out_forever()))

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Send everybody away (1001) and free the port."""
        for task in self._tasks:
            task.cancel()
        if self._server is not None:
            self._server.close()
        for client in list(self.clients):
            client.close(1001, "server shutdown")
        await asyncio.sleep(_GOODBYE if self.clients else 0)
        self.fanout.stop()
        self.snapshots.stop()

    async def _repeat(self, every: float, work: Callable[[], None]) -> None:
        while True:
            due = self.now() + every
            await asyncio.sleep(every)
            if work == self._sweep and self.now() - due > _LAG:
                log.warning("the stream loop stood still for %.0f ms", (self.now() - due) * 1000)
            try:
                work()
            except Exception:
                log.exception("a round of %s failed", work.__name__)

    # -- arrivals and departures
    def _arrive(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        headers = request.headers
        if "upgrade" not in headers:
            if request.path == b"/health":
                return _answer(WSUpgradeResponse.create_ok_response(b"ok"))
            return _refusal(426, b"a WebSocket is spoken here")
        origin = headers.get("origin")
        if origin is not None and not self._parts.origins.may(origin, headers.get("host", "")):
            log.info("refused origin=%.100r", origin)
            return _refusal(403, b"this origin is not allowed")
        full = len(self.clients) >= self._limits.connections or len(self.waiting) >= self._limits.waiting
        return _refusal(503, b"too many connections") if full else Client(self, "")

    def joined(self, client: Client) -> None:
        transport = client.transport
        raw = transport.underlying_transport
        raw.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        peer = raw.get_extra_info("peername")
        client.address = self._parts.address(str(peer[0]) if peer else "", transport.request.headers)
        if self._parts.banned.covers(client.address):
            client.close(*_BANNED)
            return
        client.ping_at = self.now() + self._limits.ping_every
        self.clients.add(client)
        self.waiting.add(client)

    def closed(self, code: int) -> None:
        """A socket was closed by us, with this code."""
        self.closes[code] += 1

    def stats(self) -> StreamStats:
        """What `/metrics` tells of this role."""
        return StreamStats(
            clients=len(self.clients),
            unauthenticated=len(self.waiting),
            slow=len(self.fanout.slow),
            topics=len(self.fanout.subscriptions),
            bus_messages=self.fanout.heard,
            frames=self.fanout.frames,
            stalls=self.fanout.stalls,
            closes=dict(self.closes),
            feeds=self.states.words(),
        )

    def left(self, client: Client) -> None:
        self.clients.discard(client)
        self.waiting.discard(client)
        self._pending.pop(client, None)
        self._leave_account(client)
        self._verbs.forget(client)

    def _admit(self, client: Client, identity: Identity) -> None:
        members = self._accounts.setdefault(identity.account_id, set())
        if client not in members and len(members) >= self._limits.per_account:
            client.send(messages.error("LIMIT_EXCEEDED", "Too many connections for this account"))
            client.close(1013, "too many connections")
            raise Problem("LIMIT_EXCEEDED", "Too many connections for this account")
        self._leave_account(client)
        self._accounts.setdefault(identity.account_id, set()).add(client)
        self.waiting.discard(client)

    def _leave_account(self, client: Client) -> None:
        identity = client.identity
        members = self._accounts.get(identity.account_id) if identity else None
        if identity is not None and members is not None:
            members.discard(client)
            if not members:
                del self._accounts[identity.account_id]

    # -- rounds
    def _sweep(self) -> None:
        """Grace, pings, pongs and stalls of every socket, in one pass."""
        now, limits = self.now(), self._limits
        for client in list(self.clients):
            if client.identity is None and now - client.since > limits.grace:
                client.close(4401, "auth timeout")
            elif client.pong_by and now > client.pong_by:
                client.close(1011, "keepalive ping timeout")
            elif client.paused_at and now - client.paused_at > limits.stalled:
                log.info("closed a socket that takes nothing address=%s", client.address)
                client.close(1013, "messages were not read")
            elif now > client.ping_at:
                client.ping_at = now + limits.ping_every
                client.pong_by = client.pong_by or now + limits.ping_every
                client.ping()
        self.states.look()

    async def _recheck_forever(self) -> None:
        while True:
            await asyncio.sleep(self._limits.recheck)
            try:
                await self.recheck(self.clients)
            except Exception:
                log.exception("credentials could not be looked at again")

    async def _shut_out_forever(self) -> None:
        """Hear of bans: the list is read in a thread, and when it changed, who is here is held against it there."""
        banned, threads = self._parts.banned, self._parts.threads
        while True:
            await asyncio.sleep(_BANS)
            try:
                if await self._loop.run_in_executor(threads, banned.look):
                    here = {client.address for client in self.clients}
                    out = await self._loop.run_in_executor(threads, _covered, banned, here)
                    for client in [client for client in self.clients if client.address in out]:
                        client.close(*_BANNED)
            except Exception:
                log.exception("bans could not be read; those of the last look hold")

    async def recheck(self, clients: Iterable[Client]) -> None:
        """Close sockets whose key or session no longer holds; move those whose account has another feed now."""
        known = {(c.identity, c.address) for c in clients if c.identity is not None}
        again = self._parts.access.again
        found = await self._loop.run_in_executor(
            self._parts.threads, lambda: {pair: again(*pair) for pair in known}
        )
        for client in list(self.clients):
            identity = client.identity
            if identity is None or (identity, client.address) not in found:
                continue
            present = found[(identity, client.address)]
            if present is None:
                client.close(4401, "credentials no longer hold")
            elif present != identity:
                self._verbs.rebind(client, present)

    def _tell(self) -> None:
        """What changed since the last round, once each, to the pages that want to know."""
        for client in [client for client in self._pending if not client.paused_at]:
            for what, which in sorted(self._pending.pop(client)):
                client.send(messages.changed(what, which))

    # -- bells
    def _bell(self, topic: bytes, payload: bytes) -> None:
        kind, _, rest = topic.decode("utf-8", "replace").partition("|")
        which = rest.removesuffix("|")
        if kind == "broker":
            self.states.hear(payload)
        elif kind in ("order", "account") and which.isascii() and which.isdigit():
            self._account_bell(kind, int(which))
        elif kind == "alert":
            for client in self.clients:
                identity = client.identity
                if identity is not None and identity.is_page and str(identity.user_id) == which:
                    self._pending.setdefault(client, set()).add((kind, ""))
        else:
            for client in self.clients:
                if f"{kind}|{which}|" in client.watched:
                    self._pending.setdefault(client, set()).add((kind, which))

    def _account_bell(self, kind: str, account_id: int) -> None:
        members = self._accounts.get(account_id, ())
        if kind == "order":
            self.desks.ring(account_id)
        elif members:
            task = self._loop.create_task(self.recheck(list(members)))
            self._looking.add(task)
            task.add_done_callback(self._looked)
        for client in members:
            if "changed" in client.opted:
                self._pending.setdefault(client, set()).add(("orders" if kind == "order" else "account", ""))

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looking.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("credentials could not be looked at again: %r", error)

    def _feed_changed(self, feed: str) -> None:
        for client in self.clients:
            identity = client.identity
            if identity is None or identity.feed != feed:
                continue
            if "feed_status" in client.opted:
                client.send(self.states.frame(identity))
            if "changed" in client.opted:
                self._pending.setdefault(client, set()).add(("broker", ""))


def _answer(response: WSUpgradeResponse) -> WSUpgradeResponseWithListener:
    return WSUpgradeResponseWithListener(response, None)


def _refusal(status: int, words: bytes) -> WSUpgradeResponseWithListener:
    return _answer(WSUpgradeResponse.create_error_response(status, words))


def _covered(banned: Banned, addresses: set[str]) -> set[str]:
    return set(filter(banned.covers, addresses))

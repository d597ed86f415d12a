"""What a client may ask, one function a verb. Shapes are `messages.py`'s, the hot path is `fanout.py`'s."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

import orjson

from domain.errors import PlatformError, Unauthorized
from domain.model import StreamMode
from services.tick_bus import LINGER, Topic
from websocket_proxy import messages
from websocket_proxy.access import Access, Identity, NoBroker
from websocket_proxy.client import Client
from websocket_proxy.fanout import Fanout
from websocket_proxy.limits import Limits
from websocket_proxy.messages import Entry, Message, Problem
from websocket_proxy.orders import OrderDesks
from websocket_proxy.states import FeedStates
from websocket_proxy.subscriptions import Encoding, Outlet

log = logging.getLogger(__name__)

EXTENSIONS: Final = ("batch", "msgpack", "changed", "feed_status")
WATCHABLE: Final = ("job|", "log|", "login|")
_SLICE: Final = 500
_LONGEST_CREDENTIAL: Final = 512
_NEWER_WITHIN: Final = 0.25

Verb = Callable[[Client, Message], Awaitable[None]]
Known = Callable[[str, Sequence[tuple[str, str]]], Sequence[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """What the verbs need of the rest of the server.

    known(broker, [(exchange, symbol)])  whether each is in that broker's master; blocks, so it runs in `threads`
    admit(client, identity)              counts the socket for its account; raises Problem when there are too many
    """

    access: Access
    known: Known
    admit: Callable[[Client, Identity], None]
    brokers: Sequence[str]
    fanout: Fanout
    desks: OrderDesks
    states: FeedStates
    limits: Limits
    threads: Executor


class Verbs:
    """Answers clients' messages."""

    def __init__(self, wants: Wants) -> None:
        self._its = wants
        self._verbs: Mapping[str, Verb] = {
            "authenticate": self.authenticate,
            "auth": self.authenticate,
            "subscribe": self.subscribe,
            "unsubscribe": self.unsubscribe,
            "unsubscribe_all": self.unsubscribe_all,
            "subscribe_orders": self.subscribe_orders,
            "unsubscribe_orders": self.unsubscribe_orders,
            "get_broker_info": self.get_broker_info,
            "get_supported_brokers": self.get_supported_brokers,
            "ping": self.ping,
            "watch": self.watch,
        }

    async def handle(self, client: Client, raw: bytes) -> None:
        """Answer one message. Whatever it holds, the socket and its neighbours go on."""
        try:
            message = messages.parse(raw)
            word = messages.verb(message)
            verb = self._verbs.get(word)
            if verb is None:
                raise Problem("INVALID_ACTION", f"Invalid action: {word:.64}")
            await verb(client, message)
        except Problem as problem:
            client.send(messages.error(problem.code, problem.message))
        except PlatformError as error:
            client.send(messages.error("PROCESSING_ERROR", str(error)))
        except orjson.JSONEncodeError:
            client.send(messages.error("PROCESSING_ERROR", "The message cannot be answered as it stands"))
        except Exception:
            now = time.monotonic()
            if now - client.logged_at >= 1:
                client.logged_at = now
                log.exception("a message could not be handled address=%s", client.address)
            client.send(messages.error("SERVER_ERROR", "The message could not be handled"))

    # -- who
    async def authenticate(self, client: Client, message: Message) -> None:
        identity = await self._identify(client, message)
        client.attempts = 0
        if client.identity is not None:
            self.forget(client)
        self._its.admit(client, identity)
        client.identity = identity
        opted = _opted(message)
        client.opted = frozenset(name for name, on in opted.items() if on)
        client.encoding = Encoding(("batch" in client.opted) + 2 * ("msgpack" in client.opted))
        self._its.fanout.add(client)
        features = {name: name in identity.modes for name in ("ltp", "quote", "depth")}
        client.send(messages.authenticated(identity.broker, identity.user, features, opted))
        if "feed_status" in client.opted:
            client.send(self._its.states.frame(identity))

    async def _identify(self, client: Client, message: Message) -> Identity:
        ticket = message.get("ticket")
        given = ticket or message.get("api_key") or message.get("apikey")
        if not given:
            raise self._denied(client, "API key is required")
        if not isinstance(given, str) or len(given) > _LONGEST_CREDENTIAL:
            raise self._denied(client, "Invalid API key")
        ask = self._its.access.by_ticket if ticket else self._its.access.by_key
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._its.threads, ask, given, client.address)
        except Unauthorized as error:
            raise self._denied(client, "Invalid ticket" if ticket else "Invalid API key") from error
        except NoBroker as error:
            raise Problem("BROKER_ERROR", "No broker configuration found for user") from error

    def _denied(self, client: Client, words: str) -> Problem:
        client.attempts += 1
        if client.attempts >= self._its.limits.attempts:
            client.send(messages.error("AUTHENTICATION_ERROR", words))
            client.close(4401, "too many attempts")
        return Problem("AUTHENTICATION_ERROR", words)

    def forget(self, client: Client) -> None:
        """Take back everything a socket was given: another identity follows, or none."""
        self._its.desks.drop(client)
        self._its.fanout.remove(client)
        client.watched.clear()

    # -- prices
    async def subscribe(self, client: Client, message: Message) -> None:
        identity = _identity(client)
        default = _mode(message, StreamMode.QUOTE)
        listed = self._listed(message, "At least one symbol must be specified")
        depth = message.get("depth")
        asked = depth if isinstance(depth, int) and not isinstance(depth, bool) and depth > 0 else 5
        known = await self._known(identity, listed)
        results: list[Message] = []
        joined: list[Outlet] = []
        for number, (entry, is_known) in enumerate(zip(listed, known, strict=True)):
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            mode = entry.mode or default
            fault = self._fault(client, identity, entry, mode, is_known)
            result: Message = {"symbol": entry.symbol, "exchange": entry.exchange}
            if fault:
                results.append({**result, "status": "error", "message": fault, "broker": identity.broker})
                continue
            joined.append(self._join(client, identity, entry, mode))
            told = _levels(entry.symbol, asked, identity.levels) if mode is StreamMode.DEPTH else asked
            result |= {"status": "success", "mode": mode.label, "depth": told, "broker": identity.broker}
            results.append(result)
        client.send(messages.subscribed(results, identity.broker, message))
        self._snapshot(client, joined)

    async def unsubscribe(self, client: Client, message: Message) -> None:
        identity = _identity(client)
        if message.get("unsubscribe_all") is True:
            await self.unsubscribe_all(client, message)
            return
        listed = self._listed(message, "Either symbols or unsubscribe_all is required")
        named = "mode" in message and message["mode"] is not None
        default = _mode(message, StreamMode.QUOTE)
        successful: list[Message] = []
        failed: list[Message] = []
        for entry in listed:
            result: Message = {"symbol": entry.symbol, "exchange": entry.exchange}
            if entry.fault:
                failed.append(
                    {**result, "status": "error", "message": entry.fault, "broker": identity.broker}
                )
                continue
            modes = [entry.mode or default]
            if entry.mode is None and not named and (entry.symbol, entry.exchange, 2) not in client.held:
                modes = list(StreamMode)
            for mode in modes:
                self._leave(client, (entry.symbol, entry.exchange, mode))
            successful.append({**result, "status": "success", "broker": identity.broker})
        client.send(messages.unsubscribed(successful, failed, identity.broker, message))

    async def unsubscribe_all(self, client: Client, message: Message) -> None:
        identity = _identity(client)
        names = dict.fromkeys((symbol, exchange) for symbol, exchange, _ in client.held)
        for key in list(client.held):
            self._leave(client, key)
        gone = [
            {"symbol": symbol, "exchange": exchange, "status": "success", "broker": identity.broker}
            for symbol, exchange in names
        ]
        client.send(messages.unsubscribed(gone, [], identity.broker, message))

    def rebind(self, client: Client, identity: Identity) -> None:
        """The account's feed is another one now: hold the same instruments there."""
        held = list(client.held)
        for key in held:
            self._leave(client, key)
        client.identity = identity
        joined = [
            self._join(client, identity, Entry(symbol, exchange, None), StreamMode(mode))
            for symbol, exchange, mode in held
        ]
        self._snapshot(client, joined)

    def _listed(self, message: Message, words: str) -> list[Entry]:
        listed = messages.entries(message)
        if not listed:
            raise Problem("INVALID_PARAMETERS", words)
        if len(listed) > self._its.limits.per_message:
            raise Problem("LIMIT_EXCEEDED", f"At most {self._its.limits.per_message} symbols per message")
        return listed

    async def _known(self, identity: Identity, listed: list[Entry]) -> Sequence[bool]:
        pairs = [(entry.exchange, _plain(entry.symbol)) for entry in listed]
        loop = asyncio.get_running_loop()
        broker = identity.feed.partition(":")[0]
        return await loop.run_in_executor(self._its.threads, self._its.known, broker, pairs)

    def _fault(
        self, client: Client, identity: Identity, entry: Entry, mode: StreamMode, is_known: bool
    ) -> str:
        """Why this instrument cannot be subscribed, "" when it can."""
        limits = self._its.limits
        if entry.fault:
            return entry.fault
        if not is_known:
            return f"Symbol '{entry.symbol:.64}' not found on exchange '{entry.exchange:.16}'"
        if mode.name.lower() not in identity.modes:
            return f"{mode.label} is not offered by {identity.broker}"
        if (entry.symbol, entry.exchange, int(mode)) in client.held:
            return ""
        if len(client.held) >= limits.subscriptions:
            return f"Maximum capacity reached: {limits.subscriptions} subscriptions per connection"
        if len(self._its.fanout.subscriptions) >= limits.topics:
            return "Maximum capacity reached: the server holds no more symbols"
        return ""

    def _join(self, client: Client, identity: Identity, entry: Entry, mode: StreamMode) -> Outlet:
        key = (entry.symbol, entry.exchange, int(mode))
        outlet = client.held.get(key)
        if outlet is None:
            topic = Topic(identity.feed, int(mode), entry.exchange, _plain(entry.symbol))
            join = self._its.fanout.subscriptions.join
            outlet = client.held[key] = join(client, topic, entry.symbol, identity.broker, client.encoding)
        return outlet

    def _leave(self, client: Client, key: tuple[str, str, int]) -> None:
        outlet = client.held.pop(key, None)
        if outlet is not None:
            self._its.fanout.subscriptions.leave(client, outlet)

    def _snapshot(self, client: Client, outlets: list[Outlet]) -> None:
        """Send what is already known, so that nobody waits for the next trade.

        A value older than the feeds' linger may be of a topic nobody wanted since. Then its feed, which hears of
        us now, sends a newer one at once; only when it does not (others held the topic all along) the old one is
        current.
        """
        identity = client.identity
        if client.closing or identity is None or not self._its.states.is_live(identity.feed):
            return
        last, now = self._its.fanout.last, client.host.now()
        old = []
        for outlet in outlets:
            at, data = last.get(outlet.raw, (0.0, b""))
            if not outlet.data and now - at > LINGER:
                old.append(outlet)
                continue
            outlet.data = outlet.data or data
            client.mark(outlet, None)
        if client.dirty and not client.slow:
            client.drain()
        if old:
            asyncio.get_running_loop().call_later(_NEWER_WITHIN, self._snapshot_old, client, old)

    def _snapshot_old(self, client: Client, outlets: list[Outlet]) -> None:
        held = set(client.held.values())
        for outlet in outlets:
            if outlet in held and not outlet.data and outlet.raw in self._its.fanout.last:
                outlet.data = self._its.fanout.last[outlet.raw][1]
                client.mark(outlet, None)
        if client.dirty and not client.slow and not client.closing:
            client.drain()

    # -- orders
    async def subscribe_orders(self, client: Client, message: Message) -> None:
        identity = _identity(client)
        resume = message.get("resume_from")
        known = isinstance(resume, int) and not isinstance(resume, bool) and resume >= 0
        self._its.desks.drop(client)

        def answer(seq: int) -> None:
            extra = {"seq": seq} if known else {}
            words = "Subscribed to order updates"
            client.send(messages.orders_answer("subscribe_orders", words, message, **extra))

        await self._its.desks.subscribe(client, identity.account_id, resume if known else None, answer)

    async def unsubscribe_orders(self, client: Client, message: Message) -> None:
        _identity(client)
        self._its.desks.drop(client)
        words = "Unsubscribed from order updates"
        client.send(messages.orders_answer("unsubscribe_orders", words, message))

    # -- the rest
    async def get_broker_info(self, client: Client, message: Message) -> None:
        identity = _identity(client)
        state = self._its.states.word(identity)
        client.send(messages.broker_info(identity.broker, state, identity.user))

    async def get_supported_brokers(self, client: Client, message: Message) -> None:
        client.send(messages.supported_brokers(self._its.brokers))

    async def ping(self, client: Client, message: Message) -> None:
        client.send(messages.pong(int(time.time() * 1000), message))

    async def watch(self, client: Client, message: Message) -> None:
        """Extension for pages: hear the bells of jobs, logs and logins. The list replaces the one before."""
        identity = _identity(client)
        topics = message.get("topics")
        if not identity.is_page or not isinstance(topics, list):
            raise Problem("INVALID_PARAMETERS", "topics of a page are required")
        heard = [topic for topic in topics if isinstance(topic, str) and topic.startswith(WATCHABLE)]
        client.watched = set(heard[: self._its.limits.watched])
        client.send(messages.watching(sorted(client.watched), message))


def _identity(client: Client) -> Identity:
    if client.identity is None:
        raise Problem("NOT_AUTHENTICATED", "You must authenticate first")
    return client.identity


def _mode(message: Message, default: StreamMode) -> StreamMode:
    if "mode" not in message or message["mode"] is None:
        return default
    mode = messages.mode_of(message["mode"])
    if mode is None:
        raise Problem("INVALID_MODE", messages.MODE_WORDS)
    return mode


def _opted(message: Message) -> dict[str, bool]:
    """The extensions a client asked for: `features`, and `encoding` as its own field."""
    asked = message.get("features")
    opted = (
        {name: asked[name] is True for name in EXTENSIONS if name in asked} if isinstance(asked, dict) else {}
    )
    return opted | {"msgpack": True} if message.get("encoding") == "msgpack" else opted


def _plain(symbol: str) -> str:
    """The instrument of a symbol that carries a depth level (`RELIANCE:50`)."""
    name, colon, levels = symbol.rpartition(":")
    return name if colon and levels.isascii() and levels.isdigit() else symbol


def _levels(symbol: str, asked: int, offered: int) -> int:
    """Depth levels the client will get: those it asked for, at most those there are."""
    suffix = symbol.rpartition(":")[2]
    if suffix != symbol and suffix.isascii() and suffix.isdigit() and len(suffix) <= 3:
        asked = int(suffix)
    return min(asked, offered) if asked >= 5 else min(5, offered)

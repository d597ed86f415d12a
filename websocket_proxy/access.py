"""Who may use a socket, and whose prices they see. Asked in a thread: looking a key up is a database read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from domain.errors import NotFound, Unauthorized
from domain.model import Mode
from services.accounts import Account, Accounts, Caller
from services.sessions import Sessions
from services.tickets import Tickets


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a socket belongs to.

    broker    as clients are told
    feed      whose ticks it gets (bus topics); a simulated feed never serves a live account
    modes     of "ltp", "quote", "depth": what the feed offers
    levels    depth levels of the feed
    proof     what `Access.again` looks again with: the key, or the browser session's hash. A secret.
    is_page   came by a ticket, so it may watch bells
    """

    user: str
    user_id: int
    account_id: int
    broker: str
    feed: str
    modes: frozenset[str]
    levels: int
    proof: str = field(repr=False)
    is_page: bool = False


class NoBroker(Exception):
    """Known, but the account has no live broker session and so no prices. `broker` is what it would use."""


class Access(Protocol):
    """All methods block; call them in a thread."""

    def by_key(self, key: str, address: str) -> Identity:
        """Raises Unauthorized and NoBroker."""
        ...

    def by_ticket(self, ticket: str, address: str) -> Identity:
        """Raises Unauthorized and NoBroker. A ticket works once."""
        ...

    def again(self, identity: Identity, address: str) -> Identity | None:
        """The identity as it is now (its feed may have changed); None when it may no longer be used."""
        ...


@dataclass(frozen=True, slots=True)
class FeedFacts:
    """What a broker's feed offers, from its manifest."""

    modes: frozenset[str]
    levels: int


class PlatformAccess:
    """Access by the platform's own accounts, sessions and tickets."""

    def __init__(
        self,
        accounts: Accounts,
        sessions: Sessions,
        tickets: Tickets,
        facts: Mapping[str, FeedFacts],
        session_lives: Callable[[str], bool],
    ) -> None:
        """`facts` by broker name; `session_lives(hash)` says whether a browser session is still signed in."""
        self._accounts = accounts
        self._sessions = sessions
        self._tickets = tickets
        self._facts = facts
        self._session_lives = session_lives

    def by_key(self, key: str, address: str) -> Identity:
        caller = self._accounts.caller_of_key(key, address=address, door="socket")
        return self._identity(caller, key, is_page=False)

    def by_ticket(self, ticket: str, address: str) -> Identity:
        claim = self._tickets.redeem(ticket)
        if claim.session and not self._session_lives(claim.session):
            raise Unauthorized("Invalid ticket")
        try:
            return self._of_page(claim.user_id, claim.account_id, claim.session, address)
        except NotFound as error:
            raise Unauthorized("Invalid ticket") from error

    def again(self, identity: Identity, address: str) -> Identity | None:
        try:
            if not identity.is_page:
                return self.by_key(identity.proof, address)
            if identity.proof and not self._session_lives(identity.proof):
                return None
            return self._of_page(identity.user_id, identity.account_id, identity.proof, address)
        except (Unauthorized, NotFound):
            return None
        except NoBroker:
            return identity

    def _of_page(self, user_id: int, account_id: int, session: str, address: str) -> Identity:
        caller = self._accounts.caller_of_user(user_id, account_id, address=address, door="socket")
        return self._identity(caller, session, is_page=True)

    def _identity(self, caller: Caller, proof: str, *, is_page: bool) -> Identity:
        if "read" not in caller.scopes:
            raise Unauthorized("This key may not read")
        account = caller.account
        feed = self._feed(account)
        facts = self._facts[feed.partition(":")[0]]
        return Identity(
            user=caller.username,
            user_id=caller.user_id,
            account_id=account.id,
            broker=account.broker,
            feed=feed,
            modes=facts.modes,
            levels=facts.levels,
            proof=proof,
            is_page=is_page,
        )

    def _feed(self, account: Account) -> str:
        state = self._sessions.state(account).word
        if account.mode is Mode.LIVE and state in ("none", "expired"):
            raise NoBroker(account.broker)
        return self._sessions.feed_of(account)

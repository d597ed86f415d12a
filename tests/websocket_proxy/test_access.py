"""Whose feed a key or a ticket opens."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from domain.errors import NotFound, Unauthorized
from domain.model import Mode, OrderMode
from services.accounts import Account, Caller
from services.tickets import Tickets
from websocket_proxy.access import FeedFacts, NoBroker, PlatformAccess

FACTS = {
    "paper": FeedFacts(frozenset({"ltp", "quote", "depth", "orders"}), 5),
    "zerodha": FeedFacts(frozenset({"ltp", "quote"}), 20),
}


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 11, 24, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


def account(broker: str, mode: Mode) -> Account:
    return Account(
        id=5,
        user_id=1,
        name="a",
        broker=broker,
        mode=mode,
        order_mode=OrderMode.AUTO,
        is_default=True,
    )


class Desk:
    """A platform of one user with one account."""

    def __init__(self, broker: str = "paper", mode: Mode = Mode.ANALYZE, session: str = "ok") -> None:
        self.account = account(broker, mode)
        self.session = session
        self.scopes = frozenset({"read"})
        self.is_key_good = True
        self.live_pages = {"page"}
        self.tickets = Tickets("s" * 64, Clock())
        accounts: Any = SimpleNamespace(caller_of_key=self._of_key, caller_of_user=self._of_user)
        sessions: Any = SimpleNamespace(
            state=lambda _account: SimpleNamespace(word=self.session), feed_of=self._feed_of
        )
        self.access = PlatformAccess(accounts, sessions, self.tickets, FACTS, self.live_pages.__contains__)

    def _of_key(self, key: str, *, address: str, door: str) -> Caller:
        if not self.is_key_good:
            raise Unauthorized("Invalid openalgo apikey")
        return self._of_user(1, 5, address=address, door=door)

    def _of_user(self, user_id: int, account_id: int | None, *, address: str, door: str) -> Caller:
        if account_id != 5:
            raise NotFound("account")
        assert door == "socket"
        return Caller(
            user_id=user_id,
            username="admin",
            is_admin=False,
            account=self.account,
            scopes=self.scopes,
            door=door,
            address=address,
        )

    def _feed_of(self, account: Account) -> str:
        logged_in = account.broker != "paper" and self.session == "ok"
        return f"{account.broker}:{account.id}" if logged_in else "paper"


def test_a_paper_account_sees_the_paper_feed() -> None:
    found = Desk().access.by_key("key", "127.0.0.1")
    assert (found.feed, found.broker, found.user, found.account_id, found.levels) == (
        "paper",
        "paper",
        "admin",
        5,
        5,
    )
    assert "key" not in repr(found).replace("is_page", "")


@pytest.mark.parametrize("mode", list(Mode))
def test_an_account_that_is_logged_in_sees_its_brokers_feed(mode: Mode) -> None:
    found = Desk("zerodha", mode).access.by_key("key", "")
    assert (found.feed, found.broker) == ("zerodha:5", "zerodha")
    assert "depth" not in found.modes


@pytest.mark.parametrize("session", ["none", "expired"])
def test_a_live_account_without_a_login_has_no_feed_and_never_the_paper_one(session: str) -> None:
    with pytest.raises(NoBroker):
        Desk("zerodha", Mode.LIVE, session).access.by_key("key", "")
    assert Desk("zerodha", Mode.ANALYZE, session).access.by_key("key", "").feed == "paper"


def test_a_key_that_may_not_read_sees_nothing() -> None:
    desk = Desk()
    desk.scopes = frozenset({"trade"})
    with pytest.raises(Unauthorized):
        desk.access.by_key("key", "")


def test_a_key_is_looked_at_again() -> None:
    desk = Desk("zerodha", Mode.ANALYZE, "none")
    found = desk.access.by_key("key", "")
    assert desk.access.again(found, "") == found
    desk.session = "ok"
    assert desk.access.again(found, "") == replace(
        found, feed="zerodha:5", modes=FACTS["zerodha"].modes, levels=20
    )
    desk.is_key_good = False
    assert desk.access.again(found, "") is None


def test_a_live_accounts_night_keeps_its_sockets() -> None:
    desk = Desk("zerodha", Mode.LIVE)
    found = desk.access.by_key("key", "")
    desk.session = "expired"
    assert desk.access.again(found, "") == found


def test_a_ticket_lives_as_long_as_its_page() -> None:
    desk = Desk()
    found = desk.access.by_ticket(desk.tickets.issue(1, 5, "page"), "")
    assert found.is_page and desk.access.again(found, "") == found
    desk.live_pages.clear()
    assert desk.access.again(found, "") is None
    with pytest.raises(Unauthorized):
        desk.access.by_ticket(desk.tickets.issue(1, 5, "page"), "")


def test_a_ticket_for_another_account_opens_nothing() -> None:
    desk = Desk()
    with pytest.raises(Unauthorized):
        desk.access.by_ticket(desk.tickets.issue(1, 6, "page"), "")

"""Tickets open one socket, once, soon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Unauthorized
from services.tickets import Tickets

SECRET = "s" * 64


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 24, 10, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def pass_(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def test_a_ticket_says_whose_it_is_and_works_once() -> None:
    clock = Clock()
    web, stream = Tickets(SECRET, clock), Tickets(SECRET, clock)
    ticket = web.issue(7, 9, "session")
    claim = stream.redeem(ticket)
    assert (claim.user_id, claim.account_id, claim.session) == (7, 9, "session")
    with pytest.raises(Unauthorized):
        stream.redeem(ticket)


def test_a_ticket_is_short_lived() -> None:
    clock = Clock()
    tickets = Tickets(SECRET, clock)
    ticket = tickets.issue(1, 1)
    clock.pass_(31)
    with pytest.raises(Unauthorized):
        tickets.redeem(ticket)


def test_a_ticket_does_not_work_again_after_a_restart() -> None:
    clock = Clock()
    web, first = Tickets(SECRET, clock), Tickets(SECRET, clock)
    ticket = web.issue(1, 1)
    first.redeem(ticket)
    clock.pass_(1)
    with pytest.raises(Unauthorized):
        Tickets(SECRET, clock).redeem(ticket)


def test_another_secret_or_a_changed_ticket_is_refused() -> None:
    clock = Clock()
    tickets = Tickets(SECRET, clock)
    ticket = tickets.issue(1, 1)
    for forged in (Tickets("t" * 64, clock).issue(1, 1), ticket[:-4] + "AAAA", ticket.upper(), ""):
        with pytest.raises(Unauthorized):
            tickets.redeem(forged)
    assert tickets.redeem(ticket).user_id == 1


def test_what_was_seen_is_forgotten_when_it_could_not_work_anyway() -> None:
    clock = Clock()
    tickets = Tickets(SECRET, clock)
    for _ in range(50):
        tickets.redeem(tickets.issue(1, 1))
        clock.pass_(10)
    assert len(tickets._seen) < 10


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_no_text_is_a_ticket(text: str) -> None:
    with pytest.raises(Unauthorized):
        Tickets(SECRET, Clock()).redeem(text)

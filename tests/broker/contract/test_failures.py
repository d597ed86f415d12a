"""Failures: an order is never lost, doubled or guessed, and a book is whole or an error, whatever the wire does."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator

import pytest

from domain.errors import BrokerError, SessionOver
from domain.model import CancelOrder
from domain.outcomes import Accepted, Ambiguous, Refused, SessionExpired, Throttled
from tests.broker.contract.world import World

UNCERTAIN = [
    "timeout", "drop_before_accept", "drop_after_accept", "500_before", "502_after", "truncate_json", "html",
    "empty", "wrong_type", "cut", "redirect", "bomb", "no_id", "accept_in_500", "unavailable",
]  # fmt: skip
CERTAIN = [
    ("refuse", Refused),
    ("refuse_in_200", Refused),
    ("429", Throttled),
    ("token_expired", SessionExpired),
]
UNREADABLE_BOOKS = [
    "500_before", "truncate_json", "html", "empty", "wrong_type", "cut", "redirect", "429", "token_expired",
    "refuse", "refuse_in_200", "unavailable", "drop_before_accept",
]  # fmt: skip


pytestmark = pytest.mark.usefixtures("wire")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.http.ANSWER_SECONDS", 0.4)
    monkeypatch.setattr("broker.sequence._wait_before_retry", lambda _: 0.01)


@pytest.mark.parametrize("kind", UNCERTAIN)
@pytest.mark.parametrize("op", ["place", "modify", "cancel"])
def test_what_cannot_be_read_is_ambiguous_and_sent_once(world: World, op: str, kind: str) -> None:
    request = world.request()
    order_id = world.placed(request) if op != "place" else ""
    if op == "modify" and not world.can.modify:
        pytest.skip("not declared")
    before, sent = len(world.taken()), world.sent(op)
    world.simulator.fail_next(kind, match=op)
    if op == "place":
        outcome = world.broker.place(world.request())
    elif op == "modify":
        outcome = world.broker.modify(world.change(request, order_id, quantity=request.quantity * 2))
    else:
        outcome = world.broker.cancel(CancelOrder(client_order_id="c", order_id=order_id))
    assert isinstance(outcome, Ambiguous), outcome
    assert world.sent(op) == sent + 1
    assert len(world.taken()) <= before + 1


@pytest.mark.parametrize(("kind", "expected"), CERTAIN)
def test_a_readable_refusal_is_what_it_says_and_nothing_was_taken(
    world: World, kind: str, expected: type
) -> None:
    world.simulator.fail_next(kind, match="place")
    outcome = world.broker.place(world.request())
    assert isinstance(outcome, expected), outcome
    assert world.sent("place") == 1
    assert world.taken() == []


def test_a_slow_answer_is_still_an_answer(world: World) -> None:
    world.simulator.fail_next("delay", match="place", seconds=0.2)
    assert isinstance(world.broker.place(world.request()), Accepted)


def test_a_trickled_answer_is_read_to_its_end(world: World) -> None:
    world.simulator.fail_next("trickle", match="place", rate=2000)
    assert isinstance(world.broker.place(world.request()), Accepted)


def test_a_broker_that_is_not_there_was_sent_nothing(world: World) -> None:
    world.simulator.stop()
    outcome = world.broker.place(world.request())
    assert isinstance(outcome, Refused) and outcome.code == "NOT_SENT"


@pytest.mark.parametrize("kind", UNREADABLE_BOOKS)
@pytest.mark.parametrize("book", ["orders", "positions", "holdings", "trades", "funds"])
def test_a_book_that_cannot_be_read_is_an_error_never_empty(world: World, book: str, kind: str) -> None:
    if book not in world.can.reads:
        pytest.skip("not declared")
    world.placed(world.request(rests=False))
    world.simulator.fail_next(kind, match=book, count=-1)
    with pytest.raises((BrokerError, SessionOver)):
        getattr(world.broker, f"fetch_{book}")()


@pytest.mark.parametrize("kind", ["500_before", "drop_before_accept", "429", "timeout"])
def test_a_read_is_tried_again(world: World, kind: str) -> None:
    order_id = world.placed(world.request())
    world.simulator.fail_next(kind, match="orders")
    assert [order.order_id for order in world.broker.fetch_orders()] == [order_id]


def test_a_row_with_an_unreadable_quantity_fails_the_book(world: World) -> None:
    world.placed(world.request())
    world.simulator.fail_next("bad_row", match="orders", count=-1)
    with pytest.raises(BrokerError):
        world.broker.fetch_orders()


def test_a_late_fill_after_a_cancel_shows_in_the_book(world: World) -> None:
    order_id = world.placed(world.request())
    world.simulator.fail_next("late_fill", match="cancel")
    world.broker.cancel(CancelOrder(client_order_id="c", order_id=order_id))
    order = world.order(order_id)
    assert order.state.value == "COMPLETE" and order.filled == order.quantity


class Trap(threading.Thread):
    """A server on another port that keeps whatever it is sent."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.heard = b""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._server.getsockname()[1]}/"
        self.start()

    def run(self) -> None:
        connection, _ = self._server.accept()
        self.heard = connection.recv(65536)
        connection.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    made = Trap()
    yield made
    made._server.close()


def test_credentials_never_follow_a_redirect(world: World, trap: Trap) -> None:
    for op in ("orders", "place"):
        world.simulator.fail_next("redirect", match=op, location=trap.address)
    with pytest.raises(BrokerError):
        world.broker.fetch_orders()
    assert isinstance(world.broker.place(world.request()), Ambiguous)
    assert trap.heard == b""


def test_no_secret_reaches_a_log_or_an_error(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown = ""
    for kind in ("html", "wrong_type", "refuse", "token_expired", "drop_before_accept"):
        world.simulator.fail_next(kind, match="orders", count=-1)
        with pytest.raises((BrokerError, SessionOver)) as failure:
            world.broker.fetch_orders()
        shown += f"{failure.value!r} {failure.value}"
        world.simulator.faults([])
        world.simulator.fail_next(kind, match="place")
        shown += repr(world.broker.place(world.request()))
    secrets = [value for name, value in world.tokens.values.items() if name != "user_id" and len(value) > 8]
    secrets += [world.simulator.credentials[f.name] for f in world.manifest.login.fields if f.secret]
    text = caplog.text + shown
    assert secrets and not [name for name in secrets if name in text]

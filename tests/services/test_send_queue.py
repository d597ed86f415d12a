"""Orders that wait for a slot: sent by a sender that is free, soon after they were taken, or said not to be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from database import controls as control_rows
from database import intents as intent_rows
from database.intents import Intent
from domain.errors import Unavailable
from domain.model import IntentState, OrderType
from domain.outcomes import Accepted, Refused
from services.gate import Admission
from services.send_queue import SENDERS
from services.settling import write_outcome
from tests.services.order_world import RELIANCE, buy
from tests.services.test_kill_and_audit import SafetyWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SafetyWorld]:
    made = SafetyWorld(tmp_path)
    yield made
    made.close()


def _in(world: SafetyWorld, *states: IntentState) -> list[Intent]:
    with world.orders_db.read() as connection:
        return intent_rows.in_states(connection, *states)


def _queue(world: SafetyWorld, many: int) -> None:
    """So many orders that wait, behind one that took the only slot."""
    world.limit(max_orders_per_second=1, queue_seconds=60)
    for number in range(many + 1):
        price = Decimal(1400 + number)
        world.orders.place(world.caller, buy(order_type=OrderType.LIMIT, price=price))


def test_what_no_sender_is_free_for_stays_queued(world: SafetyWorld) -> None:
    """A row taken from the queue and not sent for a while would be given up as lost, and then be sent after all."""
    _queue(world, SENDERS + 3)
    answered, place = threading.Event(), world.broker._place

    def slow(order: object) -> object:
        answered.wait(10)
        return place(order)  # type: ignore[arg-type]

    world.broker._place = slow  # type: ignore[method-assign,assignment]
    for _ in range(SENDERS + 3):
        world.clock.move(1.1)
        world.queue.drain()
    assert len(_in(world, IntentState.QUEUED)) == 3
    answered.set()
    world.queue.close()
    assert len(world.script.sent) == 1 + SENDERS


def test_an_order_whose_sender_slept_is_not_sent_late(world: SafetyWorld) -> None:
    """Its process stood still between journal and send, until it was given up."""
    intent, _ = world.gate.admit(world.caller, buy(), RELIANCE, Admission())
    world.clock.move(30)
    assert world.reconciler.abandon_lost() == 1
    sent = world.orders.send(intent, world.broker, RELIANCE)
    assert (sent.state, sent.code) == (IntentState.REFUSED, "NOT_SENT")
    assert world.script.sent == []


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Accepted("B7"), IntentState.ACCEPTED), (Refused("MARGIN", "no"), IntentState.REFUSED)],
)
def test_an_answer_that_comes_after_its_sender_was_given_up_counts(
    world: SafetyWorld, outcome: Accepted | Refused, state: IntentState
) -> None:
    intent, _ = world.gate.admit(world.caller, buy(), RELIANCE, Admission())
    world.clock.move(30)
    world.reconciler.abandon_lost()
    world.orders_db.write(lambda c: intent_rows.tell(c, intent.id, intent.id))
    now = world.clock.now()
    settled = world.orders_db.write(lambda c: write_outcome(c, intent, outcome, now))
    assert (settled.state, settled.public_id) == (state, intent.id)
    assert _in(world, state)[0].settled_at == now
    again = world.orders_db.write(lambda c: write_outcome(c, intent, Refused("X", "x"), now))
    assert again.state is state


def test_an_order_that_was_given_up_and_then_taken_is_not_told_as_refused(world: SafetyWorld) -> None:
    intent, _ = world.gate.admit(world.caller, buy(), RELIANCE, Admission())
    now, sending = world.clock.now(), IntentState.SENDING
    given_up = {"code": "NOT_RECEIVED", "words": "no trace"}
    world.orders_db.write(
        lambda c: intent_rows.move(c, intent.id, sending, IntentState.REFUSED, now, **given_up)
    )
    settled = world.orders_db.write(lambda c: write_outcome(c, intent, Accepted("B7"), now))
    assert (settled.state, settled.broker_order_id, settled.code) == (IntentState.ACCEPTED, "B7", "")


def test_nothing_leaves_the_queue_while_the_limits_or_the_account_cannot_be_read(world: SafetyWorld) -> None:
    _queue(world, 1)
    world.clock.move(2)
    ready = world.orders._ready

    def not_yet(account: object) -> None:
        raise Unavailable("not reconciled yet")

    world.orders._ready = not_yet
    assert world.queue.drain() == 0
    world.orders._ready = ready
    world.orders_db.write(lambda c: c.execute(control_rows.CONTROLS.delete()))
    assert world.queue.drain() == 0
    world.queue.close()
    assert len(world.script.sent) == 1

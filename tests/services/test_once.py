"""A key does its work once, whoever repeats it, and says what it did."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from domain.errors import BrokerUnavailable, DuplicateKey, Unavailable
from services.once import KEPT, Once
from tests.services.order_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def once(world: World) -> Once:
    return Once(world.orders_db, world.clock, world.clock.sleep)


def test_the_second_request_gets_the_first_reply(world: World, once: Once) -> None:
    did: list[int] = []

    def work() -> str:
        did.append(1)
        return "done"

    assert [once.run(world.caller, "k", "h", work) for _ in range(3)] == ["done"] * 3
    assert did == [1]
    with pytest.raises(DuplicateKey):
        once.run(world.caller, "k", "another body", work)


def test_a_request_that_did_nothing_may_be_asked_again(world: World, once: Once) -> None:
    def fail() -> str:
        raise BrokerUnavailable("scripted", text="no answer")

    with pytest.raises(BrokerUnavailable):
        once.run(world.caller, "k", "h", fail)
    assert once.run(world.caller, "k", "h", lambda: "done") == "done"


def test_a_request_whose_process_died_is_not_done_again(world: World, once: Once) -> None:
    def die() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        once.run(world.caller, "k", "h", die)
    with pytest.raises(Unavailable, match="order book"):
        once.run(world.caller, "k", "h", lambda: "again")


def test_many_threads_with_one_key_do_it_once(world: World, once: Once) -> None:
    did: list[int] = []
    barrier = threading.Barrier(6)
    replies: list[str] = []

    def work() -> str:
        did.append(1)
        return str(len(did))

    def ask() -> None:
        barrier.wait()
        replies.append(once.run(world.caller, "k", "h", work))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (replies, did) == (["1"] * 6, [1])


def test_replies_are_forgotten_after_a_week(world: World, once: Once) -> None:
    once.run(world.caller, "k", "h", lambda: "done")
    assert once.forget_old() == 0
    world.clock.moment += KEPT + timedelta(seconds=1)
    assert once.forget_old() == 1

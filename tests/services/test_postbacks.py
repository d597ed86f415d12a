"""Postbacks: nobody without the account's secret is heard, and what is heard is read from the broker's book."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import InvalidRequest, NotFound, NotSupported, Unauthorized
from domain.model import Mode, OrderState
from services.postbacks import PAUSES, Postbacks
from services.sessions import SessionState
from tests.services.order_world import World, buy

SECRET = "the secret of the app"


class PostbackWorld(World):
    """A live Zerodha account with one order that has filled at the broker, unheard of yet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        account = self.accounts.add_account(self.user.id, "live", "zerodha")
        caller = self.accounts.caller_of_user(self.user.id, account.id)
        self.accounts.set_mode(caller, Mode.LIVE)
        self.caller = self.accounts.caller_of_user(self.user.id, account.id)
        self.word, self.reads = "ok", 0
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.postbacks = Postbacks(
            self.orders_db,
            self.accounts,
            self,  # type: ignore[arg-type]
            self.updates,
            lambda seconds, work: self.due.append((seconds, work)),
        )
        self.order_id = self.orders.place(self.caller, buy(10)).order_id
        known = self.script.orders[self.order_id]
        self.script.orders[self.order_id] = replace(
            known, state=OrderState.COMPLETE, status_word="COMPLETE", filled=Decimal(10)
        )

    def later(self) -> float:
        """What was put off is done; the seconds it was put off for."""
        [(seconds, work)] = self.due
        self.due.clear()
        work()
        return seconds

    def broker_for(self, account: object) -> object:
        self.reads += 1
        return self.broker

    def state(self, account: object) -> SessionState:
        return SessionState(word=self.word, broker_user="AB1234")

    def login_fields(self, account: object) -> dict[str, str]:
        return {"api_key": "k", "api_secret": SECRET}

    def body(self, secret: str = SECRET, **changes: object) -> bytes:
        row = {
            "user_id": "AB1234",
            "order_id": self.order_id,
            "order_timestamp": "2026-11-23 10:30:00",
            "status": "COMPLETE",
            "filled_quantity": 10,
        }
        proof = f"{row['order_id']}{row['order_timestamp']}{secret}"
        row["checksum"] = hashlib.sha256(proof.encode()).hexdigest()
        return json.dumps(row | changes).encode()

    def filled(self) -> list[tuple[OrderState, Decimal]]:
        events = self.updates.since(self.caller.account.id, 0)
        return [(event.order.state, event.order.filled) for event in events]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[PostbackWorld]:
    made = PostbackWorld(tmp_path)
    yield made
    made.close()


def test_a_signed_postback_is_heard_once_however_often_it_comes(world: PostbackWorld) -> None:
    assert [world.postbacks.take("zerodha", world.body()) for _ in range(3)] == [1, 0, 0]
    assert world.filled() == [(OrderState.PENDING, 0), (OrderState.COMPLETE, 10)]
    assert world.reads == 1


def test_a_swapped_body_under_a_true_signature_changes_nothing(world: PostbackWorld) -> None:
    forged = world.body(filled_quantity=5000, quantity=5000, status="REJECTED")
    assert world.postbacks.take("zerodha", forged) == 1
    assert world.filled()[-1] == (OrderState.COMPLETE, 10)
    assert world.postbacks.take("zerodha", forged) == 0


@pytest.mark.parametrize(
    "body",
    [
        {"secret": "another"},
        {"secret": ""},
        {"checksum": ""},
        {"order_timestamp": "2026-11-23 10:30:01"},
        {"order_id": "B2"},
        {"user_id": "ZZ9999"},
    ],
)
def test_what_is_not_signed_by_the_account_is_refused(world: PostbackWorld, body: dict[str, str]) -> None:
    with pytest.raises(Unauthorized):
        world.postbacks.take("zerodha", world.body(**body))  # type: ignore[arg-type]
    assert (len(world.filled()), world.reads) == (1, 0)


def test_an_account_that_is_not_logged_in_hears_nothing(world: PostbackWorld) -> None:
    world.word = "expired"
    with pytest.raises(Unauthorized):
        world.postbacks.take("zerodha", world.body())


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"order_id": "1"}', b'"x"'])
def test_a_body_that_is_no_postback_is_said_to_be_none(world: PostbackWorld, body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        world.postbacks.take("zerodha", body)


def test_only_brokers_that_sign_are_taken(world: PostbackWorld) -> None:
    with pytest.raises(NotSupported, match="taken of: zerodha"):
        world.postbacks.take("flattrade", world.body())
    for name in ("nobody", "../etc", ""):
        with pytest.raises(NotFound):
            world.postbacks.take(name, world.body())


def test_a_book_that_cannot_be_read_leaves_the_order_as_it_was(world: PostbackWorld) -> None:
    world.script.book_down = True
    assert world.postbacks.take("zerodha", world.body()) == 0
    world.script.book_down = False
    assert world.postbacks.take("zerodha", world.body()) == 1


def test_news_that_could_not_be_read_or_stored_is_tried_again_soon_and_not_for_ever(
    world: PostbackWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.script.book_down = True
    for _ in range(3):
        assert world.postbacks.take("zerodha", world.body()) == 0
    assert world.later() == 1  # once, however often the postback came
    world.script.book_down = False

    def full(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(world.updates, "apply", full)
        assert world.later() == 2
    assert world.later() == 4
    assert world.filled()[-1] == (OrderState.COMPLETE, 10)
    assert world.due == []
    world.script.orders.pop(world.order_id)
    world.postbacks.take("zerodha", world.body(filled_quantity=9))
    assert [world.later() for _ in PAUSES] == list(PAUSES)
    assert world.due == []

"""A cell of the wrong type, wherever it stands in a book, fails the book or changes no side, quantity or price."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from broker.http import Call, Reply
from domain.errors import BrokerError, SessionOver
from domain.model import OrderState
from tests.broker.contract.world import World

pytestmark = pytest.mark.usefixtures("wire")

WRONG: tuple[object, ...] = ("many", "1e999", True, [], {}, "nan")
WORDS = frozenset({"side", "product"})
"""Told beside the numbers: a wrong one is as bad as a wrong number. An UNKNOWN order's product is marked as a guess."""


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        if isinstance(inner, dict | list):
            yield from leaves(inner, (*path, name))
        else:
            yield (*path, name)


def spoiled(body: Any, path: tuple[Any, ...], wrong: object) -> bytes:
    changed = copy.deepcopy(body)
    at = changed
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = wrong
    return json.dumps(changed).encode()


def told(records: Any) -> list[dict[str, object]]:
    """The numbers and words of records that money hangs on; what is not known is left out."""
    rows = records if isinstance(records, list) else [records]
    return [
        {
            one.name: value
            for one in (fields(row) if row is not None else ())
            if isinstance(value := getattr(row, one.name), Decimal | float | int)
            or (one.name in WORDS and getattr(row, "state", None) is not OrderState.UNKNOWN)
        }
        for row in rows
    ]


class Spoiler:
    """Stands before the broker's HTTP client and changes the replies to one read."""

    def __init__(self, world: World) -> None:
        self._client = world.broker.http  # type: ignore[attr-defined]
        self.heard: dict[str, Any] = {}
        self.wrong: Callable[[str, Any], bytes] | None = None
        world.broker.http = self  # type: ignore[attr-defined]

    def send(self, call: Call) -> Reply:
        reply: Reply = self._client.send(call)
        address = f"{call.op} {call.address}"
        if self.wrong is None:
            self.heard[address] = json.loads(reply.body)
            return reply
        return replace(reply, body=self.wrong(address, json.loads(reply.body)))

    def close(self) -> None:
        self._client.close()


@pytest.mark.parametrize("book", ["orders", "trades", "positions", "holdings", "funds", "quotes"])
def test_no_wrong_cell_becomes_a_wrong_number(
    world: World, book: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if book not in world.can.reads:
        pytest.skip("not declared")
    monkeypatch.setattr("broker.sequence._wait_before_retry", lambda _: 0.0)
    world.placed(world.request(rests=False))
    world.placed(world.request())
    spoiler = Spoiler(world)
    asked = [[world.instrument()]] if book == "quotes" else []
    read = partial(getattr(world.broker, f"fetch_{book}"), *asked)
    true = told(read())
    lies, failed, tried = [], 0, 0
    for address, body in list(spoiler.heard.items()):
        for path in leaves(body):
            for wrong in WRONG:
                tried += 1
                spoiler.wrong = lambda at, whole, a=address, p=path, w=wrong: (  # type: ignore[misc]
                    spoiled(whole, p, w) if at == a else json.dumps(whole).encode()
                )
                try:
                    found = told(read())
                except (BrokerError, SessionOver):
                    failed += 1
                    continue
                if len(found) != len(true) or any(
                    known.get(name) != value
                    for row, known in zip(found, true, strict=True)
                    for name, value in row.items()
                ):
                    lies.append((path, wrong))
    assert tried > 20 and failed > 5
    assert not lies

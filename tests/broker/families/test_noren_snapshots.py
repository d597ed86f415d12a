"""Many quotes by a stream: the same as by calls, no slower for what is not known, and calls where the stream fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from domain.model import Instrument
from tests.broker.contract.world import World


@pytest.fixture
def world() -> Iterator[World]:
    made = World("tradesmart")
    yield made
    made.close()


def many(world: World) -> list[Instrument]:
    return list(world.instruments.values())[:12]


def by_call(world: World, asked: list[Instrument]) -> list[Any]:
    return [world.broker.fetch_quotes([one])[0] for one in asked]


def test_a_stream_says_what_calls_say(world: World) -> None:
    asked = list(world.instruments.values())
    for n, one in enumerate(asked):
        world.tick(one, round(world.last_price(one) + n * one.tick_size, 4))
    streamed = world.broker.fetch_quotes(asked)
    assert world.sent("quotes") == 0
    now = world.clock.now()
    called = by_call(world, asked)
    assert [replace(quote, at=now) for quote in streamed if quote] == [
        replace(quote, at=now) for quote in called
    ]
    assert all(abs((a.at - b.at).total_seconds()) <= 1 for a, b in zip(streamed, called, strict=True) if a)


def test_a_few_are_asked_by_call_and_no_socket_is_opened(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.families.noren.snapshots.connect", None)
    assert all(world.broker.fetch_quotes(many(world)[:4]))
    assert world.sent("quotes") == 4


def test_what_the_house_does_not_know_has_no_quote_and_is_not_waited_for_long(world: World) -> None:
    gone = replace(world.instrument(), symbol="GONE", broker_symbol="GONE", broker_token="9999999")
    began = time.monotonic()
    quotes = world.broker.fetch_quotes([*many(world), gone])
    assert quotes[-1] is None and all(quotes[:-1])
    assert time.monotonic() - began < 2.5


def test_a_refused_socket_is_replaced_by_calls(world: World) -> None:
    world.simulator.admit = lambda *_: False  # type: ignore[method-assign]
    asked = many(world)
    quotes = world.broker.fetch_quotes(asked)
    assert [quote.symbol for quote in quotes if quote] == [one.symbol for one in asked]
    assert world.sent("quotes") == len(asked)


@pytest.mark.parametrize("frame", ["{", "[]", "5", "\ud83d\ude00"])
def test_garbage_ends_the_stream_and_not_the_question(world: World, frame: str) -> None:
    world.simulator._asked = lambda socket, asked: socket.send(frame)  # type: ignore[attr-defined]
    assert all(world.broker.fetch_quotes(many(world)))


def test_a_frame_that_cannot_be_read_is_asked_again_by_call(world: World) -> None:
    bad = many(world)[3]
    whole = world.simulator._frame  # type: ignore[attr-defined]

    def spoiled(socket: Any, scrip: Any, tick: Any, kind: str) -> str:
        text: str = whole(socket, scrip, tick, kind)
        return text.replace('"lp": "', '"lp": "many ') if scrip.instrument.key == bad.key else text

    world.simulator._frame = spoiled  # type: ignore[attr-defined]
    quotes = world.broker.fetch_quotes(many(world))
    assert all(quotes) and world.sent("quotes") == 1


def test_no_more_than_one_stream_is_open_beside_the_feed(world: World) -> None:
    most = 0
    log_in = world.simulator._log_in  # type: ignore[attr-defined]

    def counted(*given: Any) -> None:
        nonlocal most
        most = max(most, len(world.simulator.sockets))
        log_in(*given)

    world.simulator._log_in = counted  # type: ignore[attr-defined]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: world.broker.fetch_quotes(many(world)), range(6)))
    assert all(all(quotes) for quotes in found)
    assert most <= 2

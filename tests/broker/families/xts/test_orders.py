"""XTS's order updates: by its own socket, from the book for what was missed, and from the book while there is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from broker.families.xts.orders import XtsOrders
from domain.model import CancelOrder, OrderState
from domain.outcomes import Accepted
from tests.broker.contract.world import World

pytestmark = pytest.mark.asyncio


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(XtsOrders, "poll_every", 0.1)
    made = World("wisdom")
    yield made
    made.close()


def _listening(world: World) -> list[object]:
    return [socket for socket in world.simulator.sockets if socket.orders]


async def _place(world: World) -> str:
    return await asyncio.to_thread(world.placed, world.request())


async def test_an_open_socket_is_enough(world: World) -> None:
    async with world.stream() as feed:
        await feed.until(lambda: _listening(world))
        await feed.until(lambda: world.sent("orders"))
        world.simulator.requests.clear()
        order_id = await _place(world)
        await feed.until(lambda: [order for order in feed.orders if order.order_id == order_id])
        await asyncio.sleep(0.4)
        assert world.sent("orders") == 0


async def test_what_was_missed_is_read_from_the_book(world: World) -> None:
    order_id = await _place(world)
    async with world.stream() as feed:
        await feed.until(lambda: [order for order in feed.orders if order.order_id == order_id])


async def test_a_house_that_refuses_the_socket_is_polled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.simulator, "admit", lambda path, query: "interactive" not in path)
    async with world.stream() as feed:
        order_id = await _place(world)
        await feed.until(lambda: [order for order in feed.orders if order.order_id == order_id])
        await asyncio.to_thread(world.broker.cancel, CancelOrder(client_order_id="c1", order_id=order_id))
        await feed.until(lambda: feed.orders[-1].state is OrderState.CANCELLED)
        one = world.instrument()
        feed.want((one, 2))
        world.tick(one, 1512.5)
        await feed.tick_of(one, 1512.5)
        assert "expired" not in feed.states, "prices have a socket and a token of their own"


async def test_new_tokens_are_taken_to_both_sockets(world: World) -> None:
    async with world.stream() as feed:
        await feed.until(lambda: _listening(world))
        before = _listening(world)
        await feed.stream.renew(world.session(await asyncio.to_thread(world.log_in)))
        await feed.until(lambda: _listening(world) and _listening(world) != before)
        world.broker = world.connect(await asyncio.to_thread(world.log_in))
        order_id = await _place(world)
        await feed.until(lambda: [order for order in feed.orders if order.order_id == order_id])


async def test_an_unreadable_update_ends_neither_socket_nor_those_after_it(world: World) -> None:
    async with world.stream() as feed:
        await feed.until(lambda: _listening(world))
        world.simulator.ws_garbage('42["order","{\\"AppOrderID\\": \\"x\\"}"]')
        order_id = await _place(world)
        await feed.until(lambda: [order for order in feed.orders if order.order_id == order_id])


async def test_a_change_keeps_the_tag_of_its_order(world: World) -> None:
    """The vendor's library sends `orderUniqueIdentifier` with every change, so its absence is nowhere shown to work."""
    request = world.request()
    order_id = await asyncio.to_thread(world.placed, request)
    for broker in (world.broker, world.connect(world.tokens)):
        outcome = await asyncio.to_thread(broker.modify, world.change(request, order_id, price=request.price))
        assert isinstance(outcome, Accepted)
        sent = [json.loads(one.body) for one in world.simulator.requests if one.op == "modify"]
        assert sent[-1]["orderUniqueIdentifier"] == request.client_order_id

"""Order events on the socket: the contract's frame, nothing missed, nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from domain.model import OrderState
from tests.websocket_proxy.world import OTHER_KEY, World


def entry(symbol: str, **rest: Any) -> dict[str, Any]:
    return {"symbol": symbol, "exchange": "NSE", **rest}


async def test_order_events_in_the_contracts_frame(world: World) -> None:
    talker = await world.client()
    answer = await talker.ask(action="subscribe_orders", request_id="o1")
    assert answer == {
        "type": "subscribe_orders",
        "status": "success",
        "message": "Subscribed to order updates",
        "request_id": "o1",
    }
    world.order(state=OrderState.TRIGGER_PENDING)
    assert await talker.hear() == {
        "type": "order_update",
        "user_id": "admin",
        "mode": "analyze",
        "broker": "sandbox",
        "orderid": "1",
        "symbol": "INFY",
        "exchange": "NSE",
        "action": "BUY",
        "quantity": 10,
        "price": 1500.05,
        "trigger_price": 0.0,
        "pricetype": "LIMIT",
        "product": "MIS",
        "order_status": "trigger pending",
        "filled_quantity": 0,
        "pending_quantity": 10,
        "average_price": 0.0,
        "rejection_reason": "",
        "state": "TRIGGER_PENDING",
        "seq": 1,
    }


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (OrderState.PENDING, "open"),
        (OrderState.UNKNOWN, "open"),
        (OrderState.OPEN, "open"),
        (OrderState.COMPLETE, "complete"),
        (OrderState.CANCELLED, "cancelled"),
        (OrderState.EXPIRED, "cancelled"),
        (OrderState.REJECTED, "rejected"),
    ],
)
async def test_the_words_for_order_states(world: World, state: OrderState, word: str) -> None:
    talker = await world.client()
    await talker.ask(action="subscribe_orders")
    world.order(state=state)
    frame = await talker.hear()
    assert (frame["order_status"], frame["state"]) == (word, state.value)


async def test_events_missed_are_replayed_in_order_and_then_go_on(world: World) -> None:
    for _ in range(1234):
        world.events.add()
    talker = await world.client()
    answer = await talker.ask(action="subscribe_orders", resume_from=34)
    assert answer["seq"] == 1234
    world.order()
    seqs = [(await talker.hear())["seq"] for _ in range(1201)]
    assert seqs == list(range(35, 1236))


async def test_a_replay_for_one_takes_nothing_from_another(world: World) -> None:
    first = await world.client()
    await first.ask(action="subscribe_orders")
    for _ in range(50):
        world.events.add()
    second = await world.client()
    await second.ask(action="subscribe_orders", resume_from=0)
    world.order()
    assert [(await first.hear())["seq"] for _ in range(51)] == list(range(1, 52))
    assert [(await second.hear())["seq"] for _ in range(51)] == list(range(1, 52))


async def test_a_lost_bell_delays_and_loses_nothing(world: World) -> None:
    talker = await world.client()
    await talker.ask(action="subscribe_orders")
    world.events.add()
    assert (await talker.hear(4))["seq"] == 1


async def test_order_events_are_one_accounts_own(world: World) -> None:
    mine, other = await world.client(), await world.client(OTHER_KEY)
    for talker in (mine, other):
        await talker.ask(action="subscribe_orders")
    world.order(account_id=1)
    assert (await mine.hear())["orderid"] == "1"
    assert await other.hear_all() == []


async def test_unsubscribing_orders_ends_them_and_leaves_prices(world: World) -> None:
    talker = await world.client()
    await talker.ask(action="subscribe", symbols=[entry("INFY")], mode=1)
    await talker.ask(action="subscribe_orders")
    answer = await talker.ask(action="unsubscribe_orders", request_id=1)
    assert answer == {
        "type": "unsubscribe_orders",
        "status": "success",
        "message": "Unsubscribed from order updates",
        "request_id": 1,
    }
    world.order()
    assert await world.wanted(("INFY", 1))
    world.tick()
    assert {frame["type"] for frame in await talker.hear_all()} == {"market_data"}

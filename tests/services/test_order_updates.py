"""Order news from many sources at once: one event a transition, in one numbering without gaps."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from decimal import Decimal

import pytest

from database import events as event_rows
from domain.errors import RiskRefused
from domain.model import Order, OrderState, PlaceOrder
from tests.services.order_world import World, buy


def _life(order: Order, fills: list[int]) -> list[Order]:
    story = [replace(order, state=OrderState.OPEN)]
    story += [replace(story[0], filled=Decimal(filled), average_price=Decimal(1400)) for filled in fills]
    return [*story, replace(story[-1], state=OrderState.COMPLETE, filled=order.quantity)]


@pytest.mark.parametrize("seed", random.sample(range(10**6), 5))
def test_sources_that_overlap_tell_each_thing_once(world: World, seed: int) -> None:
    dice = random.Random(seed)
    account = world.caller.account
    lives = []
    for _ in range(4):
        placed = world.orders.place(world.caller, buy(10))
        lives.append(_life(world.script.orders[placed.order_id], sorted(dice.sample(range(1, 10), 3))))

    def tell(source: str, news: list[Order]) -> None:
        for one in news:
            world.updates.apply(account.id, account.venue, account.mode, [one], source)

    threads = []
    for source in ("stream", "postback", "poll", "reconcile"):
        news = [one for life in lives for one in life for _ in range(dice.randint(1, 3))]
        dice.shuffle(news)
        threads.append(threading.Thread(target=tell, args=(source, news)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = world.updates.since(account.id, 0)
    assert [event.seq for event in events] == list(range(1, len(events) + 1)), f"seed {seed}"
    for life in lives:
        mine = [event.order for event in events if event.order.order_id == life[0].order_id]
        told = [(order.state, order.filled) for order in mine]
        assert len(told) == len(set(told)), f"seed {seed}"
        assert told[0] == (OrderState.PENDING, 0)
        assert told[-1] == (OrderState.COMPLETE, 10)
        assert [filled for _, filled in told] == sorted(filled for _, filled in told)
        assert sum(order.state.is_final for order in mine) == 1


def _tagged_row(world: World, intent_id: str, tag: bool = True) -> Order:
    """The order as a broker's socket tells it: brokers know no strategy, and some messages carry no tag."""
    row = world.script.orders["B1"]
    return replace(row, client_order_id=intent_id if tag else "")


def test_news_that_comes_before_the_answer_keeps_the_orders_strategy(world: World) -> None:
    """Limits of a strategy count its orders by it."""
    account = world.caller.account
    place = world.broker._place

    def told_first(order: PlaceOrder) -> object:
        outcome = place(order)
        news = [_tagged_row(world, order.client_order_id)]
        world.updates.apply(account.id, account.venue, account.mode, news, "stream")
        return outcome

    world.broker._place = told_first  # type: ignore[method-assign,assignment]
    world.limit()
    world.limit(strategy="test", max_open_orders=1)
    assert world.orders.place(world.caller, buy()).state == "accepted"
    with world.orders_db.read() as connection:
        known = event_rows.known(connection, account.id, account.venue, "B1")
    assert known is not None and known.strategy == "test"
    with pytest.raises(RiskRefused, match="1 orders are open"):
        world.orders.place(world.caller, buy())


def test_a_tag_that_comes_after_the_first_news_still_finds_its_request(world: World) -> None:
    account = world.caller.account
    world.script.answers = ["silent"]
    world.orders._look_again = lambda intent: None
    placed = world.orders.place(world.caller, buy())
    for tag in (False, True):
        news = [_tagged_row(world, placed.intent_id, tag)]
        world.updates.apply(account.id, account.venue, account.mode, news, "stream")
    assert world.reconciler.unknown() == []

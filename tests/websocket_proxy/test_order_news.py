"""Order news that cannot be stored is tried again, keeps its order, and one bad piece ends no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from websocket_proxy.order_news import MOST, OrderNews

PAUSES = (0.01, 0.01)


class Store:
    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.bad: set[Any] = set()
        self.down = False
        self.tries = 0

    async def keep(self, news: Sequence[Any]) -> None:
        self.tries += 1
        await asyncio.sleep(0)
        if self.down or self.bad & set(news):
            raise OSError("not stored")
        self.kept += news


async def test_what_comes_while_nothing_can_be_stored_follows_what_came_before() -> None:
    store = Store()
    news = OrderNews("f", store.keep, (0.01,) * 200)
    store.down = True
    first = asyncio.create_task(news.add([1, 2]))  # type: ignore[list-item]
    await asyncio.sleep(0.06)
    await news.add([3])  # type: ignore[list-item]
    assert store.kept == [] and store.tries > 2
    store.down = False
    await first
    assert store.kept == [1, 2, 3]


async def test_one_bad_piece_is_given_up_and_ends_no_other() -> None:
    store = Store()
    store.bad = {2}
    await OrderNews("f", store.keep, PAUSES).add([1, 2, 3, 4])  # type: ignore[list-item]
    assert store.kept == [1, 3, 4]
    assert store.tries < 20


async def test_one_bad_piece_holds_up_no_other() -> None:
    """Neither those that came with it, nor those that come while it is tried again."""
    store = Store()
    store.bad = {2}
    news = OrderNews("f", store.keep, (0.01, 0.2, 9.0))
    first = asyncio.create_task(news.add([1, 2, 3]))  # type: ignore[list-item]
    await asyncio.sleep(0.1)
    assert store.kept == [1, 3]
    await news.add([4])  # type: ignore[list-item]
    await asyncio.sleep(0.4)
    assert store.kept == [1, 3, 4]
    store.bad = set()
    first.cancel()


async def test_a_piece_that_failed_alone_is_not_lost_once_it_can_be_stored() -> None:
    store = Store()
    store.bad = {2}
    news = OrderNews("f", store.keep, (0.05,) * 50)
    first = asyncio.create_task(news.add([1, 2, 3]))  # type: ignore[list-item]
    await asyncio.sleep(0.12)
    store.bad = set()
    await first
    assert sorted(store.kept) == [1, 2, 3]


async def test_what_waits_is_bounded() -> None:
    store = Store()
    await OrderNews("f", store.keep, PAUSES).add(list(range(MOST + 7)))  # type: ignore[arg-type]
    assert store.kept == list(range(7, MOST + 7))

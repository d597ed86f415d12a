"""What a client may ask for beyond the contract, and whose sockets go on when things change."""

from __future__ import annotations

from typing import Any

import pytest

from tests.websocket_proxy.world import KEY, OTHER_KEY, World, identity


def entry(symbol: str, **rest: Any) -> dict[str, Any]:
    return {"symbol": symbol, "exchange": "NSE", **rest}


async def test_batches_come_only_to_those_who_asked(world: World) -> None:
    talker = await world.connect()
    answer = await talker.ask(action="authenticate", api_key=KEY, features={"batch": True, "nonsense": True})
    assert answer["features"] == {"batch": True}
    plain = await world.client()
    for one in (talker, plain):
        await one.ask(action="subscribe", symbols=[entry("INFY"), entry("TCS")], mode=1)
    assert await world.wanted(("INFY", 1), ("TCS", 1))
    world.tick("INFY")
    world.tick("TCS")
    heard = await talker.hear_all()
    assert {frame["type"] for frame in heard} == {"batch"}
    assert {tick["symbol"] for frame in heard for tick in frame["ticks"]} == {"INFY", "TCS"}
    assert [frame["type"] for frame in await plain.hear_all()] == ["market_data"] * 2


@pytest.mark.parametrize("batch", [False, True])
async def test_msgpack_ticks_are_binary_and_answers_stay_text(world: World, batch: bool) -> None:
    import msgspec

    talker = await world.client(encoding="msgpack", features={"batch": batch})
    await talker.ask(action="subscribe", symbols=[entry("INFY")], mode=1)
    assert await world.wanted(("INFY", 1))
    world.tick()
    frame = await talker.socket.recv()
    assert isinstance(frame, bytes)
    seen = msgspec.msgpack.decode(frame)
    tick = seen["ticks"][0] if batch else seen
    assert tick["data"]["ltp"] == 1500.5 and tick["type"] == "market_data"
    assert (await talker.ask(action="ping"))["type"] == "pong"


async def test_a_page_hears_what_changed(world: World) -> None:
    page = await world.connect()
    answer = await page.ask(action="authenticate", ticket="t1", features={"changed": True})
    assert answer["features"] == {"changed": True}
    other = await world.client(OTHER_KEY, features={"changed": True})
    for _ in range(20):
        world.order(account_id=1)
    assert await page.hear() == {"type": "changed", "what": "orders"}
    assert len(await page.hear_all()) <= 1, "bells of one moment are one frame"
    assert await other.hear_all() == []


async def test_a_page_watches_jobs_and_logs(world: World) -> None:
    page = await world.connect()
    await page.ask(action="authenticate", ticket="t1", features={"changed": True})
    answer = await page.ask(action="watch", topics=["job|7|", "log|3|", "order|2|", 5], request_id=1)
    assert answer == {"type": "watch", "status": "success", "topics": ["job|7|", "log|3|"], "request_id": 1}
    for topic in ("job|7|", "job|8|", "order|2|"):
        world.bell.ring(topic)
    assert await page.hear_all() == [{"type": "changed", "what": "job", "id": "7"}]
    keyed = await world.client()
    assert (await keyed.ask(action="watch", topics=["job|7|"]))["code"] == "INVALID_PARAMETERS"


async def test_an_alert_rings_on_its_persons_pages_only(world: World) -> None:
    page = await world.connect()
    await page.ask(action="authenticate", ticket="t1", features={"changed": True})
    keyed = await world.client(features={"changed": True})
    for topic in ("alert|1|", "alert|2|"):
        world.bell.ring(topic)
    assert await page.hear_all() == [{"type": "changed", "what": "alert"}]
    assert await keyed.hear_all() == []


async def test_feed_states_are_told_to_those_who_asked(world: World) -> None:
    talker = await world.client(features={"feed_status": True})
    assert (await talker.hear())["state"] == "live"
    world.live("stale")
    frame = await talker.hear()
    assert (frame["type"], frame["broker"], frame["state"]) == ("feed_status", "paper", "stale")


async def test_a_feed_nobody_speaks_for_is_not_live(world: World) -> None:
    talker = await world.client(features={"feed_status": True})
    assert (await talker.hear())["state"] == "live"
    world._turning.cancel()
    assert (await talker.hear(6))["state"] == "reconnecting"


async def test_a_revoked_key_ends_its_sockets(world: World) -> None:
    talker, other = await world.client(), await world.client(OTHER_KEY)
    del world.access.keys[KEY]
    await world.server.recheck(world.server.clients)
    assert (await talker.closed())[0] == 4401
    assert (await other.ask(action="ping"))["type"] == "pong"


async def test_a_new_login_moves_the_subscriptions_to_the_new_feed(world: World) -> None:
    talker = await world.client()
    await talker.ask(action="subscribe", symbols=[entry("INFY")], mode=1)
    assert await world.wanted(("INFY", 1))
    world.access.keys[KEY] = identity(broker="zerodha", feed="zerodha:1")
    world.bell.ring("account|1|")
    assert await world.wanted(("INFY", 1), feed="zerodha:1")
    world.tick(price=1.0, feed="paper")
    world.tick(price=2.0, feed="zerodha:1")
    frames = await talker.hear_all()
    assert [(frame["data"]["ltp"], frame["broker"]) for frame in frames] == [(2.0, "zerodha")]


async def test_a_simulated_price_never_reaches_a_live_account(world: World) -> None:
    world.access.keys[OTHER_KEY] = identity(user="other", broker="zerodha", feed="zerodha:2", proof=OTHER_KEY)
    paper, live = await world.client(), await world.client(OTHER_KEY)
    for talker in (paper, live):
        await talker.ask(action="subscribe", symbols=[entry("INFY")], mode=1)
    assert await world.wanted(("INFY", 1)) and await world.wanted(("INFY", 1), feed="zerodha:2")
    world.tick(price=10.0, feed="paper")
    world.tick(price=20.0, feed="zerodha:2")
    assert [frame["data"]["ltp"] for frame in await paper.hear_all()] == [10.0]
    assert [frame["data"]["ltp"] for frame in await live.hear_all()] == [20.0]

"""Every verb of the public socket, frame by frame."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.websocket_proxy.world import KEY, OTHER_KEY, World

QUOTE_FIELDS = (
    "ltp ltt timestamp open high low close volume average_price avg_trade_price last_quantity last_trade_quantity "
    "ltq total_buy_quantity total_sell_quantity change change_percent oi bid_price ask_price bid_size ask_size"
)


def entry(symbol: str, **rest: Any) -> dict[str, Any]:
    return {"symbol": symbol, "exchange": "NSE", **rest}


# -- authenticate
@pytest.mark.parametrize(
    "message", [{"action": "authenticate", "api_key": KEY}, {"type": "auth", "apikey": KEY}]
)
async def test_a_key_is_accepted_in_both_spellings(world: World, message: dict[str, str]) -> None:
    talker = await world.connect()
    assert await talker.ask(**message) == {
        "type": "auth",
        "status": "success",
        "message": "Authentication successful",
        "broker": "paper",
        "user_id": "admin",
        "supported_features": {"ltp": True, "quote": True, "depth": True},
    }


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({}, "API key is required"),
        ({"api_key": ""}, "API key is required"),
        ({"api_key": "wrong"}, "Invalid API key"),
        ({"api_key": 5}, "Invalid API key"),
        ({"api_key": ["x"]}, "Invalid API key"),
        ({"api_key": "x" * 100_000}, "Invalid API key"),
        ({"ticket": "nope"}, "Invalid ticket"),
    ],
)
async def test_a_bad_key_is_refused_and_a_good_one_may_follow(
    world: World, message: dict[str, Any], words: str
) -> None:
    talker = await world.connect()
    refusal = await talker.ask(action="authenticate", **message)
    assert refusal == {"status": "error", "code": "AUTHENTICATION_ERROR", "message": words}
    assert (await talker.ask(action="authenticate", api_key=KEY))["status"] == "success"


async def test_a_ticket_works_once(world: World) -> None:
    first, second = await world.connect(), await world.connect()
    assert (await first.ask(action="authenticate", ticket="t1"))["status"] == "success"
    assert (await second.ask(action="authenticate", ticket="t1"))["code"] == "AUTHENTICATION_ERROR"


async def test_an_account_without_a_broker_session_is_told_so(world: World) -> None:
    world.access.no_broker = True
    talker = await world.connect()
    answer = await talker.ask(action="authenticate", api_key=KEY)
    assert answer == {
        "status": "error",
        "code": "BROKER_ERROR",
        "message": "No broker configuration found for user",
    }
    assert (await talker.ask(action="subscribe", **entry("INFY")))["code"] == "NOT_AUTHENTICATED"


async def test_another_identity_on_the_same_socket_starts_with_nothing(world: World) -> None:
    talker = await world.client()
    await talker.ask(action="subscribe", **entry("INFY"))
    assert await world.wanted(("INFY", 2))
    answer = await talker.ask(action="authenticate", api_key=OTHER_KEY)
    assert answer["user_id"] == "other"
    assert await world.wanted()


@pytest.mark.parametrize(
    "verb",
    [
        "subscribe",
        "unsubscribe",
        "unsubscribe_all",
        "subscribe_orders",
        "unsubscribe_orders",
        "get_broker_info",
    ],
)
async def test_verbs_that_need_a_key_say_so(world: World, verb: str) -> None:
    talker = await world.connect()
    assert await talker.ask(action=verb, **entry("INFY")) == {
        "status": "error",
        "code": "NOT_AUTHENTICATED",
        "message": "You must authenticate first",
    }


# -- subscribe
async def test_a_single_subscription_in_the_contracts_frame(world: World) -> None:
    talker = await world.client()
    answer = await talker.ask(action="subscribe", symbol="INFY", exchange="NSE", mode=1, request_id="r1")
    assert answer == {
        "type": "subscribe",
        "status": "success",
        "subscriptions": [
            {
                "symbol": "INFY",
                "exchange": "NSE",
                "status": "success",
                "mode": "LTP",
                "depth": 5,
                "broker": "paper",
            }
        ],
        "message": "Subscription processing complete",
        "broker": "paper",
        "request_id": "r1",
    }
    assert await world.wanted(("INFY", 1))
    world.tick()
    assert (await talker.ticks(1)) == [
        {
            "type": "market_data",
            "symbol": "INFY",
            "exchange": "NSE",
            "mode": 1,
            "data": {"ltp": 1500.5, "ltt": 1000, "timestamp": 2000},
            "broker": "paper",
        }
    ]


@pytest.mark.parametrize(
    ("mode", "label"),
    [(1, "LTP"), ("1", "LTP"), ("Quote", "Quote"), (" depth ", "Depth"), ("LTP", "LTP"), (3, "Depth")],
)
async def test_modes_are_read_as_numbers_text_and_labels(world: World, mode: object, label: str) -> None:
    talker = await world.client()
    answer = await talker.ask(action="subscribe", symbols=[entry("INFY")], mode=mode)
    assert answer["subscriptions"][0]["mode"] == label


@pytest.mark.parametrize("mode", [0, 4, True, 1.5, "all", [1], {}])
async def test_other_modes_are_refused(world: World, mode: object) -> None:
    talker = await world.client()
    answer = await talker.ask(action="subscribe", symbols=[entry("INFY")], mode=mode)
    assert (answer["status"], answer["code"]) == ("error", "INVALID_MODE")
    assert all(word in answer["message"] for word in ("LTP", "Quote", "Depth"))


async def test_without_a_mode_it_is_quote_and_an_entry_may_name_its_own(world: World) -> None:
    talker = await world.client()
    answer = await talker.ask(action="subscribe", instruments=[entry("INFY"), entry("TCS", mode="Depth")])
    assert [result["mode"] for result in answer["subscriptions"]] == ["Quote", "Depth"]


async def test_entries_that_fail_are_told_beside_those_that_do_not(world: World) -> None:
    talker = await world.client()
    listed = [entry("INFY"), entry("NOPE"), {"symbol": "TCS"}, "TCS", entry("TCS", mode=9)]
    answer = await talker.ask(action="subscribe", symbols=listed)
    assert answer["status"] == "partial"
    results = answer["subscriptions"]
    assert [result["status"] for result in results] == ["success", "error", "error", "error", "error"]
    assert results[1] == {
        "symbol": "NOPE",
        "exchange": "NSE",
        "status": "error",
        "message": "Symbol 'NOPE' not found on exchange 'NSE'",
        "broker": "paper",
    }
    assert await world.wanted(("INFY", 2))


@pytest.mark.parametrize("message", [{}, {"symbols": []}, {"symbol": "INFY"}, {"symbols": "INFY"}])
async def test_a_subscription_of_nothing_is_refused(world: World, message: dict[str, Any]) -> None:
    talker = await world.client()
    answer = await talker.ask(action="subscribe", **message)
    assert answer == {
        "status": "error",
        "code": "INVALID_PARAMETERS",
        "message": "At least one symbol must be specified",
    }


async def test_depth_levels_are_those_there_are(world: World) -> None:
    talker = await world.client()
    answer = await talker.ask(
        action="subscribe", symbols=[entry("RELIANCE:50"), entry("INFY")], mode=3, depth=20
    )
    assert [result["depth"] for result in answer["subscriptions"]] == [5, 5]
    assert await world.wanted(("RELIANCE", 3), ("INFY", 3))
    world.tick("RELIANCE")
    frame = (await talker.ticks(1))[0]
    assert frame["symbol"] == "RELIANCE:50"
    assert frame["data"]["depth"] == {
        "buy": [{"price": 1500.5, "quantity": 10, "orders": 2}],
        "sell": [{"price": 1500.5, "quantity": 10, "orders": 2}],
    }


async def test_every_held_mode_gets_its_own_frame(world: World) -> None:
    talker = await world.client()
    for mode in (1, 2, 3):
        await talker.ask(action="subscribe", symbols=[entry("INFY")], mode=mode)
    assert await world.wanted(("INFY", 3))
    await world.until(lambda: len(world.feed._lines.get(("paper", "NSE", "INFY"), ())) == 3)
    world.tick()
    frames = await talker.ticks(3)
    assert sorted(frame["mode"] for frame in frames) == [1, 2, 3]
    assert {frame["mode"]: "open" in frame["data"] for frame in frames} == {1: False, 2: True, 3: True}


async def test_a_quote_has_every_field_a_reader_may_look_for(world: World) -> None:
    talker = await world.client()
    await talker.ask(action="subscribe", symbols=[entry("INFY")], mode=2)
    assert await world.wanted(("INFY", 2))
    world.tick()
    data = (await talker.ticks(1))[0]["data"]
    names = QUOTE_FIELDS.split()
    assert set(names) <= set(data)
    assert (data["change"], data["change_percent"]) == (10.5, 0.7)


async def test_a_snapshot_follows_the_subscription(world: World) -> None:
    first = await world.client()
    await first.ask(action="subscribe", symbols=[entry("INFY")])
    assert await world.wanted(("INFY", 2))
    world.tick(price=1501.0)
    await first.ticks(1)
    second = await world.client()
    await second.ask(action="subscribe", symbols=[entry("INFY")])
    assert (await second.ticks(1))[0]["data"]["ltp"] == 1501.0


async def test_no_snapshot_comes_from_a_feed_that_is_not_live(world: World) -> None:
    first = await world.client()
    await first.ask(action="subscribe", symbols=[entry("INFY")])
    assert await world.wanted(("INFY", 2))
    world.tick(price=1501.0)
    await first.ticks(1)
    world.live("reconnecting")
    assert await world.until(lambda: not world.server.states.is_live("paper"))
    second = await world.client()
    await second.ask(action="subscribe", symbols=[entry("INFY")])
    assert await second.hear_all() == []


# -- unsubscribe
async def test_unsubscribing_stops_the_ticks_and_frees_the_feed(world: World) -> None:
    talker = await world.client()
    await talker.ask(action="subscribe", symbols=[entry("INFY"), entry("TCS")], mode=1)
    answer = await talker.ask(action="unsubscribe", symbols=[entry("INFY", mode=1)], request_id=7)
    assert answer == {
        "type": "unsubscribe",
        "status": "success",
        "message": "Unsubscription processing complete",
        "successful": [{"symbol": "INFY", "exchange": "NSE", "status": "success", "broker": "paper"}],
        "failed": [],
        "broker": "paper",
        "request_id": 7,
    }
    assert await world.wanted(("TCS", 1))
    world.tick("INFY")
    world.tick("TCS")
    assert [frame["symbol"] for frame in await talker.hear_all()] == ["TCS"]


async def test_an_entry_without_a_mode_drops_quote_or_else_everything(world: World) -> None:
    talker = await world.client()
    for mode in (1, 3):
        await talker.ask(action="subscribe", symbols=[entry("INFY")], mode=mode)
    await talker.ask(action="unsubscribe", symbols=[entry("INFY")])
    assert await world.wanted()
    for mode in (1, 2):
        await talker.ask(action="subscribe", symbols=[entry("TCS")], mode=mode)
    await talker.ask(action="unsubscribe", symbols=[entry("TCS")])
    assert await world.wanted(("TCS", 1))


async def test_a_top_level_mode_counts_for_entries_without_one(world: World) -> None:
    talker = await world.client()
    for mode in (1, 2):
        await talker.ask(action="subscribe", symbols=[entry("INFY")], mode=mode)
    await talker.ask(action="unsubscribe", symbols=[entry("INFY")], mode="LTP")
    assert await world.until(lambda: list(world.feed._lines.get(("paper", "NSE", "INFY"), ())) == [2])


async def test_what_was_never_held_is_unsubscribed_with_success(world: World) -> None:
    talker = await world.client()
    answer = await talker.ask(action="unsubscribe", symbol="TCS", exchange="NSE", mode=1)
    assert answer["status"] == "success" and answer["successful"][0]["symbol"] == "TCS"


@pytest.mark.parametrize(
    ("listed", "status"), [([entry("TCS"), {"symbol": "X"}], "partial"), ([{"symbol": "X"}], "error")]
)
async def test_entries_that_cannot_be_unsubscribed(world: World, listed: list[Any], status: str) -> None:
    talker = await world.client()
    answer = await talker.ask(action="unsubscribe", symbols=listed)
    assert answer["status"] == status
    assert answer["failed"][0]["status"] == "error"


async def test_unsubscribing_nothing_is_refused(world: World) -> None:
    talker = await world.client()
    answer = await talker.ask(action="unsubscribe")
    assert answer["message"] == "Either symbols or unsubscribe_all is required"
    assert answer["code"] == "INVALID_PARAMETERS"


@pytest.mark.parametrize(
    "message", [{"action": "unsubscribe_all"}, {"action": "unsubscribe", "unsubscribe_all": True}]
)
async def test_unsubscribe_all(world: World, message: dict[str, Any]) -> None:
    talker = await world.client()
    await talker.ask(action="subscribe", symbols=[entry("INFY"), entry("TCS")], mode=1)
    await talker.ask(action="subscribe", symbols=[entry("INFY")], mode=2)
    answer = await talker.ask(**message)
    assert (answer["type"], answer["status"]) == ("unsubscribe", "success")
    assert {result["symbol"] for result in answer["successful"]} == {"INFY", "TCS"}
    assert await world.wanted()


# -- the rest
async def test_ping_answers_before_anybody_authenticated(world: World) -> None:
    talker = await world.connect()
    answer = await talker.ask(action="ping", timestamp=12, _pingId={"a": [1]})
    assert abs(answer.pop("server_timestamp") - time.time() * 1000) < 5000
    assert answer == {"type": "pong", "status": "success", "client_timestamp": 12, "_pingId": {"a": [1]}}
    assert set(await talker.ask(type="ping")) == {"type", "status", "server_timestamp"}


async def test_broker_info_follows_the_feed(world: World) -> None:
    talker = await world.client()
    answer = await talker.ask(action="get_broker_info")
    assert answer == {
        "type": "broker_info",
        "status": "success",
        "broker": "paper",
        "adapter_status": "connected",
        "user_id": "admin",
    }
    world.live("expired")
    assert await world.until(lambda: not world.server.states.is_live("paper"))
    assert (await talker.ask(action="get_broker_info"))["adapter_status"] == "disconnected"


async def test_supported_brokers_need_no_key(world: World) -> None:
    talker = await world.connect()
    answer = await talker.ask(action="get_supported_brokers")
    assert answer == {
        "type": "supported_brokers",
        "status": "success",
        "brokers": ["paper", "zerodha"],
        "count": 2,
    }


@pytest.mark.parametrize(
    ("raw", "code", "words"),
    [
        ("not json", "INVALID_JSON", "Invalid JSON message"),
        ("[1,2]", "INVALID_JSON", "Invalid JSON message"),
        ("null", "INVALID_JSON", "Invalid JSON message"),
        ('{"action":"fly"}', "INVALID_ACTION", "Invalid action: fly"),
        ("{}", "INVALID_ACTION", "Invalid action: None"),
        ('{"action":5}', "INVALID_ACTION", "Invalid action: 5"),
        ('{"action":"","type":"dance"}', "INVALID_ACTION", "Invalid action: dance"),
    ],
)
async def test_what_is_not_understood(world: World, raw: str, code: str, words: str) -> None:
    talker = await world.connect()
    await talker.socket.send(raw)
    assert await talker.hear() == {"status": "error", "code": code, "message": words}
    await talker.socket.send(raw.encode())
    assert (await talker.hear())["code"] == code


async def test_messages_of_one_socket_are_answered_in_order(world: World) -> None:
    talker = await world.connect()
    await talker.say(action="authenticate", api_key=KEY)
    for number in range(300):
        await talker.say(action="subscribe", symbols=[entry(f"S{number}")], mode=1, request_id=number)
    assert (await talker.hear())["type"] == "auth"
    heard = [await talker.hear() for _ in range(300)]
    assert [answer["request_id"] for answer in heard] == list(range(300))
    assert json.dumps(heard[0])

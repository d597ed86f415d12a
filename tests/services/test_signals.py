"""Webhook signals: on disk before the answer, one order each, whatever dies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from database.metadata import PLATFORM
from domain.errors import InvalidRequest, NotFound
from services.signals import SignalRefused, Signals
from tests.services.test_order_plans import PlanWorld

NOON = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)


class SignalWorld(PlanWorld):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        PLATFORM.create_all(self.platform.engine)
        self.clock.moment = NOON
        self.signals = self.start()

    def start(self) -> Signals:
        return Signals(
            self.platform,
            self.orders_db,
            self.clock,
            self.accounts,
            self.orders,
            self.plans,
            self.smart,
            lambda exchange, at: True,
        )

    def webhook(self, kind: str = "strategy", mode: str = "LONG", **changes: Any) -> str:
        made = self.signals.create(self.caller, kind, f"{kind} {mode}", trading_mode=mode, **changes)
        self.signals.map_symbol(self.caller, made.id, "RELIANCE", "NSE", Decimal(10), "MIS")
        self.signals.switch(self.caller, made.id, True)
        return made.webhook_id

    def placed(self) -> list[tuple[str, int]]:
        return [(order.side.value, int(order.quantity)) for order in self.script.sent]  # type: ignore[union-attr]

    def hold(self, quantity: int) -> None:
        from tests.services.test_order_plans import held

        self.script.positions = [held(quantity)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SignalWorld]:
    made = SignalWorld(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("mode", "action", "size", "held", "orders"),
    [
        ("LONG", "BUY", None, 0, [("BUY", 10)]),
        ("LONG", "buy", "-25", 0, [("BUY", 25)]),
        ("LONG", "SELL", None, 30, [("SELL", 30)]),
        ("SHORT", "SELL", 0, 0, [("SELL", 10)]),
        ("SHORT", "BUY", None, -30, [("BUY", 30)]),
        ("BOTH", "BUY", "20", -10, [("BUY", 30)]),
        ("BOTH", "SELL", -20, 10, [("SELL", 30)]),
        ("BOTH", "BUY", "0", -7, [("BUY", 7)]),
        ("BOTH", "SELL", "0.0", 7, [("SELL", 7)]),
    ],
)
def test_the_decision_table(
    world: SignalWorld, mode: str, action: str, size: object, held: int, orders: list[object]
) -> None:
    world.hold(held)
    body: dict[str, object] = {"symbol": "RELIANCE", "action": action}
    if size is not None:
        body["position_size"] = size
    assert world.signals.strategy_signal(world.webhook(mode=mode), body) == "RELIANCE"
    assert world.placed() == []
    world.signals.drain()
    assert world.placed() == orders


@pytest.mark.parametrize(
    ("mode", "body", "words"),
    [
        ("LONG", {}, "No data"),
        ("LONG", [], "No data"),
        ("LONG", {"symbol": "RELIANCE"}, "action"),
        ("LONG", {"action": "BUY"}, "symbol"),
        ("LONG", {"symbol": "RELIANCE", "action": "HOLD"}, "Invalid action"),
        ("LONG", {"symbol": "reliance", "action": "BUY"}, "No mapping"),
        ("LONG", {"symbol": "RELIANCE", "action": "BUY", "position_size": "1.5"}, "whole number"),
        ("LONG", {"symbol": "RELIANCE", "action": "BUY", "position_size": True}, "whole number"),
        ("LONG", {"symbol": "RELIANCE", "action": "BUY", "position_size": "١٢"}, "whole number"),
        ("BOTH", {"symbol": "RELIANCE", "action": "BUY"}, "position_size"),
        ("BOTH", {"symbol": "RELIANCE", "action": "BUY", "position_size": -5}, "position_size"),
        ("BOTH", {"symbol": "RELIANCE", "action": "SELL", "position_size": 5}, "position_size"),
    ],
)
def test_a_signal_that_makes_no_sense_is_refused(
    world: SignalWorld, mode: str, body: object, words: str
) -> None:
    webhook = world.webhook(mode=mode)
    with pytest.raises(SignalRefused, match=words):
        world.signals.strategy_signal(webhook, body)
    world.signals.drain()
    assert world.placed() == []


def test_a_signal_survives_whatever_dies_and_is_acted_on_once(world: SignalWorld) -> None:
    webhook = world.webhook()
    world.signals.strategy_signal(webhook, {"symbol": "RELIANCE", "action": "BUY"})
    world.signals = world.start()
    tell, world.signals._tell = world.signals._tell, lambda *a: None  # type: ignore[method-assign]
    world.signals.drain()
    world.signals._tell = tell  # type: ignore[method-assign]
    world.signals.drain()
    world.signals.drain()
    assert world.placed() == [("BUY", 10)]
    [signal] = world.signals.recent(world.caller, world.signals.listed(world.caller)[0].id)
    assert (signal.state, signal.order_id) == ("done", "B1")


@pytest.mark.parametrize(("mode", "size"), [("LONG", None), ("BOTH", 10)])
def test_an_entry_that_waited_too_long_is_not_made(world: SignalWorld, mode: str, size: int | None) -> None:
    """The worker was away; its price is another one by now, or its day over."""
    body = {"symbol": "RELIANCE", "action": "BUY", "position_size": size}
    world.signals.strategy_signal(world.webhook(mode=mode), body)
    world.clock.move(3600)
    world.signals.drain()
    assert world.placed() == []
    [signal] = world.signals.recent(world.caller, world.signals.listed(world.caller)[0].id)
    assert (signal.state, signal.message) == ("failed", "Not sent: it waited too long.")


def test_an_entry_that_was_sent_is_told_however_late(world: SignalWorld) -> None:
    world.signals.strategy_signal(world.webhook(), {"symbol": "RELIANCE", "action": "BUY"})
    tell, world.signals._tell = world.signals._tell, lambda *a: None  # type: ignore[method-assign]
    world.signals.drain()
    world.signals._tell = tell  # type: ignore[method-assign]
    world.clock.move(3600)
    world.signals.drain()
    assert world.placed() == [("BUY", 10)]
    [signal] = world.signals.recent(world.caller, world.signals.listed(world.caller)[0].id)
    assert (signal.state, signal.order_id) == ("done", "B1")


def test_an_exit_is_made_late_but_not_on_another_day(world: SignalWorld) -> None:
    webhook, leave = world.webhook(), {"symbol": "RELIANCE", "action": "SELL"}
    world.hold(10)
    world.signals.strategy_signal(webhook, leave)
    world.clock.move(3600)
    world.signals.drain()
    assert world.placed() == [("SELL", 10)]
    world.hold(20)
    world.signals.strategy_signal(webhook, leave)
    world.clock.move(24 * 3600)
    world.signals.drain()
    assert world.placed() == [("SELL", 10)]


def test_what_could_not_be_done_stands_in_the_row(world: SignalWorld) -> None:
    webhook = world.webhook()
    world.limit(max_quantity=Decimal(5))
    world.signals.strategy_signal(webhook, {"symbol": "RELIANCE", "action": "BUY"})
    world.signals.drain()
    [signal] = world.signals.recent(world.caller, world.signals.listed(world.caller)[0].id)
    assert signal.state == "failed"
    assert "limit" in signal.message


@pytest.mark.parametrize(
    ("minute", "action", "taken"),
    [
        ("09:14", "BUY", False),
        ("09:15", "BUY", True),
        ("15:00", "BUY", True),
        ("15:01", "BUY", False),
        ("15:15", "SELL", True),
        ("15:16", "SELL", False),
    ],
)
def test_entries_end_before_exits(world: SignalWorld, minute: str, action: str, taken: bool) -> None:
    webhook = world.webhook()
    hour, minutes = (int(part) for part in minute.split(":"))
    world.clock.moment = datetime(2026, 11, 23, hour, minutes, tzinfo=UTC)
    world.clock.move(-5.5 * 3600)
    body = {"symbol": "RELIANCE", "action": action}
    if taken:
        world.signals.strategy_signal(webhook, body)
    else:
        with pytest.raises(SignalRefused):
            world.signals.strategy_signal(webhook, body)


def test_the_square_off_closes_once_a_day_over_restarts(world: SignalWorld) -> None:
    world.webhook()
    world.hold(40)
    assert world.signals.square_off() == 0
    world.clock.move(3.5 * 3600)
    assert world.signals.square_off() == 1
    world.signals = world.start()
    assert world.signals.square_off() == 0
    world.signals.drain()
    assert world.placed() == [("SELL", 40)]


@pytest.mark.parametrize(
    ("scan", "side"),
    [("Morning BUY", "BUY"), ("short it", "SELL"), ("buy or sell", "BUY")],
)
def test_chartink_keywords_come_in_order(world: SignalWorld, scan: str, side: str) -> None:
    webhook = world.webhook("chartink")
    taken = world.signals.chartink_signal(webhook, {"stocks": "RELIANCE, TCS", "scan_name": scan})
    assert taken == ["RELIANCE"]
    world.signals.drain()
    assert world.placed() == [(side, 10)]


def test_chartink_refusals(world: SignalWorld) -> None:
    webhook = world.webhook("chartink")
    with pytest.raises(SignalRefused, match="keyword"):
        world.signals.chartink_signal(webhook, {"stocks": "RELIANCE", "scan_name": "hello"})
    assert world.signals.chartink_signal(webhook, {"stocks": "TCS", "scan_name": "BUY"}) == []
    row = world.signals.listed(world.caller)[0].id
    world.signals.switch(world.caller, row, False)
    with pytest.raises(SignalRefused) as error:
        world.signals.chartink_signal(webhook, {"stocks": "RELIANCE", "scan_name": "BUY"})
    assert error.value.status == 200


def test_an_unknown_url_and_a_foreign_row_are_not_found(world: SignalWorld) -> None:
    with pytest.raises(SignalRefused) as error:
        world.signals.strategy_signal("nope", {"symbol": "RELIANCE", "action": "BUY"})
    assert error.value.status == 404
    world.webhook()
    row = world.signals.listed(world.caller)[0].id
    stranger = world.accounts.caller_of_user(world.accounts.add_user("ravi", "a long password").id)
    with pytest.raises(NotFound):
        world.signals.one(stranger, row)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "ab"}, "name"),
        ({"trading_mode": "UP"}, "trading_mode"),
        ({"times": ("09:00", "15:00", "15:15")}, "start_time"),
        ({"times": ("09:15", "15:20", "15:15")}, "start_time"),
        ({"times": ("9:15", "15:00", "15:15")}, "start_time"),
    ],
)
def test_a_strategy_that_makes_no_sense_is_not_stored(
    world: SignalWorld, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as error:
        world.signals.create(world.caller, "strategy", changes.pop("name", "a name"), **changes)
    assert error.value.field == field

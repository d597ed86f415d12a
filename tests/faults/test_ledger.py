"""The checker of fault campaigns catches each kind of wrong, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.ledger import Truth, Verdict, Wish, judge, judge_statuses

ABOUT = ("NSE", "INFY", "BUY", 7)


def row(order_id: str = "9", state: str = "OPEN", quantity: int = 7) -> dict[str, Any]:
    return {"order_id": order_id, "exchange": "NSE", "symbol": "INFY", "side": "BUY",
            "quantity": str(quantity), "filled": "0", "state": state}  # fmt: skip


def wish(status: str | None, kind: str = "place", target: str = "") -> Wish:
    answer = None if status is None else {"status": status, "orderid": "9"}
    about = ABOUT if kind == "place" else None
    return Wish(kind, "b", "k", "p", {}, about=about, target=target, answer=answer)


def verdict(
    wishes: list[Wish], orders: list[dict[str, Any]], events: list[dict[str, Any]] | None = None
) -> dict[str, int]:
    found = Verdict()
    judge(wishes, Truth(orders, events or []), None, found)
    return {word: count for word, count in found.counts.items() if count}


@pytest.mark.parametrize(
    ("told", "orders", "wrong"),
    [
        ("success", [row()], {}),
        ("error", [], {}),
        ("error", [row(state="REJECTED")], {}),
        ("success", [], {"lost": 1}),
        ("success", [row("9"), row("10")], {"doubled": 1}),
        ("error", [row()], {"lie": 1}),
        ("pending", [row()], {"unresolved": 1}),
        (None, [], {"unresolved": 1}),
        ("success", [row(), row("10", quantity=8)], {"ghost": 1}),
    ],
)
def test_a_placed_order_is_judged(
    told: str | None, orders: list[dict[str, Any]], wrong: dict[str, int]
) -> None:
    assert verdict([wish(told)], orders) == wrong


@pytest.mark.parametrize(
    ("told", "arrived", "state", "wrong"),
    [
        ("success", ["Accepted"], "CANCELLED", {}),
        ("success", [], "OPEN", {"lost": 1}),
        ("success", ["Accepted", "Refused"], "CANCELLED", {"doubled": 1}),
        ("error", ["Accepted"], "CANCELLED", {"lie": 1}),
        ("error", ["Accepted"], "COMPLETE", {}),
        ("error", ["Refused"], "OPEN", {}),
    ],
)
def test_a_cancel_is_judged(told: str, arrived: list[str], state: str, wrong: dict[str, int]) -> None:
    events = [{"what": "cancel", "order_id": "9", "outcome": outcome} for outcome in arrived]
    assert verdict([wish("success"), wish(told, "cancel", "9")], [row(state=state)], events) == wrong


def test_a_change_of_an_order_that_never_was_is_lost() -> None:
    assert verdict([wish("error"), wish("success", "modify", "9")], []) == {"lost": 1}
    assert verdict([wish("error"), wish("success", "cancel", "9")], []) == {}


def test_another_orders_id_is_a_lie() -> None:
    twin = Wish("place", "b", "k2", "p", {}, about=("NSE", "SBIN", "SELL", 3), answer=wish("success").answer)
    rows = [row("9"), {**row("10", quantity=3), "symbol": "SBIN", "side": "SELL"}]
    assert verdict([wish("success"), twin], rows) == {"lie": 1}
    assert verdict([twin], rows[1:]) == {}


SHOWN = {"orderid": "9", "exchange": "NSE", "symbol": "INFY", "action": "BUY", "quantity": 7,
         "filled_quantity": 0, "order_status": "open"}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "lies"),
    [
        ({}, 0),
        ({"order_status": "cancelled"}, 1),
        ({"quantity": 8}, 1),
        ({"filled_quantity": 7}, 1),
        ({"symbol": "SBIN"}, 1),
    ],
)
def test_a_book_or_status_that_shows_otherwise_is_a_lie(changed: dict[str, Any], lies: int) -> None:
    found = Verdict()
    names = judge([wish("success")], Truth([row()], []), [{**SHOWN, **changed}], found)
    assert found.counts["lie"] == lies
    judge_statuses(names, [{**SHOWN, **changed}], found)
    assert found.counts["lie"] == 2 * lies

"""The campaign's own ledger of what it wished and was told, and the verdict against the broker's truth.

lost        told success (or pending, then success), and the broker never had it
doubled     the broker had it more than once
ghost       the broker has an order that nobody wished for
lie         told error, and the broker took it; or told another order's id; or shown otherwise than the broker has it
unresolved  still pending a minute after the broker was reachable
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

WORDS = ("lost", "doubled", "ghost", "lie", "unresolved")
Key = tuple[str, str, str, int]


@dataclass(slots=True)
class Wish:
    """One thing asked for, under one Idempotency-Key.

    kind    place, modify, cancel
    about   what makes a placed order unlike all others: (exchange, symbol, side, quantity)
    answer  the last answer, None while every try went unanswered
    """

    kind: str
    broker: str
    key: str
    path: str
    body: dict[str, Any]
    about: Key | None = None
    target: str = ""
    tries: int = 0
    answer: dict[str, Any] | None = None

    @property
    def told(self) -> str:
        """success, pending, error or none."""
        return "none" if self.answer is None else str(self.answer.get("status", "error"))

    @property
    def is_queued(self) -> bool:
        """Whether it waits for a send slot: nothing was sent yet."""
        return self.told == "pending" and "order rate" in (self.answer or {}).get("message", "")

    @property
    def order_id(self) -> str:
        return str((self.answer or {}).get("orderid", ""))


@dataclass(slots=True)
class Verdict:
    """What is wrong, by word; every entry says which wish."""

    found: dict[str, list[str]] = field(default_factory=lambda: {word: [] for word in WORDS})

    def add(self, word: str, why: str) -> None:
        self.found[word].append(why)

    @property
    def counts(self) -> dict[str, int]:
        return {word: len(self.found[word]) for word in WORDS}

    @property
    def clean(self) -> bool:
        return not any(self.found.values())


@dataclass(frozen=True, slots=True)
class Truth:
    """A broker's own record: its orders as they stand, and its log of what arrived."""

    orders: Sequence[dict[str, Any]]
    events: Sequence[dict[str, Any]]


def judge(
    wishes: Sequence[Wish], truth: Truth, book: Sequence[dict[str, Any]] | None, verdict: Verdict
) -> dict[str, dict[str, Any]]:
    """Compare one broker's wishes with its truth; `book` is what our orderbook shows, None to leave it out.

    Returns the broker's orders by the ids that were told of them.
    """
    there: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    for row in truth.orders:
        there[_key(row)].append(row)
    keys = {row["order_id"]: _key(row) for row in truth.orders}
    names: dict[str, dict[str, Any]] = {}
    for wish in wishes:
        if wish.kind != "place" or wish.about is None:
            continue
        rows = there.pop(wish.about, [])
        _judge_place(wish, rows, verdict)
        told = wish.order_id
        if told in names or keys.get(told, wish.about) != wish.about:
            verdict.add("lie", f"{wish.broker} {wish.about}: told {told}, which is another order")
        elif rows and told:
            names[told] = rows[0]
    for rows in there.values():
        verdict.add("ghost", f"{rows[0]}")
    _judge_changes(wishes, truth, names, verdict)
    if book is not None:
        _judge_book(names, book, verdict)
    return names


def _key(row: dict[str, Any]) -> Key:
    return (row["exchange"], row["symbol"], row["side"], int(row["quantity"]))


def _judge_place(wish: Wish, rows: list[dict[str, Any]], verdict: Verdict) -> None:
    if len(rows) > 1:
        verdict.add("doubled", f"{wish.broker} {wish.about}: {len(rows)} orders, told {wish.answer}")
    if wish.told in ("pending", "none"):
        verdict.add("unresolved", f"{wish.broker} {wish.about}: {wish.answer}")
    elif wish.told == "success" and not rows:
        verdict.add("lost", f"{wish.broker} {wish.about}: {wish.answer}")
    elif wish.told == "error" and any(row["state"] != "REJECTED" for row in rows):
        verdict.add("lie", f"{wish.broker} {wish.about}: told {wish.answer}, there {rows}")


def _judge_changes(
    wishes: Sequence[Wish], truth: Truth, names: dict[str, dict[str, Any]], verdict: Verdict
) -> None:
    arrived = Counter((event["what"], event.get("order_id", "")) for event in truth.events)
    taken = Counter(
        (event["what"], event.get("order_id", ""))
        for event in truth.events
        if event.get("outcome") == "Accepted"
    )
    for wish in wishes:
        row = names.get(wish.target)
        if wish.kind == "place":
            continue
        words = f"{wish.broker} {wish.kind} of {wish.target}: {wish.answer}"
        if row is None:  # ended before it was sent, or never received
            if wish.told == "success" and wish.kind == "modify":
                verdict.add("lost", f"{words}, which the broker never had")
            continue
        what = (wish.kind, row["order_id"])
        if arrived[what] > 1:
            verdict.add("doubled", f"{words}, arrived {arrived[what]} times")
        if wish.told in ("pending", "none"):
            verdict.add("unresolved", words)
        elif wish.told == "success" and not taken[what]:
            verdict.add("lost", words)
        elif wish.told == "error" and taken[what] and row["state"] not in ("COMPLETE", "REJECTED"):
            verdict.add("lie", f"{words}, there {row}")


_SHOWN = {
    "OPEN": "open", "PENDING": "open", "COMPLETE": "complete", "CANCELLED": "cancelled", "REJECTED": "rejected",
    "TRIGGER_PENDING": "trigger pending",
}  # fmt: skip


def _judge_book(names: dict[str, dict[str, Any]], book: Sequence[dict[str, Any]], verdict: Verdict) -> None:
    shown = {str(row["orderid"]): row for row in book}
    for told, there in names.items():
        row = shown.get(told)
        if row is None:
            verdict.add("lost", f"{told} is not in the orderbook; the broker has {there}")
        else:
            _judge_shown(row, there, verdict)


def judge_statuses(
    names: dict[str, dict[str, Any]], rows: Sequence[dict[str, Any]], verdict: Verdict
) -> None:
    """Compare what orderstatus said with the broker's orders by told id."""
    for row in rows:
        _judge_shown(row, names[str(row["orderid"])], verdict)


def _judge_shown(row: dict[str, Any], there: dict[str, Any], verdict: Verdict) -> None:
    """One order as our API shows it against the broker's own row."""
    expected = {
        "order_status": _SHOWN.get(there["state"], "?"),
        "exchange": there["exchange"],
        "symbol": there["symbol"],
        "action": there["side"],
        "quantity": there["quantity"],
        "filled_quantity": there["filled"],
    }
    if wrong := {name: row.get(name) for name, value in expected.items() if str(row.get(name)) != value}:
        verdict.add("lie", f"{row['orderid']}: shown as {wrong}, the broker has {there}")

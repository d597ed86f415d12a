"""The campaign's own ledger of what it wished and was told, and the verdict against the broker's truth.

lost        told success (or pending, then success), and the broker never had it
doubled     the broker had it more than once
ghost       the broker has an order that nobody wished for
lie         told error, and the broker took it; or the book shows another end than the broker's
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
) -> None:
    """Compare one broker's wishes with its truth; `book` is what our orderbook shows, None to leave it out."""
    there: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    for row in truth.orders:
        there[_key(row)].append(row)
    names: dict[str, dict[str, Any]] = {}
    for wish in wishes:
        if wish.kind == "place" and wish.about is not None:
            rows = there.pop(wish.about, [])
            _judge_place(wish, rows, verdict)
            if rows and wish.order_id:
                names[wish.order_id] = rows[0]
    for rows in there.values():
        verdict.add("ghost", f"{rows[0]}")
    _judge_changes(wishes, truth, names, verdict)
    if book is not None:
        _judge_book(names, book, verdict)


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
        if wish.kind == "place" or row is None:
            continue
        what = (wish.kind, row["order_id"])
        words = f"{wish.broker} {wish.kind} of {wish.target}: {wish.answer}"
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
        elif row["order_status"] != _SHOWN.get(there["state"], "?"):
            verdict.add("lie", f"{told}: the book says {row['order_status']}, the broker {there}")

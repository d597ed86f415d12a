"""The journal replayed: the last event of each order is the order as it is kept, and as the API shows it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.faults.paper import UNIT

_LAST = """
select orders.order_id, orders.broker, orders.state, orders.filled, last.state as state_told, last.filled as filled_told
from orders left join order_events as last
on last.account_id = orders.account_id and last.seq = (
    select max(seq) from order_events as one
    where one.account_id = orders.account_id and one.broker = orders.broker and one.order_id = orders.order_id
)
"""
_GAPS = "select account_id, count(*) as rows, max(seq) as last from order_events group by account_id"
_STEPS = """
select intents.id, intents.state, last.state as told from intents left join (
    select intent_id, state, max(seq) from intent_steps group by intent_id
) as last on last.intent_id = intents.id
"""
_SHOWN = {
    "PENDING": "open",
    "OPEN": "open",
    "UNKNOWN": "open",
    "TRIGGER_PENDING": "trigger pending",
    "EXPIRED": "cancelled",
}


def problems(home: Path, broker: str, book: list[dict[str, Any]]) -> list[str]:
    """Where the events of an install's journal, the rows made of them, and one account's orderbook differ."""
    with closing(sqlite3.connect(f"file:{home / 'orders.db'}?mode=ro", uri=True)) as store:
        store.row_factory = sqlite3.Row
        kept = [dict(row) for row in store.execute(_LAST)]
        gaps = [dict(row) for row in store.execute(_GAPS) if row["rows"] != row["last"]]
        steps = [dict(row) for row in store.execute(_STEPS) if row["state"] != row["told"]]
        told = _told_ids(store, broker)
    found = [f"events are not numbered without gaps: {gap}" for gap in gaps]
    found += [f"an intent is not in its last step's state: {step}" for step in steps]
    found += [
        f"an order is not as its last event says: {row}"
        for row in kept
        if (row["state"], row["filled"]) != (row["state_told"], row["filled_told"])
    ]
    rows = {told.get(row["order_id"], row["order_id"]): row for row in kept if row["broker"] == broker}
    return found + [line for shown in book for line in _differs(shown, rows.get(str(shown["orderid"])))]


def _told_ids(store: sqlite3.Connection, broker: str) -> dict[str, str]:
    query = "select broker_order_id, told_id from intents where kind = 'PLACE' and broker = ? and told_id is not null"
    return {row[0]: row[1] for row in store.execute(query, (broker,)) if row[0]}


def _differs(shown: dict[str, Any], kept: dict[str, Any] | None) -> list[str]:
    if kept is None:
        return [f"the journal has never heard of {shown['orderid']}, which the API shows"]
    state = _SHOWN.get(kept["state"], kept["state"].lower())
    if (shown["order_status"], int(shown["filled_quantity"])) == (state, kept["filled"] // UNIT):
        return []
    return [f"the API shows {shown}, the journal {kept}"]

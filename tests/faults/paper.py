"""The paper exchange's own book as a broker's truth: read from its store, past everything that the platform says."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.install import ROOT

UNIT = 10**8


def truth(home: Path) -> dict[str, Any]:
    """Orders, and what each request that arrived was told, in the words of a simulator's truth."""
    with closing(sqlite3.connect(f"file:{home / 'paper.db'}?mode=ro", uri=True)) as store:
        store.row_factory = sqlite3.Row
        orders = [
            {
                "order_id": row["order_id"],
                "tag": row["client_order_id"],
                "symbol": row["symbol"],
                "exchange": row["exchange"],
                "side": row["side"],
                "quantity": str(row["quantity"] // UNIT),
                "filled": str(row["filled"] // UNIT),
                "state": row["state"],
            }
            for row in store.execute("select * from paper_orders")
        ]
        events = [
            {
                "what": row["kind"].lower(),
                "order_id": row["order_id"],
                "outcome": "Refused" if row["code"] else "Accepted",
            }
            for row in store.execute("select kind, order_id, code from paper_answers")
        ]
    return {"orders": orders, "events": events, "faults": []}


def symbols(count: int) -> tuple[str, ...]:
    """Shares that the paper market trades: many, so that unlike quantities stay small and money lasts."""
    with (ROOT / "facts" / "nifty50.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row and not row[0].startswith("#")]
    cheap = [row[0] for row in rows[1:] if float(row[4]) < 2500]
    return tuple(cheap[:count])

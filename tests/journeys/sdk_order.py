"""Run by the public SDK's own interpreter: place one order, and whatever the answer was, find out what became of it.

Prints one line of JSON: the answer to the order, the order's last status, and the rows of the book that are alike.
"""

import json
import sys
import time

from openalgo import api  # type: ignore[import-not-found]

key, host, quantity = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = api(api_key=key, host=host)
TERMS = {"symbol": "INFY", "exchange": "NSE", "action": "BUY", "product": "MIS"}


def alike() -> "list[dict[str, object]] | None":
    """The book's rows with the order's terms; None while the book cannot be read."""
    told = client.orderbook()
    if told.get("status") != "success":
        return None
    rows = told["data"]["orders"]
    return [row for row in rows if row["symbol"] == TERMS["symbol"] and int(row["quantity"]) == quantity]


def until(look: object, seconds: float = 40.0) -> object:
    """What `look` returns once that is something."""
    end = time.time() + seconds
    while not (found := look()) and time.time() < end:
        time.sleep(0.5)
    return found


def status(order_id: str) -> "dict[str, object] | None":
    """The order once its broker has confirmed it."""
    told = client.orderstatus(order_id=order_id, strategy="careful")
    data = told.get("data") or {}
    return data if told.get("status") == "success" and "state" not in data else None


answer = client.placeorder(strategy="careful", price_type="LIMIT", price="1480", quantity=quantity, **TERMS)
order_id = answer.get("orderid") or ""
if not order_id:  # no answer, or none that can be trusted: the book decides, nothing is placed again
    rows = until(alike)
    order_id = rows[0]["orderid"] if rows else ""
found = {
    "answer": answer,
    "status": until(lambda: status(order_id)) if order_id else None,
    "book": until(alike),
}
print(json.dumps(found), flush=True)

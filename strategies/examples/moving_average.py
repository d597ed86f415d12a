"""Moving average cross, RELIANCE, one share

Buys one share (MIS) when the average of the last 5 prices rises above that of the last 20, and sells it when it
falls below. It asks for a price every second and needs nothing but Python.
"""

import json
import os
import signal
import sys
import time
import urllib.request
from collections import deque

HOST, KEY = os.environ["OPENALGO_HOST"], os.environ["OPENALGO_API_KEY"]
NAME = os.environ["STRATEGY_NAME"]
SYMBOL = os.environ.get("SYMBOL", "RELIANCE")
QUANTITY = os.environ.get("QUANTITY", "1")


def call(path, **fields):
    """One request of the REST API; the answer's JSON."""
    body = json.dumps({"apikey": KEY, **fields}).encode()
    request = urllib.request.Request(f"{HOST}/api/v1/{path}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def order(action):
    """A market order for the quantity; prints what became of it."""
    answer = call(
        "placeorder",
        strategy=NAME,
        symbol=SYMBOL,
        exchange="NSE",
        action=action,
        product="MIS",
        pricetype="MARKET",
        quantity=QUANTITY,
    )
    print(f"{action} {QUANTITY} {SYMBOL}: {answer.get('status')} {answer.get('orderid', '')}")


def main():
    """Look once a second until told to end."""
    prices, held = deque(maxlen=20), False
    while True:
        quote = call("quotes", symbol=SYMBOL, exchange="NSE")
        price = quote["data"]["ltp"]
        prices.append(price)
        if len(prices) == prices.maxlen:
            fast = sum(list(prices)[-5:]) / 5
            slow = sum(prices) / len(prices)
            print(f"ltp={price:.2f} fast={fast:.2f} slow={slow:.2f} held={held}")
            if fast > slow and not held:
                order("BUY")
                held = True
            elif fast < slow and held:
                order("SELL")
                held = False
        else:
            print(f"ltp={price:.2f}, {len(prices)} of {prices.maxlen} prices")
        time.sleep(1)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
main()

"""A strategy as a user writes one with the public SDK: trades on every tenth tick, and connects again by itself."""

import os
import signal
import threading
import time

from openalgo import api  # type: ignore[import-not-found]

ends = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ends.set())
heard, last = 0, time.monotonic()


def connected():
    """A client that hears RELIANCE, once the feed is there."""
    while not ends.is_set():
        client = api(
            api_key=os.environ["OPENALGO_API_KEY"],
            host=os.environ["OPENALGO_HOST"],
            ws_url=os.environ["WEBSOCKET_URL"],
        )
        try:
            if client.connect():
                wanted = [{"exchange": "NSE", "symbol": os.environ["SYMBOL"]}]
                client.subscribe_ltp(wanted, on_data_received=on_tick)
                print("connected", flush=True)
                return client
        except Exception as error:
            print("not connected:", error, flush=True)
        ends.wait(0.5)
    return None


def on_tick(tick):
    """Count it."""
    global heard, last
    heard, last = heard + 1, time.monotonic()


def order(client, action):
    """One share at the market; whatever goes wrong is printed and tried with the next tick."""
    try:
        answer = client.placeorder(
            strategy=os.environ["STRATEGY_NAME"],
            symbol=os.environ["SYMBOL"],
            exchange="NSE",
            action=action,
            price_type="MARKET",
            product="MIS",
            quantity=1,
        )
        print("traded", action, answer.get("status"), answer.get("orderid"), flush=True)
    except Exception as error:
        print("not traded:", error, flush=True)


print("begun with", os.environ["SYMBOL"], flush=True)
client, traded, side = connected(), 0, "BUY"
while not ends.wait(0.05):
    if time.monotonic() - last > 3:
        print("silence, connecting again", flush=True)
        client, last = connected(), time.monotonic()
    if heard - traded >= 10:
        traded = heard
        order(client, side)
        side = "SELL" if side == "BUY" else "BUY"
print("told to end, ending", flush=True)
os._exit(0)

"""The whole of kiteconnect, unmodified, against the address it is given. Run by that library's own interpreter."""

import json
import sys
import threading
import urllib.request
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import requests
from kiteconnect import KiteConnect, KiteTicker
from kiteconnect.exceptions import InputException, TokenException

told = json.loads(sys.argv[1])
keys = told["credentials"]
found = {}


def control(**words):
    request = urllib.request.Request(told["control"], json.dumps(words).encode(), method="POST")
    return json.load(urllib.request.urlopen(request))


def log_in(kite):
    page = requests.get(f"{told['login']}?v=3&api_key={keys['api_key']}", allow_redirects=False)
    code = parse_qs(urlsplit(page.headers["Location"]).query)["request_token"][0]
    return kite.generate_session(code, keys["api_secret"])


def orders(kite):
    regular = kite.VARIETY_REGULAR
    base = {
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "quantity": 1,
        "product": "MIS",
    }
    market = kite.place_order(regular, order_type="MARKET", market_protection=-1, tag="mine", **base)
    limit = kite.place_order(regular, order_type="LIMIT", price=1400, **base)
    stop = kite.place_order(regular, order_type="SL", price=1620, trigger_price=1610, **base)
    assert kite.modify_order(regular, limit, quantity=2, price=1401, order_type="LIMIT") == limit
    book = {row["order_id"]: row for row in kite.orders()}
    found["states"] = [book[one]["status"] for one in (market, limit, stop)]
    found["modified"] = [book[limit]["quantity"], book[limit]["price"]]
    found["tag"] = book[market]["tag"]
    found["cancelled"] = kite.cancel_order(regular, limit) == limit
    found["exited"] = kite.exit_order(regular, stop) == stop
    found["history"] = [row["status"] for row in kite.order_history(market)]
    found["order_trades"] = len(kite.order_trades(market))
    found["trades"] = len(kite.trades())
    found["time_type"] = type(kite.orders()[0]["order_timestamp"]).__name__
    sliced = kite.place_autoslice_order(regular, order_type="LIMIT", price=1400, **{**base, "quantity": 45})
    found["slices"] = len(sliced["children"])
    try:
        kite.place_order(regular, order_type="LIMIT", price=1400.03, **base)
    except InputException as error:
        found["refusal"] = [error.code, str(error)]


def portfolio(kite):
    found["position"] = kite.positions()["net"][0]["quantity"]
    found["holding"] = kite.holdings()[0]["tradingsymbol"]
    found["auctions"] = kite.get_auction_instruments()
    found["converted"] = kite.convert_position("NSE", "INFY", "BUY", "day", 1, "MIS", "CNC")
    found["margins"] = [kite.margins()["equity"]["net"], kite.margins("equity")["net"]]
    found["profile"] = kite.profile()["user_id"]
    order = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "variety": "regular"}
    order |= {"product": "CNC", "order_type": "LIMIT", "quantity": 1, "price": 1500}
    found["order_margin"] = kite.order_margins([order])[0]["total"]
    found["basket"] = sorted(kite.basket_order_margins([order, order], mode="compact"))
    found["note"] = len(kite.get_virtual_contract_note([order]))


def market_data(kite):
    found["quote"] = kite.quote("NSE:INFY", "NSE:M&M", "NSE:NIFTY 50", "NSE:NOPE").keys() ^ set()
    found["quote"] = sorted(found["quote"])
    found["ohlc"] = kite.ohlc("NSE:INFY")["NSE:INFY"]["ohlc"]["close"]
    found["ltp"] = kite.ltp(["NSE:INFY"])["NSE:INFY"]["last_price"]
    rows = kite.instruments()
    found["instruments"] = len(rows)
    found["expiry_type"] = type(next(r["expiry"] for r in rows if r["instrument_type"] == "CE")).__name__
    found["nfo"] = {row["exchange"] for row in kite.instruments("NFO")} == {"NFO"}
    token = next(row["instrument_token"] for row in rows if row["tradingsymbol"] == "INFY")
    end = datetime.now()
    bars = kite.historical_data(token, end - timedelta(days=10), end, "day", oi=True)
    found["bars"] = [len(bars) > 4, sorted(bars[0])]
    try:
        kite.historical_data(token, end - timedelta(days=90), end, "minute")
    except InputException as error:
        found["too_wide"] = str(error)
    found["trigger_range"] = sorted(kite.trigger_range("BUY", "NSE:INFY")["NSE:INFY"])
    return token


def triggers(kite):
    leg = {"transaction_type": "SELL", "quantity": 1, "order_type": "LIMIT", "product": "CNC", "price": 800}
    one = kite.place_gtt("single", "SBIN", "NSE", [805.0], 820.5, [leg])["trigger_id"]
    two = kite.place_gtt("two-leg", "SBIN", "NSE", [800.0, 850.0], 820.5, [leg, {**leg, "price": 849}])
    kite.modify_gtt(one, "single", "SBIN", "NSE", [806.0], 820.5, [leg])
    found["gtt"] = [kite.get_gtt(one)["condition"]["trigger_values"], len(kite.get_gtts())]
    found["gtt_deleted"] = kite.delete_gtt(two["trigger_id"]) == two


def funds(kite):
    order = kite.place_mf_order("INF090I01239", "BUY", amount=1000)["order_id"]
    sip = kite.place_mf_sip("INF090I01239", 1000, 12, "monthly")["sip_id"]
    kite.modify_mf_sip(sip, amount=2000)
    found["mf"] = [len(kite.mf_orders()), kite.mf_orders(order)["order_id"] == order, len(kite.mf_sips()),
                   kite.mf_sips(sip)["sip_id"] == sip, kite.mf_holdings(), len(kite.mf_instruments())]  # fmt: skip
    kite.cancel_mf_order(order)
    kite.cancel_mf_sip(sip)


def ticker(kite, token):
    ticks, updates, done = [], [], threading.Event()
    socket = KiteTicker(keys["api_key"], kite.access_token, root=told["stream"])

    def on_connect(ws, _):
        ws.subscribe([token])
        ws.set_mode(ws.MODE_FULL, [token])

    def on_ticks(ws, got):
        ticks.extend(got)
        if any(tick["last_price"] == 1517.5 for tick in ticks):
            done.set()

    socket.on_connect, socket.on_ticks = on_connect, on_ticks
    socket.on_order_update = lambda ws, row: updates.append(row)
    socket.connect(threaded=True)
    for _ in range(100):
        if ticks and ticks[-1]["mode"] == "full":
            break
        threading.Event().wait(0.05)
    control(action="tick", symbol="INFY", price=1517.5, exchange="NSE")
    kite.place_order("regular", "NSE", "INFY", "SELL", 1, "MIS", "MARKET", market_protection=-1)
    found["ticked"] = done.wait(5)
    last = ticks[-1]
    found["tick"] = [
        last["last_price"],
        last["ohlc"],
        len(last["depth"]["buy"]),
        last["depth"]["buy"][0]["price"],
    ]
    for _ in range(100):
        if any(row["status"] == "COMPLETE" for row in updates):
            break
        threading.Event().wait(0.05)
    found["updates"] = [row["status"] for row in updates]
    socket.stop()


def session_end(kite):
    ended = []
    kite.set_session_expiry_hook(lambda: ended.append(True))
    kite.invalidate_access_token()
    try:
        kite.profile()
    except TokenException as error:
        found["ended"] = [error.code, ended]


kite = KiteConnect(keys["api_key"], root=told["rest"])
session = log_in(kite)
found["session"] = [session["user_id"], type(session["login_time"]).__name__]
kite.set_access_token(kite.renew_access_token(session["refresh_token"], keys["api_secret"])["access_token"])
orders(kite)
portfolio(kite)
token = market_data(kite)
triggers(kite)
funds(kite)
ticker(kite, token)
session_end(kite)
print(json.dumps(found, default=str))

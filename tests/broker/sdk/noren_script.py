"""The whole of a NorenRestApiPy build, unmodified, against the address it is given. Run by its own interpreter."""

import json
import sys
import threading
import time
import urllib.request
from urllib.parse import parse_qs, urlsplit

import pyotp
import requests
from NorenRestApiPy.NorenApi import FeedType, NorenApi, position

told = json.loads(sys.argv[1])
keys = told["credentials"]
found = {}


def control(**words):
    request = urllib.request.Request(told["control"], json.dumps(words).encode(), method="POST")
    return json.load(urllib.request.urlopen(request))


def log_in():
    api = NorenApi(host=told["rest"], websocket=told["stream"])
    user = keys["user_id"]
    if not hasattr(api, "getAccessToken"):
        totp = pyotp.TOTP(keys["totp_secret"]).now()
        answer = api.login(user, keys["password"], totp, "vendor", keys["api_secret"], "imei")
        found["login"] = [answer["stat"], answer["actid"]]
        api.set_session(user, keys["password"], answer["susertoken"])
        return api
    page = requests.get(api.getOAuthURL(told["login"], keys["api_key"]), allow_redirects=False)
    code = parse_qs(urlsplit(page.headers["Location"]).query)["code"][0]
    token, uid, _, account = api.getAccessToken(code, keys["api_secret"], keys["api_key"], user)
    found["login"] = ["Ok", account]
    api.injectOAuthHeader(token, uid, account)
    api.set_credentials(token, uid, account)
    return api


def orders(api):
    limit = {"buy_or_sell": "B", "product_type": "I", "exchange": "NSE", "tradingsymbol": "INFY-EQ"}
    limit |= {"quantity": 1, "discloseqty": 0, "price_type": "LMT", "retention": "DAY", "remarks": "mine"}
    filled = api.place_order(**limit, price=1600.0, trigger_price=None)["norenordno"]
    open_one = api.place_order(**limit, price=1400.0)["norenordno"]
    stop = api.place_order(**{**limit, "price_type": "SL-LMT"}, price=1620.0, trigger_price=1610.0)[
        "norenordno"
    ]
    api.place_order(**{**limit, "tradingsymbol": "M&M-EQ"}, price=3000.0)
    changed = api.modify_order(open_one, "NSE", "INFY-EQ", 2, "LMT", 1401.0)
    found["modified"] = [changed["stat"], changed["result"] == open_one]
    book = {row["norenordno"]: row for row in api.get_order_book()}
    found["states"] = [book[one]["status"] for one in (filled, open_one, stop)]
    found["terms"] = [book[open_one]["qty"], book[open_one]["prc"], book[filled]["remarks"]]
    found["symbols"] = sorted({row["tsym"] for row in book.values()})
    found["cancelled"] = api.cancel_order(open_one)["stat"]
    found["exited"] = api.exit_order(stop, "I")["stat"]
    found["history"] = api.single_order_history(filled)[0]["status"]
    found["trades"] = [(row["flqty"], row["flprc"]) for row in api.get_trade_book()]
    found["refused"] = api.place_order(**{**limit, "tradingsymbol": "NOPE-EQ"}, price=1.0)


def portfolio(api):
    found["position"] = api.get_positions()[0]["netqty"]
    found["holding"] = api.get_holdings()[0]["exch_tsym"][-1]["tsym"]
    found["limits"] = sorted({"cash", "payin", "marginused"} & api.get_limits().keys())
    found["converted"] = api.position_product_conversion("NSE", "INFY-EQ", 1, "C", "I", "B", "DAY")["stat"]
    leg = position()
    leg.prd, leg.exch, leg.instname, leg.symname = "M", "NFO", "OPTIDX", "NIFTY"
    found["span"] = api.span_calculator(keys["user_id"], [leg])["stat"]
    greek = api.option_greek("30-DEC-2026", "25000", "25000", "6", "12", "CE")
    found["greek"] = sorted(greek)[:1]


def market_data(api):
    token = api.searchscrip("NSE", "INFY")["values"][0]["token"]
    quote = api.get_quotes("NSE", token)
    found["quote"] = [quote["stat"], quote["lp"], quote["bp1"], quote["sp5"]]
    found["unknown"] = api.get_quotes("NSE", "999999")
    found["info"] = api.get_security_info("NSE", token)["tsym"]
    found["chain"] = len(api.get_option_chain("NFO", "NIFTY", 25000, 2)["values"]) > 3
    bars = api.get_time_price_series("NSE", token, time.time() - 6 * 86400, time.time(), 5)
    found["bars"] = [len(bars) > 10, int(bars[0]["ssboe"]) > int(bars[-1]["ssboe"]), sorted(bars[0])[:3]]
    days = api.get_daily_price_series("NSE", "INFY-EQ", time.time() - 20 * 86400, time.time())
    found["days"] = sorted(json.loads(days[0]))
    return token


def lists(api):
    found["lists"] = api.get_watch_list_names()["values"]
    api.add_watch_list_scrip("1", ["NSE|1001", "NSE|1002"])
    api.delete_watch_list_scrip("1", "NSE|1002")
    found["list"] = [row["tsym"] for row in api.get_watch_list("1")["values"]]
    if hasattr(api, "linked_scrips"):
        found["messages"] = [api.exch_msg("NSE")[0]["stat"], api.linked_scrips("1001", "NSE")["stat"]]


def stream(api, token):
    frames, updates, opened = [], [], threading.Event()
    api.start_websocket(
        subscribe_callback=frames.append,
        order_update_callback=updates.append,
        socket_open_callback=opened.set,
    )
    found["opened"] = opened.wait(1.0)
    key = f"NSE|{token}"
    api.subscribe(key)
    api.subscribe(key, feed_type=FeedType.SNAPQUOTE)
    api.subscribe_orders()
    seen(lambda: {frame["t"] for frame in frames} >= {"tk", "dk"})
    control(action="tick", symbol="INFY", price=1517.5, exchange="NSE")
    seen(lambda: any(frame["t"] == "df" and frame.get("lp") == "1517.50" for frame in frames))
    found["partial"] = sorted(frames[-1])
    api.place_order("S", "I", "NSE", "INFY-EQ", 1, 0, "LMT", 1500.0, retention="DAY", remarks="out")
    seen(lambda: any(row["status"] == "COMPLETE" for row in updates))
    found["update"] = [updates[-1][name] for name in ("t", "status", "reporttype", "pcode", "remarks")]
    api.unsubscribe(key)
    api.close_websocket()


def seen(what, seconds=5.0):
    end = time.time() + seconds
    while not what():
        assert time.time() < end, found
        time.sleep(0.02)


api = log_in()
orders(api)
portfolio(api)
number = market_data(api)
lists(api)
stream(api, number)
found["forgot"] = api.forgot_password(keys["user_id"], "PAN", "01011990")["stat"]
found["logout"] = api.logout()["stat"]
print(json.dumps(found))

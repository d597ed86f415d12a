"""The whole of xts-api-client, unmodified, against the address it is given. Run by its own interpreter."""

import asyncio
import json
import sys
import urllib.request
from urllib.parse import urlsplit

from xts_api_client.helper.helper import (
    cm_master_string_to_df,
    dostime_secomds_to_unixtime,
    fo_master_string_to_df,
    ohlc_to_df,
)
from xts_api_client.interactive_socket import OrderSocket_io
from xts_api_client.market_data_socket import MDSocket_io
from xts_api_client.xts_connect import XTSConnect

told = json.loads(sys.argv[1])
keys = told["credentials"]
root = "{0.scheme}://{0.netloc}".format(urlsplit(told["rest"]))
stream = "{0.scheme}://{0.netloc}".format(urlsplit(told["stream"]))
mount = urlsplit(told["market"]).path.strip("/")
feed = urlsplit(told["stream"]).path
# Its table of routes is where a server with another mount is named.
XTSConnect._routes = {
    name: route.replace("apimarketdata", mount) for name, route in XTSConnect._routes.items()
}
found = {}


def control(**words):
    request = urllib.request.Request(told["control"], json.dumps(words).encode(), method="POST")
    return json.load(urllib.request.urlopen(request))


class Listener:
    """Takes every event under its handler's name."""

    def __init__(self):
        self.heard = {}

    def __getattr__(self, name):
        async def take(*data):
            self.heard.setdefault(name, []).append(data[0] if data else None)

        return take


def orders(api, infy):
    common = {"exchangeSegment": "NSECM", "exchangeInstrumentID": infy, "productType": "MIS", "orderSide": "BUY",
                  "timeInForce": "DAY", "disclosedQuantity": 0, "orderUniqueIdentifier": "mine"}  # fmt: skip

    def place(kind, quantity, limit, stop=0):
        answer = api.place_order(
            **common, orderType=kind, orderQuantity=quantity, limitPrice=limit, stopPrice=stop
        )
        return answer["result"]["AppOrderID"]

    filled, resting = place("LIMIT", 1, 1600), place("LIMIT", 1, 1400)
    stop = place("STOPLIMIT", 1, 1620, 1610)
    changed = api.modify_order(resting, "MIS", "LIMIT", 2, 0, 1401, 0, "DAY", "mine")
    found["modified"] = [changed["type"], changed["result"]["AppOrderID"] == resting]
    book = {row["AppOrderID"]: row for row in api.get_order_book()["result"]}
    found["states"] = [book[one]["OrderStatus"] for one in (filled, resting, stop)]
    found["terms"] = [
        book[resting]["OrderQuantity"],
        book[resting]["OrderPrice"],
        book[filled]["OrderUniqueIdentifier"],
    ]
    found["cancelled"] = api.cancel_order(resting, "mine")["type"]
    found["history"] = api.get_order_history(filled)["result"][0]["OrderStatus"]
    found["trades"] = [
        (row["LastTradedQuantity"], row["LastTradedPrice"]) for row in api.get_trade()["result"]
    ]
    found["unknown"] = api.cancel_order(7, "mine")["description"]


def books(api):
    (position,) = api.get_position_netwise()["result"]["positionList"]
    found["position"] = [position["TradingSymbol"], position["Quantity"]]
    found["holding"] = list(api.get_holding()["result"]["RMSHoldings"]["Holdings"])
    rows = api.get_balance()["result"]["BalanceList"]
    found["balance"] = sorted(row["limitHeader"] for row in rows)
    found["profile"] = api.get_profile()["result"]["ClientId"]


def market(api):
    shares = cm_master_string_to_df(api.get_master(["NSECM"])["result"])
    infy = int(shares[shares["Name"] == "INFY"]["ExchangeInstrumentID"].iloc[0])
    futures, options, spreads = fo_master_string_to_df(api.get_master(["NSEFO"])["result"])
    found["contracts"] = [len(futures), len(options), len(spreads)]
    found["indices"] = api.get_index_list(1)["result"]["indexList"][0]
    wanted = [{"exchangeSegment": 1, "exchangeInstrumentID": infy}]
    control(action="tick", symbol="NSE:INFY", price=1500)
    touch = json.loads(api.get_quote(wanted, 1502, "JSON")["result"]["listQuotes"][0])["Touchline"]
    found["quote"] = [touch["LastTradedPrice"], touch["BidInfo"]["Price"]]
    found["traded"] = int(dostime_secomds_to_unixtime(touch["LastTradedTime"]))
    return infy, wanted


async def live(api, trade, infy, wanted):
    ticks, told_orders = Listener(), Listener()
    socket = MDSocket_io(api.token, api.userID, stream, ticks)
    order_socket = OrderSocket_io(trade.token, trade.userID, stream, told_orders)
    await socket.connect(socketio_path=feed)
    await order_socket.connect()
    found["snapshot"] = len(api.send_subscription(wanted, 1501)["result"]["listQuotes"])
    found["again"] = api.send_subscription(wanted, 1501)["description"]
    control(action="tick", symbol="NSE:INFY", price=1511)
    await asyncio.to_thread(orders, trade, infy)
    for _ in range(50):
        if ticks.heard.get("on_event_touchline_full") and told_orders.heard.get("on_trade"):
            break
        await asyncio.sleep(0.1)
    tick = json.loads(ticks.heard["on_event_touchline_full"][0])
    found["tick"] = tick["Touchline"]["LastTradedPrice"]
    found["order_events"] = sorted(
        name for name in told_orders.heard if name in ("on_joined", "on_order", "on_trade")
    )
    found["unsubscribed"] = api.send_unsubscription(wanted, 1501)["type"]
    await socket.disconnect()
    await order_socket.disconnect()


trade = XTSConnect(keys["api_key"], keys["api_secret"], "WebAPI", root)
data = XTSConnect(keys["api_key_market"], keys["api_secret_market"], "WebAPI", root)
found["login"] = [trade.interactive_login()["type"], data.marketdata_login()["type"]]
infy, wanted = market(data)
asyncio.run(live(data, trade, infy, wanted))
books(trade)
bars = data.get_ohlc("NSECM", infy, "Nov 16 2026 091500", "Nov 20 2026 153000", 60)
frame = ohlc_to_df(bars)
found["bars"] = [list(frame.columns)[:6], len(frame) > 100]
found["logout"] = [trade.interactive_logout()["type"], data.marketdata_logout()["type"]]
print(json.dumps(found, default=str))

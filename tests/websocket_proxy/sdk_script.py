"""Run by the public SDK's own interpreter: connect, subscribe in all modes, and say what came back as JSON."""

import json
import sys
import time

from openalgo import api  # type: ignore[import-not-found]

key, host, feed = sys.argv[1:4]
client = api(api_key=key, host=host, ws_url=feed)
begun = time.time()
found = {"connected": client.connect(), "connect_seconds": time.time() - begun}
heard = {"ltp": [], "quote": [], "depth": []}
instruments = [{"exchange": "NSE", "symbol": "RELIANCE"}, {"exchange": "NSE_INDEX", "symbol": "NIFTY"}]
client.subscribe_ltp(instruments, on_data_received=heard["ltp"].append)
client.subscribe_quote(instruments, on_data_received=heard["quote"].append)
client.subscribe_depth(instruments, on_data_received=heard["depth"].append)
end = time.time() + 20
while time.time() < end and any(len({d["symbol"] for d in got}) < 2 for got in heard.values()):
    time.sleep(0.05)
found["heard"] = {mode: got[-1] if got else None for mode, got in heard.items()}
found["symbols"] = {mode: sorted({d["symbol"] for d in got}) for mode, got in heard.items()}
found["getters"] = [client.get_ltp(), client.get_quotes(), client.get_depth()]
client.unsubscribe_ltp(instruments)
client.disconnect()
print(json.dumps(found), flush=True)

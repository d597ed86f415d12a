"""Print live prices from the WebSocket

Subscribes to three symbols and prints each tick as it comes. Places no order.
"""

import asyncio
import json
import os

import websockets

SYMBOLS = os.environ.get("SYMBOLS", "RELIANCE INFY SBIN").split()


async def main():
    """Sign in, subscribe, print."""
    async with websockets.connect(os.environ["WEBSOCKET_URL"]) as socket:
        await socket.send(json.dumps({"action": "authenticate", "api_key": os.environ["OPENALGO_API_KEY"]}))
        print(await socket.recv())
        for symbol in SYMBOLS:
            await socket.send(
                json.dumps({"action": "subscribe", "symbol": symbol, "exchange": "NSE", "mode": 1})
            )
        async for message in socket:
            tick = json.loads(message)
            if tick.get("type") == "market_data":
                print(f"{tick['symbol']} {tick['data']['ltp']}")


asyncio.run(main())

"""A good body for each POST endpoint that needs more than a key."""

from __future__ import annotations

from typing import Any

from tests.restx_api.desk import ORDER

_OPTION = {"underlying": "NIFTY", "exchange": "NSE_INDEX", "expiry_date": "01DEC26"}
_LEG = {"offset": "ATM", "option_type": "CE", "action": "BUY", "quantity": 65}
_GTT = {
    "strategy": "x",
    "trigger_type": "SINGLE",
    "symbol": "RELIANCE",
    "exchange": "NSE",
    "action": "SELL",
    "product": "CNC",
    "quantity": "5",
    "price": "1149.5",
    "triggerprice_sl": "1150",
}
_CALL = {"symbol": "NIFTY01DEC2624000CE", "exchange": "NFO"}

BODIES: dict[str, dict[str, Any]] = {
    "/strategies/start": {"strategy_id": "s_1"},
    "/strategies/stop": {"strategy_id": "s_1"},
    "/placeorder": ORDER,
    "/orderstatus": {"orderid": "B1"},
    "/openposition": {"symbol": "RELIANCE", "exchange": "NSE", "product": "MIS"},
    "/margin": {
        "positions": [
            {k: ORDER[k] for k in ("symbol", "exchange", "action", "product", "pricetype", "quantity")}
        ]
    },
    "/quotes": {"symbol": "RELIANCE", "exchange": "NSE"},
    "/depth": {"symbol": "RELIANCE", "exchange": "NSE"},
    "/symbol": {"symbol": "RELIANCE", "exchange": "NSE"},
    "/search": {"query": "nifty"},
    "/multiquotes": {
        "symbols": [{"symbol": "RELIANCE", "exchange": "NSE"}, {"symbol": "X", "exchange": "NSE"}]
    },
    "/analyzer/toggle": {"mode": True},
    "/placesmartorder": {**ORDER, "position_size": "3"},
    "/basketorder": {"strategy": "x", "orders": [{k: v for k, v in ORDER.items() if k != "strategy"}]},
    "/splitorder": {**ORDER, "quantity": 5, "splitsize": 2},
    "/history": {
        "symbol": "RELIANCE",
        "exchange": "NSE",
        "interval": "5m",
        "start_date": "2026-11-20",
        "end_date": "2026-11-20",
    },
    "/expiry": {"symbol": "NIFTY", "exchange": "NFO", "instrumenttype": "options"},
    "/market/timings": {"date": "2026-11-23"},
    "/cancelorder": {"orderid": "B1"},
    "/modifyorder": {
        **{k: ORDER[k] for k in ("symbol", "exchange", "action", "product", "quantity")},
        "orderid": "B1",
        "pricetype": "MARKET",
        "price": "0",
        "disclosed_quantity": "0",
        "trigger_price": "0",
    },
    "/chart": {"theme": "dark"},
    "/killswitch": {"action": "status"},
    "/placegttorder": _GTT,
    "/modifygttorder": {**_GTT, "trigger_id": "GTT-261123-00000000"},
    "/cancelgttorder": {"trigger_id": "GTT-261123-00000000"},
    "/optionsymbol": {**_OPTION, "offset": "ATM", "option_type": "CE"},
    "/optionsorder": {**_OPTION, **_LEG, "strategy": "x"},
    "/optionsmultiorder": {**_OPTION, "strategy": "x", "legs": [_LEG]},
    "/optionchain": {**_OPTION, "strike_count": 3, "with_greeks": True},
    "/syntheticfuture": _OPTION,
    "/optiongreeks": _CALL,
    "/multioptiongreeks": {"symbols": [_CALL, {**_CALL, "symbol": "NIFTY01DEC2699000CE"}]},
}

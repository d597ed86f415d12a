"""Ping and the analyzer switch."""

from __future__ import annotations

from typing import Any

from domain.model import Exchange, Mode
from restx_api.door import Call, Subject
from restx_api.errors import Style
from restx_api.fields import system as fields
from restx_api.fields.base import Keyed

system = Subject("System")


@system.post("/ping", Keyed(), reply=fields.PING)
def ping(call: Call) -> dict[str, Any]:
    """Whether the key works, and at which broker."""
    return {"status": "success", "data": {"message": "pong", "broker": call.caller.account.broker}}


@system.post("/analyzer", Keyed(), reply=fields.ANALYZER, style=Style.A)
def analyzer(call: Call) -> dict[str, Any]:
    """Whether the key's account trades on paper."""
    return {"status": "success", "data": _state(call, call.caller.account.mode)}


@system.post(
    "/analyzer/toggle", fields.Toggle(), reply=fields.TOGGLED, style=Style.A, scope="trade", held="always"
)
def toggle(call: Call) -> dict[str, Any]:
    """Set the account's mode; it says which one, so asking twice changes nothing."""
    mode = Mode.ANALYZE if call.body["mode"] else Mode.LIVE
    call.platform.accounts.set_mode(call.caller, mode)
    state = {**_state(call, mode), "message": f"Analyzer mode switched to {mode.value}"}
    return {"status": "success", "data": state}


@system.get("/chart", Keyed(), reply=fields.CHART, style=Style.PLAIN)
def chart(call: Call) -> dict[str, Any]:
    """The chart preferences of the key's user."""
    return {"status": "success", "data": call.platform.chart_settings.load(call.caller)}


@system.post("/chart", fields.ChartValues(), reply=fields.CHART_SAVED)
def save_chart(call: Call) -> dict[str, Any]:
    """Keep 1 to 50 chart preferences; any JSON value, others stay as they are."""
    values = {name: value for name, value in call.body.items() if name != "apikey"}
    call.platform.chart_settings.save(call.caller, values)
    return {"status": "success", "message": f"Saved {len(values)} chart preferences"}


@system.get("/portfolio/benchmarks", Keyed(), reply=fields.BENCHMARKS, style=Style.PLAIN, key_first=True)
def benchmarks(call: Call) -> dict[str, Any]:
    """The indices that a portfolio can be compared with."""
    rows = [
        {"symbol": index.symbol, "exchange": index.exchange, "name": index.name}
        for exchange in (Exchange.NSE_INDEX, Exchange.BSE_INDEX, Exchange.GLOBAL_INDEX)
        for index in call.platform.instruments.rows(call.caller.account.broker, exchange)
    ]
    return {"status": "success", "data": rows}


def _state(call: Call, mode: Mode) -> dict[str, Any]:
    logs = call.platform.portfolio.paper_requests(call.caller)
    return {"mode": mode.value, "analyze_mode": mode is Mode.ANALYZE, "total_logs": logs}

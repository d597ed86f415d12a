"""Ping and the analyzer switch."""

from __future__ import annotations

from typing import Any

from domain.model import Mode
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


def _state(call: Call, mode: Mode) -> dict[str, Any]:
    logs = call.platform.portfolio.paper_requests(call.caller)
    return {"mode": mode.value, "analyze_mode": mode is Mode.ANALYZE, "total_logs": logs}

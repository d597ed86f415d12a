"""Hosted strategies by API key: what they do, start, stop. A run's own key sees and stops itself alone."""

from __future__ import annotations

from typing import Any

from domain.clock import IST
from domain.strategies import Strategy
from restx_api.door import Call, Subject
from restx_api.fields import strategies as fields
from restx_api.fields.base import Keyed

strategies = Subject("Strategies")


@strategies.post("/strategies", Keyed(), reply=fields.STRATEGIES)
def listed(call: Call) -> dict[str, Any]:
    """The strategies of the key's account, with their state and why."""
    found = call.platform.strategy_host.listed(call.caller)
    return {"status": "success", "data": [_told(each) for each in found]}


@strategies.post("/strategies/start", fields.Start(), reply=fields.STARTED, scope="trade")
def start(call: Call) -> dict[str, Any]:
    """Start one, or arm it for its next window; `force` runs it whatever its schedule says."""
    host = call.platform.strategy_host
    started = host.start(call.caller, call.body["strategy_id"], force=call.body["force"])
    after = started.next_start.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S") if started.next_start else ""
    return {
        "status": "success",
        "data": {"armed": started.armed, "reason": started.reason, "next_start": after},
    }


@strategies.post("/strategies/stop", fields.One(), reply=fields.STOPPED, scope="trade")
def stop(call: Call) -> dict[str, Any]:
    """Stop one and keep it off until it is started again."""
    was_running = call.platform.strategy_host.stop(call.caller, call.body["strategy_id"])
    return {"status": "success", "data": {"was_running": was_running}}


def _told(strategy: Strategy) -> dict[str, Any]:
    return {
        "strategy_id": strategy.id,
        "name": strategy.name,
        "exchange": strategy.exchange.value,
        "state": strategy.state.value,
        "reason": strategy.reason,
        "wanted": strategy.wanted.value,
        "version": strategy.version,
    }

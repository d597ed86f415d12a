"""The kill switch, and what is not known yet. Only a person releases a switch, on its page or the command line."""

from __future__ import annotations

from typing import Any

from restx_api.door import Call, Subject
from restx_api.fields import safety as fields
from restx_api.fields.base import Keyed

safety = Subject("Safety")


@safety.post("/killswitch", fields.KillSwitch(), reply=fields.KILL_SWITCH, scope="trade")
def killswitch(call: Call) -> dict[str, Any]:
    """Block new risk at once, cancel what works and, with `flatten`, close what is open; or look at the switch."""
    body, switch = call.body, call.platform.kill_switch
    if body["action"] == "status":
        return {"status": "success", "data": fields.kill(switch.engaged(call.caller.account.id))}
    kill = switch.engage(call.caller, every=body["every"], flatten=body["flatten"], reason=body["reason"])
    return {"status": "success", "data": fields.kill(kill)}


@safety.get("/reconciliation", Keyed(), reply=fields.RECONCILIATION)
def reconciliation(call: Call) -> dict[str, Any]:
    """What the last look at the broker's books showed: orders placed elsewhere, positions that our fills do not
    explain, and requests without an answer: since when, and what was tried."""
    account = call.caller.account
    report, unknown = call.platform.reconciliation.state(account)
    return {"status": "success", "data": fields.reconciliation(account, report, unknown)}


@safety.post("/reconciliation", Keyed(), reply=fields.RECONCILIATION)
def reconcile(call: Call) -> dict[str, Any]:
    """Look at the broker's books now, settle what they settle, and tell the same. Nothing is ever sent by it."""
    account = call.caller.account
    report, unknown = call.platform.reconciliation.look_now(account)
    return {"status": "success", "data": fields.reconciliation(account, report, unknown)}


@safety.post("/unknownorders", Keyed(), reply=fields.UNKNOWN)
def unknownorders(call: Call) -> dict[str, Any]:
    """Requests that left and were not answered: since when, and what every look at the broker's book showed."""
    found = call.platform.reconciler.unknown(call.caller.account.id)
    return {"status": "success", "data": [fields.unknown(intent) for intent in found]}

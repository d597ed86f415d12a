"""The kill switch, and orders whose outcome is not known."""

from __future__ import annotations

import json
from typing import Any

from restx_api.fields import records
from restx_api.fields.base import Choice, Flag, Keyed, Text
from restx_api.fields.shapes import BOOLEAN, NUMBER, STRING, array, data, obj, one_of
from services.kill_switch import Kill
from services.order_journal import Intent


class KillSwitch(Keyed):
    """Look at the switch, or engage it. `every` stops all accounts, for an admin's key."""

    action = Choice(("status", "engage"), required=True)
    flatten = Flag(load_default=False)
    every = Flag(load_default=False)
    reason = Text(most=500, load_default="")


def kill(found: Kill | None) -> dict[str, Any]:
    """The switch as it stands; `done` when cancelling and closing behind it has ended."""
    if found is None:
        return {"engaged": False}
    return {
        "engaged": True,
        "since": records.ist(found.engaged_at),
        "by": found.engaged_by,
        "reason": found.reason,
        "flatten": found.flatten,
        "done": found.acted_at is not None,
        "report": found.report.splitlines(),
    }


def unknown(intent: Intent) -> dict[str, Any]:
    """One order that left and was not answered: since when, and what every look at the broker's book showed."""
    return {
        "orderid": intent.public_id,
        "kind": intent.kind,
        "symbol": intent.symbol,
        "exchange": intent.exchange,
        "action": intent.side,
        "quantity": records.quantity(intent.quantity),
        "since": records.ist(intent.sent_at or intent.created_at),
        "message": intent.words,
        "looks": [json.loads(line) for line in intent.evidence.splitlines()],
    }


KILL_SWITCH = data(
    obj(
        {"engaged": BOOLEAN},
        {
            **dict.fromkeys(("since", "by", "reason"), STRING),
            **dict.fromkeys(("flatten", "done"), BOOLEAN),
            "report": array(STRING),
        },
    )
)
UNKNOWN = data(
    array(
        obj(
            {
                **dict.fromkeys(("orderid", "symbol", "exchange", "since", "message"), STRING),
                "kind": one_of("PLACE", "MODIFY", "CANCEL"),
                "action": one_of("BUY", "SELL"),
                "quantity": NUMBER,
                "looks": array({"type": "object", "additionalProperties": True}),
            }
        )
    )
)

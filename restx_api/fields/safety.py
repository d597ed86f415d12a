"""The kill switch, and orders whose outcome is not known."""

from __future__ import annotations

import json
from typing import Any

from domain.model import IntentKind, Mode
from restx_api.fields import records
from restx_api.fields.base import Choice, Flag, Keyed, Text
from restx_api.fields.shapes import BOOLEAN, INTEGER, NUMBER, STRING, array, data, obj, one_of
from services.accounts import Account
from services.kill_switch import Kill
from services.order_journal import Intent
from services.reconciliation import Report


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
    """One request that left and was not answered: since when, and what every look at the broker's book showed."""
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


def reconciliation(account: Account, report: Report, pending: list[Intent]) -> dict[str, Any]:
    """What a look saw. A paper account needs none: the exchange is the platform's own."""
    paper = account.mode is Mode.ANALYZE
    return {
        "reconciled": paper or (report.at is not None and not report.error),
        "at": "" if report.at is None else records.ist(report.at),
        "error": report.error,
        "orders": report.orders,
        "external": list(report.external),
        "differences": [
            {
                "symbol": one.symbol,
                "exchange": one.exchange,
                "product": one.product,
                "ours": records.quantity(one.ours),
                "broker": records.quantity(one.theirs),
            }
            for one in report.differences
        ],
        "gtts": [
            {
                "difference": one.kind,
                "trigger_id": one.trigger_id,
                "broker_trigger_id": one.broker_id,
                "symbol": one.symbol,
                "exchange": one.exchange,
                "ours": one.ours,
                "broker": one.theirs,
            }
            for one in report.gtts
        ],
        "gtts_error": report.gtts_error,
        "unknown": [unknown(intent) for intent in pending],
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
_UNKNOWN = obj(
    {
        **dict.fromkeys(("orderid", "symbol", "exchange", "since", "message"), STRING),
        "kind": one_of(*IntentKind),
        "action": one_of("BUY", "SELL"),
        "quantity": NUMBER,
        "looks": array({"type": "object", "additionalProperties": True}),
    }
)
_DIFFERENCE = obj(
    {**dict.fromkeys(("symbol", "exchange", "product"), STRING), **dict.fromkeys(("ours", "broker"), NUMBER)}
)
_GTT = obj(
    {
        "difference": one_of("gone", "changed", "external", "unanswered"),
        **dict.fromkeys(("trigger_id", "broker_trigger_id", "symbol", "exchange", "ours", "broker"), STRING),
    }
)
UNKNOWN = data(array(_UNKNOWN))
RECONCILIATION = data(
    obj(
        {
            "reconciled": BOOLEAN,
            **dict.fromkeys(("at", "error"), STRING),
            "orders": INTEGER,
            "external": array(STRING),
            "differences": array(_DIFFERENCE),
            "gtts": array(_GTT),
            "gtts_error": STRING,
            "unknown": array(_UNKNOWN),
        }
    )
)

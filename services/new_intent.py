"""A request's row in the journal as it begins: an id of its own, and who asked for it through which door."""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from typing import Any

from database.intents import Intent
from domain.model import IntentKind, IntentState
from services.accounts import Caller

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_client_order_id() -> str:
    """16 of [a-z0-9]: milliseconds since 1970 in base 36, then 8 random places."""
    return _base36(time.time_ns() // 1_000_000) + _base36(secrets.randbelow(36**8))


def _base36(number: int) -> str:
    """Its last eight places."""
    places = []
    for _ in range(8):
        number, digit = divmod(number, 36)
        places.append(_ALPHABET[digit])
    return "".join(reversed(places))


def new_intent(caller: Caller, kind: IntentKind, now: datetime, **terms: Any) -> Intent:
    """A row about to be sent for a caller; `terms` are the other fields of Intent."""
    return Intent(
        id=new_client_order_id(),
        account_id=caller.account.id,
        kind=kind,
        state=IntentState.SENDING,
        mode=caller.account.mode,
        broker=caller.account.venue,
        door=caller.door,
        user_id=caller.user_id,
        key_id=caller.key_id,
        address=caller.address,
        created_at=now,
        sent_at=now,
        **terms,
    )

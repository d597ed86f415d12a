"""What a broker's postback says before it is believed: which order, and a way to prove who sent it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Postback:
    """broker_user is "" where the broker names none.

    is_signed_by  whether an account with these login fields can have been sent it; compares in constant time
    """

    order_id: str
    status_word: str
    filled: Decimal
    broker_user: str
    is_signed_by: Callable[[Mapping[str, str]], bool]

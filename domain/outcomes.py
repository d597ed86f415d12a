"""What a broker answered to place, modify or cancel: one of five things, never an HTTP object.

Anything that cannot be read after bytes left is Ambiguous; nothing is ever sent again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker took it. `order_id` is the broker's, never empty."""

    order_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker (or the exchange) said no, and said so readably.

    code      the broker's or our own short code, e.g. INSUFFICIENT_FUNDS
    words     the broker's own words
    order_id  of the rejected row when the broker stored one, else ""
    """

    code: str
    words: str
    order_id: str = ""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Bytes left and no readable answer came back: look, never resend."""

    words: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """Refused before it was taken, by rate. `after` is seconds to wait, 0 when not said."""

    after: float = 0.0
    words: str = ""


@dataclass(frozen=True, slots=True)
class SessionExpired:
    """Refused before it was taken: the broker session is over."""

    words: str = ""


Outcome = Accepted | Refused | Ambiguous | Throttled | SessionExpired

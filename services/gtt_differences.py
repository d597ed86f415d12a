"""GTTs that a broker keeps for us, beside its own list of them. What differs is shown; nothing is changed by it.

A trigger that is gone there may have fired, been cancelled or have lapsed: which one, only the broker's pages tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from database.triggers import ACTIVE, Trigger
from domain.model import Gtt

GONE, CHANGED, EXTERNAL, UNANSWERED = "gone", "changed", "external", "unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class GttDifference:
    """kind: gone (we hold it active, the broker does not list it), changed (other terms there), external (placed
    elsewhere), unanswered (sent, no answer came).

    trigger_id    ours, "" for an external one
    broker_id     the broker's, "" while it is not known
    ours, theirs  side, quantity and trigger prices in words, "" for none
    """

    kind: str
    trigger_id: str
    broker_id: str
    symbol: str
    exchange: str
    ours: str
    theirs: str


def compare(kept: Sequence[Trigger], there: Sequence[Gtt]) -> list[GttDifference]:
    """`kept`: what we sent to that broker and hold for active or unanswered; `there`: its list of active ones."""
    listed = {gtt.trigger_id: gtt for gtt in there}
    found = []
    for trigger in kept:
        gtt = listed.pop(trigger.resident_id or "", None)
        ours, theirs = _ours(trigger), _theirs(gtt) if gtt else ""
        if ours != theirs:
            kind = UNANSWERED if trigger.state != ACTIVE else CHANGED if gtt else GONE
            found.append(
                GttDifference(
                    kind=kind,
                    trigger_id=trigger.id,
                    broker_id=trigger.resident_id or "",
                    symbol=trigger.symbol,
                    exchange=trigger.exchange.value,
                    ours=ours,
                    theirs=theirs,
                )
            )
    return found + [
        GttDifference(
            kind=EXTERNAL,
            trigger_id="",
            broker_id=gtt.trigger_id,
            symbol=gtt.symbol,
            exchange=gtt.exchange.value,
            ours="",
            theirs=_theirs(gtt),
        )
        for gtt in listed.values()
    ]


def _ours(trigger: Trigger) -> str:
    legs = ((trigger.side.value, trigger.quantity, leg.trigger_price or Decimal(0)) for leg in trigger.legs)
    return _words(legs)


def _theirs(gtt: Gtt) -> str:
    return _words((leg.side.value, leg.quantity, leg.trigger_price) for leg in gtt.legs)


def _words(legs: Iterable[tuple[str, Decimal, Decimal]]) -> str:
    """Such as "SELL 10 at 1450 or SELL 10 at 1600", the lower trigger first."""
    ordered = sorted(legs, key=lambda leg: leg[2])
    return " or ".join(f"{side} {_plain(units)} at {_plain(price)}" for side, units, price in ordered)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"

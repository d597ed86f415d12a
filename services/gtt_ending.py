"""How a GTT that a broker keeps is ended there: it counts as ended when the broker says so, or does not list it."""

from __future__ import annotations

from broker.interface import Broker
from domain.outcomes import Accepted, Refused


def end_gtt(broker: Broker, resident_id: str) -> str:
    """Cancel at the broker; "" when it is over there, else the broker's words. One that it refuses to cancel and does
    not list any more is gone already. Raises what reading its list raises."""
    outcome = broker.cancel_gtt(resident_id)
    if isinstance(outcome, Accepted):
        return ""
    if isinstance(outcome, Refused) and resident_id not in {gtt.trigger_id for gtt in broker.fetch_gtts()}:
        return ""
    return outcome.words

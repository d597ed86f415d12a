"""What the exchange tells who asked: refusals in words, and outcomes as storage keeps them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from broker.paper.booked import BookedOrder
from domain.figures import inr
from domain.ledger import PaperAnswer
from domain.model import IntentKind
from domain.outcomes import Accepted, Outcome, Refused


def answer_record(
    client_order_id: str, account: str, kind: IntentKind, outcome: Outcome, now: datetime
) -> PaperAnswer:
    """An outcome as storage keeps it."""
    refused = outcome if isinstance(outcome, Refused) else None
    return PaperAnswer(
        client_order_id=client_order_id,
        account=account,
        kind=kind,
        order_id=getattr(outcome, "order_id", ""),
        code=refused.code if refused else "",
        words=refused.words if refused else "",
        at=now,
    )


def outcome_of(answer: PaperAnswer) -> Outcome:
    """A stored answer as it was told."""
    if answer.code:
        return Refused(answer.code, answer.words, answer.order_id)
    return Accepted(answer.order_id)


def no_funds(available: Decimal, lacking: Decimal) -> Refused:
    """Not enough money for an order."""
    words = f"Insufficient funds: ₹{inr(available)} is available, ₹{inr(lacking)} is lacking"
    return Refused("INSUFFICIENT_FUNDS", words)


def no_shares(symbol: str, free: Decimal) -> str:
    """Why a delivery sale is rejected."""
    return (
        f"Only {max(Decimal(0), free):f} shares of {symbol} can be sold in CNC "
        "(position and holdings, less what open sell orders ask for)"
    )


def not_working(order: BookedOrder | None) -> Refused:
    """Why an order cannot be changed or ended."""
    if order is None:
        return Refused("ORDER_NOT_FOUND", "There is no such order")
    return Refused("ORDER_FINAL", f"The order is {order.state.value.lower()}: it cannot be changed any more")

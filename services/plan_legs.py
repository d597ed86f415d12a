"""One leg of a plan: sent in one order or in pieces, each an intent of its own, and told as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from database.intents import Intent
from domain.errors import PlatformError, RiskRefused
from domain.model import OrderRequest
from services.accounts import Caller
from services.gate import Admission
from services.orders import Orders, Placed

TOO_LATE = "Not sent: the plan ran out of time."
LEFT = "What was left of it, if anything, was not sent: the plan ran out of time."


def place_leg(
    orders: Orders,
    caller: Caller,
    request: OrderRequest,
    sizes: Sequence[Decimal],
    *,
    plan_id: int,
    leg: int,
    approved: bool = False,
    first: int = 0,
    still: Callable[[], None] = lambda: None,
) -> Placed:
    """Send the request as pieces of these sizes until one is refused; raises when the very first is turned away.

    first  the number of the first piece: above 0 when earlier ones were sent by a sender that died
    still  called before each piece; raises a PlatformError when it may not be sent any more
    """
    whole = len(sizes) == 1 and first == 0
    placed: list[Placed] = []
    for number, size in enumerate(sizes, first):
        key = f"plan:{plan_id}:{leg}" if whole else f"plan:{plan_id}:{leg}:{number}"
        admission = Admission(key=key, plan_id=plan_id, leg=leg, approved=approved)
        try:
            still()
            placed.append(orders.place(caller, replace(request, quantity=size), admission))
        except PlatformError as error:
            if not placed:
                raise
            placed.append(refusal(error))
        if placed[-1].state == "refused":
            break
    return as_one(placed, len(sizes))


def told_of(orders: Orders, caller: Caller, sent: Sequence[Intent], wanted: int | None = None) -> Placed:
    """What of a leg was journalled by a sender that died, told as one; nothing is sent.

    wanted  how many pieces there should be, None when that is not known
    """
    told = [orders.told(caller, one.idempotency_key or "", one.body_hash) for one in sent]
    answers = [one for one in told if one is not None]
    stopped = any(answer.state == "refused" for answer in answers)
    whole = len(sent) == wanted or (wanted is None and (not is_piece(sent[0]) or _has_rest(sent)))
    if not whole and not stopped:
        answers.append(refused("NOT_SENT", LEFT))
    return as_one(answers, wanted or len(answers))


def is_piece(intent: Intent) -> bool:
    """Whether a leg's intent is one of several."""
    return (intent.idempotency_key or "").count(":") == 3


def _has_rest(sent: Sequence[Intent]) -> bool:
    """Pieces are of one size, and a smaller one is the last."""
    return min(one.quantity for one in sent) < sent[0].quantity


def as_one(placed: Sequence[Placed], wanted: int) -> Placed:
    """The pieces of one order told as one; `wanted` is how many there should be."""
    taken = [piece for piece in placed if piece.state != "refused"]
    if len(placed) == 1 or not taken:
        return placed[0]
    ids = tuple(piece.order_id for piece in taken)
    if len(taken) < wanted:
        why = next((piece for piece in placed if piece.state == "refused"), placed[-1])
        words = f"{len(taken)} of {wanted} orders were taken, then: {why.message}"
        return Placed(state="partial", order_id=ids[0], order_ids=ids, message=words, code=why.code)
    state = "accepted" if all(piece.state == "accepted" for piece in taken) else "pending"
    words = next((piece.message for piece in taken if piece.state != "accepted"), "")
    return Placed(state=state, order_id=ids[0], order_ids=ids, message=words)


def parked(approval_id: int) -> Placed:
    """The answer to what waits for a person."""
    words = "Order queued for approval in Action Center"
    return Placed(state="parked", order_id="", message=words, approval_id=approval_id)


def refused(code: str, message: str) -> Placed:
    """A leg that was not sent."""
    return Placed(state="refused", order_id="", code=code, message=message)


def refusal(error: PlatformError) -> Placed:
    """A leg that was turned away before anything was sent."""
    return refused(error.limit if isinstance(error, RiskRefused) else type(error).__name__, str(error))

"""Requests of several orders: basket, split, and one above the freeze quantity. Each leg is an intent under one plan.

No broker offers atomic baskets: a plan reports each leg. A crash in the middle loses nothing and repeats nothing, since
a leg's key is its plan and number; the worker finishes what is young enough and reports the rest as not sent.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from database.plans import Plan
from domain.clock import Clock
from domain.errors import InvalidRequest, PlatformError
from domain.model import OrderRequest, Side
from services.accounts import Accounts, Caller
from services.gate import Admission, check_terms
from services.orders import Orders, Placed
from services.plan_book import YOUNG, PlanBook, read_leg, sender, write_leg
from services.plan_legs import TOO_LATE, as_one, parked, place_leg, refusal, refused, told_of

log = logging.getLogger(__name__)

MOST_CHILDREN = 100
KINDS = ("basket", "split", "pieces")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAnswer:
    """What became of a plan.

    legs         (request, result) in the order they were sent; result None for a leg not reached yet
    approval_id  set when the whole plan waits for a person; then there are no legs
    """

    plan_id: int
    legs: list[tuple[OrderRequest, Placed]]
    approval_id: int | None = None


class OrderPlans:
    """Orders of any account, whatever their size; baskets and splits."""

    def __init__(self, book: PlanBook, clock: Clock, accounts: Accounts, orders: Orders) -> None:
        self._book = book
        self._clock = clock
        self._accounts = accounts
        self._orders = orders

    def place(self, caller: Caller, request: OrderRequest, admission: Admission | None = None) -> Placed:
        """Send one order; above the exchange's freeze quantity as pieces under one plan, reported as one.

        Raises what `Orders.place` raises, and InvalidRequest for an entry above it that is not to be split.
        """
        admission = admission or Admission()
        if (told := self.told(caller, admission.key, admission.body_hash)) is not None:
            return told
        instrument = self._orders.resolve(caller.account, request.exchange, request.symbol)
        freeze = instrument.freeze_quantity
        if not request.reduce_only and (freeze is None or request.quantity <= freeze):
            return self._orders.place(caller, request, admission)
        terms = check_terms(request, instrument)
        sizes = self._orders.sizes(caller, terms, exits=request.reduce_only or None)
        if len(sizes) == 1:
            return self._orders.place(caller, request, admission)
        if admission.beside is not None:
            words = f"An order with exits is not split: {max(sizes)} of {request.symbol} at most."
            raise InvalidRequest(words, "quantity")
        legs = {"legs": [write_leg(replace(request, quantity=size)) for size in sizes]}
        opened = self._book.open(
            caller,
            "pieces",
            legs,
            key=admission.key,
            body_hash=admission.body_hash,
            length=YOUNG,
            parks=not admission.approved,
        )
        if opened.approval_id is not None:
            return parked(opened.approval_id)
        run = self.run(opened.plan, caller, approved=admission.approved) if opened.new else None
        return _whole(run or self._report(opened.plan))

    def told(self, caller: Caller, key: str, body_hash: str) -> Placed | None:
        """The answer to a key that was used before for an order, whole or in pieces, or for a smart order. Raises
        DuplicateKey when it came with another body."""
        if not key:
            return None
        earlier = self._book.earlier(caller.account.id, key, body_hash)
        return self._orders.told(caller, key, body_hash) if earlier is None else _whole(self._report(earlier))

    def basket(
        self, caller: Caller, requests: Sequence[OrderRequest], *, key: str = "", body_hash: str = ""
    ) -> PlanAnswer:
        """Send every order by itself, BUYs first, then SELLs, each group in the order given."""
        ordered = [r for r in requests if r.side is Side.BUY] + [r for r in requests if r.side is Side.SELL]
        return self._begin(caller, "basket", ordered, key, body_hash)

    def split(
        self, caller: Caller, request: OrderRequest, size: Decimal, *, key: str = "", body_hash: str = ""
    ) -> PlanAnswer:
        """Send one order as children of `size` and a rest. Raises InvalidRequest for more than 100 children."""
        return self._begin(caller, "split", pieces(request, size), key, body_hash)

    def run(self, plan: Plan, caller: Caller, *, approved: bool = False) -> PlanAnswer:
        """Send the legs that were not sent yet; legs that were are only reported."""
        told = self._book.told(plan)
        answered = []
        for number, leg in enumerate(plan.request["legs"]):
            request = read_leg(leg)
            answered.append(
                (request, told.get(number) or self._send(plan, caller, number, request, approved))
            )
        self._book.finish(plan)
        return PlanAnswer(plan_id=plan.id, legs=answered)

    def resume(self) -> int:
        """Finish plans whose sender died; returns how many. For the worker."""
        lost = self._book.orphans(*KINDS)
        for plan, approved in lost:
            log.warning("plan resumed account=%s plan=%s", plan.account_id, plan.id)
            try:
                self.run(plan, sender(plan, self._accounts), approved=approved)
            except PlatformError as error:  # one that cannot go on holds up no other
                log.warning("plan not resumed plan=%s: %s", plan.id, error)
        return len(lost)

    # -- inside
    def _begin(
        self, caller: Caller, kind: str, legs: Sequence[OrderRequest], key: str, body_hash: str
    ) -> PlanAnswer:
        request = {"legs": [write_leg(leg) for leg in legs], "sizes": self._sizes(caller, legs)}
        opened = self._book.open(caller, kind, request, key=key, body_hash=body_hash, length=YOUNG)
        if opened.approval_id is not None:
            return PlanAnswer(plan_id=opened.plan.id, legs=[], approval_id=opened.approval_id)
        return self.run(opened.plan, caller) if opened.new else self._report(opened.plan)

    def _sizes(self, caller: Caller, legs: Sequence[OrderRequest]) -> dict[str, list[str]]:
        """Leg number -> the sizes of its pieces, of legs that are sent in several; fixed before the first is sent."""
        found = {}
        for number, leg in enumerate(legs):
            try:
                sizes = self._orders.sizes(caller, leg)
            except PlatformError:  # told when the leg's turn comes, in its own result
                continue
            if len(sizes) > 1:
                found[str(number)] = [str(size) for size in sizes]
        return found

    def _send(self, plan: Plan, caller: Caller, number: int, request: OrderRequest, approved: bool) -> Placed:
        sizes = plan.request.get("sizes", {}).get(str(number)) or [request.quantity]
        if plan.deadline <= self._clock.now():
            sent = self._book.sent(plan, number)
            late = told_of(self._orders, caller, sent, len(sizes)) if sent else refused("NOT_SENT", TOO_LATE)
            return self._book.keep(plan, number, late)
        try:
            placed = place_leg(
                self._orders,
                caller,
                request,
                [Decimal(size) for size in sizes],
                plan_id=plan.id,
                leg=number,
                approved=approved,
            )
        except PlatformError as error:
            placed = refusal(error)
        return self._book.keep(plan, number, placed)

    def _report(self, plan: Plan) -> PlanAnswer:
        """What is known of a plan that was asked for before."""
        told = self._book.told(plan)
        waiting = Placed(state="pending", order_id="", message="Not sent yet.")
        requests = [read_leg(leg) for leg in plan.request["legs"]]
        return PlanAnswer(
            plan_id=plan.id, legs=[(r, told.get(number, waiting)) for number, r in enumerate(requests)]
        )


def _whole(answer: PlanAnswer) -> Placed:
    """The pieces of one order told as one."""
    return as_one([leg for _, leg in answer.legs], len(answer.legs))


def pieces(request: OrderRequest, size: Decimal) -> list[OrderRequest]:
    """The order as equal children and a rest. Raises InvalidRequest naming splitsize."""
    if size < 1:
        raise InvalidRequest("splitsize must be 1 or more.", "splitsize")
    full, rest = divmod(request.quantity, size)
    if full + (rest > 0) > MOST_CHILDREN:
        raise InvalidRequest(
            f"That would be more than {MOST_CHILDREN} orders; use a larger splitsize.", "splitsize"
        )
    sizes = [size] * int(full) + ([rest] if rest else [])
    return [replace(request, quantity=quantity) for quantity in sizes]

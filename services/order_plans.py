"""Requests of several orders: basket and split. Each leg is an intent of its own under one plan row.

No broker offers atomic baskets: a plan reports each leg. A crash in the middle loses nothing and repeats nothing, since
a leg's key is its plan and number; the worker finishes what is young enough and reports the rest as not sent.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from database.plans import Plan
from domain.clock import Clock
from domain.errors import InvalidRequest, PlatformError, RiskRefused
from domain.model import OrderRequest, Side
from services.accounts import Accounts, Caller
from services.gate import Admission
from services.orders import Orders, Placed
from services.plan_book import PlanBook, read_leg, write_leg

log = logging.getLogger(__name__)

MOST_CHILDREN = 100
YOUNG = timedelta(seconds=60)
ORPHANED = timedelta(seconds=20)


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
    """Baskets and splits of any account."""

    def __init__(self, book: PlanBook, clock: Clock, accounts: Accounts, orders: Orders) -> None:
        self._book = book
        self._clock = clock
        self._accounts = accounts
        self._orders = orders

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
        now = self._clock.now()
        lost = [
            plan for plan in self._book.running() if now - plan.created_at > ORPHANED and plan.kind != "smart"
        ]
        for plan in lost:
            account = self._accounts.account(plan.account_id)
            caller = self._accounts.caller_of_user(plan.user_id, account.id, door=plan.door)
            log.warning("plan resumed account=%s plan=%s", account.id, plan.id)
            self.run(plan, caller)
        return len(lost)

    # -- inside
    def _begin(
        self, caller: Caller, kind: str, legs: Sequence[OrderRequest], key: str, body_hash: str
    ) -> PlanAnswer:
        request = {"legs": [write_leg(leg) for leg in legs]}
        opened = self._book.open(caller, kind, request, key=key, body_hash=body_hash, length=YOUNG)
        if opened.approval_id is not None:
            return PlanAnswer(plan_id=opened.plan.id, legs=[], approval_id=opened.approval_id)
        return self.run(opened.plan, caller) if opened.new else self._report(opened.plan)

    def _send(self, plan: Plan, caller: Caller, number: int, request: OrderRequest, approved: bool) -> Placed:
        if plan.deadline <= self._clock.now() and not approved:
            words = "Not sent: the plan ran out of time."
            return self._book.keep(plan, number, refused("NOT_SENT", words))
        admission = Admission(key=f"plan:{plan.id}:{number}", plan_id=plan.id, leg=number, approved=approved)
        try:
            placed = self._orders.place(caller, request, admission)
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


def refused(code: str, message: str) -> Placed:
    """A leg that was not sent."""
    return Placed(state="refused", order_id="", code=code, message=message)


def refusal(error: PlatformError) -> Placed:
    """A leg that was turned away before anything was sent."""
    return refused(error.limit if isinstance(error, RiskRefused) else type(error).__name__, str(error))


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

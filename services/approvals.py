"""The Action Center: what semi-auto accounts asked for waits here until a person decides, once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from sqlalchemy import Connection

from broker.interface import Broker
from database import approvals as approval_rows
from database import controls as control_rows
from database import intents as intent_rows
from database import plans as plan_rows
from database.approvals import APPROVED, LAPSED, REJECTED, Approval
from database.controls import Kill
from database.engine import Database
from domain.clock import Clock
from domain.errors import InvalidRequest, NotFound, PlatformError, RiskRefused
from domain.model import IntentState
from services.accounts import Account, Accounts, Caller
from services.audit import Audit
from services.order_plans import OrderPlans
from services.orders import Orders
from services.parked_gtts import ParkedGtts
from services.plan_book import YOUNG, PlanBook, read_leg, sender
from services.smart_orders import SmartOrders

log = logging.getLogger(__name__)


class Sessions(Protocol):
    def broker_for(self, account: Account) -> Broker: ...


class Approvals:
    """Decisions move a row by compare-and-set, in one transaction with what they decide."""

    def __init__(
        self,
        orders_store: Database,
        clock: Clock,
        accounts: Accounts,
        sessions: Sessions,
        orders: Orders,
        plans: OrderPlans,
        smart: SmartOrders,
        gtts: ParkedGtts,
        book: PlanBook,
        audit: Audit,
        tell: Callable[[int], None],
    ) -> None:
        """`tell` rings that an account has news of its orders."""
        self._db = orders_store
        self._clock = clock
        self._accounts = accounts
        self._sessions = sessions
        self._orders = orders
        self._plans = plans
        self._smart = smart
        self._gtts = gtts
        self._book = book
        self._audit = audit
        self._tell = tell

    def listed(self, caller: Caller, state: str | None = None) -> list[Approval]:
        """The account's requests, newest first; of one state or (None) all."""
        with self._db.read() as connection:
            return approval_rows.listed(connection, caller.account.id, state)

    def waiting(self, caller: Caller) -> int:
        """How many requests of the account wait for a person."""
        with self._db.read() as connection:
            return approval_rows.waiting(connection, caller.account.id)

    def approve(self, caller: Caller, approval_id: int) -> Approval:
        """Send what waits. Raises NotFound, InvalidRequest when it was decided already, RiskRefused."""
        approval = self._waiting(caller, approval_id)
        now = self._clock.now()
        if approval.expires_at is not None and approval.expires_at <= now:
            raise InvalidRequest("Nobody decided in time: it is not sent.", "id")
        if approval.intent_id is not None:
            decided = self._approve_order(caller, approval, approval.intent_id, now)
        else:
            closes = self._only_closes(caller, approval)
            decided = self._db.write(lambda c: self._approve_plan(c, caller, approval, now, closes=closes))
        if not decided:
            raise InvalidRequest("It was decided already.", "id")
        self._audit.note(caller, "approval.approve", {"kind": approval.kind}, str(approval_id))
        self._tell(caller.account.id)
        if approval.plan_id is not None:
            self._run(caller, approval.plan_id)
        return self._found(caller, approval_id)

    def reject(self, caller: Caller, approval_id: int, reason: str = "") -> Approval:
        """Let it go unsent. Raises NotFound, InvalidRequest when it was decided already."""
        approval = self._waiting(caller, approval_id)
        if not self._close(approval, REJECTED, caller.username, reason):
            raise InvalidRequest("It was decided already.", "id")
        self._audit.note(caller, "approval.reject", {"reason": reason}, str(approval_id))
        return self._found(caller, approval_id)

    def approve_all(self, caller: Caller) -> tuple[list[int], list[tuple[int, str]]]:
        """(approved ids, (id, why not)) over everything that waits, oldest first."""
        done, failed = [], []
        for approval in reversed(self.listed(caller, approval_rows.WAITING)):
            try:
                self.approve(caller, approval.id)
                done.append(approval.id)
            except PlatformError as error:
                failed.append((approval.id, str(error)))
        return done, failed

    def lapse_overdue(self) -> int:
        """Let requests whose time is over go unsent; returns how many. For the worker."""
        with self._db.read() as connection:
            overdue = approval_rows.overdue(connection, self._clock.now())
        return sum(self._close(approval, LAPSED, "", "Nobody decided in time.") for approval in overdue)

    # -- inside
    def _approve_order(self, caller: Caller, approval: Approval, intent_id: str, now: datetime) -> bool:
        """Weigh the order anew and let it go. It waits in the queue, so that a crash from here on still sends it, and
        sends it once; what cannot be sent while the approval is young lapses there."""

        def decide(connection: Connection, reduces: bool) -> bool:
            if not self._decided(connection, caller, approval, now):
                return False
            changes = {"deadline": now + YOUNG, "reduces": reduces}
            parked, queued = IntentState.PARKED, IntentState.QUEUED
            if not intent_rows.move(connection, intent_id, parked, queued, now, **changes):
                raise InvalidRequest("The order was withdrawn; there is nothing to approve.", "id")
            return True

        return self._orders.approve(caller, intent_id, decide)

    def _only_closes(self, caller: Caller, approval: Approval) -> bool:
        """Whether a kill switch is on that every leg of a plan is let through by. Raises RiskRefused where it lets one
        not."""
        if self._killed(caller) is None or approval.plan_id is None:
            return False
        plan = self._book.plan(caller.account.id, approval.plan_id)
        if plan.kind == "gtt":
            return False
        asker = sender(plan, self._accounts)
        legs = [read_leg(leg) for leg in plan.request["legs"]]
        if plan.kind == "smart":
            legs = self._smart.needed(asker, legs[0], Decimal(plan.request["target"]))
        for leg in legs:
            self._orders.weigh(asker, leg)
        return True

    def _killed(self, caller: Caller) -> Kill | None:
        with self._db.read() as connection:
            return control_rows.killed(connection, caller.account.id)

    def _approve_plan(
        self, connection: Connection, caller: Caller, approval: Approval, now: datetime, *, closes: bool
    ) -> bool:
        """Let a plan run; the gate weighs its legs as they are sent.

        closes  under a kill switch it was found to close only
        """
        if not closes and control_rows.killed(connection, caller.account.id) is not None:
            raise RiskRefused("kill_switch", "The kill switch is on: nothing is approved.")
        decided = self._decided(connection, caller, approval, now)
        if decided and approval.plan_id is not None:
            parked, running = plan_rows.PARKED, plan_rows.RUNNING
            plan_rows.move(connection, approval.plan_id, parked, running, deadline=now + YOUNG)
        return decided

    @staticmethod
    def _decided(connection: Connection, caller: Caller, approval: Approval, now: datetime) -> bool:
        return approval_rows.decide(
            connection, approval.id, caller.account.id, APPROVED, caller.username, "", now
        )

    def _run(self, caller: Caller, plan_id: int) -> None:
        plan = self._book.plan(caller.account.id, plan_id)
        asker = sender(plan, self._accounts)
        if plan.kind == "smart":
            self._smart.run(plan, asker, approved=True)
        elif plan.kind == "gtt":
            self._gtts.run(plan, asker)
        else:
            self._plans.run(plan, asker, approved=True)

    def _close(self, approval: Approval, state: str, by: str, reason: str) -> bool:
        now = self._clock.now()
        words = reason or "Rejected in the Action Center."

        def work(connection: Connection) -> bool:
            decided = approval_rows.decide(
                connection, approval.id, approval.account_id, state, by, reason, now
            )
            if decided and approval.intent_id is not None:
                changes = {"code": state.upper(), "words": words, "settled_at": now}
                intent_rows.move(
                    connection,
                    approval.intent_id,
                    IntentState.PARKED,
                    IntentState.REFUSED,
                    now,
                    **changes,
                )
            if decided and approval.plan_id is not None:
                plan_rows.move(
                    connection, approval.plan_id, plan_rows.PARKED, plan_rows.DONE, finished_at=now
                )
            return decided

        closed = self._db.write(work)
        if closed:
            self._tell(approval.account_id)
        return closed

    def _waiting(self, caller: Caller, approval_id: int) -> Approval:
        approval = self._found(caller, approval_id)
        if approval.state != approval_rows.WAITING:
            raise InvalidRequest(f"It is {approval.state} already.", "id")
        return approval

    def _found(self, caller: Caller, approval_id: int) -> Approval:
        with self._db.read() as connection:
            approval = approval_rows.by_id(connection, approval_id, caller.account.id)
        if approval is None:
            raise NotFound("No such request.")
        return approval

"""The book of plans: how a request of several orders is opened once, parked for a person, and its legs remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from database import approvals as approval_rows
from database import controls as control_rows
from database import intents as intent_rows
from database import plans as plan_rows
from database.engine import Database
from database.intents import Intent
from database.plans import LegResult, Plan
from domain.calendar_day import day_end
from domain.clock import Clock
from domain.errors import DuplicateKey, NotFound
from domain.model import Exchange, Mode, OrderMode, OrderRequest, OrderType, Product, Side
from services.accounts import Accounts, Caller
from services.orders import Placed

YOUNG = timedelta(seconds=60)
"""How long after it was asked for a plan's legs may still be sent."""
ORPHANED = timedelta(seconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A plan's row. `new` False: an earlier request with the same key. `approval_id` set: it waits for a person."""

    plan: Plan
    new: bool
    approval_id: int | None = None


class PlanBook:
    """Plans of one orders store."""

    def __init__(self, orders_store: Database, clock: Clock, tell: Callable[[int], None]) -> None:
        """`tell` rings that an account has news of its orders."""
        self._db = orders_store
        self._clock = clock
        self._tell = tell

    def open(
        self,
        caller: Caller,
        kind: str,
        request: dict[str, Any],
        *,
        key: str,
        body_hash: str,
        length: timedelta,
        parks: bool = True,
    ) -> Opened:
        """Write the plan's row, PARKED for a semi-auto account if it `parks`. Raises DuplicateKey.

        length  how long after now legs may still be sent
        """
        now = self._clock.now()
        semi_auto = caller.account.order_mode is OrderMode.SEMI_AUTO and caller.account.mode is Mode.LIVE
        waits = parks and semi_auto
        request = {**request, "mode": caller.account.mode.value}

        def work(connection: Connection) -> Opened:
            control_rows.load_both(connection, caller.account.id, "")
            earlier = _earlier(connection, caller.account.id, key, body_hash)
            if earlier is not None:
                return Opened(plan=earlier, new=False)
            if key and intent_rows.by_key(connection, caller.account.id, key) is not None:
                raise DuplicateKey(_USED, "Idempotency-Key")
            plan_id = plan_rows.add(
                connection,
                account_id=caller.account.id,
                user_id=caller.user_id,
                door=caller.door,
                kind=kind,
                state=plan_rows.PARKED if waits else plan_rows.RUNNING,
                request=request,
                key=key or None,
                body_hash=body_hash,
                now=now,
                deadline=now + length,
            )
            plan = plan_rows.by_id(connection, plan_id)
            assert plan is not None
            return Opened(plan=plan, new=True, approval_id=_park(connection, plan) if waits else None)

        opened = self._db.write(work)
        if opened.approval_id is not None:
            self._tell(caller.account.id)
        return opened

    def plan(self, account_id: int, plan_id: int) -> Plan:
        """Raises NotFound when it is not the account's."""
        with self._db.read() as connection:
            plan = plan_rows.by_id(connection, plan_id)
        if plan is None or plan.account_id != account_id:
            raise NotFound("No such plan.")
        return plan

    def earlier(self, account_id: int, key: str, body_hash: str) -> Plan | None:
        """The plan that this key was first used for. Raises DuplicateKey when it came with another body."""
        with self._db.read() as connection:
            return _earlier(connection, account_id, key, body_hash)

    def of_reason(self, account_id: int, kind: str, reason: str) -> list[Plan]:
        """The plans of a kind that one reason has led to so far, in any process, oldest first."""
        with self._db.read() as connection:
            return plan_rows.by_reason(connection, account_id, kind, reason)

    def orphans(self, *kinds: str) -> list[tuple[Plan, bool]]:
        """(plan, whether a person approved it) of these kinds whose legs are not all told although their sender should
        be long done: it died, or is very slow. Oldest first."""
        before = self._clock.now() - ORPHANED
        with self._db.read() as connection:
            running = plan_rows.in_state(connection, plan_rows.RUNNING)
            found = [
                (plan, approval_rows.of_plan(connection, plan.id)) for plan in running if plan.kind in kinds
            ]
        return [
            (plan, approval is not None)
            for plan, approval in found
            if ((approval and approval.decided_at) or plan.created_at) < before
        ]

    def sent(self, plan: Plan, leg: int) -> list[Intent]:
        """What of a leg was journalled, in the order of its pieces."""
        with self._db.read() as connection:
            return [intent for intent in intent_rows.of_plan(connection, plan.id) if intent.leg == leg]

    def keep(self, plan: Plan, leg: int, placed: Placed) -> Placed:
        """Remember what a leg was told."""
        result = LegResult(
            plan_id=plan.id,
            leg=leg,
            state=placed.state,
            order_id=placed.order_id,
            code=placed.code,
            message=placed.message,
        )
        self._db.write(lambda c: plan_rows.keep_leg(c, result))
        return placed

    def told(self, plan: Plan) -> dict[int, Placed]:
        """Leg number -> what it was told, of the legs that were."""
        with self._db.read() as connection:
            legs = plan_rows.legs(connection, plan.id)
            sent: dict[int, list[str]] = {}
            for intent in intent_rows.of_plan(connection, plan.id) if legs else ():
                sent.setdefault(intent.leg or 0, []).append(intent.public_id)
        return {leg.leg: _placed(leg, sent.get(leg.leg, [])) for leg in legs}

    def finish(self, plan: Plan) -> None:
        now = self._clock.now()
        self._db.write(
            lambda c: plan_rows.move(c, plan.id, plan_rows.RUNNING, plan_rows.DONE, finished_at=now)
        )


def sender(plan: Plan, accounts: Accounts) -> Caller:
    """Who asked for a plan, at the venue where they asked for it, whatever the account's mode is now."""
    caller = accounts.caller_of_user(plan.user_id, plan.account_id, door=plan.door)
    return replace(caller, account=replace(caller.account, mode=Mode(plan.request["mode"])))


def write_leg(request: OrderRequest) -> dict[str, Any]:
    """A request as JSON values."""
    return {k: str(v) if isinstance(v, Decimal) else v for k, v in asdict(request).items()}


def read_leg(leg: dict[str, Any]) -> OrderRequest:
    """What `write_leg` wrote."""
    return OrderRequest(
        symbol=leg["symbol"],
        exchange=Exchange(leg["exchange"]),
        side=Side(leg["side"]),
        quantity=Decimal(leg["quantity"]),
        order_type=OrderType(leg["order_type"]),
        product=Product(leg["product"]),
        price=None if leg["price"] is None else Decimal(leg["price"]),
        trigger_price=None if leg["trigger_price"] is None else Decimal(leg["trigger_price"]),
        disclosed_quantity=Decimal(leg["disclosed_quantity"]),
        strategy=leg["strategy"],
        reduce_only=leg["reduce_only"],
    )


_USED = "This Idempotency-Key was used with another request: nothing was sent."
_ASKED_AS = {"pieces": "placeorder", "gtt": "placegttorder"}


def _park(connection: Connection, plan: Plan) -> int:
    return approval_rows.park(
        connection,
        account_id=plan.account_id,
        kind=_ASKED_AS.get(plan.kind, f"{plan.kind}order"),
        request=plan.request,
        now=plan.created_at,
        plan_id=plan.id,
        expires_at=day_end(plan.created_at),
    )


def _earlier(connection: Connection, account_id: int, key: str, body_hash: str) -> Plan | None:
    if not key:
        return None
    earlier = plan_rows.by_key(connection, account_id, key)
    if earlier is not None and earlier.body_hash != body_hash:
        raise DuplicateKey(_USED, "Idempotency-Key")
    return earlier


def _placed(leg: LegResult, sent: list[str]) -> Placed:
    return Placed(
        state=leg.state,
        order_id=leg.order_id,
        code=leg.code,
        message=leg.message,
        order_ids=tuple(sent) if len(sent) > 1 else (),
    )

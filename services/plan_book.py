"""The book of plans: how a request of several orders is opened once, parked for a person, and its legs remembered."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from database import approvals as approval_rows
from database import controls as control_rows
from database import plans as plan_rows
from database.engine import Database
from database.plans import LegResult, Plan
from domain.clock import Clock
from domain.errors import DuplicateKey, NotFound
from domain.model import Exchange, Mode, OrderMode, OrderRequest, OrderType, Product, Side
from services.accounts import Caller
from services.orders import Placed


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A plan's row. `new` False: an earlier request with the same key. `approval_id` set: it waits for a person."""

    plan: Plan
    new: bool
    approval_id: int | None = None


class PlanBook:
    """Plans of one orders store."""

    def __init__(self, orders_store: Database, clock: Clock) -> None:
        self._db = orders_store
        self._clock = clock

    def open(
        self,
        caller: Caller,
        kind: str,
        request: dict[str, Any],
        *,
        key: str,
        body_hash: str,
        length: timedelta,
    ) -> Opened:
        """Write the plan's row, PARKED for a semi-auto account. Raises DuplicateKey.

        length  how long after now legs may still be sent
        """
        now = self._clock.now()
        waits = caller.account.order_mode is OrderMode.SEMI_AUTO and caller.account.mode is Mode.LIVE

        def work(connection: Connection) -> Opened:
            control_rows.load_both(connection, caller.account.id, "")
            earlier = _earlier(connection, caller.account.id, key, body_hash)
            if earlier is not None:
                return Opened(plan=earlier, new=False)
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

        return self._db.write(work)

    def plan(self, account_id: int, plan_id: int) -> Plan:
        """Raises NotFound when it is not the account's."""
        with self._db.read() as connection:
            plan = plan_rows.by_id(connection, plan_id)
        if plan is None or plan.account_id != account_id:
            raise NotFound("No such plan.")
        return plan

    def running(self) -> list[Plan]:
        """Plans whose legs are not all told, oldest first."""
        with self._db.read() as connection:
            return plan_rows.in_state(connection, plan_rows.RUNNING)

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
            return {leg.leg: _placed(leg) for leg in plan_rows.legs(connection, plan.id)}

    def finish(self, plan: Plan) -> None:
        now = self._clock.now()
        self._db.write(
            lambda c: plan_rows.move(c, plan.id, plan_rows.RUNNING, plan_rows.DONE, finished_at=now)
        )


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


def _park(connection: Connection, plan: Plan) -> int:
    return approval_rows.park(
        connection,
        account_id=plan.account_id,
        kind=f"{plan.kind}order",
        request=plan.request,
        now=plan.created_at,
        plan_id=plan.id,
    )


def _earlier(connection: Connection, account_id: int, key: str, body_hash: str) -> Plan | None:
    if not key:
        return None
    earlier = plan_rows.by_key(connection, account_id, key)
    if earlier is not None and earlier.body_hash != body_hash:
        raise DuplicateKey(
            "This Idempotency-Key was used with another request: nothing was sent.", "Idempotency-Key"
        )
    return earlier


def _placed(leg: LegResult) -> Placed:
    return Placed(state=leg.state, order_id=leg.order_id, code=leg.code, message=leg.message)

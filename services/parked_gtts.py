"""GTTs that a semi-auto account asked for: they wait in the Action Center and are kept when a person approves, once."""

from __future__ import annotations

import logging
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from database.plans import Plan
from domain.clock import IST
from domain.errors import PlatformError
from domain.model import Exchange, Mode, OrderMode, OrderType, Product, Side
from services.accounts import Accounts, Caller
from services.orders import Placed
from services.plan_book import YOUNG, PlanBook, sender
from services.plan_legs import refusal
from services.triggers import GttRequest, Trigger, Triggers

log = logging.getLogger(__name__)

_KINDS = {"exchange": Exchange, "side": Side, "product": Product, "order_type": OrderType}
_TEXTS = ("symbol", "strategy")


class ParkedGtts:
    """Of any account."""

    def __init__(self, book: PlanBook, accounts: Accounts, triggers: Triggers) -> None:
        self._book = book
        self._accounts = accounts
        self._triggers = triggers

    def ask(self, caller: Caller, request: GttRequest) -> Trigger | int:
        """Keep a GTT, or park it: then its number in the Action Center. Raises what `Triggers.place_gtt` raises."""
        account = caller.account
        if account.order_mode is not OrderMode.SEMI_AUTO or account.mode is not Mode.LIVE:
            return self._triggers.place_gtt(caller, request)
        self._triggers.check_gtt(caller, request)
        opened = self._book.open(caller, "gtt", _write(request), key="", body_hash="", length=YOUNG)
        return opened.approval_id or 0

    def run(self, plan: Plan, caller: Caller) -> None:
        """Keep the GTT of an approved plan, unless it is kept already. Raises what `Triggers.place_gtt` raises."""
        trigger_id = f"GTT-{plan.created_at.astimezone(IST):%y%m%d}-{plan.id:08x}"
        try:
            if not self._triggers.is_kept(trigger_id):
                self._triggers.place_gtt(caller, _read(plan.request), trigger_id)
            placed = Placed(state="accepted", order_id=trigger_id)
        except PlatformError as error:
            placed = refusal(error)
            raise
        finally:
            self._book.keep(plan, 0, placed)
            self._book.finish(plan)

    def resume(self) -> int:
        """Keep what was approved in a process that died; returns how many. For the worker."""
        lost = self._book.orphans("gtt")
        for plan, _ in lost:
            try:
                self.run(plan, sender(plan, self._accounts))
            except PlatformError as error:
                log.warning("approved GTT not kept plan=%s: %s", plan.id, error)
        return len(lost)


def _write(request: GttRequest) -> dict[str, Any]:
    values = {field.name: getattr(request, field.name) for field in fields(request)}
    return {name: None if value is None else str(value) for name, value in values.items()}


def _read(saved: dict[str, Any]) -> GttRequest:
    given: dict[str, Any] = {}
    for field in fields(GttRequest):
        value = saved[field.name]
        if value is None or field.name in _TEXTS:
            given[field.name] = value
        elif field.name == "expires_at":
            given[field.name] = datetime.fromisoformat(value)
        else:
            given[field.name] = _KINDS.get(field.name, Decimal)(value)
    return GttRequest(**given)

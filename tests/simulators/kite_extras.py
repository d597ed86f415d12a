"""The parts of Kite beside trading: triggers kept by the broker (GTT), and the mutual-fund calls of its SDK."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING

from domain.market import Tick
from domain.model import Instrument, OrderType, PlaceOrder, Product, Side
from tests.simulators import kite_wire as wire
from tests.simulators.transport import Answer, Request

if TYPE_CHECKING:
    from tests.simulators.kite import KiteSimulator

Route = tuple[str, str, str, Callable[[Request, list[str]], object]]
MF_COLUMNS = (
    "tradingsymbol,amc,name,purchase_allowed,redemption_allowed,minimum_purchase_amount,"
    "purchase_amount_multiplier,minimum_additional_purchase_amount,minimum_redemption_quantity,"
    "redemption_quantity_multiplier,dividend_type,scheme_type,plan,settlement_type,last_price,last_price_date"
)


class Triggers:
    """Good-till-triggered orders: one or two legs, limits only; a leg fires when the price reaches its trigger."""

    def __init__(self, face: KiteSimulator) -> None:
        self._face = face
        self._rows: dict[int, dict[str, object]] = {}
        self._numbers = count(112127)
        face.exchange.on_tick.append(self._on_tick)

    def routes(self) -> Iterable[Route]:
        yield "POST", "gtt/triggers", "place gtt", lambda r, p: self._place(r)
        yield "GET", "gtt/triggers", "gtts", lambda r, p: list(self._rows.values())
        yield "GET", "gtt/triggers/*", "gtt", lambda r, p: self._row(p[2])
        yield "PUT", "gtt/triggers/*", "modify gtt", self._modify
        yield "DELETE", "gtt/triggers/*", "cancel gtt", self._cancel

    def _row(self, number: str) -> dict[str, object]:
        from tests.simulators.kite import KiteError

        row = self._rows.get(int(number) if number.isdigit() else 0)
        if row is None or row["status"] != "active":
            raise KiteError("InputException", "Couldn't find that trigger `order_id`.", 404)
        return row

    def _place(self, request: Request) -> object:
        number, now = next(self._numbers), self._face.clock.now()
        self._rows[number] = self._read(request) | {
            "id": number,
            "user_id": self._face.user,
            "parent_trigger": None,
            "created_at": wire.stamp(now),
            "updated_at": wire.stamp(now),
            "expires_at": wire.stamp(now + timedelta(days=365)),
            "status": "active",
            "meta": {},
        }
        return {"trigger_id": number}

    def _read(self, request: Request) -> dict[str, object]:
        from tests.simulators.kite import KiteError

        form = request.form()
        condition, orders = json.loads(form["condition"]), json.loads(form["orders"])
        self._face._scrip(condition["exchange"], condition["tradingsymbol"])
        wanted = 1 if form["type"] == "single" else 2
        if len(orders) != wanted or len(condition["trigger_values"]) != wanted:
            raise KiteError("InputException", "Invalid number of triggers.")
        if any(order["order_type"] != "LIMIT" for order in orders):
            raise KiteError("InputException", "Only LIMIT orders are allowed for GTT.")
        return {
            "type": form["type"],
            "condition": condition,
            "orders": [o | {"result": None} for o in orders],
        }

    def _modify(self, request: Request, parts: list[str]) -> object:
        row = self._row(parts[2])
        row.update(self._read(request), updated_at=wire.stamp(self._face.clock.now()))
        return {"trigger_id": row["id"]}

    def _cancel(self, request: Request, parts: list[str]) -> object:
        row = self._row(parts[2])
        row["status"] = "cancelled"
        return {"trigger_id": row["id"]}

    def _on_tick(self, instrument: Instrument, tick: Tick) -> None:
        for row in self._rows.values():
            condition = row["condition"]
            assert isinstance(condition, dict)
            scrip = self._face.by_key[f"{condition['exchange']}:{condition['tradingsymbol']}"]
            if row["status"] == "active" and scrip.instrument.key == instrument.key:
                self._try(row, condition, instrument, tick.last_price)

    def _try(
        self, row: dict[str, object], condition: dict[str, object], one: Instrument, last: float
    ) -> None:
        values, seen = condition["trigger_values"], float(str(condition["last_price"]))
        orders = row["orders"]
        assert isinstance(values, list) and isinstance(orders, list)
        for trigger, order in zip(values, orders, strict=True):
            if last <= trigger < seen or seen < trigger <= last:
                row["status"] = "triggered"
                outcome = self._face.exchange.place(self._face.user, _child(order, one))
                order["result"] = {"order_result": {"order_id": getattr(outcome, "order_id", "")}}
                return


def _child(order: dict[str, object], instrument: Instrument) -> PlaceOrder:
    return PlaceOrder(
        client_order_id="",
        instrument=instrument,
        side=Side(str(order["transaction_type"])),
        product=Product(str(order["product"])),
        order_type=OrderType.LIMIT,
        quantity=Decimal(str(order["quantity"])),
        price=Decimal(str(order["price"])),
    )


class MutualFunds:
    """Enough of the fund calls for the SDK to go through them: orders and SIPs are kept, nothing is invested."""

    def __init__(self, face: KiteSimulator) -> None:
        self._face = face
        self._orders: dict[str, dict[str, object]] = {}
        self._sips: dict[str, dict[str, object]] = {}

    def routes(self) -> Iterable[Route]:
        yield "GET", "mf/orders", "mf", lambda r, p: list(self._orders.values())
        yield "GET", "mf/orders/*", "mf", lambda r, p: self._orders.get(p[2])
        yield "POST", "mf/orders", "mf", lambda r, p: {"order_id": self._keep(self._orders, "order_id", r)}
        yield "DELETE", "mf/orders/*", "mf", lambda r, p: self._orders.pop(p[2], None) and {"order_id": p[2]}
        yield "GET", "mf/sips", "mf", lambda r, p: list(self._sips.values())
        yield "GET", "mf/sips/*", "mf", lambda r, p: self._sips.get(p[2])
        yield "POST", "mf/sips", "mf", lambda r, p: {"sip_id": self._keep(self._sips, "sip_id", r)}
        yield "PUT", "mf/sips/*", "mf", lambda r, p: {"sip_id": p[2]}
        yield "DELETE", "mf/sips/*", "mf", lambda r, p: self._sips.pop(p[2], None) and {"sip_id": p[2]}
        yield "GET", "mf/holdings", "mf", lambda r, p: []
        yield "GET", "mf/instruments", "mf", lambda r, p: Answer(200, _mf_master(), "text/csv")

    def _keep(self, rows: dict[str, dict[str, object]], name: str, request: Request) -> str:
        number = self._face.random(8)
        rows[number] = {name: number, "status": "OPEN", **request.form()}
        return number


def _mf_master() -> bytes:
    row = (
        "INF090I01239,FTMF,Rehearsal Fund,1,1,500,1,500,0.001,0.001,growth,equity,direct,T3,100.5,2026-11-20"
    )
    return f"{MF_COLUMNS}\n{row}\n".encode()

"""Converting positions: an open position, or a part of it, is held under another product from now on.

One way through the gate and the journal, as for orders. It is asked for by a person on a page alone, so an account in
semi-auto mode does not park it: who would decide on it is who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

from broker.interface import Broker
from broker.manifest import Capabilities
from database.intents import Intent
from domain.clock import Clock
from domain.errors import InvalidRequest
from domain.model import (
    Exchange,
    Instrument,
    IntentKind,
    OrderType,
    Position,
    Product,
    Side,
    products_of,
)
from services.accounts import Account, Caller
from services.gate import Gate
from services.new_intent import new_intent
from services.orders import Orders, Placed


class Sessions(Protocol):
    def broker_for(self, account: Account) -> Broker: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What a page asks for. quantity  units, None for all of it."""

    symbol: str
    exchange: Exchange
    product: Product
    to_product: Product
    quantity: Decimal | None = None


class Conversions:
    """See the module docstring."""

    def __init__(
        self, clock: Clock, sessions: Sessions, gate: Gate, orders: Orders, ready: Callable[[Account], None]
    ) -> None:
        """`ready` raises Unavailable while an account may not trade yet."""
        self._clock = clock
        self._sessions = sessions
        self._gate = gate
        self._orders = orders
        self._ready = ready

    def targets(self, account: Account, positions: Sequence[Position]) -> list[list[Product]]:
        """For each position the products that the account's broker can turn it into; empty where it cannot."""
        can = self._sessions.broker_for(account).manifest.can
        return [_targets(can, position) for position in positions]

    def convert(self, caller: Caller, wanted: Conversion, *, key: str = "", body_hash: str = "") -> Placed:
        """Ask the broker once. Raises InvalidRequest, InstrumentNotFound, NotSupported, RiskRefused, DuplicateKey,
        SessionOver, Unavailable and what reading the positions raises, all before anything is sent."""
        account = caller.account
        if told := self._orders.told(caller, key, body_hash):
            return told
        instrument = self._orders.resolve(account, wanted.exchange, wanted.symbol)
        _check_products(wanted)
        broker = self._sessions.broker_for(account)
        self._ready(account)
        broker.check_convert(wanted.exchange, wanted.to_product)
        looked_at = self._clock.now()
        positions = broker.fetch_positions()
        held_from, held_to = (_held(positions, wanted, one) for one in (wanted.product, wanted.to_product))
        quantity = _quantity(wanted, held_from, instrument)
        intent = self._intent(caller, wanted, quantity, (held_from, held_to), key, body_hash)
        settled = self._settled_shares(broker, wanted)
        intent, new = self._gate.admit_conversion(caller, intent, abs(held_from) + settled, looked_at)
        return self._orders.finish(intent, broker, instrument, new=new)

    def _intent(
        self,
        caller: Caller,
        wanted: Conversion,
        quantity: Decimal,
        held: tuple[Decimal, Decimal],
        key: str,
        body_hash: str,
    ) -> Intent:
        intent = new_intent(
            caller,
            IntentKind.CONVERT,
            self._clock.now(),
            symbol=wanted.symbol,
            exchange=wanted.exchange,
            side=Side.BUY if held[0] > 0 else Side.SELL,
            quantity=quantity,
            order_type=OrderType.MARKET,
            product=wanted.product,
            to_product=wanted.to_product,
            held_from=held[0],
            held_to=held[1],
            idempotency_key=key or None,
            body_hash=body_hash,
        )
        return replace(intent, told_id=intent.id)

    @staticmethod
    def _settled_shares(broker: Broker, wanted: Conversion) -> Decimal:
        """Shares beside the position that delivery sales may take, 0 for other products."""
        if wanted.product is not Product.DELIVERY or "holdings" not in broker.manifest.can.reads:
            return Decimal(0)
        shares = broker.fetch_holdings()
        named = (wanted.symbol, wanted.exchange)
        return sum((one.quantity for one in shares if (one.symbol, one.exchange) == named), Decimal(0))


def _targets(can: Capabilities, position: Position) -> list[Product]:
    if not (can.convert and position.quantity and position.exchange in can.exchanges):
        return []
    short = {Product.DELIVERY} if position.quantity < 0 else set()
    return sorted((products_of(position.exchange) & can.products) - {position.product} - short)


def _check_products(wanted: Conversion) -> None:
    offered = products_of(wanted.exchange)
    for product, field in ((wanted.product, "product"), (wanted.to_product, "to_product")):
        if product not in offered:
            allowed = ", ".join(sorted(offered)) or "none"
            raise InvalidRequest(
                f"Product {product} is not available on {wanted.exchange}; use {allowed}.", field
            )
    if wanted.product is wanted.to_product:
        raise InvalidRequest(f"The position is {wanted.product} already.", "to_product")


def _held(positions: Sequence[Position], wanted: Conversion, product: Product) -> Decimal:
    """Signed units of one line, 0 where the book shows none."""
    named = (wanted.symbol, wanted.exchange, product)
    rows = [one for one in positions if (one.symbol, one.exchange, one.product) == named]
    return sum((one.quantity for one in rows), Decimal(0))


def _quantity(wanted: Conversion, held: Decimal, instrument: Instrument) -> Decimal:
    """Units to move: whole lots, or all that is open."""
    if not held:
        raise InvalidRequest(f"No {wanted.product} position of {wanted.symbol} is open.", "position")
    if held < 0 and wanted.to_product is Product.DELIVERY:
        raise InvalidRequest("A short position cannot be held in CNC; it stays MIS.", "to_product")
    quantity = abs(held) if wanted.quantity is None else wanted.quantity
    if not quantity.is_finite() or not 0 < quantity <= abs(held):
        raise InvalidRequest(
            f"quantity must be more than 0 and at most {abs(held):f}, what is open.", "quantity"
        )
    if quantity != abs(held) and quantity % instrument.lot_size:
        raise InvalidRequest(
            f"quantity {quantity:f} is not a multiple of the lot size {instrument.lot_size} of {wanted.symbol}.",
            "quantity",
        )
    return quantity

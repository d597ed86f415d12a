"""What an account holds in memory: its orders, and its lines (a position with the orders that work on it).

Mutable; the exchange's one writer alone touches them. Records for storage are made on the way out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from broker.paper.rules import OrderTerms, Terms, margin
from domain.ledger import ZERO, PaperHolding, PaperOrder, PaperPosition
from domain.model import Instrument, Order, OrderState, OrderType, Product, Side

UNIT = Decimal("0.00000001")


def share(whole: Decimal, part: Decimal, of: Decimal) -> Decimal:
    """`whole` x part / of, exact to 1e-8; all of it when part is all."""
    return whole if part == of else (whole * part / of).quantize(UNIT, ROUND_HALF_EVEN)


@dataclass(slots=True, kw_only=True, eq=False)
class BookedOrder:
    """An order at the exchange.

    number    its place in time, over all accounts
    version   grows with each change of terms; what a ladder remembers of an older one is void
    told      the order as its owner was last told of it
    exercises  the house's own, closing an option that expired with a value
    fresh     still on its way through the market: a tick fills it at the market's price, not at its own
    """

    account: str
    generation: int
    order_id: str
    client_order_id: str
    number: int
    line: Line
    side: Side
    terms: OrderTerms
    strategy: str
    placed_at: datetime
    updated_at: datetime
    live_at: datetime
    state: OrderState = OrderState.OPEN
    filled: Decimal = ZERO
    value: Decimal = ZERO
    reserved: Decimal = ZERO
    reference: Decimal | None = None
    triggered: bool = False
    fresh: bool = False
    charged: Decimal = ZERO
    reason: str = ""
    version: int = 0
    exercises: bool = False
    told: Order | None = None

    @property
    def remaining(self) -> Decimal:
        return self.terms.quantity - self.filled

    @property
    def instrument(self) -> Instrument:
        return self.line.instrument

    @property
    def is_delivery_sale(self) -> bool:
        return self.line.product is Product.DELIVERY and self.side is Side.SELL

    @property
    def waits_for_trigger(self) -> bool:
        return self.terms.order_type.has_trigger and not self.triggered

    @property
    def takes_any_price(self) -> bool:
        """A market order, or a stop-market that has fired."""
        kind = self.terms.order_type
        return kind is OrderType.MARKET or (kind is OrderType.STOP_MARKET and self.triggered)

    def snapshot(self) -> Order:
        """The order as its owner sees it."""
        average = (self.value / self.filled).quantize(UNIT, ROUND_HALF_EVEN) if self.filled else None
        return Order(
            order_id=self.order_id,
            client_order_id=self.client_order_id,
            symbol=self.instrument.symbol,
            exchange=self.instrument.exchange,
            side=self.side,
            quantity=self.terms.quantity,
            order_type=self.terms.order_type,
            product=self.line.product,
            state=self.state,
            placed_at=self.placed_at,
            updated_at=self.updated_at,
            filled=self.filled,
            price=self.terms.price,
            trigger_price=self.terms.trigger_price,
            average_price=average,
            disclosed_quantity=self.terms.disclosed_quantity,
            reason=self.reason,
            status_word=self.state.value,
            strategy=self.strategy,
        )

    def record(self) -> PaperOrder:
        """The order as storage keeps it."""
        return PaperOrder(
            account=self.account,
            generation=self.generation,
            order=self.told or self.snapshot(),
            value=self.value,
            reserved=self.reserved,
            live_at=self.live_at,
            reference=self.reference,
            triggered=self.triggered,
            fresh=self.fresh,
            charged=self.charged,
        )


@dataclass(slots=True, eq=False)
class Line:
    """One instrument and product of one account.

    quantity  signed units; cost has its sign, rupees; margin  rupees blocked for it
    covering  per side, whether resting orders were counted as exits when last looked at
    """

    instrument: Instrument
    product: Product
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    margin: Decimal = ZERO
    realised_today: Decimal = ZERO
    realised_total: Decimal = ZERO
    opened_on: date = date.min
    changed_at: datetime | None = None
    working: dict[Side, dict[str, BookedOrder]] = field(default_factory=lambda: {Side.BUY: {}, Side.SELL: {}})
    covering: dict[Side, bool] = field(default_factory=lambda: {Side.BUY: False, Side.SELL: False})

    def closable(self, side: Side) -> Decimal:
        """Units that an order of this side can close."""
        return max(ZERO, -self.quantity if side is Side.BUY else self.quantity)

    def close(self, quantity: Decimal, price: Decimal) -> tuple[Decimal, Decimal]:
        """Shrink the position; returns (margin freed, profit). `quantity` is at most the open one."""
        size = abs(self.quantity)
        freed, profit = self.if_closed(quantity, price)
        self.cost -= share(self.cost, quantity, size)
        self.margin -= freed
        self.quantity -= quantity if self.quantity > 0 else -quantity
        return freed, profit

    def if_closed(self, quantity: Decimal, price: Decimal) -> tuple[Decimal, Decimal]:
        """What `close` would return, with nothing changed."""
        size = abs(self.quantity)
        worth = (price * quantity * self.instrument.contract_value).quantize(UNIT, ROUND_HALF_EVEN)
        cost = share(self.cost, quantity, size)
        profit = worth - cost if self.quantity > 0 else -cost - worth
        return share(self.margin, quantity, size), profit

    def open(self, side: Side, quantity: Decimal, price: Decimal, blocked: Decimal, day: date) -> None:
        """Grow the position (or begin one) on `side`. Delivery shares count as bought on their last day."""
        if not self.quantity or self.product is Product.DELIVERY:
            self.opened_on = day
        worth = (price * quantity * self.instrument.contract_value).quantize(UNIT, ROUND_HALF_EVEN)
        self.quantity += quantity * side.sign
        self.cost += worth * side.sign
        self.margin += blocked

    def ranked(self, side: Side) -> Iterator[BookedOrder]:
        """Working orders in the order in which they may count as exits: those at any price, then by time."""
        orders = self.working[side].values()
        yield from (order for order in orders if order.takes_any_price)
        yield from (order for order in orders if not order.takes_any_price)

    def needs(self, side: Side, terms: Terms) -> list[tuple[BookedOrder, Decimal]]:
        """What each working order must reserve, exits first being free."""
        cover = self.closable(side)
        found = []
        for order in self.ranked(side):
            covered = min(cover, order.remaining)
            cover -= covered
            found.append((order, self.need(order, order.remaining - covered, terms)))
        return found

    def need(self, order: BookedOrder, opening: Decimal, terms: Terms) -> Decimal:
        """What an order reserves for the part of it that would open."""
        if order.is_delivery_sale or not opening or order.reference is None:
            return ZERO
        return margin(self.instrument, self.product, order.side, opening, order.reference, terms)

    @property
    def average(self) -> Decimal | None:
        """Price per unit of the open quantity; None when flat."""
        if not self.quantity:
            return None
        units = self.quantity * self.instrument.contract_value
        return (self.cost / units).quantize(UNIT, ROUND_HALF_EVEN)

    @property
    def is_used(self) -> bool:
        return bool(self.quantity or self.realised_today or self.working[Side.BUY] or self.working[Side.SELL])

    def record(self, account: str, generation: int) -> PaperPosition:
        """The position as storage keeps it."""
        assert self.changed_at is not None
        return PaperPosition(
            account=account,
            generation=generation,
            exchange=self.instrument.exchange,
            symbol=self.instrument.symbol,
            product=self.product,
            quantity=self.quantity,
            cost=self.cost,
            margin=self.margin,
            realised_today=self.realised_today,
            realised_total=self.realised_total,
            opened_on=self.opened_on,
            changed_at=self.changed_at,
        )


@dataclass(slots=True, eq=False)
class Shares:
    """Delivery shares at cost."""

    instrument: Instrument
    settles_on: date
    quantity: Decimal = ZERO
    cost: Decimal = ZERO

    def sell(self, quantity: Decimal, price: Decimal) -> tuple[Decimal, Decimal]:
        """Take shares out; returns (their cost, profit)."""
        cost = share(self.cost, quantity, self.quantity)
        self.quantity -= quantity
        self.cost -= cost
        return cost, price * quantity - cost

    def record(self, account: str, generation: int) -> PaperHolding:
        """The holding as storage keeps it."""
        return PaperHolding(
            account=account,
            generation=generation,
            exchange=self.instrument.exchange,
            symbol=self.instrument.symbol,
            quantity=self.quantity,
            cost=self.cost,
            settles_on=self.settles_on,
        )

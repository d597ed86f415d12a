"""One paper account: its money in double entry, its positions and shares, and what working orders reserve. Pure.

Nothing here looks at a market or a clock. Every movement of money is one balanced entry in the outbox.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from broker.paper.booked import BookedOrder, Line, Shares
from broker.paper.rules import Terms, margin
from domain.ledger import (
    ZERO,
    Amounts,
    EntryKind,
    LedgerChanges,
    LedgerEntry,
    PaperAccount,
    PaperUpdate,
)
from domain.model import Exchange, Instrument, OrderState, Product, Side, Trade

LineKey = tuple[Exchange, str, Product]


class Fill(NamedTuple):
    """A quantity and the price it trades at."""

    quantity: Decimal
    price: Decimal


class Outbox:
    """What must be kept next: entries in order, and each changed thing once."""

    def __init__(self) -> None:
        self.changes = LedgerChanges()
        self.accounts: dict[str, Account] = {}
        self.orders: dict[str, BookedOrder] = {}
        self.lines: dict[int, tuple[Account, Line]] = {}
        self.shares: dict[int, tuple[Account, Shares]] = {}

    def settle(self) -> None:
        """Turn what has changed into records, as it stands now."""
        changes = self.changes
        changes.accounts += [account.record for account in self.accounts.values()]
        changes.orders += [order.record() for order in self.orders.values()]
        changes.positions += [line.record(a.name, a.generation) for a, line in self.lines.values()]
        changes.holdings += [held.record(a.name, a.generation) for a, held in self.shares.values()]
        for changed in (self.accounts, self.orders, self.lines, self.shares):
            changed.clear()

    def take(self) -> LedgerChanges:
        """Everything since the last call, as records."""
        self.settle()
        changes, self.changes = self.changes, LedgerChanges()
        return changes


class Account:
    """See the module docstring. `seq` and `entries` are the numbers last given out."""

    def __init__(self, record: PaperAccount, defaults: Terms, outbox: Outbox) -> None:
        self.record = record
        self.outbox = outbox
        self.terms = defaults.changed(record.terms)
        self.balances = Amounts()
        self.lines: dict[LineKey, Line] = {}
        self.shares: dict[tuple[Exchange, str], Shares] = {}
        self.orders: dict[str, BookedOrder] = {}
        self.trades: list[Trade] = []
        self.seq = 0
        self.entries = 0

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def generation(self) -> int:
        return self.record.generation

    @property
    def day(self) -> date:
        return self.record.day

    @property
    def available(self) -> Decimal:
        return self.balances.cash

    def line(self, instrument: Instrument, product: Product) -> Line:
        """The line of an instrument and product, made when it is new."""
        key = (instrument.exchange, instrument.symbol, product)
        found = self.lines.get(key)
        if found is None:
            found = self.lines[key] = Line(instrument, product)
        return found

    def post(
        self, kind: EntryKind, at: datetime, amounts: Amounts, order_id: str = "", trade_id: str = ""
    ) -> None:
        """Book one balanced entry. Raises ArithmeticError for one that is not balanced."""
        if amounts.total() != 0:
            raise ArithmeticError(f"unbalanced entry {kind} {amounts}")
        self.entries += 1
        self.balances = self.balances.plus(amounts)
        self.outbox.changes.entries.append(
            LedgerEntry(
                account=self.name,
                generation=self.generation,
                number=self.entries,
                kind=kind,
                at=at,
                amounts=amounts,
                order_id=order_id,
                trade_id=trade_id,
            )
        )

    def tell(self, order: BookedOrder, at: datetime, state: OrderState | None = None) -> None:
        """Number one transition of an order."""
        order.state = state or order.state
        order.updated_at = max(at, order.updated_at)
        self.seq += 1
        order.told = order.snapshot()
        update = PaperUpdate(account=self.name, seq=self.seq, order=order.told)
        self.outbox.changes.updates.append(update)
        self.outbox.orders[order.order_id] = order

    # -- before an order is taken
    def free_shares(self, instrument: Instrument) -> Decimal:
        """Shares that may still be sold: today's position and the holding, less what sells already ask for."""
        held = self.shares.get((instrument.exchange, instrument.symbol))
        line = self.lines.get((instrument.exchange, instrument.symbol, Product.DELIVERY))
        free = held.quantity if held else ZERO
        if line is not None:
            free += line.quantity - sum((o.remaining for o in line.working[Side.SELL].values()), ZERO)
        return free

    def shortfall(self, order: BookedOrder, fills: Iterable[Fill]) -> Decimal:
        """Rupees that lack to take (or keep) the order with these fills at once; 0 when none.

        What only closes a position never lacks. An order that trades at any price counts as an exit first,
        any other after the exits that already rest.
        """
        line, left = order.line, order.line.closable(order.side)
        need, gain, filled = -order.reserved, ZERO, ZERO
        for fill in fills:
            closing = min(left, fill.quantity)
            left -= closing
            filled += fill.quantity
            if closing:
                gain += sum(line.if_closed(closing, fill.price))
            need += self._blocked(order, fill.quantity - closing, fill.price)
        rest = order.remaining - filled
        need += line.need(order, rest - min(rest, self._cover(order, left)), self.terms)
        return max(ZERO, need - self.available - gain) if need > 0 else ZERO

    def _cover(self, order: BookedOrder, left: Decimal) -> Decimal:
        if order.takes_any_price or not left:
            return left
        earlier = (o for o in order.line.ranked(order.side) if o.takes_any_price or o.number < order.number)
        return max(ZERO, left - sum((o.remaining for o in earlier if o is not order), ZERO))

    def _blocked(self, order: BookedOrder, opening: Decimal, price: Decimal) -> Decimal:
        if order.is_delivery_sale:
            return ZERO
        return margin(order.instrument, order.line.product, order.side, opening, price, self.terms)

    # -- movements
    def reserve(self, order: BookedOrder, at: datetime) -> None:
        """Set aside (or give back) so that the order holds exactly what its open part needs."""
        self._set_reserve(order, self._rest_need(order) if order.state.is_working else ZERO, at)

    def _set_reserve(self, order: BookedOrder, need: Decimal, at: datetime) -> None:
        change = need - order.reserved
        if change:
            order.reserved = need
            self.post(EntryKind.RESERVE, at, Amounts(cash=-change, orders=change), order.order_id)
            self.outbox.orders[order.order_id] = order

    def fill(self, order: BookedOrder, fill: Fill, at: datetime, trade_id: str) -> Decimal:
        """Book one fill; returns the profit it realised. Closes first, then sells shares, then opens."""
        line = order.line
        closing = min(fill.quantity, line.closable(order.side))
        opening = fill.quantity - closing
        freed = profit = cost = blocked = ZERO
        if closing:
            freed, profit = line.close(closing, fill.price)
        if opening and order.is_delivery_sale:
            cost, gain = self._sell_shares(order, Fill(opening, fill.price))
            profit += gain
        elif opening:
            blocked = self._blocked(order, opening, fill.price)
            line.open(order.side, opening, fill.price, blocked, self.day)
        line.realised_today += profit
        line.realised_total += profit
        line.changed_at = at
        order.filled += fill.quantity
        order.value += fill.quantity * fill.price
        release = order.reserved - self._rest_need(order)
        order.reserved -= release
        amounts = Amounts(
            cash=freed + profit + cost - blocked + release,
            orders=-release,
            positions=blocked - freed,
            stock=-cost,
            realised=-profit,
        )
        self.post(EntryKind.FILL, at, amounts, order.order_id, trade_id)
        self.outbox.lines[id(line)] = (self, line)
        return profit

    def _rest_need(self, order: BookedOrder) -> Decimal:
        if not order.remaining:
            return ZERO
        if not order.line.closable(order.side):
            return order.line.need(order, order.remaining, self.terms)
        return dict(order.line.needs(order.side, self.terms))[order]

    def _sell_shares(self, order: BookedOrder, fill: Fill) -> tuple[Decimal, Decimal]:
        held = self.shares[(order.instrument.exchange, order.instrument.symbol)]
        self.outbox.shares[id(held)] = (self, held)
        return held.sell(fill.quantity, fill.price)

    def can_pay(self, order: BookedOrder, fill: Fill) -> bool:
        """Whether the account can carry this fill now."""
        return not self.shortfall(order, (fill,))

    def end(self, order: BookedOrder, state: OrderState, at: datetime, reason: str = "") -> None:
        """Take a working order out, in a final state, and give back what it held."""
        order.line.working[order.side].pop(order.order_id, None)
        order.reason = reason or order.reason
        order.state = state
        self.reserve(order, at)
        self.tell(order, at)

    def rebalance(self, line: Line, at: datetime) -> list[BookedOrder]:
        """Let every working order of the line reserve what it now needs; returns those that cannot be paid."""
        unpaid: list[BookedOrder] = []
        for side in (Side.BUY, Side.SELL):
            covers = line.closable(side) > 0
            if line.working[side] and (covers or line.covering[side]):
                late = self._reserve_all(line, side, at)
                covers = covers or bool(late)
                unpaid += late
            line.covering[side] = covers
        return unpaid

    def _reserve_all(self, line: Line, side: Side, at: datetime) -> list[BookedOrder]:
        """Give back first, then set aside, oldest first; returns the orders for which nothing was left."""
        unpaid = []
        needs = line.needs(side, self.terms)
        for order, need in sorted(needs, key=lambda pair: pair[1] > pair[0].reserved):
            if need > order.reserved and need - order.reserved > self.available:
                unpaid.append(order)
            else:
                self._set_reserve(order, need, at)
        return unpaid

"""One exchange behind every face: the paper matching engine, with the books a broker keeps around it.

Orders are not deduplicated here: each placement that arrives is a new order, so that a doubled one is seen.
Everything runs on the simulator's loop thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count

from broker.paper.account import Account, Fill
from broker.paper.booked import BookedOrder, Line, Shares
from broker.paper.exchange import PaperExchange
from broker.paper.numbers import Numbers
from broker.paper.rules import Terms, margin
from domain.clock import Clock
from domain.conversion import ConvertPosition
from domain.ledger import Amounts, EntryKind
from domain.market import Tick
from domain.model import (
    CancelOrder,
    Instrument,
    ModifyOrder,
    Order,
    OrderState,
    PlaceOrder,
    Product,
    Side,
    Trade,
)
from domain.outcomes import Accepted, Outcome, Refused
from tests.simulators.faults import EXCHANGE, FaultPlan
from tests.simulators.market import HandMarket

STARTING = Decimal(1_000_000)


@dataclass(slots=True)
class Entry:
    """An order as a broker's book shows it. `tag` is what the client sent, `history` each state it was in."""

    user: str
    order: Order
    tag: str
    instrument: Instrument
    seen_from: datetime
    history: list[Order] = field(default_factory=list)
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """Delivery shares of one user."""

    instrument: Instrument
    quantity: Decimal
    average_price: Decimal


class SimExchange:
    """See the module docstring. `truth` is an append-only log of what really happened."""

    def __init__(
        self, clock: Clock, market: HandMarket, instruments: Iterable[Instrument], plan: FaultPlan
    ) -> None:
        self.clock = clock
        self.market = market
        self.plan = plan
        self.instruments = {instrument.key: instrument for instrument in instruments}
        self.entries: dict[str, Entry] = {}
        self.truth: list[dict[str, object]] = []
        self.on_order: list[Callable[[Entry, Trade | None], None]] = []
        self.on_tick: list[Callable[[Instrument, Tick], None]] = []
        terms = Terms(starting_capital=STARTING)
        self._engine = PaperExchange(market, Numbers(lambda _: 0, lambda _: 0), terms, lambda *_: Decimal(0))
        self._tags: dict[str, tuple[str, Instrument, dict[str, str]]] = {}
        self._own = count(1)

    # -- orders
    def place(self, user: str, order: PlaceOrder, *, store_refused: bool = False, **extra: str) -> Outcome:
        """Take a new order. With `store_refused` a refusal becomes a REJECTED row with an id, as some brokers do."""
        own = f"s{next(self._own)}"
        self._tags[own] = (order.client_order_id, order.instrument, extra)
        if thin := self.plan.pick("place", EXCHANGE & {"partial"}):
            self.market.offer(order.instrument, int(str(thin.extra.get("k", order.instrument.lot_size))))
        rejected = self.plan.pick("place", EXCHANGE & {"reject"})
        if rejected is not None:
            outcome: Outcome = Refused(
                "REJECTED", str(rejected.extra.get("words", "RMS: blocked for trading"))
            )
        else:
            outcome = self._engine.place(user, replace(order, client_order_id=own), self.clock.now())
        if isinstance(outcome, Refused) and not outcome.order_id and (store_refused or rejected):
            outcome = self._store_refused(user, replace(order, client_order_id=own), outcome)
        order_id = getattr(outcome, "order_id", "")
        self._note("place", user=user, order_id=order_id, tag=order.client_order_id, outcome=outcome)
        self._settle()
        return outcome

    def modify(self, user: str, change: ModifyOrder) -> Outcome:
        own = f"s{next(self._own)}"
        outcome = self._engine.modify(user, replace(change, client_order_id=own), self.clock.now())
        self._note("modify", user=user, order_id=change.order_id, outcome=outcome)
        self._settle()
        return outcome

    def cancel(self, user: str, order_id: str) -> Outcome:
        """End an order. A planned `late_fill` answers the cancel and fills the order all the same."""
        own = f"s{next(self._own)}"
        entry = self.entries.get(order_id)
        if entry is not None and self.plan.pick("cancel", EXCHANGE & {"late_fill"}):
            self._fill_late(user, entry)
            outcome: Outcome = Accepted(order_id)
        else:
            wish = CancelOrder(client_order_id=own, order_id=order_id)
            outcome = self._engine.cancel(user, wish, self.clock.now())
        self._note("cancel", user=user, order_id=order_id, outcome=outcome)
        self._settle()
        return outcome

    def convert(
        self,
        user: str,
        one: Instrument,
        quantity: Decimal,
        products: tuple[Product, Product],
        side: Side | None = None,
    ) -> Outcome:
        """Move units from one product to the other. Each request that arrives is a new one: a doubled one is seen.

        side  of the position; None where the broker does not ask: then the one that it has
        """
        line = self.account(user).lines.get((one.exchange, one.symbol, products[0]))
        wish = ConvertPosition(
            client_order_id=f"s{next(self._own)}",
            instrument=one,
            side=side or (Side.SELL if line is not None and line.quantity < 0 else Side.BUY),
            quantity=quantity,
            product=products[0],
            to_product=products[1],
        )
        outcome = self._engine.convert(user, wish, self.clock.now())
        self._note("convert", user=user, symbol=one.symbol, quantity=quantity, outcome=outcome)
        self._settle()
        return outcome

    def tick(self, instrument: Instrument, price: float, quantity: int | None = None) -> None:
        """Let the instrument trade at `price`; resting orders meet it, listeners see it."""
        tick = self.market.set(instrument, price, quantity)
        self._engine.on_tick(tick)
        self._settle()
        for listener in self.on_tick:
            listener(instrument, tick)

    # -- books
    def orders(self, user: str) -> list[Entry]:
        """The user's orders that the book shows by now, oldest first."""
        now = self.clock.now()
        return [e for e in self.entries.values() if e.user == user and e.seen_from <= now]

    def trades(self, user: str) -> list[Trade]:
        return list(self.account(user).trades)

    def lines(self, user: str) -> list[Line]:
        """Positions, those closed today included."""
        lines = self.account(user).lines.values()
        return [line for line in lines if line.quantity or line.realised_today or line.changed_at]

    def holdings(self, user: str) -> list[Held]:
        shares = self.account(user).shares.values()
        return [Held(s.instrument, s.quantity, s.cost / s.quantity) for s in shares if s.quantity]

    def account(self, user: str) -> Account:
        return self._engine.account(user, self.clock.now())

    def margin(self, order: PlaceOrder) -> Decimal:
        """What opening this order would block."""
        quote = self.market.quote(order.instrument, self.clock.now())
        price = order.price or order.trigger_price or Decimal(str(quote.last_price if quote else 0))
        terms = Terms()
        return margin(order.instrument, order.product, order.side, order.quantity, price, terms)

    # -- setting the scene
    def set_funds(self, user: str, amount: Decimal) -> None:
        """Make `amount` rupees available, whatever was."""
        account = self.account(user)
        change = amount - account.available
        account.post(EntryKind.CAPITAL, self.clock.now(), Amounts(cash=change, capital=-change))

    def give_shares(self, user: str, instrument: Instrument, quantity: Decimal, average: Decimal) -> None:
        """Put settled shares into the user's holdings."""
        held = Shares(instrument, settles_on=date.min, quantity=quantity, cost=quantity * average)
        self.account(user).shares[instrument.key] = held

    # -- inside
    def _settle(self) -> None:
        """Bring the broker's rows up to what the engine did, and tell the listeners in order."""
        changes = self._engine.take_changes()
        fills: dict[str, list[Trade]] = {}
        for booked in changes.trades:
            fills.setdefault(booked.trade.order_id, []).append(booked.trade)
            self._note("fill", order_id=booked.trade.order_id, quantity=booked.trade.quantity,
                       price=booked.trade.price)  # fmt: skip
        for update in changes.updates:
            entry = self._entry(update.account, update.order)
            before = entry.history[-1].filled if entry.history else Decimal(0)
            waiting = fills.get(update.order.order_id)
            trade = waiting.pop(0) if waiting and update.order.filled > before else None
            entry.order = update.order
            entry.history.append(update.order)
            for listener in self.on_order:
                listener(entry, trade)

    def _entry(self, user: str, order: Order) -> Entry:
        entry = self.entries.get(order.order_id)
        if entry is None:
            tag, instrument, extra = self._tags.pop(order.client_order_id)
            lag = self.plan.pick("place", EXCHANGE & {"book_lag"})
            seen = order.placed_at + timedelta(seconds=lag.seconds if lag else 0)
            entry = Entry(user, order, tag, instrument, seen, extra=extra)
            self.entries[order.order_id] = entry
        return entry

    def _store_refused(self, user: str, order: PlaceOrder, refused: Refused) -> Refused:
        now = self.clock.now()
        _, order_id = self._engine._numbers.order(now)
        row = Order(
            order_id=order_id,
            client_order_id=order.client_order_id,
            symbol=order.instrument.symbol,
            exchange=order.instrument.exchange,
            side=order.side,
            quantity=order.quantity,
            order_type=order.order_type,
            product=order.product,
            state=OrderState.REJECTED,
            price=order.price,
            trigger_price=order.trigger_price,
            placed_at=now,
            updated_at=now,
            reason=refused.words,
        )
        entry = self._entry(user, row)
        entry.history.append(row)
        for listener in self.on_order:
            listener(entry, None)
        return Refused(refused.code, refused.words, order_id)

    def _fill_late(self, user: str, entry: Entry) -> None:
        account = self.account(user)
        booked: BookedOrder = account.orders[entry.order.order_id]
        quote = self.market.quote(entry.instrument, self.clock.now())
        price = booked.terms.price or Decimal(str(quote.last_price if quote else 1))
        self._engine._trade(account, booked, Fill(booked.remaining, price), self.clock.now())

    def _note(self, what: str, **facts: object) -> None:
        shown = {name: str(value) if isinstance(value, Decimal) else value for name, value in facts.items()}
        outcome = shown.get("outcome")
        if outcome is not None:
            shown["outcome"] = type(outcome).__name__
        self.truth.append(
            {"seq": len(self.truth) + 1, "at": self.clock.now().isoformat(), "what": what, **shown}
        )

"""Every way an account can move, at random: money, profit, margin and order states hold after each step.

RELIABILITY C1, C2, C3, C8, C9. The short run is part of every test run; 200,000 steps by name:
`pytest -m campaign tests/broker/paper/test_ledger.py`.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from broker.paper import settlement, statements
from broker.paper.booked import BookedOrder
from broker.paper.desk import restored
from broker.paper.exchange import PaperExchange
from broker.paper.numbers import Numbers
from domain import money
from domain.ledger import Amounts, LedgerState
from domain.model import Order, OrderState, OrderType, Product, Side
from domain.outcomes import Accepted, Refused
from tests.broker.paper.floor import CALL, CRUDE, FUTURE, INDEX, RUPEE, SHARE, Floor

D = Decimal
ALL = (SHARE, FUTURE, CALL, CRUDE, RUPEE)
BASE = {"RELIANCE": "1300", "NIFTY29SEP26FUT": "25000", "NIFTY29SEP2625000CE": "120"}
BASE |= {"CRUDEOIL19OCT26FUT": "5400", "USDINR28SEP26FUT": "88.5", "NIFTY": "25000"}
EDGES = {
    None: {OrderState.OPEN, OrderState.TRIGGER_PENDING, OrderState.REJECTED},
    OrderState.TRIGGER_PENDING: {
        OrderState.TRIGGER_PENDING,
        OrderState.OPEN,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
    },
    OrderState.OPEN: {
        OrderState.OPEN,
        OrderState.TRIGGER_PENDING,
        OrderState.COMPLETE,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
    },
}
moves = st.integers(-40, 40)
sides = st.sampled_from(Side)


class LedgerMachine(RuleBasedStateMachine):
    """Drives one account; keeps a model made of what the exchange said it kept."""

    def __init__(self) -> None:
        super().__init__()
        self.floor = Floor()
        self.generation = self.floor.account.generation
        self.booked = Amounts()
        self.entries = 0
        self.seq = 0
        self.known: dict[str, Order] = {}
        self.low: dict[str, Decimal] = {}
        self.high: dict[str, Decimal] = {}
        self.flows: dict[str, Decimal] = {}
        for one in (*ALL, INDEX):
            self.show(one, D(BASE[one.symbol]), 1, 1000)

    # -- the market
    def show(self, one, price, spread, quantity):
        self.floor.clock.forward(seconds=1)
        tick = self.floor.market.show(one, price, spread=spread, quantity=quantity)
        best = [
            money.price(x, one.tick_size) for x in (tick.last_price, tick.bids[-1].price, tick.asks[-1].price)
        ]
        self.low[one.symbol] = min([self.low.get(one.symbol, best[0]), *best])
        self.high[one.symbol] = max([self.high.get(one.symbol, best[0]), *best])
        self.floor.exchange.on_tick(tick)

    def price(self, one, steps):
        last = money.price(self.floor.market.last[one.exchange, one.symbol].last_price, one.tick_size)
        return max(one.tick_size, last + one.tick_size * steps)

    @rule(
        one=st.sampled_from((*ALL, INDEX)),
        steps=moves,
        spread=st.integers(0, 3),
        lots=st.sampled_from([1, 2, 7, 500]),
    )
    def tick(self, one, steps, spread, lots):
        self.show(one, self.price(one, steps), spread, lots * one.lot_size)

    # -- orders
    @rule(
        one=st.sampled_from(ALL),
        side=sides,
        lots=st.sampled_from([1, 2, 3, 10, 40, 1000, 20_000]),
        order_type=st.sampled_from(OrderType),
        product=st.sampled_from(Product),
        steps=moves,
        gap=moves,
    )
    def place(self, one, side, lots, order_type, product, steps, gap):
        price, trigger = self.price(one, steps), self.price(one, gap)
        cash = self.floor.account.available
        before = self.exposure(one, product)
        outcome = self.floor.place(one, side, lots * one.lot_size, order_type, product, price, trigger)
        if isinstance(outcome, Accepted) and not self.is_exit(side, lots * one.lot_size, before):
            assert self.floor.account.available >= min(cash, D(0))
        if isinstance(outcome, Refused):
            assert outcome.words
            assert (
                outcome.code != "INSUFFICIENT_FUNDS"
                or order_type is not OrderType.MARKET
                or (not self.is_exit(side, lots * one.lot_size, before))
            )

    @rule(one=st.sampled_from(ALL), side=sides, lots=st.integers(1, 5), carried=st.booleans())
    def trade(self, one, side, lots, carried):
        """An ordinary market order."""
        product = Product.INTRADAY
        if carried:
            product = Product.DELIVERY if one is SHARE else Product.CARRY
        self.place(one, side, lots, OrderType.MARKET, product, 0, 0)

    @rule(one=st.sampled_from(ALL), side=sides, lots=st.integers(1, 5), steps=st.integers(0, 10))
    def rest(self, one, side, lots, steps):
        """A limit order behind the market."""
        self.place(one, side, lots, OrderType.LIMIT, Product.INTRADAY, -steps * side.sign, 0)

    @rule(
        one=st.sampled_from(ALL),
        side=sides,
        lots=st.integers(1, 5),
        gap=st.integers(1, 10),
        room=st.integers(0, 3),
        limited=st.booleans(),
    )
    def stop(self, one, side, lots, gap, room, limited):
        """A stop ahead of the market."""
        kind = OrderType.STOP_LIMIT if limited else OrderType.STOP_MARKET
        self.place(one, side, lots, kind, Product.INTRADAY, (gap + room) * side.sign, gap * side.sign)

    @rule(one=st.sampled_from(ALL), up=st.booleans(), lots=st.sampled_from([1, 3, 500]))
    def run(self, one, up, lots):
        """Ten ticks in one direction."""
        for _ in range(10):
            self.show(one, self.price(one, 1 if up else -1), 1, lots * one.lot_size)

    def exposure(self, one, product):
        line = self.floor.account.lines.get((one.exchange, one.symbol, product))
        return line.quantity if line else D(0)

    @staticmethod
    def is_exit(side, quantity, position):
        return -position * side.sign >= quantity

    def working(self) -> list[BookedOrder]:
        return [order for order in self.floor.account.orders.values() if order.state.is_working]

    @precondition(lambda self: self.working())
    @rule(data=st.data(), lots=st.sampled_from([1, 3, 10, 1000]), steps=moves, gap=moves)
    def modify(self, data, lots, steps, gap):
        order = data.draw(st.sampled_from(self.working()), label="order")
        kind = data.draw(st.sampled_from(OrderType), label="type")
        one, before = order.instrument, (order.terms, order.reserved, order.state)
        outcome = self.floor.modify(
            order,
            quantity=lots * one.lot_size,
            order_type=kind,
            price=self.price(one, steps),
            trigger_price=self.price(one, gap),
        )
        if isinstance(outcome, Refused):
            assert (order.terms, order.reserved, order.state) == before

    @precondition(lambda self: self.working())
    @rule(data=st.data())
    def cancel(self, data):
        order = data.draw(st.sampled_from(self.working()), label="order")
        assert isinstance(self.floor.cancel(order), Accepted)
        assert isinstance(self.floor.cancel(order), Refused)

    @rule()
    def close_everything(self):
        """Closing at any price is never refused for money (shares already on sale are not sold again)."""
        for line in list(self.floor.account.lines.values()):
            on_sale = line.product is Product.DELIVERY and line.working[Side.SELL]
            if line.quantity and not on_sale:
                side = Side.SELL if line.quantity > 0 else Side.BUY
                outcome = self.floor.place(line.instrument, side, abs(line.quantity), product=line.product)
                assert isinstance(outcome, Accepted), outcome

    @precondition(lambda self: any(line.quantity for line in self.floor.account.lines.values()))
    @rule(
        data=st.data(),
        to=st.sampled_from(Product),
        lots=st.sampled_from([1, 2, 5, 1000]),
        whole=st.booleans(),
    )
    def convert(self, data, to, lots, whole):
        """Units and cost move as they are; money moves between free and blocked, and nothing else does."""
        account = self.floor.account
        line = data.draw(st.sampled_from([x for x in account.lines.values() if x.quantity]), label="line")
        one, side = line.instrument, Side.BUY if line.quantity > 0 else Side.SELL
        quantity = abs(line.quantity) if whole else D(lots * one.lot_size)
        before, books = (
            self.of(one),
            (account.balances.realised, account.balances.charges, account.balances.stock),
        )
        cash, lines = account.available, self.held(one)
        outcome = self.floor.convert(one, quantity, line.product, to, side)
        assert self.of(one) == before
        assert (account.balances.realised, account.balances.charges, account.balances.stock) == books
        if isinstance(outcome, Refused):
            assert outcome.words
            assert (self.held(one), account.available) == (lines, cash)
            return
        assert account.available >= min(cash, D(0))
        units = quantity * side.sign
        assert self.held(one)[line.product] == lines[line.product] - units
        assert self.held(one)[to] == lines.get(to, D(0)) + units

    def of(self, one):
        """Units and cost of an instrument over all products."""
        lines = [line for line in self.floor.account.lines.values() if line.instrument == one]
        return sum(line.quantity for line in lines), sum(line.cost for line in lines)

    def held(self, one):
        return {
            key[2]: line.quantity for key, line in self.floor.account.lines.items() if key[1] == one.symbol
        }

    # -- time and terms
    @rule()
    def next_day(self):
        self.floor.next_day()

    @rule()
    def next_month(self):
        self.floor.clock.forward(days=20, hours=8)
        self.floor.keep_time()

    @rule(
        changes=st.fixed_dictionaries(
            {},
            optional={
                "fill": st.sampled_from(["depth", "quote", "touch"]),
                "participation": st.sampled_from(["1", "0.3"]),
                "latency_ms": st.sampled_from(["0", "1500"]),
                "equity_cnc_leverage": st.sampled_from(["1", "3"]),
                "equity_mis_leverage": st.sampled_from(["5", "7"]),
                "option_margin": st.sampled_from(["premium", "contract"]),
            },
        )
    )
    def change_terms(self, changes):
        settlement.change_terms(self.floor.exchange, "1", changes, self.floor.clock.now())

    @rule()
    def reset(self):
        self.read_outbox()
        begun = settlement.reset(self.floor.exchange, "1", self.floor.clock.now())
        self.read_outbox()
        assert self.generation == begun

    @rule()
    def restart(self):
        """The exchange comes back from what it has kept, and goes on."""
        self.read_outbox()
        old, account = self.floor.exchange, self.floor.account
        working = [order.record() for order in self.working()]
        state = LedgerState(
            accounts=[account.record],
            instruments=list(old.instruments.values()),
            orders=[order.record() for order in account.orders.values()],
            trades=[],
            positions=[
                line.record(account.name, account.generation)
                for line in account.lines.values()
                if line.changed_at is not None
            ],
            holdings=[held.record(account.name, account.generation) for held in account.shares.values()],
            balances={account.name: self.booked},
            numbers={account.name: (self.entries, self.seq)},
            answers=[],
            last_change=None,
        )
        fresh = PaperExchange(
            self.floor.market,
            Numbers(old._numbers._last.get, old._numbers._last.get),
            old.defaults,
            old._charge,
        )
        fresh._numbers = old._numbers
        self.floor.exchange = restored(fresh, state)
        assert [order.record() for order in self.working()] == working

    # -- what always holds
    def read_outbox(self):
        changes = self.floor.take()
        for entry in changes.entries:
            if entry.generation != self.generation:
                assert entry.generation == self.generation + 1
                self.generation = entry.generation
                self.booked, self.entries, self.flows = Amounts(), 0, {}
            assert entry.amounts.total() == 0
            self.entries += 1
            assert entry.number == self.entries
            self.booked = self.booked.plus(entry.amounts)
        for update in changes.updates:
            self.seq += 1
            assert update.seq == self.seq
            self.check_edge(self.known.get(update.order.order_id), update.order)
            self.known[update.order.order_id] = update.order
        for kept in changes.trades:
            if kept.generation == self.generation:
                self.check_trade(kept.trade)

    def check_edge(self, before: Order | None, after: Order):
        assert after.state in EDGES[before.state if before else None]
        assert D(0) <= after.filled <= after.quantity
        assert after.state is not OrderState.COMPLETE or after.filled == after.quantity
        if before is not None:
            assert not before.state.is_final
            assert after.filled >= before.filled
            assert after.updated_at >= before.updated_at

    def check_trade(self, trade):
        one = next(x for x in ALL if x.symbol == trade.symbol)
        order = self.known[trade.order_id]
        if order.strategy == "expiry settlement":
            assert trade.price >= 0
        else:
            assert self.low[one.symbol] <= trade.price <= self.high[one.symbol]
            if (
                order.order_type.has_price
                and order.price is not None
                and order.order_id in self.limits_of(trade)
            ):
                assert (order.price - trade.price) * order.side.sign >= 0
        flow = trade.quantity * trade.price * one.contract_value * -trade.side.sign
        self.flows[one.symbol] = self.flows.get(one.symbol, D(0)) + flow

    def limits_of(self, trade):
        """Orders whose present limit is the one they traded under: all but those changed after the trade."""
        order = self.known[trade.order_id]
        return {trade.order_id} if order.updated_at == trade.traded_at else set()

    @invariant()
    def books_balance(self):
        self.read_outbox()
        self.floor.check_books()
        account = self.floor.account
        assert account.balances == self.booked
        now = self.floor.clock.now()
        funds = statements.funds(self.floor.exchange, account, now)
        stock = account.balances.stock
        assert funds.available + funds.used + stock == (
            account.record.starting_capital + funds.total_realised - funds.charges
        )

    @invariant()
    def profit_is_what_came_in_less_what_went_out(self):
        account = self.floor.account
        total = D(0)
        for one in ALL:
            lines = [line for key, line in account.lines.items() if key[1] == one.symbol]
            held = account.shares.get((one.exchange, one.symbol))
            cost = sum((line.cost for line in lines), D(0)) + (held.cost if held else D(0))
            total += self.flows.get(one.symbol, D(0)) + cost
        assert total == -account.balances.realised

    @invariant()
    def nothing_is_blocked_when_nothing_is_open(self):
        account = self.floor.account
        if not self.working() and not any(line.quantity for line in account.lines.values()):
            assert account.balances.orders == account.balances.positions == 0


def _run(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        LedgerMachine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    )


def test_the_ledger_holds_through_20000_random_steps() -> None:
    _run(examples=400, steps=50)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_the_ledger_holds_through_200000_random_steps() -> None:
    _run(examples=2000, steps=100)

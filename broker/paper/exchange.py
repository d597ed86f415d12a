"""The paper exchange on one market: takes orders, meets them with ticks, and says what must be kept.

A plain state machine. It is told the time, writes nothing, and is driven by one thread (`server.py`). What it
changed is in its outbox, which is kept as one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from broker.paper.account import Account, Fill, Outbox
from broker.paper.answers import answer_record, no_funds, no_shares, not_working
from broker.paper.booked import BookedOrder, Line
from broker.paper.conversion import move
from broker.paper.hours import Hours
from broker.paper.market import Market
from broker.paper.matching import Book, Picture, fills, fires, resting_fill
from broker.paper.numbers import Numbers
from broker.paper.rules import FillMode, OrderTerms, Terms, check
from domain.calendar import AlwaysOpen
from domain.conversion import ConvertPosition
from domain.ledger import Amounts, EntryKind, LedgerChanges, PaperAccount, PaperTrade
from domain.market import Tick
from domain.model import (
    CancelOrder,
    Exchange,
    Instrument,
    IntentKind,
    ModifyOrder,
    OrderState,
    OrderType,
    PlaceOrder,
    Product,
    Side,
    Trade,
)
from domain.outcomes import Accepted, Outcome, Refused

Key = tuple[Exchange, str]
Charge = Callable[[BookedOrder, datetime, str], Decimal]
"""The taxes and fees of an order's fills so far, rupees, with a house's brokerage ("" for none)."""

_NO_FUNDS = "There is not enough money left to carry the order on"


class PaperExchange:
    """See the module docstring. `answers` holds what recent requests were told, by client order id."""

    def __init__(
        self,
        market: Market,
        numbers: Numbers,
        defaults: Terms,
        charge: Charge,
        outbox: Outbox | None = None,
        hours: Hours | None = None,
        *,
        patient: bool = False,
    ) -> None:
        """Without an outbox it keeps one of its own; without hours it never closes.

        patient  a market order without a price is taken and waits for the first one
        """
        self.market = market
        self.defaults = defaults
        self.accounts: dict[str, Account] = {}
        self.answers: dict[str, Outcome] = {}
        self.instruments: dict[Key, Instrument] = {}
        self.books: dict[Key, tuple[Book, Book]] = {}
        self.outbox = outbox or Outbox()
        self.hours = hours or Hours(AlwaysOpen)
        self.patient = patient
        self._numbers = numbers
        self._charge = charge

    # -- requests
    def place(self, name: str, order: PlaceOrder, now: datetime) -> Outcome:
        """Take a new order, or say why not. The same client order id again is told the same again."""
        return self._once(
            name,
            IntentKind.PLACE,
            order.client_order_id,
            now,
            lambda account: self._place(account, order, now),
        )

    def modify(self, name: str, change: ModifyOrder, now: datetime) -> Outcome:
        """Replace the terms of a working order; refused, it stays as it was."""
        return self._once(
            name,
            IntentKind.MODIFY,
            change.client_order_id,
            now,
            lambda account: self._modify(account, change, now),
        )

    def cancel(self, name: str, wish: CancelOrder, now: datetime) -> Outcome:
        """End a working order."""
        return self._once(
            name,
            IntentKind.CANCEL,
            wish.client_order_id,
            now,
            lambda account: self._cancel(account, wish, now),
        )

    def convert(self, name: str, wish: ConvertPosition, now: datetime) -> Outcome:
        """Hold a part of a position under another product; refused, nothing has moved."""
        return self._once(
            name,
            IntentKind.CONVERT,
            wish.client_order_id,
            now,
            lambda account: self._convert(account, wish, now),
        )

    def account(self, name: str, now: datetime) -> Account:
        """The account of that name, opened with its starting capital when it is new."""
        found = self.accounts.get(name)
        if found is None:
            found = self._open(name, now)
        return found

    def watched(self) -> Iterable[Instrument]:
        """The instruments with resting orders."""
        idle = [key for key, pair in self.books.items() if not (pair[0].live or pair[1].live)]
        for key in idle:
            del self.books[key]
        return [self.instruments[key] for key in self.books]

    def on_tick(self, tick: Tick) -> None:
        """Let one tick meet the orders that rest on its instrument."""
        pair = self.books.get((tick.exchange, tick.symbol))  # type: ignore[arg-type]
        if pair is None:
            return
        for book in pair:
            orders = book.crossed(tick) if book.live else []
            if orders:
                self._meet(book, orders, tick)

    def rest(self, account: Account, order: BookedOrder) -> None:
        """Put a working order where ticks find it."""
        order.line.covering[order.side] = True
        self._book(account, order.instrument).add(order)

    def unrest(self, account: Account, order: BookedOrder) -> None:
        """Take a working order from where ticks find it."""
        order.version += 1
        self._book(account, order.instrument).remove(order)

    def take_changes(self) -> LedgerChanges:
        """Everything changed since the last call (by all who share the outbox)."""
        return self.outbox.take()

    def settle(self, account: Account, line: Line, price: Decimal, now: datetime, strategy: str) -> None:
        """Close an expired position at the price that it settles at, with an order and a trade of the house."""
        side = Side.SELL if line.quantity > 0 else Side.BUY
        terms = OrderTerms.of(abs(line.quantity), OrderType.MARKET, None, None)
        order = self._new_order(account, line, side, terms, now, strategy)
        order.exercises = True
        self._close(account, order, price, now)

    def square_off(self, account: Account, line: Line, now: datetime) -> None:
        """Close a position at the best price of the moment; later, when no price is known."""
        picture = self.picture(line.instrument, now)
        if picture is None:
            return
        side = Side.SELL if line.quantity > 0 else Side.BUY
        terms = OrderTerms.of(abs(line.quantity), OrderType.MARKET, None, None)
        order = self._new_order(account, line, side, terms, now, "AUTO_SQUARE_OFF")
        self._close(account, order, picture.best(side), now)

    def _close(self, account: Account, order: BookedOrder, price: Decimal, now: datetime) -> None:
        account.orders[order.order_id] = order
        order.line.working[order.side][order.order_id] = order
        account.tell(order, now, OrderState.OPEN)
        self._trade(account, order, Fill(order.remaining, price), now)
        self.rebalance(account, order.line, now)

    # -- placing
    def _once(
        self,
        name: str,
        kind: IntentKind,
        client_order_id: str,
        now: datetime,
        work: Callable[[Account], Outcome],
    ) -> Outcome:
        known = self.answers.get(client_order_id)
        if known is not None:
            return known
        outcome = work(self.account(name, now))
        self.remember(client_order_id, outcome)
        if kind is not IntentKind.PLACE or not isinstance(outcome, Accepted):
            self.outbox.changes.answers.append(answer_record(client_order_id, name, kind, outcome, now))
        return outcome

    def remember(self, client_order_id: str, outcome: Outcome) -> None:
        """Keep an answer at hand; the oldest of very many go (storage keeps all)."""
        self.answers[client_order_id] = outcome
        if len(self.answers) > 50_000:
            for old in list(self.answers)[:10_000]:
                del self.answers[old]

    def _open(self, name: str, now: datetime) -> Account:
        capital = self.defaults.starting_capital
        record = PaperAccount(
            name=name,
            feed=self.market.feed,
            generation=1,
            starting_capital=capital,
            opened_at=now,
            day=self.market.trading_day(now),
        )
        account = self.accounts[name] = Account(record, self.defaults, self.outbox)
        self.outbox.accounts[name] = account
        account.post(EntryKind.CAPITAL, now, Amounts(cash=capital, capital=-capital))
        return account

    def _place(self, account: Account, request: PlaceOrder, now: datetime) -> Outcome:
        instrument = request.instrument
        terms = OrderTerms.of(
            request.quantity,
            request.order_type,
            request.price,
            request.trigger_price,
            request.disclosed_quantity,
        )
        fault = check(instrument, request.product, terms) or self._fenced(account, request, now)
        if fault is not None:
            return fault
        picture = self.picture(instrument, now)
        if picture is None and terms.order_type is OrderType.MARKET and not self.patient:
            return Refused("NO_QUOTE", f"No price is known for {instrument.symbol}: no market order is taken")
        order = self._booked(account, request, terms, now)
        order.reference = _reference(order, picture)
        if order.is_delivery_sale and terms.quantity > account.free_shares(instrument):
            return self._reject(account, order, now)
        at_once = self._at_once(account, order, picture, now)
        lacking = account.shortfall(order, at_once)
        if lacking:
            return no_funds(account.available, lacking)
        self._take(account, order, at_once, now)
        return Accepted(order.order_id)

    def _booked(self, account: Account, request: PlaceOrder, terms: OrderTerms, now: datetime) -> BookedOrder:
        line = account.line(self._keep_instrument(request.instrument), request.product)
        order = self._new_order(account, line, request.side, terms, now, request.strategy)
        order.client_order_id = request.client_order_id
        order.live_at = now + timedelta(milliseconds=account.terms.latency_ms)
        order.fresh = account.terms.latency_ms > 0
        return order

    def _new_order(
        self, account: Account, line: Line, side: Side, terms: OrderTerms, now: datetime, strategy: str
    ) -> BookedOrder:
        """An order of the house, until a request's own details are put in."""
        number, order_id = self._numbers.order(now)
        return BookedOrder(
            account=account.name,
            generation=account.generation,
            order_id=order_id,
            client_order_id="",
            number=number,
            line=line,
            side=side,
            terms=terms,
            strategy=strategy,
            placed_at=now,
            updated_at=now,
            live_at=now,
        )

    def _keep_instrument(self, instrument: Instrument) -> Instrument:
        key = (instrument.exchange, instrument.symbol)
        if self.instruments.get(key) != instrument:
            self.instruments[key] = instrument
            self.outbox.changes.instruments.append(instrument)
        return self.instruments[key]

    def _reject(self, account: Account, order: BookedOrder, now: datetime) -> Outcome:
        order.reason = no_shares(order.instrument.symbol, account.free_shares(order.instrument))
        account.orders[order.order_id] = order
        account.tell(order, now, OrderState.REJECTED)
        return Refused("INSUFFICIENT_SHARES", order.reason, order.order_id)

    def _fenced(self, account: Account, request: PlaceOrder, now: datetime) -> Refused | None:
        """Why an intraday position may not be opened now. One may always be closed."""
        if request.product is not Product.INTRADAY:
            return None
        instrument = request.instrument
        words = self.hours.fence(instrument.exchange, account.terms, now)
        if not words or request.quantity <= account.line(instrument, request.product).closable(request.side):
            return None
        return Refused("SQUARE_OFF", words)

    def _at_once(
        self, account: Account, order: BookedOrder, picture: Picture | None, now: datetime
    ) -> list[Fill]:
        """What the order gets at placement; a stop that the price has already reached fires."""
        if picture is None or order.fresh or not self.hours.is_open(order.instrument.exchange, now):
            return []
        if order.waits_for_trigger:
            if not fires(order, picture):
                return []
            order.triggered = True
        return self._take_offers(account, order, picture)

    @staticmethod
    def _take_offers(account: Account, order: BookedOrder, picture: Picture) -> list[Fill]:
        """What a coming order gets. One that took all that is shown goes on taking; else its rest waits."""
        limit = _limit(order)
        order.fresh = (
            limit is not None
            and account.terms.fill is FillMode.DEPTH
            and picture.is_within(limit, order.side)
        )
        return fills(order, picture, account.terms, limit)

    def _take(self, account: Account, order: BookedOrder, at_once: list[Fill], now: datetime) -> None:
        order.line.working[order.side][order.order_id] = order
        account.orders[order.order_id] = order
        state = OrderState.TRIGGER_PENDING if order.waits_for_trigger else OrderState.OPEN
        account.tell(order, now, state)
        self._go_on(account, order, at_once, now)

    def _go_on(self, account: Account, order: BookedOrder, at_once: list[Fill], now: datetime) -> None:
        for fill in at_once:
            self._trade(account, order, fill, now)
        if order.state.is_working:
            account.reserve(order, now)
            self._book(account, order.instrument).add(order)
        self.rebalance(account, order.line, now)

    # -- changing and ending
    def _modify(self, account: Account, change: ModifyOrder, now: datetime) -> Outcome:
        order = account.orders.get(change.order_id)
        if order is None or order.state.is_final:
            return not_working(order)
        terms = OrderTerms.of(
            change.quantity, change.order_type, change.price, change.trigger_price, change.disclosed_quantity
        )
        fault = check(order.instrument, order.line.product, terms) or self._too_small_or_large(
            account, order, terms
        )
        if fault is not None:
            return fault
        before = (order.terms, order.reference, order.triggered, order.fresh)
        order.triggered = order.triggered and terms.order_type is order.terms.order_type
        order.terms = terms
        picture = self.picture(order.instrument, now)
        order.reference = _reference(order, picture) or order.reference
        order.fresh = account.terms.latency_ms > 0
        at_once = self._at_once(account, order, picture, now)
        lacking = account.shortfall(order, at_once)
        if lacking:
            order.terms, order.reference, order.triggered, order.fresh = before
            return no_funds(account.available, lacking)
        order.version += 1
        order.live_at = now + timedelta(milliseconds=account.terms.latency_ms)
        self._book(account, order.instrument).remove(order)
        account.tell(order, now, OrderState.TRIGGER_PENDING if order.waits_for_trigger else OrderState.OPEN)
        self._go_on(account, order, at_once, now)
        return Accepted(order.order_id)

    @staticmethod
    def _too_small_or_large(account: Account, order: BookedOrder, terms: OrderTerms) -> Refused | None:
        if terms.quantity <= order.filled:
            return Refused(
                "QUANTITY", f"{order.filled:f} have traded already: the quantity must be above that"
            )
        more = terms.quantity - order.terms.quantity
        if order.is_delivery_sale and more > account.free_shares(order.instrument):
            return Refused("INSUFFICIENT_SHARES", "There are not so many shares left to sell in CNC")
        return None

    def _cancel(self, account: Account, wish: CancelOrder, now: datetime) -> Outcome:
        order = account.orders.get(wish.order_id)
        if order is None or order.state.is_final:
            return not_working(order)
        self.end(account, order, OrderState.CANCELLED, now)
        return Accepted(order.order_id)

    def _convert(self, account: Account, wish: ConvertPosition, now: datetime) -> Outcome:
        """Orders that lose the position they were to close must be paid like new ones, or the newest end."""
        fence = self.hours.fence(wish.instrument.exchange, account.terms, now)
        outcome = move(account, wish, fence, now)
        if isinstance(outcome, Accepted):
            for product in (wish.product, wish.to_product):
                self.rebalance(account, account.line(wish.instrument, product), now)
        return outcome

    def end(
        self, account: Account, order: BookedOrder, state: OrderState, now: datetime, reason: str = ""
    ) -> None:
        """Take a working order out of the market in a final state."""
        self._book(account, order.instrument).remove(order)
        account.end(order, state, now, reason)
        self.rebalance(account, order.line, now)

    def rebalance(self, account: Account, line: Line, now: datetime) -> None:
        """Let a line's orders reserve what they need now; the newest of those that cannot be paid ends."""
        while unpaid := account.rebalance(line, now):
            newest = max(unpaid, key=lambda one: one.number)
            self._book(account, newest.instrument).remove(newest)
            account.end(
                newest, OrderState.CANCELLED, now, "Nothing is left to close, and " + _NO_FUNDS.lower()
            )

    # -- ticks
    def _meet(self, book: Book, orders: list[BookedOrder], tick: Tick) -> None:
        at = datetime.fromtimestamp(tick.timestamp / 1000, UTC)
        picture = Picture.of_tick(tick, orders[0].instrument.tick_size, at)
        for order in orders:
            if order.state.is_working and at > order.live_at:
                self._meet_one(self.accounts[order.account], order, picture)
            if order.state.is_working:
                book.add(order)

    def _meet_one(self, account: Account, order: BookedOrder, picture: Picture) -> None:
        if order.waits_for_trigger:
            if not fires(order, picture):
                return
            order.triggered = True
            account.tell(order, picture.at, OrderState.OPEN)
            got = self._take_offers(account, order, picture)
        elif order.fresh or order.takes_any_price:
            got = self._take_offers(account, order, picture)
        else:
            waited = resting_fill(order, picture, account.terms)
            got = [waited] if waited else []
        for fill in got:
            if not account.can_pay(order, fill):
                self.end(account, order, OrderState.CANCELLED, picture.at, _NO_FUNDS)
                return
            self._trade(account, order, fill, picture.at)
        if got:
            self.rebalance(account, order.line, picture.at)

    def _trade(self, account: Account, order: BookedOrder, fill: Fill, at: datetime) -> None:
        trade_id = self._numbers.trade(at)
        profit = account.fill(order, fill, at, trade_id)
        trade = Trade(
            trade_id=trade_id,
            order_id=order.order_id,
            symbol=order.instrument.symbol,
            exchange=order.instrument.exchange,
            side=order.side,
            product=order.line.product,
            quantity=fill.quantity,
            price=fill.price,
            traded_at=at,
            strategy=order.strategy,
        )
        account.trades.append(trade)
        self.outbox.changes.trades.append(
            PaperTrade(account=account.name, generation=account.generation, trade=trade, realised=profit)
        )
        self._book_charges(account, order, at)
        if order.remaining:
            account.tell(order, at, OrderState.OPEN)
            return
        self._book(account, order.instrument).remove(order)
        account.end(order, OrderState.COMPLETE, at)

    def _book_charges(self, account: Account, order: BookedOrder, at: datetime) -> None:
        if not account.terms.charges:
            return
        more = self._charge(order, at, account.terms.brokerage) - order.charged
        if more:
            order.charged += more
            account.post(EntryKind.CHARGE, at, Amounts(cash=-more, charges=more), order.order_id)

    # -- looking
    def picture(self, instrument: Instrument, now: datetime) -> Picture | None:
        """What the market shows now; None when it shows no price."""
        depth = self.market.depth(instrument, now)
        return None if depth is None else Picture.of_depth(depth, instrument.tick_size)

    def _book(self, account: Account, instrument: Instrument) -> Book:
        key = (instrument.exchange, instrument.symbol)
        pair = self.books.get(key)
        if pair is None:
            pair = self.books[key] = (Book(touching=False), Book(touching=True))
        return pair[account.terms.fill is FillMode.TOUCH]


def _limit(order: BookedOrder) -> Decimal | None:
    return None if order.takes_any_price else order.terms.price


def _reference(order: BookedOrder, picture: Picture | None) -> Decimal | None:
    """The price margins are reckoned with: trigger, else limit, else what the market shows."""
    own = order.terms.trigger_price or order.terms.price
    if own is not None or picture is None:
        return own
    return picture.best(order.side)

"""What happens to accounts by the clock: trading days turn, delivery shares settle, contracts expire. And resets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from broker.paper import statements
from broker.paper.account import Account
from broker.paper.booked import Line, Shares
from broker.paper.exchange import PaperExchange
from broker.paper.rules import NEVER, WEEKDAYS, ExpiryPrice, Terms
from domain import money
from domain.clock import IST
from domain.ledger import ZERO, Amounts, EntryKind
from domain.market import Quote
from domain.model import Exchange, Instrument, InstrumentKind, OrderState, Product

Lookup = Callable[[Exchange, str], Instrument | None]
"""An instrument by exchange and symbol; None when there is none."""

UnderlyingOf = Callable[[Instrument], Instrument | None]
"""What an option's value at expiry is reckoned from; None when it is not known."""

_SPOT = {
    Exchange.NFO: (Exchange.NSE_INDEX, Exchange.NSE),
    Exchange.BFO: (Exchange.BSE_INDEX, Exchange.BSE),
}

_BEFORE = timedelta(seconds=1)
_PATIENCE = timedelta(seconds=60)
_NO_PRICE = "No price came from the broker's feed"


class Timekeeper:
    """Keeps accounts in step with the clock, as their market's hours say."""

    def __init__(self, underlying_of: UnderlyingOf) -> None:
        self._underlying_of = underlying_of
        self._looked: dict[str, datetime] = {}

    def keep(self, venue: PaperExchange, now: datetime) -> None:
        """Do everything that is due; what was missed while nobody looked is done now. Looks once a minute."""
        minute = now.replace(second=0, microsecond=0)
        if self._looked.get(venue.market.feed) == minute:
            return
        self._looked[venue.market.feed] = minute
        today = venue.market.trading_day(now)
        closes = {one: venue.hours.last_close(one, now) for one in {key[0] for key in venue.instruments}}
        for account in list(venue.accounts.values()):
            for line in list(account.lines.values()):
                self._keep_line(venue, account, line, closes[line.instrument.exchange], now)
            if account.day < today:
                turn_day(venue, account, today, now)
            if reset_is_due(account, now):
                reset(venue, account.name, now)

    def _keep_line(
        self, venue: PaperExchange, account: Account, line: Line, closed: datetime, now: datetime
    ) -> None:
        if not line.is_used:
            return
        end_orders(venue, account, line, now, "The trading day has ended", before=closed)
        if venue.patient:
            give_up(venue, account, line, now)
        expires = venue.hours.expires_at(line.instrument)
        if expires is not None and expires <= now:
            end_orders(venue, account, line, now, "The contract has expired")
            if line.quantity:
                price = self._worth_at_expiry(venue, account, line, expires)
                venue.settle(account, line, price, now, "expiry settlement")
        elif line.product is Product.INTRADAY and is_over_for_today(venue, account, line, now):
            end_orders(venue, account, line, now, "Intraday positions are squared off")
            if line.quantity:
                venue.square_off(account, line, now)

    def _worth_at_expiry(
        self, venue: PaperExchange, account: Account, line: Line, moment: datetime
    ) -> Decimal:
        instrument = line.instrument
        if instrument.kind.is_option and account.terms.option_expiry_settlement is ExpiryPrice.ZERO:
            return ZERO
        if instrument.kind.is_option and account.terms.option_expiry_settlement is ExpiryPrice.INTRINSIC:
            underlying = self._underlying_of(instrument)
            seen = None if underlying is None else venue.market.quote(underlying, moment - _BEFORE)
            if seen is not None:
                return intrinsic(instrument, seen)
        own = venue.market.quote(instrument, moment - _BEFORE)
        if own is not None:
            return money.price(own.last_price, instrument.tick_size)
        return line.average or ZERO


def is_over_for_today(venue: PaperExchange, account: Account, line: Line, now: datetime) -> bool:
    """Whether an intraday line must go: its square-off has come, or it was opened on an earlier day."""
    exchange, today = line.instrument.exchange, venue.market.trading_day(now)
    moment = venue.hours.square_off(exchange, account.terms, today)
    if moment is not None and now >= moment:
        return True
    if not line.quantity or line.opened_on >= today:
        return False
    return venue.hours.square_off(exchange, account.terms, line.opened_on) is not None


def underlying_lookup(lookup: Lookup) -> UnderlyingOf:
    """The index or share that an equity option is written on."""

    def find(option: Instrument) -> Instrument | None:
        places = _SPOT.get(option.exchange, ())
        return next((found for place in places if (found := lookup(place, option.name)) is not None), None)

    return find


def intrinsic(option: Instrument, underlying: Quote) -> Decimal:
    """What the holder of an option gets at expiry, rupees per unit."""
    assert option.strike is not None
    price = Decimal(repr(underlying.last_price))
    gain = price - option.strike if option.kind is InstrumentKind.CALL else option.strike - price
    return max(ZERO, gain)


def end_orders(
    venue: PaperExchange,
    account: Account,
    line: Line,
    now: datetime,
    reason: str,
    before: datetime | None = None,
) -> None:
    """Expire the working orders of a line: all, or those placed before a moment."""
    for side in line.working.values():
        for order in list(side.values()):
            if order.state.is_working and (before is None or order.placed_at < before):
                venue.end(account, order, OrderState.EXPIRED, now, reason)


def give_up(venue: PaperExchange, account: Account, line: Line, now: datetime) -> None:
    """End market orders that have waited a minute of an open market for a price."""
    if not venue.hours.is_open(line.instrument.exchange, now) or venue.picture(line.instrument, now):
        return
    for side in line.working.values():
        for order in list(side.values()):
            if order.takes_any_price and order.updated_at < now - _PATIENCE:
                venue.end(account, order, OrderState.CANCELLED, now, _NO_PRICE)


def turn_day(venue: PaperExchange, account: Account, today: date, now: datetime) -> None:
    """Close the account's trading day and begin `today`: shares settle, today's profit is 0 again."""
    venue.outbox.changes.days.append(statements.day_record(venue, account, now))
    account.record = replace(account.record, day=today)
    venue.outbox.accounts[account.name] = account
    for key, line in list(account.lines.items()):
        if line.product is Product.DELIVERY and line.quantity and has_arrived(venue, line, today):
            settle_shares(account, line, today, now)
        if line.realised_today:
            line.realised_today = ZERO
            venue.outbox.lines[id(line)] = (account, line)
        if is_over(line.instrument, line.quantity, today):
            venue.outbox.settle()
            del account.lines[key]
    account.orders = {key: order for key, order in account.orders.items() if order.state.is_working}
    account.trades.clear()


def has_arrived(venue: PaperExchange, line: Line, today: date) -> bool:
    """Whether a delivery position's shares have settled."""
    return venue.hours.settles_on(line.instrument.exchange, line.opened_on) <= today


def is_over(instrument: Instrument, quantity: Decimal, today: date) -> bool:
    """Whether a line can never trade again and holds nothing."""
    return not quantity and instrument.expiry is not None and instrument.expiry < today


def settle_shares(account: Account, line: Line, today: date, now: datetime) -> None:
    """Move a delivery position into the holdings, at cost. What leverage left unpaid is paid now."""
    key = (line.instrument.exchange, line.instrument.symbol)
    held = account.shares.get(key)
    if held is None:
        held = account.shares[key] = Shares(line.instrument, today)
    held.settles_on = today
    held.quantity += line.quantity
    held.cost += line.cost
    amounts = Amounts(cash=line.margin - line.cost, positions=-line.margin, stock=line.cost)
    line.quantity = line.cost = line.margin = ZERO
    account.post(EntryKind.SETTLE, now, amounts)
    account.outbox.shares[id(held)] = (account, held)
    account.outbox.lines[id(line)] = (account, line)


def reset_is_due(account: Account, now: datetime) -> bool:
    """Whether the account's weekly reset has come since it began."""
    terms = account.terms
    if terms.reset_day == NEVER:
        return False
    local = now.astimezone(IST)
    back = (local.weekday() - WEEKDAYS.index(terms.reset_day)) % 7
    due = datetime.combine(local.date() - timedelta(days=back), time.fromisoformat(terms.reset_time), IST)
    if due > local:
        due -= timedelta(days=7)
    return (account.record.reset_at or account.record.opened_at) < due


def reset(venue: PaperExchange, name: str, now: datetime) -> int:
    """Begin the account again with its terms' capital; its books so far stay under their generation's number."""
    account = venue.account(name, now)
    for line in account.lines.values():
        for side in line.working.values():
            for order in list(side.values()):
                if order.state.is_working:
                    venue.end(account, order, OrderState.CANCELLED, now, "The account was reset")
    venue.outbox.changes.days.append(statements.day_record(venue, account, now))
    venue.outbox.settle()
    capital = account.terms.starting_capital
    record = replace(
        account.record,
        generation=account.generation + 1,
        starting_capital=capital,
        reset_at=now,
        reset_count=account.record.reset_count + 1,
        day=venue.market.trading_day(now),
    )
    fresh = Account(record, venue.defaults, venue.outbox)
    fresh.seq = account.seq
    venue.accounts[name] = fresh
    venue.outbox.accounts[name] = fresh
    fresh.post(EntryKind.CAPITAL, now, Amounts(cash=capital, capital=-capital))
    return record.generation


def change_terms(venue: PaperExchange, name: str, changes: dict[str, str], now: datetime) -> dict[str, str]:
    """Change an account's terms for what is asked from now on; returns all of them. Raises InvalidRequest.

    A new starting capital is what the next reset gives; open positions keep the margin they block, resting
    orders reserve by the new terms.
    """
    account = venue.account(name, now)
    if changes:
        terms = account.terms.changed(changes)
        _move_books(venue, account, terms)
        for line in account.lines.values():
            line.covering = dict.fromkeys(line.covering, True)
            venue.rebalance(account, line, now)
        account.record = replace(account.record, terms={**account.record.terms, **changes})
        venue.outbox.accounts[name] = account
    return account.terms.texts()


def _move_books(venue: PaperExchange, account: Account, terms: Terms) -> None:
    """Resting orders watch the market the way the new terms say."""
    working = [order for order in account.orders.values() if order.state.is_working]
    for order in working:
        venue.unrest(account, order)
    account.terms = terms
    for order in working:
        venue.rest(account, order)

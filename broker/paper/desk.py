"""The exchange's front desk: which call does what, and coming back from storage."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from broker.paper import settlement, statements, wire
from broker.paper.account import Account
from broker.paper.answers import outcome_of
from broker.paper.booked import BookedOrder, Shares
from broker.paper.exchange import PaperExchange
from broker.paper.rules import OrderTerms
from domain.ledger import Amounts, LedgerState, PaperAnswer, PaperDay, PaperOrder, PaperUpdate
from domain.model import Product, Side


class Archive(Protocol):
    """What is only in storage."""

    def answer(self, client_order_id: str) -> PaperAnswer | None: ...

    def updates(self, account: str, since: int, limit: int = 1000) -> list[PaperUpdate]: ...

    def days(self, account: str, generation: int) -> list[PaperDay]: ...


def handle(venue: PaperExchange, archive: Archive, call: wire.Call, now: datetime) -> Any:
    """Do what a call asks; returns the reply's body. Raises InvalidRequest."""
    request, name = call.request, call.account
    match request:
        case wire.Place():
            return wire.Told.of(venue.place(name, request.order, now))
        case wire.Modify():
            return wire.Told.of(venue.modify(name, request.change, now))
        case wire.Cancel():
            return wire.Told.of(venue.cancel(name, request.wish, now))
        case wire.Convert():
            return wire.Told.of(venue.convert(name, request.wish, now))
        case wire.Find():
            return _find(venue, archive, request.client_order_id)
        case wire.Updates():
            return archive.updates(name, request.since, request.limit)
        case wire.Margins():
            return statements.margins(venue, venue.account(name, now), request.orders, now)
        case wire.TermsOf():
            return settlement.change_terms(venue, name, request.changes, now)
        case wire.Reset():
            return settlement.reset(venue, name, now)
        case wire.Days():
            account = venue.account(name, now)
            return archive.days(name, request.generation or account.generation)
    return _statement(venue, venue.account(name, now), request, now)


def _statement(venue: PaperExchange, account: Account, request: wire.Request, now: datetime) -> Any:
    match request:
        case wire.Orders():
            return statements.orders(account)
        case wire.Trades():
            return statements.trades(account)
        case wire.Positions():
            return statements.positions(venue, account, now)
        case wire.Holdings():
            return statements.holdings(venue, account, now)
        case wire.Money():
            return statements.funds(venue, account, now)
    raise AssertionError(f"nobody answers {request!r}")


def _find(venue: PaperExchange, archive: Archive, client_order_id: str) -> wire.Told | None:
    told = venue.answers.get(client_order_id)
    if told is None and (known := archive.answer(client_order_id)) is not None:
        told = outcome_of(known)
    return None if told is None else wire.Told.of(told)


def client_order_id(request: wire.Write) -> str:
    """Our id of a write."""
    match request:
        case wire.Place():
            return request.order.client_order_id
        case wire.Modify():
            return request.change.client_order_id
        case wire.Cancel():
            return request.wish.client_order_id
        case wire.Convert():
            return request.wish.client_order_id


def moved(home: PaperExchange, asked: PaperExchange, name: str) -> PaperExchange:
    """Where the account trades after it asked for another market: there, unless something is open at home."""
    account = home.accounts[name]
    is_busy = any(
        line.quantity or line.working[Side.BUY] or line.working[Side.SELL] for line in account.lines.values()
    )
    if is_busy:
        return home
    asked.accounts[name] = home.accounts.pop(name)
    asked.instruments |= {
        key: home.instruments[key] for key in {line.instrument.key for line in account.lines.values()}
    }
    account.record = replace(account.record, feed=asked.market.feed)
    account.outbox.accounts[name] = account
    return asked


# -- from storage
def restored(venue: PaperExchange, state: LedgerState) -> PaperExchange:
    """The exchange as it stood, with the accounts of its market."""
    venue.instruments = {(one.exchange, one.symbol): one for one in state.instruments}
    for record in state.accounts:
        if record.feed == venue.market.feed:
            opened = Account(record, venue.defaults, venue.outbox)
            opened.balances = state.balances.get(record.name, Amounts())
            opened.entries, opened.seq = state.numbers.get(record.name, (0, 0))
            venue.accounts[record.name] = opened
    _restore_positions(venue, state)
    for kept in state.orders:
        account = venue.accounts.get(kept.account)
        if account and (kept.order.state.is_working or _is_of_today(venue, account, kept.order.placed_at)):
            _restore_order(venue, account, kept)
    for trade in state.trades:
        account = venue.accounts.get(trade.account)
        if account and _is_of_today(venue, account, trade.trade.traded_at):
            account.trades.append(trade.trade)
    for answer in state.answers:
        venue.remember(answer.client_order_id, outcome_of(answer))
    return venue


def _is_of_today(venue: PaperExchange, account: Account, at: datetime) -> bool:
    return venue.market.trading_day(at) >= account.day


def _restore_positions(venue: PaperExchange, state: LedgerState) -> None:
    for row in state.positions:
        account, instrument = venue.accounts.get(row.account), venue.instruments[row.exchange, row.symbol]
        if account is None or settlement.is_over(instrument, row.quantity, account.day):
            continue
        line = account.line(instrument, row.product)
        line.quantity, line.cost, line.margin = row.quantity, row.cost, row.margin
        line.realised_today, line.realised_total = row.realised_today, row.realised_total
        line.opened_on, line.changed_at = row.opened_on, row.changed_at
    for held in state.holdings:
        account = venue.accounts.get(held.account)
        if account is not None:
            instrument = venue.instruments[held.exchange, held.symbol]
            account.shares[held.exchange, held.symbol] = Shares(
                instrument, held.settles_on, held.quantity, held.cost
            )


def _restore_order(venue: PaperExchange, account: Account, kept: PaperOrder) -> None:
    row = kept.order
    line = account.line(venue.instruments[row.exchange, row.symbol], Product(row.product))
    order = BookedOrder(
        account=kept.account,
        generation=kept.generation,
        order_id=row.order_id,
        client_order_id=row.client_order_id,
        number=int(row.order_id),
        line=line,
        side=row.side,
        terms=OrderTerms.of(
            row.quantity, row.order_type, row.price, row.trigger_price, row.disclosed_quantity
        ),
        strategy=row.strategy,
        placed_at=row.placed_at,
        updated_at=row.updated_at,
        live_at=kept.live_at,
        state=row.state,
        filled=row.filled,
        value=kept.value,
        reserved=kept.reserved,
        reference=kept.reference,
        triggered=kept.triggered,
        fresh=kept.fresh,
        charged=kept.charged,
        reason=row.reason,
        told=row,
    )
    account.orders[order.order_id] = order
    if order.state.is_working:
        line.working[order.side][order.order_id] = order
        venue.rest(account, order)

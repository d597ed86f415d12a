"""What an account looks like to its owner: books, money, and what orders would block. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from broker.paper.account import Account
from broker.paper.booked import UNIT, Line
from broker.paper.exchange import PaperExchange
from broker.paper.rules import OrderTerms, margin
from domain import money
from domain.ledger import ZERO, PaperDay
from domain.model import Funds, Holding, Instrument, Margin, Order, PlaceOrder, Position, Product, Side, Trade


def orders(account: Account) -> list[Order]:
    """The session's orders, oldest first."""
    return [order.told or order.snapshot() for order in account.orders.values()]


def trades(account: Account) -> list[Trade]:
    """The session's fills, oldest first."""
    return list(account.trades)


def positions(exchange: PaperExchange, account: Account, now: datetime) -> list[Position]:
    """Open positions, and those closed in the account's present trading day."""
    shown = (
        line for line in account.lines.values() if line.quantity or _was_used_today(exchange, account, line)
    )
    return [_position(exchange, line, now) for line in shown]


def _was_used_today(exchange: PaperExchange, account: Account, line: Line) -> bool:
    return line.changed_at is not None and exchange.market.trading_day(line.changed_at) == account.day


def _position(exchange: PaperExchange, line: Line, now: datetime) -> Position:
    last = _last_price(exchange, line.instrument, now)
    return Position(
        symbol=line.instrument.symbol,
        exchange=line.instrument.exchange,
        product=line.product,
        quantity=line.quantity,
        average_price=line.average,
        last_price=last,
        realised=line.realised_today,
        unrealised=unrealised(line, last),
        total_realised=line.realised_total,
        contract_value=line.instrument.contract_value,
    )


def unrealised(line: Line, last: float | None) -> Decimal | None:
    """Profit on the open quantity at a price; None when the price is not known."""
    if not line.quantity:
        return ZERO
    if last is None:
        return None
    price = money.price(last, line.instrument.tick_size)
    worth = price * line.quantity * line.instrument.contract_value
    return (worth - line.cost).quantize(UNIT, ROUND_HALF_EVEN)


def holdings(exchange: PaperExchange, account: Account, now: datetime) -> list[Holding]:
    """Delivery shares that have settled into the account."""
    return [
        Holding(
            symbol=held.instrument.symbol,
            exchange=held.instrument.exchange,
            quantity=held.quantity,
            average_price=(held.cost / held.quantity).quantize(UNIT, ROUND_HALF_EVEN),
            last_price=_last_price(exchange, held.instrument, now),
            settles_on=held.settles_on,
        )
        for held in account.shares.values()
        if held.quantity
    ]


def funds(exchange: PaperExchange, account: Account, now: datetime) -> Funds:
    """available + used + holdings at cost + charges = starting capital + total realised, to the last paisa."""
    money_now = account.balances
    open_lines = [line for line in account.lines.values() if line.quantity]
    marks = [unrealised(line, _last_price(exchange, line.instrument, now)) for line in open_lines]
    return Funds(
        available=money_now.cash,
        used=money_now.orders + money_now.positions,
        realised=sum((line.realised_today for line in account.lines.values()), ZERO),
        unrealised=sum((mark for mark in marks if mark is not None), ZERO),
        total_realised=-money_now.realised,
        starting_capital=account.record.starting_capital,
        charges=money_now.charges,
        last_reset=account.record.reset_at or account.record.opened_at,
        reset_count=account.record.reset_count,
    )


def day_record(exchange: PaperExchange, account: Account, at: datetime) -> PaperDay:
    """How the account stands at the end of its trading day; shares and positions at market."""
    now = funds(exchange, account, at)
    held = sum(
        (
            _worth(lot.average_price if lot.last_price is None else lot.last_price, lot.quantity)
            for lot in holdings(exchange, account, at)
        ),
        ZERO,
    )
    return PaperDay(
        account=account.name,
        generation=account.generation,
        day=account.day,
        cash=now.available,
        used=now.used,
        holdings=held,
        realised=now.total_realised or ZERO,
        realised_today=now.realised,
        unrealised=now.unrealised,
        charges=now.charges or ZERO,
        equity=now.available + now.used + held + now.unrealised,
    )


def _worth(price: Decimal | float, quantity: Decimal) -> Decimal:
    exact = price if isinstance(price, Decimal) else Decimal(repr(price))
    return (exact * quantity).quantize(UNIT, ROUND_HALF_EVEN)


def margins(exchange: PaperExchange, account: Account, wanted: Sequence[PlaceOrder], now: datetime) -> Margin:
    """What the orders together would block if nothing were open. Sales of delivery shares block nothing."""
    return Margin(total=sum((_margin(exchange, account, order, now) for order in wanted), ZERO))


def _margin(exchange: PaperExchange, account: Account, order: PlaceOrder, now: datetime) -> Decimal:
    if order.product is Product.DELIVERY and order.side is Side.SELL:
        return ZERO
    terms = OrderTerms.of(order.quantity, order.order_type, order.price, order.trigger_price)
    price = terms.trigger_price or terms.price
    if price is None:
        picture = exchange.picture(order.instrument, now)
        price = picture.best(order.side) if picture else ZERO
    return margin(order.instrument, order.product, order.side, order.quantity, price, account.terms)


def _last_price(exchange: PaperExchange, instrument: Instrument, now: datetime) -> float | None:
    quote = exchange.market.quote(instrument, now)
    return None if quote is None else quote.last_price

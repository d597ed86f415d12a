"""Moving a part of a position between two product lines of one account: units and cost as they are, margin anew. Pure.

Nothing trades: no profit is booked and no charge. An account that cannot carry the new margin keeps what it has.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from broker.paper.account import Account
from broker.paper.answers import no_funds, no_shares
from broker.paper.booked import Line, share
from broker.paper.rules import check_product, margin
from domain.conversion import ConvertPosition
from domain.ledger import ZERO, Amounts, EntryKind
from domain.model import Product, Side
from domain.outcomes import Accepted, Outcome, Refused


def move(account: Account, wish: ConvertPosition, fence: str, now: datetime) -> Outcome:
    """Move the units, or say why not. `fence` says why nothing may become intraday now, "" when it may.

    The caller lets the orders of both lines reserve anew.
    """
    one = wish.instrument
    source = account.lines.get((one.exchange, one.symbol, wish.product))
    fault = _fault(account, source, wish, fence)
    if fault is not None or source is None:
        return fault or _not_open(wish, ZERO)
    size = abs(source.quantity)
    cost = share(source.cost, wish.quantity, size)
    freed = share(source.margin, wish.quantity, size)
    price = abs(cost) / (wish.quantity * one.contract_value)
    blocked = margin(source.instrument, wish.to_product, wish.side, wish.quantity, price, account.terms)
    if blocked - freed > account.available:
        return no_funds(account.available, blocked - freed - account.available)
    target = account.line(source.instrument, wish.to_product)
    if not target.quantity or wish.to_product is Product.DELIVERY:
        target.opened_on = account.day
    units = wish.quantity * wish.side.sign
    for line, part in ((source, -1), (target, 1)):
        line.quantity += units * part
        line.cost += cost * part
        line.changed_at = now
        account.outbox.lines[id(line)] = (account, line)
    source.margin -= freed
    target.margin += blocked
    account.post(EntryKind.CONVERT, now, Amounts(cash=freed - blocked, positions=blocked - freed))
    return Accepted(wish.client_order_id)


def _fault(account: Account, source: Line | None, wish: ConvertPosition, fence: str) -> Refused | None:
    one = wish.instrument
    for product in (wish.product, wish.to_product):
        if (wrong := check_product(one.exchange, product)) is not None:
            return wrong
    if wish.product is wish.to_product:
        return Refused("PRODUCT", f"The position is {wish.product} already")
    held = source.closable(wish.side.opposite) if source is not None else ZERO
    if source is None or not wish.quantity.is_finite() or not 0 < wish.quantity <= held:
        return _not_open(wish, held)
    if wish.quantity % one.lot_size and wish.quantity != held:
        return Refused("LOT", f"Quantity must be a multiple of the lot size {one.lot_size}")
    target = account.lines.get((one.exchange, one.symbol, wish.to_product))
    if target is not None and target.quantity * wish.side.sign < 0:
        return Refused(
            "OPPOSITE", f"{wish.to_product} holds the opposite position: close one of the two first"
        )
    return _delivery_fault(account, source, wish) or _intraday_fault(wish, fence)


def _delivery_fault(account: Account, source: Line, wish: ConvertPosition) -> Refused | None:
    if wish.to_product is Product.DELIVERY and wish.side is Side.SELL:
        return Refused("SHORT", "Shares that are not held cannot be sold in CNC: a short position stays MIS")
    if wish.product is not Product.DELIVERY:
        return None
    if source.opened_on < account.day:
        return Refused("SETTLING", "Shares bought on an earlier day are on their way into the holdings")
    free = account.free_shares(source.instrument)
    if wish.quantity > free:
        return Refused("INSUFFICIENT_SHARES", no_shares(wish.instrument.symbol, free))
    return None


def _intraday_fault(wish: ConvertPosition, fence: str) -> Refused | None:
    return Refused("SQUARE_OFF", fence) if fence and wish.to_product is Product.INTRADAY else None


def _not_open(wish: ConvertPosition, held: Decimal) -> Refused:
    way = "long" if wish.side is Side.BUY else "short"
    return Refused("POSITION", f"{held:f} of {wish.instrument.symbol} are open {way} in {wish.product}")

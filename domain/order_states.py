"""The order state machine: updates may come late, twice and out of order; what is known only moves forward."""

from __future__ import annotations

from dataclasses import replace

from domain.model import Order, OrderState

_RANK = {
    OrderState.UNKNOWN: 0,
    OrderState.PENDING: 1,
    OrderState.TRIGGER_PENDING: 2,
    OrderState.OPEN: 3,
    OrderState.CANCELLED: 4,
    OrderState.EXPIRED: 4,
    OrderState.REJECTED: 4,
    OrderState.COMPLETE: 4,
}


def advance(known: Order | None, update: Order) -> Order | None:
    """What an update makes of an order; None when it tells nothing new.

    Final states never leave, filled never falls, an update older than what is known counts only for its fills or
    when it ends the order. An unreadable status word changes nothing but is kept when nothing was known.
    """
    if known is None:
        return update
    if known.state.is_final:
        return _late_fill(known, update)
    filled = max(known.filled, update.filled)
    average = update.average_price if update.filled >= known.filled else known.average_price
    older = update.updated_at < known.updated_at
    if update.state.is_final:
        merged = replace(update, filled=filled, average_price=average)
    elif older or update.state is OrderState.UNKNOWN or _falls_back(known, update):
        merged = replace(known, filled=filled, average_price=average)
    else:
        merged = replace(update, filled=filled, average_price=average)
    merged = replace(
        merged,
        client_order_id=known.client_order_id or update.client_order_id,
        strategy=known.strategy or update.strategy,
        placed_at=min(known.placed_at, update.placed_at),
        updated_at=max(known.updated_at, update.updated_at),
    )
    return None if _same(known, merged) else merged


def _falls_back(known: Order, update: Order) -> bool:
    """A state behind the known one with nothing newer to say for it."""
    return _RANK[update.state] < _RANK[known.state] and update.updated_at <= known.updated_at


def _late_fill(known: Order, update: Order) -> Order | None:
    """A fill that arrives after the end raises `filled`; the state stays."""
    if update.filled <= known.filled or known.state is OrderState.REJECTED:
        return None
    return replace(known, filled=min(update.filled, known.quantity), average_price=update.average_price)


def _same(known: Order, merged: Order) -> bool:
    """Equal in everything a client is told (times alone are no transition)."""
    return replace(known, updated_at=merged.updated_at, status_word=merged.status_word) == merged

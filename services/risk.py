"""What one account's or strategy's limits say of one order: pure, and each refusal names its limit."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from decimal import Decimal

from database.controls import Controls
from database.intents import Intent
from domain.errors import RiskRefused
from domain.model import Instrument, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What limits need to know of the world; None is "not read", and a limit that needs it then refuses.

    position    signed units of this instrument and product now
    last_price  rupees, of a fresh quote of the account's own feed
    day_pnl     rupees, realised today plus unrealised
    news        the number of the account's newest order event before the position was read
    """

    position: Decimal | None = None
    last_price: Decimal | None = None
    day_pnl: Decimal | None = None
    news: int | None = None


def needs_facts(limits: Controls) -> bool:
    return any(
        limit is not None for limit in (limits.max_value, limits.price_collar_percent, limits.max_day_loss)
    )


def check_allowed(limits: Controls, intent: Intent) -> None:
    if limits.allowed_symbols is not None:
        name = f"{intent.exchange}:{intent.symbol}"
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in limits.allowed_symbols.split()):
            raise RiskRefused("allowed_symbols", f"{name} is not among the symbols allowed here.")
    if limits.allowed_products is not None and intent.product not in limits.allowed_products.split():
        raise RiskRefused("allowed_products", f"Product {intent.product} is not allowed here.")


def check_size(limits: Controls, intent: Intent) -> None:
    if limits.max_quantity is not None and intent.quantity > limits.max_quantity:
        raise RiskRefused(
            "max_quantity", f"quantity {intent.quantity} is above the limit of {limits.max_quantity}."
        )


def check_value(limits: Controls, intent: Intent, instrument: Instrument, facts: Facts) -> None:
    price = intent.price or intent.trigger_price or facts.last_price
    if intent.side is Side.SELL and price is not None and facts.last_price is not None:
        price = max(price, facts.last_price)  # a sale's price is the least it fetches
    if limits.max_value is not None:
        if price is None:
            raise RiskRefused("max_value", "The order's value cannot be computed: no fresh price.")
        value = price * intent.quantity * instrument.contract_value
        if value > limits.max_value:
            raise RiskRefused(
                "max_value", f"The order is worth ₹{value:.2f}; the limit is ₹{limits.max_value}."
            )
    if limits.price_collar_percent is not None:
        if facts.last_price is None:
            raise RiskRefused("price_collar", "No fresh price to hold the order's price against.")
        band = facts.last_price * limits.price_collar_percent / 100
        for asked in filter(None, (intent.price, intent.trigger_price)):
            if abs(asked - facts.last_price) > band:
                raise RiskRefused(
                    "price_collar",
                    f"Price {asked} is more than {limits.price_collar_percent}% "
                    f"from the last price {facts.last_price}.",
                )


def check_loss(limits: Controls, facts: Facts) -> None:
    if limits.max_day_loss is None:
        return
    if facts.day_pnl is None:
        raise RiskRefused("max_day_loss", "Today's profit and loss cannot be read.")
    if facts.day_pnl <= -limits.max_day_loss:
        raise RiskRefused(
            "max_day_loss",
            f"Today's loss of ₹{-facts.day_pnl:.2f} has reached the limit of ₹{limits.max_day_loss}.",
        )

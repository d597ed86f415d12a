"""The one crossing between what is seen (float) and what is owed (Decimal), and the tick grid."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

PAISA = Decimal("0.01")


def price(seen: float, tick_size: Decimal) -> Decimal:
    """The float's shortest text as Decimal, moved onto the tick grid (nearest, half to even).

    Raises ValueError for NaN, infinities and a tick size that is not positive.
    """
    exact = Decimal(repr(float(seen)))
    if not exact.is_finite():
        raise ValueError(f"not a price: {seen!r}")
    if tick_size <= 0:
        raise ValueError(f"not a tick size: {tick_size}")
    return (exact / tick_size).to_integral_value(ROUND_HALF_EVEN) * tick_size


def on_grid(value: Decimal, tick_size: Decimal) -> bool:
    """Whether a price is a whole number of ticks."""
    return value % tick_size == 0


def rupees(value: Decimal) -> Decimal:
    """Rounded to the paisa, half to even: for showing, never for keeping."""
    return value.quantize(PAISA, ROUND_HALF_EVEN)

"""How much of an instrument trades on a simulated day, how much is open, and how wide its book stands.

Typical shapes only: the turnover of the underlying spread over its contracts, most near the money and near expiry.
"""

from __future__ import annotations

from math import exp, log, sqrt

from broker.paper.contracts import Contract, Future, Option
from broker.paper.noise import Noise
from broker.paper.prices import Basis
from domain.model import Instrument, InstrumentKind

_HOLDING_DAYS = 2.5
"""Open interest, in days' volume."""


def lots_of_day(
    instrument: Instrument, basis: Basis, contract: Contract, day: int, price: float, noise: Noise
) -> int:
    """Lots that trade by the end of the day; `price` is the underlying's at the opening. 0 for an index."""
    if instrument.kind is InstrumentKind.INDEX:
        return 0
    units = basis.turnover / price * _share(basis, contract, day, price)
    draw = noise.normals(f"volume/{instrument.exchange.value}|{instrument.symbol}/{day}", 1)[0]
    return int(units * exp(0.35 * draw) / instrument.lot_size)


def interest_of_day(
    instrument: Instrument, basis: Basis, contract: Contract, day: int, price: float, noise: Noise
) -> tuple[int, int]:
    """Open interest in lots at the opening and at the end of the day; zeros where nothing is written."""
    if contract.last_day is None and not instrument.kind.is_future:
        return 0, 0
    typical = (
        basis.turnover / price * _share(basis, contract, day, price) * _HOLDING_DAYS / instrument.lot_size
    )
    key = f"interest/{instrument.exchange.value}|{instrument.symbol}"
    first, last = (noise.normals(f"{key}/{number}", 1)[0] for number in (day, day + 1))
    return int(typical * exp(0.05 * first)), int(typical * exp(0.05 * last))


def spread_of(instrument: Instrument, basis: Basis) -> float:
    """The distance of the best two prices as a fraction of the price; at least a tick is kept elsewhere."""
    if instrument.kind.is_option:
        return 0.004 if basis.turnover > 1e9 else 0.015
    thinness: float = (1e9 / max(basis.turnover, 1e5)) ** 0.35
    return min(max(0.0002 * thinness, 0.00005), 0.005)


def _share(basis: Basis, contract: Contract, day: int, price: float) -> float:
    """The contract's part of its underlying's turnover."""
    if isinstance(contract, Option):
        years = max(contract.left(day, 0), 1 / 365)
        deviation: float = contract.sigma(day) * sqrt(years)
        far = min(abs(log(contract.strike / (price * contract.growth(day)))) / deviation, 6.0)
        most = 0.5 if basis.turnover > 1e11 else 0.1
        return most * exp(-0.5 * far * sqrt(far) - years * 12)
    if isinstance(contract, Future) and contract.last_day is not None:
        return 0.4 * exp(-max(contract.last_day - day, 0) / 20)
    return 1.0

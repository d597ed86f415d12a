"""Hosted strategies: which one, and what is told of it."""

from __future__ import annotations

from domain.strategies import StrategyState, Wanted
from restx_api.fields.base import Flag, Keyed, Text
from restx_api.fields.shapes import BOOLEAN, INTEGER, STRING, array, data, obj, one_of


class One(Keyed):
    """One strategy, by its id."""

    strategy_id = Text(required=True, least=1, most=64)


class Start(One):
    """force: whatever its schedule says."""

    force = Flag(load_default=False)


_STRATEGY = obj(
    {
        "strategy_id": STRING,
        "name": STRING,
        "exchange": STRING,
        "state": one_of(*(state.value for state in StrategyState)),
        "reason": STRING,
        "wanted": one_of(*(wanted.value for wanted in Wanted)),
        "version": INTEGER,
    }
)

STRATEGIES = data(array(_STRATEGY))
STARTED = data(obj({"armed": BOOLEAN, "reason": STRING, "next_start": STRING}))
STOPPED = data(obj({"was_running": BOOLEAN}))

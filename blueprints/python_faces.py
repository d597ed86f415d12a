"""How a hosted strategy's state looks on a page."""

from __future__ import annotations

from dataclasses import dataclass

from domain.strategies import Strategy, StrategyState, Wanted

REASONS = {
    "weekend": "Closed: weekend",
    "holiday": "Closed: holiday",
    "before_market": "Before its window",
    "after_market": "Its window is over",
    "day": "Not on this day",
}
"""What the schedule says of a strategy that does not run, in a person's words."""

_LOOKS = {
    StrategyState.STARTING: ("run", "play", "Starting"),
    StrategyState.RUNNING: ("run", "play", "Running"),
    StrategyState.STOPPING: ("wait", "hourglass", "Stopping"),
    StrategyState.WAITING: ("wait", "clock", "Waiting"),
    StrategyState.SCHEDULED: ("wait", "clock", "Scheduled"),
    StrategyState.PAUSED: ("off", "pause", "Paused"),
    StrategyState.CRASHED: ("err", "triangle-alert", "Crashed"),
    StrategyState.FAILED: ("err", "triangle-alert", "Failed"),
    StrategyState.FINISHED: ("off", "check", "Finished"),
    StrategyState.STOPPED: ("off", "square", "Stopped"),
}


@dataclass(frozen=True, slots=True)
class Face:
    """How a strategy's state looks: a class, an icon, words, and the reason in a sentence's part."""

    look: str
    mark: str
    words: str
    reason: str


def face(strategy: Strategy) -> Face:
    """The state as a page says it."""
    look, mark, words = _LOOKS[strategy.state]
    if strategy.state.is_live and strategy.wanted is Wanted.STOPPED:
        look, mark, words = _LOOKS[StrategyState.STOPPING]
    elif strategy.is_restarting:
        look, mark, words = "wait", "hourglass", "Restarting"
    return Face(look, mark, words, REASONS.get(strategy.reason, strategy.reason))

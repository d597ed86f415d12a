"""What to do about one strategy now, from what is wanted, what is due and what runs. Pure: it decides, others act.

It is asked again and again and answers for the moment, so a host that was away, late or killed needs no repair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.clock import IST
from domain.strategies import Restart, Run, ScheduleKind, Strategy, StrategyState, Wanted
from strategies.process import Exit
from strategies.schedule import ALWAYS, Due, Occurrence

BREAKER = 5
BREAKER_TIME = timedelta(minutes=10)
PAUSES = (1, 2, 4, 8, 15, 30, 60)
CRASH_LOOP = "crash loop"
RESTARTED = "restarted by hand"
MISSED = "Missed: the platform was away when it was due"


class Act(StrEnum):
    """START and STOP change something, KEEP leaves a run alone, REST leaves it off."""

    START = "start"
    STOP = "stop"
    KEEP = "keep"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and the state to show with the reason for it. window: of START, which one it is for"""

    act: Act
    state: StrategyState
    reason: str = ""
    window: datetime | None = None


def decide(strategy: Strategy, due: Due, run: Run | None, now: datetime, missing: str = "") -> Decision:
    """`missing` is what a start would have to wait for, "" when all is there."""
    if run is not None:
        return _with_run(strategy, due, run)
    if not _should_run(strategy, due, now):
        return _resting(strategy, due, now)
    if strategy.retry_at is not None and now < strategy.retry_at:
        return Decision(Act.REST, StrategyState.CRASHED, strategy.reason)
    if missing:
        return Decision(Act.REST, StrategyState.WAITING, missing)
    window = None if strategy.wanted is Wanted.NOW or due.current is None else due.current.start
    return Decision(Act.START, StrategyState.STARTING, "", window)


def went_by(strategy: Strategy, due: Due, now: datetime) -> str:
    """What to say of a whole window that was foreseen and went by without a run, "" when none did.

    An interval's is not told: the next one makes up for it.
    """
    start = strategy.next_start
    if start is None or start > now or strategy.wanted is not Wanted.AUTO:
        return ""
    is_open = due.current is not None and due.current.start <= start
    ran = strategy.last_started is not None and strategy.last_started >= start
    if is_open or ran or strategy.schedule.kind is ScheduleKind.INTERVAL:
        return ""
    return f"Missed: the whole window of {start.astimezone(IST):%d %b %H:%M}, the platform was away"


def why_stopped(strategy: Strategy) -> str:
    """Why a run has to end when a person, and not the schedule, wanted it."""
    if strategy.deleted_at is not None:
        return "deleted"
    return strategy.reason if strategy.reason.startswith("Kill switch") else "stopped by hand"


def waits_on(strategy: Strategy, decision: Decision) -> bool:
    """Whether it waits for the same thing as before, which may have come further."""
    head = decision.reason.partition(":")[0]
    return strategy.state is StrategyState.WAITING and strategy.reason.partition(":")[0] == head


def _with_run(strategy: Strategy, due: Due, run: Run) -> Decision:
    if run.stopping is not None:
        return Decision(Act.STOP, StrategyState.STOPPING, run.reason)
    if strategy.wanted is Wanted.STOPPED or strategy.deleted_at is not None:
        return Decision(Act.STOP, StrategyState.STOPPING, why_stopped(strategy))
    if strategy.wanted is Wanted.AUTO and due.current is None:
        return Decision(Act.STOP, StrategyState.STOPPING, _CLOSED.get(due.reason, "its window is over"))
    if run.generation <= strategy.restart_of:
        return Decision(Act.STOP, StrategyState.STOPPING, RESTARTED)
    state = StrategyState.STARTING if run.started_at is None else StrategyState.RUNNING
    return Decision(Act.KEEP, state)


def _should_run(strategy: Strategy, due: Due, now: datetime) -> bool:
    if strategy.deleted_at is not None or strategy.wanted is Wanted.STOPPED:
        return False
    if strategy.wanted is Wanted.NOW:
        return True
    window = due.current
    return window is not None and strategy.done_window != window.start and not _is_late(strategy, window, now)


def _is_late(strategy: Strategy, window: Occurrence, now: datetime) -> bool:
    """Whether its last moment has passed; whoever was started in time, or by hand, may be started again."""
    if window.latest is None or now <= window.latest:
        return False
    began = max(filter(None, (strategy.pressed_at, strategy.last_started)), default=None)
    return began is None or began < window.start


_CLOSED = {"weekend": "its exchange is closed today", "holiday": "its exchange is closed today"}
_OVER = (StrategyState.FINISHED, StrategyState.FAILED, StrategyState.CRASHED)


def _resting(strategy: Strategy, due: Due, now: datetime) -> Decision:
    """Why it does not run, for whoever looks."""
    if strategy.wanted is Wanted.STOPPED:
        return Decision(Act.REST, StrategyState.STOPPED, strategy.reason or "Stopped by hand")
    if due.current is not None and strategy.done_window == due.current.start:
        if strategy.state in _OVER:
            return Decision(Act.REST, strategy.state, strategy.reason)
        return Decision(Act.REST, StrategyState.SCHEDULED, "Starts with its next window")
    if due.current is not None:
        return Decision(Act.REST, StrategyState.SCHEDULED, MISSED)
    if due.reason in _CLOSED and (due.next is not None or strategy.state is not StrategyState.FINISHED):
        return Decision(Act.REST, StrategyState.PAUSED, due.reason)
    if due.reason == "manual" or (due.next is None and strategy.state in _OVER):
        state = strategy.state if strategy.state in _OVER else StrategyState.STOPPED
        return Decision(
            Act.REST, state, strategy.reason if state in _OVER else "Starts only when you press Start"
        )
    return Decision(Act.REST, StrategyState.SCHEDULED, due.reason)


def after(strategy: Strategy, run: Run, end: Exit, why: str, now: datetime) -> Strategy:
    """The strategy as it stands when a run is over. `why` is the host's reason for ending it, "" when it ended itself.

    A run that was told to stop changes nothing that is wanted. One that the host ended for a limit counts as failed,
    unless a person wants another in its place: however it ended, the restart is not lost.
    """
    settled = replace(strategy, last_stopped=now, retry_at=None)
    told = run.stopping is not None and not why.startswith("limit")
    if told or run.generation <= strategy.restart_of:
        return replace(settled, state=StrategyState.STOPPED)
    failed = end.code != 0 or bool(why)
    if not failed and strategy.restart is not Restart.ALWAYS:
        return _done(settled, run, StrategyState.FINISHED, "exited 0")
    words = why.removeprefix("limit: ") or end.words
    recent = tuple(moment for moment in strategy.crashes if now - moment < BREAKER_TIME)
    if failed and strategy.restart is Restart.NEVER:
        return _done(replace(settled, crashes=(*recent, now)), run, StrategyState.CRASHED, words)
    if len(recent) + 1 >= BREAKER:
        reason = f"{CRASH_LOOP}: {len(recent) + 1} ends in {BREAKER_TIME.seconds // 60} min, last {words}"
        return _done(replace(settled, crashes=()), run, StrategyState.FAILED, reason)
    pause = timedelta(seconds=PAUSES[min(len(recent), len(PAUSES) - 1)])
    return replace(
        settled, crashes=(*recent, now), retry_at=now + pause, state=StrategyState.CRASHED, reason=words
    )


def _done(strategy: Strategy, run: Run, state: StrategyState, reason: str) -> Strategy:
    """Over until the next window, or until a person presses Start."""
    wanted = Wanted.AUTO if strategy.wanted is Wanted.NOW else strategy.wanted
    window = run.window if run.window is not None else strategy.done_window
    return replace(strategy, state=state, reason=reason, wanted=wanted, done_window=window or ALWAYS)

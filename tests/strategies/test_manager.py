"""What is decided about a strategy, over whole lives."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from domain.model import Exchange
from domain.strategies import Restart, Run, Schedule, ScheduleKind, Strategy, StrategyState, Wanted
from strategies.manager import Act, after, decide, went_by
from strategies.process import Exit
from strategies.schedule import Due, Occurrence

NOW = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)
OPEN = Due(Occurrence(NOW - timedelta(hours=1), NOW + timedelta(hours=4)), None, "", NOW)
CLOSED = Due(None, Occurrence(NOW + timedelta(hours=9), None), "after_market", NOW)
HOLIDAY = Due(None, Occurrence(NOW + timedelta(days=1), None), "holiday", NOW)
STRATEGY = Strategy(
    id="s_1",
    user_id=1,
    account_id=1,
    name="s",
    exchange=Exchange.NSE,
    entry="s.py",
    created_at=NOW,
    modified_at=NOW,
)
RUN = Run(
    id=1,
    strategy_id="s_1",
    generation=1,
    version=1,
    token="t",
    log="l",
    created_at=NOW,
    started_at=NOW,
    window=OPEN.current.start if OPEN.current else None,
)


def test_it_runs_in_its_window_and_not_outside() -> None:
    assert decide(STRATEGY, OPEN, None, NOW).act is Act.START
    assert decide(STRATEGY, OPEN, RUN, NOW).act is Act.KEEP
    assert decide(STRATEGY, CLOSED, RUN, NOW).act is Act.STOP
    assert decide(STRATEGY, CLOSED, None, NOW).state is StrategyState.SCHEDULED
    assert decide(STRATEGY, HOLIDAY, None, NOW).state is StrategyState.PAUSED
    assert "closed today" in decide(STRATEGY, HOLIDAY, RUN, NOW).reason


@pytest.mark.parametrize("due", [OPEN, CLOSED, HOLIDAY])
def test_a_manual_stop_beats_every_schedule(due: Due) -> None:
    stopped = replace(STRATEGY, wanted=Wanted.STOPPED)
    assert decide(stopped, due, None, NOW).state is StrategyState.STOPPED
    assert decide(stopped, due, RUN, NOW).act is Act.STOP


def test_what_is_missing_is_waited_for_with_its_reason() -> None:
    found = decide(STRATEGY, OPEN, None, NOW, "No session at the broker: log in")
    assert (found.act, found.state) == (Act.REST, StrategyState.WAITING)
    assert "log in" in found.reason


def test_wanted_now_runs_whatever_the_hour() -> None:
    forced = replace(STRATEGY, wanted=Wanted.NOW)
    assert decide(forced, HOLIDAY, None, NOW).act is Act.START
    assert decide(forced, HOLIDAY, RUN, NOW).act is Act.KEEP


def test_a_late_boot_starts_within_what_is_allowed() -> None:
    assert OPEN.current is not None
    late = replace_due(latest=NOW - timedelta(minutes=1))
    assert decide(STRATEGY, late, None, NOW).reason.startswith("Missed")
    assert decide(replace(STRATEGY, pressed_at=NOW), late, None, NOW).act is Act.START
    assert decide(replace(STRATEGY, last_started=NOW), late, None, NOW).act is Act.START


@pytest.mark.parametrize(
    ("due", "changes", "is_told"),
    [
        (CLOSED, {}, True),
        (OPEN, {}, True),
        (CLOSED, {"last_started": NOW - timedelta(hours=2)}, False),
        (CLOSED, {"wanted": Wanted.STOPPED}, False),
        (CLOSED, {"next_start": NOW + timedelta(hours=9)}, False),
        (CLOSED, {"next_start": None}, False),
        (OPEN, {"next_start": NOW - timedelta(hours=1)}, False),
        (CLOSED, {"schedule": Schedule(kind=ScheduleKind.INTERVAL, every=5)}, False),
    ],
)
def test_a_window_that_went_by_while_nobody_looked_is_seen(
    due: Due, changes: dict[str, object], is_told: bool
) -> None:
    """By what was foreseen for it: the foreseen start is past, its window is over, and nothing ran since."""
    strategy = replace(STRATEGY, **{"next_start": NOW - timedelta(hours=3), **changes})
    assert went_by(strategy, due, NOW).startswith("Missed") is is_told


def replace_due(**changes) -> Due:
    assert OPEN.current is not None
    return Due(replace(OPEN.current, **changes), None, "", NOW)


def test_done_is_done_until_the_next_window() -> None:
    done = after(STRATEGY, RUN, Exit(code=0), "", NOW)
    assert (done.state, decide(done, OPEN, None, NOW).act) == (StrategyState.FINISHED, Act.REST)
    tomorrow = Due(Occurrence(NOW + timedelta(days=1), None), None, "", NOW)
    assert decide(done, tomorrow, None, NOW + timedelta(days=1)).act is Act.START


def test_a_crash_is_tried_again_ever_more_slowly_and_then_no_more() -> None:
    strategy, now, pauses = STRATEGY, NOW, []
    for _ in range(4):
        strategy = after(strategy, RUN, Exit(code=1), "", now)
        assert strategy.state is StrategyState.CRASHED and strategy.retry_at is not None
        pauses.append((strategy.retry_at - now).seconds)
        assert decide(strategy, OPEN, None, now).state is StrategyState.CRASHED
        now = strategy.retry_at
        assert decide(strategy, OPEN, None, now).act is Act.START
    assert pauses == [1, 2, 4, 8]
    strategy = after(strategy, RUN, Exit(signal=11), "", now)
    assert strategy.state is StrategyState.FAILED
    assert "crash loop" in strategy.reason and "SIGSEGV" in strategy.reason
    assert decide(strategy, OPEN, None, now).act is Act.REST


def test_crashes_far_apart_are_no_loop() -> None:
    strategy, now = STRATEGY, NOW
    for _ in range(12):
        strategy = after(strategy, RUN, Exit(code=1), "", now)
        now += timedelta(minutes=4)
    assert strategy.state is StrategyState.CRASHED


def test_policies() -> None:
    never = replace(STRATEGY, restart=Restart.NEVER)
    assert decide(after(never, RUN, Exit(code=1), "", NOW), OPEN, None, NOW).act is Act.REST
    always = replace(STRATEGY, restart=Restart.ALWAYS)
    again = after(always, RUN, Exit(code=0), "", NOW)
    assert again.retry_at == NOW + timedelta(seconds=1)


def test_a_limit_counts_as_a_failure_and_a_stop_does_not() -> None:
    over = after(STRATEGY, RUN, Exit(signal=9), "limit: it used 600 MB of 512 MB of memory", NOW)
    assert over.state is StrategyState.CRASHED and over.reason.startswith("it used 600 MB")
    told = after(STRATEGY, replace(RUN, stopping=NOW, reason="its window is over"), Exit(signal=15), "", NOW)
    assert told.crashes == () and told.retry_at is None and told.wanted is Wanted.AUTO


def test_the_platforms_own_stop_leaves_what_is_wanted() -> None:
    told = after(
        STRATEGY, replace(RUN, stopping=NOW, reason="the platform was stopped"), Exit(code=0), "", NOW
    )
    assert decide(told, OPEN, None, NOW).act is Act.START


@pytest.mark.parametrize("restart", Restart)
@pytest.mark.parametrize(
    ("end", "why"), [(Exit(code=0), ""), (Exit(signal=9), ""), (Exit(signal=9), "limit: memory")]
)
def test_a_restart_ends_one_run_and_starts_the_next_however_it_ended(
    restart: Restart, end: Exit, why: str
) -> None:
    wished = replace(STRATEGY, generation=1, restart_of=1, restart=restart)
    assert decide(wished, OPEN, RUN, NOW).act is Act.STOP
    over = after(wished, RUN, end, why, NOW)
    assert decide(over, OPEN, None, NOW).act is Act.START
    assert decide(over, CLOSED, None, NOW).act is Act.REST
    assert decide(replace(over, wanted=Wanted.STOPPED), OPEN, None, NOW).act is Act.REST
    assert decide(replace(over, generation=2), OPEN, replace(RUN, generation=2), NOW).act is Act.KEEP


def test_once_is_once() -> None:
    once = Due(Occurrence(NOW, NOW + timedelta(days=1), NOW + timedelta(hours=1)), None, "", NOW)
    run = replace(RUN, window=NOW)
    done = after(replace(STRATEGY, last_started=NOW), run, Exit(code=0), "", NOW)
    for later in (NOW, NOW + timedelta(minutes=30), NOW + timedelta(hours=20)):
        found = decide(done, once, None, later)
        assert (found.act, found.state) == (Act.REST, StrategyState.FINISHED)
    assert decide(STRATEGY, once, None, NOW + timedelta(hours=2)).reason.startswith("Missed")


def test_each_interval_starts_it_anew_and_a_long_run_is_not_doubled() -> None:
    step = timedelta(minutes=20)
    first = Due(Occurrence(NOW, NOW + step), None, "", NOW)
    second = Due(Occurrence(NOW + step, NOW + 2 * step), None, "", NOW)
    run = replace(RUN, window=NOW)
    done = after(STRATEGY, run, Exit(code=0), "", NOW)
    assert decide(done, first, None, NOW).act is Act.REST
    assert decide(done, second, None, NOW + step).act is Act.START
    assert decide(STRATEGY, second, run, NOW + step).act is Act.KEEP


@given(
    wanted=some.sampled_from(Wanted),
    due=some.sampled_from([OPEN, CLOSED, HOLIDAY]),
    state=some.sampled_from(StrategyState),
    has_run=some.booleans(),
    stopping=some.booleans(),
    missing=some.sampled_from(["", "feed"]),
    deleted=some.booleans(),
)
def test_never_two_at_once_and_never_against_the_owners_will(
    wanted: Wanted, due: Due, state: StrategyState, has_run: bool, stopping: bool, missing: str, deleted: bool
) -> None:
    strategy = replace(STRATEGY, wanted=wanted, state=state, deleted_at=NOW if deleted else None)
    run = replace(RUN, stopping=NOW if stopping else None) if has_run else None
    found = decide(strategy, due, run, NOW, missing)
    if found.act is Act.START:
        assert run is None and not missing and not deleted and wanted is not Wanted.STOPPED
    if run is not None:
        assert found.act in (Act.KEEP, Act.STOP) and found.state.is_live
        if wanted is Wanted.STOPPED or deleted or stopping:
            assert found.act is Act.STOP
    else:
        assert found.act in (Act.START, Act.REST)

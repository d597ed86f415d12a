"""The words of hosted strategies: what one is, when it should run, what became of its runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from domain.model import Exchange


class StrategyState(StrEnum):
    """What a strategy does now, as its host last saw it.

    WAITING  it should run and something it needs is missing
    CRASHED  it ended badly and is started again, or is not because its policy says so
    FAILED   it ended badly too often: only a new window or a person starts it again
    PAUSED   its exchange has no session that day
    """

    STOPPED = "stopped"
    SCHEDULED = "scheduled"
    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    CRASHED = "crashed"
    FINISHED = "finished"
    FAILED = "failed"
    PAUSED = "paused"

    @property
    def is_live(self) -> bool:
        """Whether there is, or may be, a process."""
        return self in (StrategyState.STARTING, StrategyState.RUNNING, StrategyState.STOPPING)


class Wanted(StrEnum):
    """What its owner wants. NOW runs whatever the schedule says, until it ends or is stopped."""

    AUTO = "auto"
    STOPPED = "stopped"
    NOW = "now"


class Restart(StrEnum):
    """When a run that ended is started again by itself, within its window."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


class ScheduleKind(StrEnum):
    """How the times of a strategy are given."""

    WINDOWS = "windows"
    ALWAYS = "always"
    ONCE = "once"
    INTERVAL = "interval"
    MANUAL = "manual"


Sweep = Literal["", "due", "begun", "done"]
"""What a stop leaves to do with orders: nothing, all of it, some of it (a worker may have died in it), or no more."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One stretch of a day: "HH:MM" in IST, clipped to the exchange's session, or "open-5m", "close+10m", which is not.

    A stop before the start is on the next day.
    """

    start: str
    stop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a strategy should run.

    windows  of WINDOWS, and those within which INTERVAL starts (none: the whole day)
    days     of DAYS, on which a window begins; none means every day
    at       of ONCE, aware
    every    minutes, of INTERVAL
    late     minutes after a window's start within which it may still be started by itself; None: as long as it lasts
    """

    kind: ScheduleKind = ScheduleKind.WINDOWS
    windows: tuple[Window, ...] = ()
    days: tuple[str, ...] = ()
    at: datetime | None = None
    every: int = 0
    late: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """What one run may take; what the system cannot hold to, the host watches.

    memory_mb  resident, of all its processes together
    files      open descriptors of one process
    disk_mb    of its own directory
    cpu        percent of one core, over any second
    output_kb  a second of output; beyond it, printing waits
    heartbeat  seconds without a sign of life after which it counts as hung; 0: it gives none
    grace      seconds between the polite and the hard end
    """

    memory_mb: int = 512
    processes: int = 64
    files: int = 1024
    disk_mb: int = 256
    cpu: int = 100
    output_kb: int = 1024
    heartbeat: int = 0
    grace: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A hosted strategy: its owner's wishes, and what its host last saw.

    entry         the file that is run, relative to the version's folder
    version       the one that is run next
    done_window   start of the window that is over for it (it finished, failed, or was uploaded within it)
    pressed_at    when a person last pressed Start
    generation    of its newest run; only that one may live
    restart_of    the generation that a person wants ended and followed by a new one; 0: none ever
    crashes       bad ends of the last ten minutes, oldest first
    retry_at      when a crashed one is started again
    next_start, next_stop  by its schedule; None: not foreseen
    """

    id: str
    user_id: int
    account_id: int
    name: str
    exchange: Exchange
    entry: str
    created_at: datetime
    modified_at: datetime
    version: int = 1
    about: str = ""
    schedule: Schedule = field(default_factory=Schedule)
    restart: Restart = Restart.ON_FAILURE
    limits: RunLimits = field(default_factory=RunLimits)
    cancel_on_stop: bool = False
    flatten_on_stop: bool = False
    wanted: Wanted = Wanted.AUTO
    pressed_at: datetime | None = None
    done_window: datetime | None = None
    generation: int = 0
    restart_of: int = 0
    state: StrategyState = StrategyState.SCHEDULED
    reason: str = ""
    since: datetime | None = None
    crashes: tuple[datetime, ...] = ()
    retry_at: datetime | None = None
    next_start: datetime | None = None
    next_stop: datetime | None = None
    last_started: datetime | None = None
    last_stopped: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def is_restarting(self) -> bool:
        """Whether its newest run lives and is to be followed by another."""
        return self.state.is_live and 0 < self.generation <= self.restart_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One life of a strategy.

    window      start of the window it runs for; None when a person wanted it whatever the schedule says
    pid, started, boot   who the process is: number, start time in the kernel's ticks, and which boot; None before
                they are known
    exit_code, signal  how it ended; both None while it lives, and when nobody saw it end
    reason      why it ended, in words
    tail        its last lines
    stopping    when it was told to end; None while it was not
    sweep       whether its orders are still to be cancelled or its positions closed
    """

    id: int
    strategy_id: str
    generation: int
    version: int
    token: str
    log: str
    created_at: datetime
    window: datetime | None = None
    key_id: int | None = None
    pid: int | None = None
    started: int | None = None
    boot: str = ""
    started_at: datetime | None = None
    stopping: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    tail: str = ""
    peak_memory: int = 0
    cpu_seconds: int = 0
    sweep: Sweep = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One kept state of a strategy's files. digest  of all of them; files  relative paths, sorted"""

    strategy_id: str
    number: int
    digest: str
    size: int
    files: tuple[str, ...]
    note: str
    made_by: str
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something the host decided or saw. kind: "info", "warn" or "err"."""

    at: datetime
    kind: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a run took at a moment. cpu: percent of one core; memory: bytes resident of all its processes"""

    at: datetime
    cpu: float
    memory: int
    processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What the owner of a strategy or a trigger has to know.

    kind  "crashed", "failed" (it is not started again by itself), "late" (it is due and can not start) or "guard" (a
          trigger did not do what it is for; strategy_id is the trigger's)
    tail  its last lines
    """

    id: int
    strategy_id: str
    name: str
    at: datetime
    kind: str
    reason: str
    tail: str = ""
    seen_at: datetime | None = None

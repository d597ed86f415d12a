"""What fifty idle strategies cost their keeper, how soon one starts, is seen to die, and how loud one may be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import Context, Figure, percentile
from bench.install import ROOT, Install

_COUNT = 50
_IDLE = "import time\nwhile True:\n    print('idle', flush=True)\n    time.sleep(10)\n"
_STAMP = "import time\nprint('begun', time.time(), flush=True)\ntime.sleep(3600)\n"
_LOUD = "line = 'x' * 999\nwhile True: print(line)\n"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one run of the bench saw: MiB, percent of a core, seconds, MiB."""

    held: float
    alone: float
    share: float
    starts: list[float]
    deaths: list[float]
    written: float


def run(context: Context) -> list[Figure]:
    """One install. Strategies are uploaded and started through its own services; the worker does the rest."""
    return _figures(_measure(context))


def _measure(context: Context) -> _Seen:
    with Install(context.scratch / "install") as install:
        desk = Desk(install)
        worker = psutil.Process(_worker(install))
        time.sleep(3)
        bare = worker.memory_info().rss
        used, begun = _cpu(worker), time.monotonic()
        time.sleep(10)
        alone = 100 * (_cpu(worker) - used) / (time.monotonic() - begun)
        starts = desk.starts(5)
        deaths = desk.deaths(3)
        context.say(f"starting {_COUNT}")
        for number in range(_COUNT):
            desk.begin(f"idle{number}", _IDLE)
        desk.wait(lambda: desk.running() >= _COUNT, 180)
        time.sleep(5)
        used, begun = _cpu(worker), time.monotonic()
        time.sleep(20)
        share = 100 * (_cpu(worker) - used) / (time.monotonic() - begun)
        held = (worker.memory_info().rss - bare) / 2**20
        context.say("printing without end")
        loud = desk.begin("loud", _LOUD)
        time.sleep(10)
        written = sum(path.stat().st_size for path in desk.folder(loud).glob("logs/*")) / 2**20
        desk.end_all()
        desk.close()
    return _Seen(held, alone, share, starts, deaths, written)


def _figures(seen: _Seen) -> list[Figure]:
    how = f"{_COUNT} strategies that print a line each 10 s"
    return [
        Figure(name="worker's memory for 50 idle", value=seen.held, unit="MiB", target=100, how=how),
        Figure(
            name="share of a core for 50 idle",
            value=seen.share - seen.alone,
            unit="%",
            target=3,
            how=f"{how}; the worker used {seen.share:.1f} %, and {seen.alone:.1f} % without any",
        ),
        Figure(
            name="start to first line, worst",
            value=max(seen.starts),
            unit="s",
            target=1,
            how=f"{len(seen.starts)} starts",
        ),
        Figure(name="start to first line, median", value=percentile(seen.starts, 0.5), unit="s"),
        Figure(
            name="death noticed, worst",
            value=max(seen.deaths),
            unit="s",
            target=2,
            how=f"kill -9, {len(seen.deaths)} times",
        ),
        Figure(
            name="kept of an endless print, after 10 s",
            value=seen.written,
            unit="MiB",
            target=60,
            how="bounded by rate and by files",
        ),
    ]


class Desk:
    """A user's strategies of a running install."""

    def __init__(self, install: Install) -> None:
        import config
        from services.platform import build_platform

        self.home = install.home
        self._platform = build_platform(config.load(install.home), "tool")
        user = self._platform.accounts.user_named("bench")
        self._caller = self._platform.accounts.caller_of_user(user.id, door="cli")

    def begin(self, name: str, code: str) -> str:
        from domain.model import Exchange
        from domain.strategies import Schedule, ScheduleKind

        host = self._platform.strategy_host
        schedule = Schedule(kind=ScheduleKind.MANUAL)
        made = host.upload(self._caller, name, f"{name}.py", code.encode(), Exchange.NSE, schedule)
        host.start(self._caller, made.id)
        return made.id

    def starts(self, count: int) -> list[float]:
        """Seconds from pressing Start to the script's own first moment."""
        spent = []
        for number in range(count):
            pressed = time.time()
            strategy_id = self.begin(f"start{number}", _STAMP)
            self.wait(lambda s=strategy_id: "begun" in self.log(s), 60)
            words = self.log(strategy_id).split()
            spent.append(float(words[words.index("begun") + 1]) - pressed)
            self._platform.strategy_host.stop(self._caller, strategy_id)
        return spent

    def deaths(self, count: int) -> list[float]:
        """Seconds from kill -9 to the run's row being closed."""
        host, spent = self._platform.strategy_host, []
        strategy_id = self.begin("dies", _STAMP)
        for number in range(1, count + 1):
            self.wait(lambda n=number: self._alive(strategy_id, n), 60)
            killed = time.monotonic()
            psutil.Process(host.runs(self._caller, strategy_id, 1)[0].pid or 0).kill()
            self.wait(lambda n=number: self._ended(strategy_id, n), 30)
            spent.append(time.monotonic() - killed)
        host.stop(self._caller, strategy_id)
        return spent

    def _alive(self, strategy_id: str, generation: int) -> bool:
        runs = self._platform.strategy_host.runs(self._caller, strategy_id, 1)
        return bool(runs) and runs[0].generation == generation and runs[0].started_at is not None

    def _ended(self, strategy_id: str, generation: int) -> bool:
        runs = self._platform.strategy_host.runs(self._caller, strategy_id)
        return any(run.generation == generation and run.ended_at is not None for run in runs)

    def running(self) -> int:
        listed = self._platform.strategy_host.listed(self._caller)
        return sum(each.state.value == "running" for each in listed)

    def folder(self, strategy_id: str) -> Path:
        return self.home / "strategies" / strategy_id

    def log(self, strategy_id: str) -> str:
        return "".join(path.read_text() for path in self.folder(strategy_id).glob("logs/*.log"))

    def end_all(self) -> None:
        self._platform.strategy_host.stop_account(self._caller.account.id)
        self.wait(lambda: self.running() == 0, 60)

    def close(self) -> None:
        self._platform.close()

    @staticmethod
    def wait(until: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                raise RuntimeError("waited too long")
            time.sleep(0.02)


def _worker(install: Install) -> int:
    for child in psutil.Process(install.process.pid).children(recursive=True):
        if "openalgo worker" in " ".join(child.cmdline()):
            return child.pid
    raise RuntimeError(f"no worker under {ROOT}")


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system

"""What fifty idle strategies cost, how soon one starts, dies, is adopted and is read, and how loud one may be."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from bench import Context, Figure, percentile
from bench.http_client import Load, drive
from bench.install import ROOT, Install
from bench.strategy_desk import Desk, line_to_browser

_COUNT = 50
_IDLE = "import time\nwhile True:\n    print('idle', flush=True)\n    time.sleep(10)\n"
_STAMP = "import time\nprint('begun', time.time(), flush=True)\ntime.sleep(3600)\n"
_LOUD = "line = ('x' * 999 + '\\n') * 50\nimport sys\nwhile True: sys.stdout.write(line)\n"
_LOUD_FOR = 20.0


@dataclass(frozen=True, slots=True)
class _Idle:
    """Fifty that do nothing: MiB, percent of a core with and without them, seconds."""

    held: float
    alone: float
    share: float
    adopted: float


@dataclass(frozen=True, slots=True)
class _Loud:
    """One that prints without end: MiB kept, and milliseconds of orders without it and beside it."""

    written: float
    alone: list[float]
    beside: list[float]


def run(context: Context) -> list[Figure]:
    """One install. Strategies are uploaded and started through its own services; the worker does the rest."""
    with Install(context.scratch / "install") as install:
        desk = Desk(install)
        time.sleep(3)
        starts, deaths = desk.starts(5, _STAMP), desk.deaths(3, _STAMP)
        desk.end_all()
        context.say("a log in a browser")
        shown = line_to_browser(install, desk, 20)
        context.say("printing without end")
        loud = _beside_a_loud_one(install, desk)
        context.say(f"starting {_COUNT}")
        idle = _with_many_idle(install, desk)
        desk.end_all()
        desk.close()
    return _idle_figures(idle) + _life_figures(starts, deaths, shown) + _loud_figures(loud)


def _with_many_idle(install: Install, desk: Desk) -> _Idle:
    worker = _worker(install)
    bare, alone = worker.memory_info().rss, _share(worker, 10)
    for number in range(_COUNT):
        desk.begin(f"idle{number}", _IDLE)
    desk.wait(lambda: desk.running() >= _COUNT, 180)
    time.sleep(5)
    share = _share(worker, 20)
    held = (worker.memory_info().rss - bare) / 2**20
    return _Idle(held, alone, share, desk.adoption(worker))


def _beside_a_loud_one(install: Install, desk: Desk) -> _Loud:
    alone = _orders(install)
    loud = desk.begin("loud", _LOUD)
    desk.wait(lambda: desk.running() > 0, 30)
    begun = time.monotonic()
    beside = _orders(install)
    time.sleep(max(0.0, _LOUD_FOR - (time.monotonic() - begun)))
    written = sum(path.stat().st_size for path in desk.folder(loud).rglob("*") if path.is_file()) / 2**20
    desk.end(loud)
    return _Loud(written, alone, beside)


def _orders(install: Install) -> list[float]:
    """Milliseconds of one client's paper orders, eight seconds of them."""
    body = {
        "apikey": install.key,
        "strategy": "neighbour",
        "symbol": "RELIANCE",
        "exchange": "NSE",
        "action": "BUY",
        "product": "MIS",
        "pricetype": "LIMIT",
        "price": "100",
        "quantity": "1",
    }
    host, port = install.address
    load = Load(host=host, port=port, path="/api/v1/placeorder", bodies=[body], clients=1, seconds=8)
    return drive(load).latencies


def _idle_figures(seen: _Idle) -> list[Figure]:
    how = f"{_COUNT} strategies that print a line each 10 s"
    used = f"{how}; the worker used {seen.share:.1f} %, and {seen.alone:.1f} % without any"
    return [
        Figure(name="worker's memory for 50 idle", value=seen.held, unit="MiB", target=100, how=how),
        Figure(
            name="share of a core for 50 idle", value=seen.share - seen.alone, unit="%", target=3, how=used
        ),
        Figure(
            name="50 taken over after kill -9 of the worker",
            value=seen.adopted,
            unit="s",
            target=10,
            how="from the kill to the last one's line in its log",
        ),
    ]


def _life_figures(starts: list[float], deaths: list[float], shown: list[float]) -> list[Figure]:
    figures = [
        Figure(
            name="start to first line, worst",
            value=max(starts),
            unit="s",
            target=1,
            how=f"{len(starts)} starts",
        ),
        Figure(name="start to first line, median", value=percentile(starts, 0.5), unit="s"),
        Figure(
            name="death noticed, worst",
            value=max(deaths),
            unit="s",
            target=2,
            how=f"kill -9, {len(deaths)} times",
        ),
    ]
    if shown:
        how = f"{len(shown)} lines, 7.7 a second, from print to the page in Chromium"
        figures += [
            Figure(
                name="log line to browser p95", value=percentile(shown, 0.95), unit="ms", target=300, how=how
            ),
            Figure(name="log line to browser p50", value=percentile(shown, 0.5), unit="ms"),
        ]
    return figures


def _loud_figures(seen: _Loud) -> list[Figure]:
    alone, beside = percentile(seen.alone, 0.95), percentile(seen.beside, 0.95)
    return [
        Figure(
            name="kept of an endless print",
            value=seen.written,
            unit="MiB",
            target=60,
            how=f"after {_LOUD_FOR:.0f} s; it could print gigabytes",
        ),
        Figure(
            name="what a loud one adds to a neighbour's order, p95",
            value=beside - alone,
            unit="ms",
            target=10,
            how=f"{beside:.1f} ms beside it ({len(seen.beside)} orders), {alone:.1f} ms without ({len(seen.alone)})",
        ),
    ]


def _worker(install: Install) -> psutil.Process:
    for child in psutil.Process(install.process.pid).children(recursive=True):
        if "openalgo worker" in " ".join(child.cmdline()):
            return child
    raise RuntimeError(f"no worker under {ROOT}")


def _share(process: psutil.Process, seconds: float) -> float:
    """Percent of a core that a process uses."""
    before, begun = process.cpu_times(), time.monotonic()
    time.sleep(seconds)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return 100 * used / (time.monotonic() - begun)

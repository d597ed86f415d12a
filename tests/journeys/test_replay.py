"""A real trading day replayed at a hundred times its speed, traded over REST; the exchange is killed in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from bench.install import ROOT, Install
from broker.paper.tapes import CandleTape, read_candles
from domain.clock import IST
from domain.market import Candle
from tests.installs import copied

TAPE = Path(__file__).parents[3] / "shared" / "data" / "candles" / "NSE_RELIANCE_5m.csv.gz"
DAY, SPEED = date(2025, 8, 26), 100
pytestmark = [
    pytest.mark.journey,
    pytest.mark.shared,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("replay"),
    pytest.mark.skipif(not TAPE.exists(), reason="needs ../shared/data"),
]


class Desk:
    def __init__(self, install: Install) -> None:
        self.install = install

    def post(self, path: str, **body: Any) -> Any:
        answer = requests.post(
            f"{self.install.http}/api/v1/{path}", json={"apikey": self.install.key, **body}, timeout=20
        ).json()
        assert answer["status"] == "success", (path, answer)
        return answer.get("data", answer)

    def order(self, action: str, pricetype: str, trigger: float = 0) -> str:
        told = self.post(
            "placeorder",
            strategy="replay", symbol="RELIANCE", exchange="NSE", action=action, product="CNC",
            pricetype=pricetype, quantity=10, price=0, trigger_price=trigger,
        )  # fmt: skip
        return str(told["orderid"])

    def row(self, order_id: str) -> dict[str, Any]:
        row: dict[str, Any] = self.post("orderstatus", strategy="replay", orderid=order_id)
        return row

    def bars(self) -> list[list[float]]:
        rows = self.post(
            "history",
            symbol="RELIANCE", exchange="NSE", interval="5m", start_date=str(DAY), end_date=str(DAY),
        )  # fmt: skip
        return [
            [row[name] for name in ("timestamp", "open", "high", "low", "close", "volume")] for row in rows
        ]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    replay = {
        "PAPER_REPLAY": str(TAPE),
        "PAPER_REPLAY_FROM": f"{DAY} 13:40",
        "PAPER_REPLAY_SPEED": str(SPEED),
    }
    with Install(copied(tmp_path / "data"), **replay) as install:
        yield Desk(install)


def eventually(check: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.1)


def new_low(bars: list[Candle], now: int, low: float) -> Candle:
    """The first bar, a while from now, that goes clearly below `low` and everything since."""
    for bar in bars:
        if bar.start + 300 > now:
            if bar.start > now + 240 and bar.low < low - 0.3:
                return bar
            low = min(low, bar.low)
    raise AssertionError("the day is over: this machine is too slow for the test")


def exchange_of(install: Install) -> int:
    for child in psutil.Process(install.process.pid).children(recursive=True):
        if " ".join(child.cmdline()).split()[:2] == ["openalgo", "exchange"]:
            return child.pid
    raise AssertionError("no exchange role")


def test_a_resting_stop_fires_at_the_right_bar_of_a_real_day(desk: Desk) -> None:
    tape = CandleTape(read_candles(TAPE))
    bars = tape.bars_of(DAY)
    bought = desk.order("BUY", "MARKET")
    eventually(lambda: desk.row(bought)["order_status"] == "complete", 10)
    shown = desk.bars()[-1]
    expected = new_low(bars, int(shown[0]) + 300, shown[3])
    trigger = round(expected.low + 0.1, 1)
    stop = desk.order("SELL", "SL-M", trigger)
    assert desk.row(stop)["order_status"] == "trigger pending"
    os.kill(exchange_of(desk.install), signal.SIGKILL)

    def fired() -> bool:
        try:
            return bool(desk.row(stop)["order_status"] == "complete")
        except (AssertionError, requests.RequestException):
            return False  # the exchange is on its way back

    eventually(fired, 75)
    (trade,) = [row for row in desk.post("tradebook") if row["orderid"] == stop]
    at = datetime.fromisoformat(f"{DAY}T{trade['timestamp'].split()[-1]}").replace(tzinfo=IST).timestamp()
    print(
        json.dumps({"trigger": trigger, "bar": expected.start, "fired": at, "price": trade["average_price"]})
    )
    assert expected.start <= at < expected.start + 300
    assert expected.low <= trade["average_price"] <= trigger
    past = {bar.start: bar for bar in bars}
    for start, *prices, volume in desk.bars()[:-1]:
        bar = past[int(start)]
        assert (*prices, volume) == (bar.open, bar.high, bar.low, bar.close, bar.volume)


def test_a_recording_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    """And one that ends before the wished time."""
    for words, named in (
        (["--replay", str(tmp_path / "none")], "PAPER_REPLAY"),
        (["--replay", str(TAPE), "--replay-from", "2026-01-01"], "PAPER_REPLAY: the recording ends at"),
        (["--replay", str(TAPE), "--replay-speed", "fast"], "PAPER_REPLAY_SPEED"),
    ):
        ran = subprocess.run(
            [
                *(sys.executable, "-P", "-m", "commands", "run", "--data-dir", str(tmp_path / "data")),
                *("--port", "0", "--ws-port", "0", *words),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 1 and named in ran.stderr, ran.stderr[-2000:]

"""A strategy written with the public SDK: uploaded through the page, scheduled, trading by ticks, killed at every
place, taken over, and stopped at its time."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import expect, sync_playwright

from bench.install import Install
from domain.clock import IST
from tests.browser.product import Desk, has_chromium, launch
from tests.installs import copied

pytestmark = [
    pytest.mark.journey,
    pytest.mark.browser,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("strategy day"),  # it waits for whole minutes of the schedule
    pytest.mark.skipif(not has_chromium(), reason="there is no Chromium at /usr/bin"),
]
SDK = "openalgo==1.0.47"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheels() -> Path:
    """The SDK and what it needs, fetched once; skips where they cannot be had."""
    folder = ROOT / "var" / "sdk" / "openalgo-wheels"
    stamp = folder / "complete"
    if not (stamp.exists() and stamp.read_text() == SDK + sys.version):
        ask = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
        done = subprocess.run(
            [*ask, "--only-binary", ":all:", "-d", str(folder), SDK],
            capture_output=True,
            text=True,
            timeout=200,
        )
        if done.returncode:
            pytest.skip(f"the SDK could not be fetched: {done.stderr.strip().splitlines()[-1:]}")
        stamp.write_text(SDK + sys.version)
    return folder


@pytest.fixture
def install(tmp_path: Path, wheels: Path) -> Iterator[Install]:
    home = copied(tmp_path / "data")
    (home / "wheels").symlink_to(wheels)
    with Install(home, PIP_NO_INDEX="1", UV_NO_INDEX="1") as made:
        made.keep_ports()
        yield made


def packed() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.write(Path(__file__).with_name("sdk_trader.py"), "main.py")
        archive.writestr("requirements.txt", SDK + "\n")
    return held.getvalue()


def hours(begins: timedelta, ends: datetime) -> tuple[str, str]:
    now = datetime.now(UTC).astimezone(IST)
    return (now + begins).strftime("%H:%M"), ends.strftime("%H:%M")


@dataclass
class Trader:
    """The strategy as its owner sees it."""

    install: Install
    desk: Desk
    id: str = ""

    def row(self) -> dict[str, Any]:
        answer = self.desk.context.request.get(f"/python/api/strategy/{self.id}")
        found: dict[str, Any] = answer.json()["strategy"]
        return found

    def log(self) -> str:
        folder = self.install.home / "strategies" / self.id / "logs"
        return "".join(path.read_text() for path in sorted(folder.glob("*.log")))

    def processes(self) -> list[psutil.Process]:
        """Everything that runs this strategy's files."""
        found = []
        for process in psutil.process_iter():
            try:
                if f"{self.install.home}/strategies/{self.id}/versions" in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]

    def until(self, what: Callable[[], object], seconds: float = 40) -> float:
        """Seconds that it took; never two copies meanwhile."""
        begun = time.monotonic()
        while not what():
            assert time.monotonic() - begun < seconds, (self.id and self.row(), self.log()[-3000:])
            assert len(self.processes()) <= 1
            time.sleep(0.1)
        return time.monotonic() - begun

    def trades_on(self) -> None:
        """It goes on trading: two more orders are accepted."""
        before = self.log().count(" success ")
        self.until(lambda: self.log().count(" success ") >= before + 2, 60)


def upload(trader: Trader) -> None:
    """Through the form, with hours that are open; then a parameter, then Start."""
    page = trader.desk.page
    begins, ends = hours(timedelta(hours=-1), datetime.now(UTC).astimezone(IST) + timedelta(hours=2))
    page.goto("/python/new")
    page.fill("[name=strategy_name]", "Trader")
    page.set_input_files(
        "[name=strategy_file]", {"name": "trader.zip", "mimeType": "application/zip", "buffer": packed()}
    )
    page.select_option("[name=exchange]", "CRYPTO")
    page.fill("[name=start]", begins)
    page.fill("[name=stop]", ends)
    for day in page.locator("[name=days]").all():
        day.uncheck()
    page.click("button:has-text('Upload')")
    page.wait_for_url("**/python/trader_*")
    trader.id = page.url.rsplit("/", 1)[-1]
    page.goto(f"/python/{trader.id}/environment")
    page.fill("[name=name]", "SYMBOL")
    page.fill("[name=value]", "RELIANCE")
    page.click("button:text-is('Set')")
    page.goto(f"/python/{trader.id}")
    page.click("button:text-is('Start')")


def stop_at_its_time(trader: Trader) -> None:
    """Stop it by hand, let its window end with a minute that is near, start it, and see it stopped by the schedule."""
    page = trader.desk.page
    page.goto(f"/python/{trader.id}")
    page.click("button:has-text('Stop')")
    trader.until(lambda: trader.row()["state"] == "stopped")
    assert "told to end, ending" in trader.log() and trader.processes() == []
    now = datetime.now(UTC).astimezone(IST)
    ends = (now + timedelta(seconds=12)).replace(second=0, microsecond=0) + timedelta(minutes=1)
    page.goto(f"/python/{trader.id}/schedule")
    begins, stop = hours(timedelta(hours=-1), ends)
    page.locator("[name=start]").first.fill(begins)
    page.locator("[name=stop]").first.fill(stop)
    page.click("button:has-text('Save')")
    page.goto(f"/python/{trader.id}")
    page.click("button:text-is('Start')")
    trader.until(lambda: trader.row()["state"] == "running", 12)
    assert trader.row()["next_stop_at"] == ends.strftime("%Y-%m-%d %H:%M:%S")
    trader.until(lambda: not trader.processes(), 90)
    late = datetime.now(UTC) - ends
    assert timedelta(0) <= late < timedelta(seconds=10), late
    trader.until(lambda: trader.row()["state"] == "scheduled")
    assert "its window is over" in trader.log()


def survive(trader: Trader) -> dict[str, float]:
    """Kill it, the worker, and everything; seconds until each was well again."""
    install, took = trader.install, {}
    first = trader.row()["process_id"]
    os.kill(first, signal.SIGKILL)
    took["back after kill -9"] = trader.until(lambda: trader.row()["process_id"] not in (None, first))
    trader.trades_on()
    alerts = trader.desk.context.request.get("/python/api/alerts").json()["alerts"]
    assert [(each["kind"], each["reason"]) for each in alerts] == [("crashed", "ended by SIGKILL")]
    expect(trader.desk.page.locator("#toasts")).to_contain_text("Trader crashed")

    second = trader.row()["process_id"]
    role(install, "worker").kill()
    took["taken over by the next worker"] = trader.until(
        lambda: trader.log().count(f"Taken over (process {second})") == 1
    )
    trader.trades_on()

    assert trader.desk.complaints == []
    supervisor = psutil.Process(install.process.pid)
    for process in (supervisor, *supervisor.children(recursive=True)):
        if process.pid != second:
            process.kill()
    install.process.wait()
    assert [process.pid for process in trader.processes()] == [second]
    begun = time.monotonic()
    install.start()
    started = time.monotonic() - begun
    trader.until(lambda: trader.log().count(f"Taken over (process {second})") == 2)
    took["taken over after everything was killed"] = time.monotonic() - begun
    took["of which the platform took to be ready"] = started
    trader.trades_on()
    assert trader.row()["process_id"] == second
    return took


def role(install: Install, name: str) -> psutil.Process:
    for child in psutil.Process(install.process.pid).children(recursive=True):
        if " ".join(child.cmdline()).split()[:2] == ["openalgo", name]:
            return child
    raise AssertionError(f"no {name} role")


def test_a_strategy_lives_its_day(install: Install) -> None:
    begun = time.monotonic()
    with sync_playwright() as playwright:
        browser = launch(playwright)
        trader = Trader(install, Desk(browser, install.http))
        trader.desk.sign_in("bench")
        upload(trader)
        took = {"packages, start, first trade": trader.until(lambda: " success " in trader.log(), 180)}
        lines = trader.desk.page.locator("[data-log]")
        expect(lines).to_contain_text("traded SELL success", timeout=30_000)
        took |= survive(trader)
        trader.desk.page.goto(f"/python/{trader.id}/orders")
        expect(trader.desk.page.locator("main")).to_contain_text("RELIANCE")
        # What the page before said of a platform that was killed under it, in the browser's many words for that.
        trader.desk.complaints.clear()
        stop_at_its_time(trader)
        for what, seconds in took.items():
            print(f"{what}: {seconds:.1f} s")
        print(f"the whole day: {time.monotonic() - begun:.0f} s")
        assert trader.desk.complaints == []
        browser.close()

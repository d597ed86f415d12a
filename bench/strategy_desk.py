"""A user's strategies of a running install, as its own services see them; and a browser in front of one's log."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

from bench.install import Install
from tests.browser.product import Desk as Browser
from tests.browser.product import has_chromium, launch

_STAMPS = (
    "import time\nfor n in range(4000):\n    print('at', time.time(), flush=True)\n    time.sleep(0.13)\n"
)
_WATCH = """() => {
window.spent = [];
const log = document.querySelector("[data-log]");
let seen = log.textContent.length;
new MutationObserver(() => { const text = log.textContent.slice(seen), now = Date.now(); seen = log.textContent.length;
  for (const found of text.matchAll(/at ([0-9.]+)/g)) window.spent.push(now - 1000 * Number(found[1])); })
  .observe(log, { childList: true, characterData: true, subtree: true }); }"""


class Desk:
    """The bench user's strategies."""

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

    def end(self, strategy_id: str) -> None:
        """Have it stopped and wait for that."""
        before = self.running()
        self._platform.strategy_host.stop(self._caller, strategy_id)
        self.wait(lambda: self.running() < before, 30)

    def starts(self, count: int, code: str) -> list[float]:
        """Seconds from pressing Start to the script's own first moment."""
        spent = []
        for number in range(count):
            pressed = time.time()
            strategy_id = self.begin(f"start{number}", code)
            self.wait(lambda s=strategy_id: "begun" in self.log(s), 60)
            words = self.log(strategy_id).split()
            spent.append(float(words[words.index("begun") + 1]) - pressed)
            self._platform.strategy_host.stop(self._caller, strategy_id)
        return spent

    def deaths(self, count: int, code: str) -> list[float]:
        """Seconds from kill -9 to the run's row being closed."""
        host, spent = self._platform.strategy_host, []
        strategy_id = self.begin("dies", code)
        for number in range(1, count + 1):
            self.wait(lambda n=number: self._alive(strategy_id, n), 60)
            killed = time.monotonic()
            psutil.Process(host.runs(self._caller, strategy_id, 1)[0].pid or 0).kill()
            self.wait(lambda n=number: self._ended(strategy_id, n), 30)
            spent.append(time.monotonic() - killed)
        host.stop(self._caller, strategy_id)
        return spent

    def adoption(self, worker: psutil.Process) -> float:
        """Seconds from kill -9 of the worker until the next one has taken over everything that runs."""
        ids = [each.id for each in self._platform.strategy_host.listed(self._caller) if each.state.is_live]
        killed = time.monotonic()
        worker.kill()
        self.wait(lambda: all("Taken over" in self.log(each) for each in ids), 60)
        return time.monotonic() - killed

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


def line_to_browser(install: Install, desk: Desk, seconds: float) -> list[float]:
    """Milliseconds from a line's print to its being on the strategy's page in Chromium; empty without a Chromium."""
    if not has_chromium():
        return []
    strategy_id = desk.begin("stamps", _STAMPS)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        window = Browser(browser, install.http)
        window.sign_in("bench")
        window.page.goto(f"/python/{strategy_id}")
        desk.wait(lambda: "at " in desk.log(strategy_id), 30)
        window.page.wait_for_timeout(2000)
        window.page.evaluate(_WATCH)
        window.page.wait_for_timeout(seconds * 1000)
        found: list[float] = window.page.evaluate("window.spent")
        browser.close()
    desk.end(strategy_id)
    return found

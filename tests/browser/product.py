"""The product as it is started by anybody, and a Chromium in front of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
CHROMIUM = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(p).exists()), "")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Product:
    """A running install. `code` is the set-up code it printed."""

    base: str
    data: Path
    process: subprocess.Popen[str]
    log: Path

    @property
    def code(self) -> str:
        found = re.search(r"set-up code ([0-9A-Z]{4}-[0-9A-Z]{4})", self.log.read_text())
        assert found is not None, "no set-up code was printed"
        return found[1]

    def command(self, *words: str, typed: str = "") -> str:
        """Run a verb of `manage.py` on this install; its output."""
        return command(self.data, *words, typed=typed)

    def errors(self) -> list[str]:
        """Lines of the log that say error."""
        return [line for line in self.log.read_text().splitlines() if '"level": "error"' in line]


def command(data: Path, *words: str, typed: str = "") -> str:
    """Run a verb of `manage.py` on the install of a data directory; its output."""
    verb, *rest = words
    call = [sys.executable, "-P", "-m", "commands", verb, "--data-dir", str(data), *rest]
    done = subprocess.run(call, cwd=ROOT, env=_environment(), input=typed, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@contextmanager
def running(data: Path) -> Iterator[Product]:
    """Start everything on free ports; stop it in order."""
    log = data.parent / "product.log"
    call = [
        sys.executable,
        "-P",
        "-m",
        "commands",
        "run",
        "--data-dir",
        str(data),
        "--port",
        "0",
        "--ws-port",
        "0",
    ]
    with log.open("w") as out:
        process = subprocess.Popen(
            call, cwd=ROOT, env=_environment(), stdout=out, stderr=subprocess.STDOUT, text=True
        )
        try:
            yield Product(_ready(log, process), data, process, log)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _ready(log: Path, process: subprocess.Popen[str]) -> str:
    until = time.monotonic() + 90
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"^ready (http://\S+)", log.read_text(), re.MULTILINE):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"the product did not start:\n{log.read_text()[-3000:]}")


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


class Desk:
    """One person's browser. Complaints of the console (blocked by policy, script errors) are collected."""

    def __init__(
        self, browser: Browser, base: str, width: int = 1440, height: int = 900, **more: object
    ) -> None:
        self.context: BrowserContext = browser.new_context(
            base_url=base,
            viewport={"width": width, "height": height},
            **more,  # type: ignore[arg-type]
        )
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def sign_in(self, name: str = "asha") -> None:
        self.page.goto("/login")
        self.page.fill("[name=username]", name)
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("button.btn-primary")
        self.page.wait_for_url("**/dashboard")

    def theme(self, name: str) -> None:
        self.context.add_cookies(
            [{"name": "theme", "value": name, "url": self.page.url or "http://localhost"}]
        )

    def words(self) -> str:
        """What the page says."""
        return self.page.locator("body").inner_text()

    def close(self) -> None:
        self.context.close()


def has_chromium() -> bool:
    return bool(CHROMIUM) and shutil.which(CHROMIUM) is not None

"""A hosted strategy beside a campaign: one process, whatever is killed around it."""

from __future__ import annotations

import time

import psutil

from bench.install import Install
from bench.strategies import Desk

_CODE = """
import json, os, time, urllib.request

body = json.dumps({"apikey": os.environ["OPENALGO_API_KEY"]}).encode()
head = {"Content-Type": "application/json"}
url = os.environ["OPENALGO_HOST"] + "/api/v1/funds"
while True:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, head), timeout=10) as answer:
            print("funds", answer.status, flush=True)
    except OSError as error:
        print("no answer", error, flush=True)
    time.sleep(0.5)
"""


class Hosted(Desk):
    """One strategy that asks for its funds for ever. `pid` is its first process."""

    def __init__(self, install: Install) -> None:
        super().__init__(install)
        self._id = self.begin("survivor", _CODE)
        self.wait(lambda: "funds 200" in self.log(self._id), 60)
        self.pid = self._run_pid()

    def problems(self, patience: float = 10.0) -> list[str]:
        """What is wrong with it: another process than the first, not running for the platform, or silent."""
        heard = len(self.log(self._id))
        until = time.monotonic() + patience
        while wrong := self._wrong(heard):
            if time.monotonic() > until:
                return wrong
            time.sleep(0.2)
        return []

    def look_at_accounts(self) -> None:
        """Reconcile every live account now."""
        self._platform.reconciliation.look_at_all()

    def end(self) -> list[str]:
        """Stop it; what is left of it afterwards."""
        self.end_all()
        until = time.monotonic() + 20
        while (left := psutil.pid_exists(self.pid)) and time.monotonic() < until:
            time.sleep(0.1)
        self.close()
        return [f"strategy process {self.pid} is left"] if left else []

    def _wrong(self, heard: int) -> list[str]:
        found = []
        if (pid := self._run_pid()) != self.pid or not psutil.pid_exists(self.pid):
            found.append(f"the strategy's process was {self.pid}, is {pid}")
        if not self.running():
            found.append("the strategy is not running for the platform")
        if "funds 200" not in self.log(self._id)[heard:]:
            found.append("the strategy has had no answer since")
        return found

    def _run_pid(self) -> int:
        runs = self._platform.strategy_host.runs(self._caller, self._id, 1)
        return runs[0].pid or 0 if runs else 0

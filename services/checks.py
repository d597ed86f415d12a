"""Go or no-go: what a trader looks over before the first order, each check in a fraction of a second."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from database import leases
from domain.clock import IST
from domain.errors import PlatformError
from domain.figures import inr
from domain.model import Exchange, IntentState, Mode
from services.accounts import Caller
from services.order_journal import OrderJournal

if TYPE_CHECKING:
    from services.platform import Platform

_LOW_DISK = 1 << 30
_OLD_PRICE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One look. state: "ok", "warn", "fail" or "none" where it does not apply; `millis` is how long it took."""

    name: str
    state: str
    words: str
    millis: float = 0.0


Found = tuple[str, str]


class Checks:
    """Reads only; a check that cannot be made fails with the reason."""

    def __init__(self, platform: Platform, journal: OrderJournal) -> None:
        self._its = platform
        self._journal = journal

    def run(self, caller: Caller) -> list[Check]:
        """Every check of the caller's account, in the order in which a trader would ask."""
        asked: list[tuple[str, Callable[[Caller], Found]]] = [
            ("Broker session", self._session),
            ("Outgoing address", self._address),
            ("Contract files", self._contracts),
            ("Price feed", self._feed),
            ("Order book agrees", self._book),
            ("Money", self._money),
            ("Market calendar", self._calendar),
            ("Worker", self._worker),
            ("Kill switch", self._kill),
            ("Disk", self._disk),
        ]
        return [_timed(name, look, caller) for name, look in asked]

    def _session(self, caller: Caller) -> Found:
        account = caller.account
        if account.is_paper:
            return "none", "Paper accounts need no login"
        state = self._its.sessions.state(account)
        if state.word in ("none", "expired"):
            live = account.mode is Mode.LIVE
            return (
                "fail" if live else "warn"
            ), "Not logged in" if state.word == "none" else "The session has ended"
        until = (
            "" if state.expires_at is None else f", until {state.expires_at.astimezone(IST):%d %b %H:%M} IST"
        )
        return ("warn" if state.word == "expiring" else "ok"), f"Logged in{until}"

    def _address(self, caller: Caller) -> Found:
        state, words = self._its.egress.verdict(caller.account)
        return ("warn" if state == "fail" and caller.account.mode is not Mode.LIVE else state), words

    def _contracts(self, caller: Caller) -> Found:
        venue = caller.account.venue
        master = next((one for one in self._its.instruments.status() if one.broker == venue), None)
        if master is None:
            return "fail", "No contract file was loaded yet"
        day = master.loaded_at.astimezone(IST).date()
        fresh = day >= self._its.instruments.today() - timedelta(days=1)
        return ("ok" if fresh else "warn"), f"{inr(master.rows, 0)} instruments, loaded {day:%d %b %Y}"

    def _feed(self, caller: Caller) -> Found:
        quote = self._its.market_data.quote(caller, "NIFTY", "NSE_INDEX")
        age = self._its.clock.now() - quote.at
        words = f"NIFTY {inr(quote.last_price)}, {max(0.0, age.total_seconds()):.1f} s old"
        return ("ok" if age < _OLD_PRICE else "warn"), words

    def _book(self, caller: Caller) -> Found:
        unsettled = self._journal.unsettled(caller)
        unknown = [one for one in unsettled if one.state is IntentState.UNKNOWN]
        if unknown:
            return "warn", f"{len(unknown)} without an answer yet; the book is read until they are settled"
        if caller.account.mode is Mode.LIVE:
            report, _ = self._its.reconciliation.state(caller.account)
            if report.error:
                return "fail", report.error
            if report.differences:
                return "warn", f"{len(report.differences)} positions are not what our fills add up to"
        working = sum(one.state.is_working for one in self._its.orders.book(caller))
        return "ok", f"Read; {working} working"

    def _money(self, caller: Caller) -> Found:
        funds = self._its.portfolio.funds(caller)
        whole = funds.available + funds.used
        share = funds.used / whole * 100 if whole else 0
        state = "fail" if funds.available <= 0 else "warn" if share > 80 else "ok"
        return state, f"{inr(funds.available)} free, {share:.0f}% in use"

    def _calendar(self, caller: Caller) -> Found:
        now = self._its.clock.now()
        if caller.account.venue == "paper":
            return "none", "The simulated market is always open"
        opened = [e.value for e in (Exchange.NSE, Exchange.MCX) if self._its.calendar.is_open(e, now)]
        return ("ok", f"Open: {', '.join(opened)}") if opened else ("warn", "NSE and MCX are closed now")

    def _worker(self, caller: Caller) -> Found:
        with self._its.databases["platform"].read() as connection:
            until = leases.until(connection, "worker")
        alive = until is not None and until > self._its.clock.now()
        return (
            ("ok", "Running") if alive else ("fail", "Not running: no triggers, schedules or reconciliation")
        )

    def _kill(self, caller: Caller) -> Found:
        kill = self._its.kill_switch.engaged(caller.account.id)
        return ("ok", "Off") if kill is None else ("fail", f"Thrown by {kill.engaged_by}")

    def _disk(self, caller: Caller) -> Found:
        free = shutil.disk_usage(self._its.settings.data_dir).free
        return ("ok" if free > _LOW_DISK else "warn"), f"{free / 2**30:.1f} GB free"


def _timed(name: str, look: Callable[[Caller], Found], caller: Caller) -> Check:
    began = time.perf_counter()
    try:
        state, words = look(caller)
    except PlatformError as error:
        state, words = "fail", str(error)
    return Check(name=name, state=state, words=words, millis=(time.perf_counter() - began) * 1000)

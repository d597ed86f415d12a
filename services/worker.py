"""The worker role: everything that must happen without anybody asking.

It wakes, compares what should be with what is, and acts; being killed at any moment loses nothing, because what it
does is decided by rows. One worker at a time: a lease in the database, renewed each second.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import Connection

from database import leases
from domain.clock import IST
from domain.errors import PlatformError
from domain.model import CASH, DERIVATIVES
from services import pulse
from services.event_bus import BellListener
from services.order_polling import OrderPoller
from services.order_stages import OrderStages
from services.outside import VitalSign
from services.paper_pump import PaperPump
from services.platform import Platform, build_platform
from services.send_queue import SendQueue
from services.session_watch import SessionWatch
from services.strategy_wiring import build_keeper, ports
from services.trigger_wiring import build_trigger_engine

if TYPE_CHECKING:
    from config import Settings

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=5)
_APART = 0.17
"""Seconds between the moments at which one job and the next begin."""
GRACE = 3600
GATHER = 0.04
"""Seconds that bells are gathered, so that a burst of orders is one fetch and one commit."""
EX_TEMPFAIL = 75
TRADED = (*CASH, *DERIVATIVES)


class Worker:
    """Schedules and loops of one process. `run` returns when `stop` is called or the lease is lost."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.queue = SendQueue(
            platform.databases["orders"],
            platform.clock,
            platform.accounts.account,
            platform.sessions,
            platform.orders,
        )
        self.poller = OrderPoller(
            platform.databases["orders"], platform.accounts.every_account, platform.sessions, platform.updates
        )
        self.session_watch = SessionWatch(
            platform.accounts.every_account, platform.sessions, platform.tell_account
        )
        self.pump = PaperPump(platform.accounts, platform.sessions, platform.updates)
        self.scheduler = BackgroundScheduler(
            timezone=IST, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": GRACE}
        )
        self.stages = OrderStages(platform.databases["orders"], platform.databases["logs"], platform.clock)
        self.triggers = build_trigger_engine(platform)
        self.strategies = build_keeper(platform, self._holds_lease)
        self._stop = threading.Event()
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._token: int | None = None

    def run(self) -> int:
        """Wait for the lease, work, and give it back; the process's exit code."""
        while not self._stop.is_set() and not self._take_lease():
            pulse.beat()
            self._stop.wait(1.0)
        if self._stop.is_set():
            return 0
        log.info("worker works token=%s", self._token)
        self._schedule()
        self.scheduler.start()
        loops = [
            threading.Thread(target=self._listen, name="bells"),
            threading.Thread(target=self._often, args=("queue", self.queue.drain), name="queue"),
            threading.Thread(
                target=self._often, args=("signals", self.platform.signals.drain), name="signals"
            ),
            threading.Thread(target=self.triggers.run, name="triggers"),
            threading.Thread(target=self.strategies.run, name="strategies"),
        ]
        for loop in loops:
            loop.start()
        kept = self._keep_lease()
        self._stop.set()
        self.triggers.stop()
        self.strategies.stop()
        self.scheduler.shutdown(wait=True)
        for loop in loops:
            loop.join()
        self.queue.close()
        self._give_back()
        return 0 if kept else EX_TEMPFAIL

    def stop(self) -> None:
        self._stop.set()

    # -- jobs
    def _schedule(self) -> None:
        every, daily = self._every, self._daily
        every(1.0, "reconcile", self._reconcile)
        every(60.0, "reconcile accounts", self._reconcile_accounts)
        self._once_now("reconcile at start", self.platform.reconciliation.look_at_all)
        every(2.0, "poll orders", self.poller.poll)
        every(1.0, "audit", self.platform.audit.seal)
        every(2.0, "order stages", self.stages.collect)
        every(2.0, "kill switch", self.platform.kill_switch.act)
        every(5.0, "broker login from .env", self.platform.env_import.look)
        every(10.0, "broker logins", self.session_watch.look)
        every(10.0, "approvals", self.platform.approvals.lapse_overdue)
        every(2.0, "masters", self.platform.contract_sync.sync)
        every(5.0, "square-off", self.platform.signals.square_off)
        every(5.0, "plans", self.platform.order_plans.resume)
        every(5.0, "smart orders", self.platform.smart_orders.resume)
        every(5.0, "approved GTTs", self.platform.parked_gtts.resume)
        every(5.0, "sweeps", self.platform.sweeps.resume)
        every(60.0, "adopt", self.pump.pump_all)
        if url := self.platform.settings.heartbeat_url:
            vital = VitalSign(self.platform.databases["platform"], url, ports(self.platform.settings))
            every(60.0, "vital sign", vital.beat)
        daily(3, 1, "paper master", self._load_paper)
        daily(3, 30, "old masters", self.platform.instruments.clean_up)
        daily(3, 40, "old replies", self.platform.once.forget_old)

    def _every(self, seconds: float, name: str, job: Callable[[], object]) -> None:
        """Each job begins at its own moment of the second: all at once they would hold up the orders of then."""
        apart = timedelta(seconds=seconds + len(self.scheduler.get_jobs()) * _APART % 1)
        trigger = IntervalTrigger(seconds=seconds, start_date=self.platform.clock.now() + apart)
        self.scheduler.add_job(_safe(name, job), trigger, id=name, name=name)

    def _once_now(self, name: str, job: Callable[[], object]) -> None:
        self.scheduler.add_job(_safe(name, job), id=name, name=name)

    def _daily(self, hour: int, minute: int, name: str, job: Callable[[], object]) -> None:
        self.scheduler.add_job(
            _safe(name, job), CronTrigger(hour=hour, minute=minute, timezone=IST), id=name, name=name
        )

    def _reconcile(self) -> None:
        self.platform.reconciler.abandon_lost()
        if self.platform.reconciler.unknown():
            self.platform.reconciler.sweep()

    def _reconcile_accounts(self) -> None:
        """Compare live accounts with their brokers, while any exchange is open."""
        calendar, now = self.platform.calendar, self.platform.clock.now()
        if any(calendar.is_open(exchange, now) for exchange in TRADED):
            self.platform.reconciliation.look_at_all()

    def _often(self, name: str, job: Callable[[], object]) -> None:
        """Look ten times a second for what waits in a table."""
        look = _safe(name, job)
        while not self._stop.wait(0.1):
            look()

    def _load_paper(self) -> None:
        self.platform.load_paper()

    def _listen(self) -> None:
        """Fetch an account's paper news as soon as the exchange rings, and of all accounts at the start."""
        listener = BellListener(self.platform.bus, "book|")
        _safe("first pump", self.pump.pump_all)()
        while not self._stop.is_set():
            rung = listener.wait(0.5)
            if rung and not self._stop.wait(GATHER):
                rung |= listener.wait(0)
            for topic in rung:
                _safe("pump", lambda t=topic: self._pump_one(t))()  # type: ignore[misc]
        listener.close()

    def _pump_one(self, topic: str) -> None:
        account_id = topic.split("|")[1]
        if account_id.isdigit():
            self.pump.pump(self.platform.accounts.account(int(account_id)))

    # -- lease
    def _take_lease(self) -> bool:
        now = self.platform.clock.now()
        store = self.platform.databases["platform"]
        known = is_gone if store.is_sqlite else _may_live  # of a file's users, this host knows every one
        self._token = store.write(lambda c: leases.take(c, "worker", self._holder, now, LEASE, is_gone=known))
        return self._token is not None

    def _keep_lease(self) -> bool:
        """Renew each second until told to stop; False when another worker took over."""
        store = self.platform.databases["platform"]
        while not self._stop.wait(1.0):
            pulse.beat()
            now = self.platform.clock.now()
            token = self._token or 0
            if not store.write(lambda c: leases.renew(c, "worker", token, now, LEASE)):  # noqa: B023
                log.error("another worker holds the lease; this one ends")
                return False
        return True

    def _holds_lease(self, connection: Connection) -> bool:
        return leases.holds(connection, "worker", self._token or 0, self.platform.clock.now())

    def _give_back(self) -> None:
        now = self.platform.clock.now()
        token = self._token or 0
        self.platform.databases["platform"].write(lambda c: leases.give_back(c, "worker", token, now))


def is_gone(holder: str) -> bool:
    """Whether a lease's holder was a process of this host that has ended."""
    import psutil

    host, _, rest = holder.partition(":")
    pid = rest.partition(":")[0]
    return host == socket.gethostname() and pid.isdigit() and not psutil.pid_exists(int(pid))


def _may_live(holder: str) -> bool:
    return False


def _safe(name: str, job: Callable[[], object]) -> Callable[[], None]:
    """A job whose failure is logged and tried again at its next turn."""

    def run() -> None:
        try:
            job()
        except PlatformError as error:
            log.warning("%s: %s", name, error)
        except Exception:
            log.exception("%s failed", name)

    return run


def main(settings: Settings) -> int:
    """Work until SIGTERM."""
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    platform = build_platform(settings, "worker")
    worker = Worker(platform)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    try:
        return worker.run()
    finally:
        platform.close()

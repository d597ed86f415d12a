"""Services that pages add to the platform's: made once, from the platform, for the web role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker import facts
from database.engine import open_database
from services.account_limits import AccountLimits
from services.charges import Charges
from services.checks import Checks
from services.log_reader import LogReader
from services.metrics import Metrics, RequestCounts
from services.order_journal import OrderJournal
from services.order_latency import OrderLatency
from services.paper_desk import PaperDesk
from services.pnl_curve import PnlCurve
from services.request_log import RequestLog

if TYPE_CHECKING:
    from services.platform import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the Run and Operate pages show beyond trading."""

    paper: PaperDesk
    pnl: PnlCurve
    limits: AccountLimits
    latency: OrderLatency
    requests: RequestLog
    logs: LogReader
    checks: Checks
    charges: Charges
    metrics: Metrics

    def close(self) -> None:
        """Write what waits and end the threads."""
        self.requests.close()


def build_desk(platform: Platform, journal: OrderJournal) -> Desk:
    """Nothing is started; the request log's thread begins with its first row and has connections of its own."""
    orders, clock, settings = platform.databases["orders"], platform.clock, platform.settings
    counts = RequestCounts()
    logs = open_database(settings.database_url, "logs", settings.data_dir)
    return Desk(
        paper=PaperDesk(platform.sessions, platform.audit),
        pnl=PnlCurve(platform.portfolio, platform.history, clock),
        limits=AccountLimits(orders, clock, platform.audit),
        latency=OrderLatency(orders, clock),
        requests=RequestLog(logs, clock, counts.add),
        logs=LogReader(settings.logs),
        checks=Checks(platform, journal),
        charges=Charges(facts.rows("charges")),
        metrics=Metrics(platform, counts),
    )

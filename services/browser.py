"""What the browser door needs besides the platform's trading services, in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time

from database.crypto import Vault
from database.engine import Database
from domain.clock import Clock
from services.bans import Bans
from services.baskets import Baskets
from services.browser_sessions import BrowserSessions
from services.first_run import FirstRun
from services.login_guard import LoginGuard
from services.order_journal import OrderJournal
from services.second_factor import SecondFactor
from services.watchlists import Watchlists


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """Services of the pages alone; trading services come from the platform."""

    sessions: BrowserSessions
    guard: LoginGuard
    bans: Bans
    second_factor: SecondFactor
    first_run: FirstRun
    watchlists: Watchlists
    baskets: Baskets
    journal: OrderJournal


def build_browser(
    databases: Mapping[str, Database],
    vault: Vault,
    clock: Clock,
    *,
    cut: time = time(3, 0),
    ended: Callable[[int], None] = lambda _user_id: None,
) -> Browser:
    """`cut` (IST) ends sessions daily; `ended(user_id)` hears of sessions that were cut short."""
    database = databases["platform"]
    return Browser(
        sessions=BrowserSessions(database, clock, cut, ended),
        guard=LoginGuard(database, clock),
        bans=Bans(database, clock),
        second_factor=SecondFactor(database, vault, clock),
        first_run=FirstRun(database, vault),
        watchlists=Watchlists(database),
        baskets=Baskets(database, clock),
        journal=OrderJournal(databases["orders"]),
    )

"""Brings the paper exchange's numbered order updates into the account's events, gapless and once."""

from __future__ import annotations

import logging
from dataclasses import replace

from broker.paper.client import PaperBroker
from database.accounts import PAPER
from domain.errors import PlatformError
from domain.model import Mode
from services.accounts import Account, Accounts
from services.order_updates import OrderUpdates
from services.sessions import Sessions

log = logging.getLogger(__name__)

PAGE = 1000


class PaperPump:
    """Every account has a paper side: a paper account itself, or the shadow of a live one in analyze mode."""

    def __init__(self, accounts: Accounts, sessions: Sessions, updates: OrderUpdates) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._updates = updates

    def pump_all(self) -> None:
        """Catch up with every account that is on paper now."""
        for account in self._accounts.every_account():
            if account.venue == PAPER:
                self.pump(account)

    def pump(self, account: Account) -> int:
        """Catch up with one account; returns how many events that made."""
        paper = replace(account, mode=Mode.ANALYZE)
        broker = self._sessions.broker_for(paper)
        assert isinstance(broker, PaperBroker)
        made = 0
        while True:
            try:
                page = broker.fetch_order_updates(self._updates.cursor(account.id, PAPER))
            except PlatformError as error:
                log.warning("paper updates not read account=%s: %s", account.id, error)
                return made
            if not page:
                return made
            events = self._updates.apply(
                account.id,
                PAPER,
                Mode.ANALYZE,
                [order for _, order in page],
                "paper",
                cursor=page[-1][0],
            )
            made += len(events)
            if len(page) < PAGE:
                return made

"""The kill switch: a row that the gate reads in every admission, and the work of cancelling and closing behind it.

Engaging blocks at once, in whatever process the next order comes. What has to be done afterwards is done here and again
by the worker until it is noted as done; it needs no web server.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from database import controls as control_rows
from database.controls import EVERY_ACCOUNT, Kill
from database.engine import Database
from domain.clock import Clock
from domain.errors import InvalidRequest, PlatformError
from domain.model import Mode
from services.accounts import Account, Accounts, Caller
from services.audit import Audit
from services.orders import Orders, Swept

__all__ = ["Kill", "KillSwitch"]

log = logging.getLogger(__name__)


class KillSwitch:
    """Of one account, or of all of them (admins)."""

    def __init__(
        self,
        orders_store: Database,
        clock: Clock,
        accounts: Accounts,
        orders: Orders,
        audit: Audit,
        stop_strategies: Callable[[int], list[str]] = lambda account_id: [],
    ) -> None:
        """`stop_strategies(account_id)` stops the account's hosted strategies and says so, a line each."""
        self._db = orders_store
        self._clock = clock
        self._accounts = accounts
        self._orders = orders
        self._audit = audit
        self._stop_strategies = stop_strategies

    def engaged(self, account_id: int) -> Kill | None:
        """The switch that holds for an account now."""
        with self._db.read() as connection:
            return control_rows.killed(connection, account_id)

    def listed(self) -> list[Kill]:
        """Every engaged switch."""
        with self._db.read() as connection:
            return control_rows.kills(connection)

    def engage(self, caller: Caller, *, every: bool = False, flatten: bool = False, reason: str = "") -> Kill:
        """Block new risk now, then cancel what works and (flatten) close what is open. Returns the row with its report.

        Raises InvalidRequest when somebody who is no admin asks for every account.
        """
        account_id = self._scope(caller, every)
        now = self._clock.now()
        kill = Kill(
            account_id=account_id,
            engaged_at=now,
            engaged_by=caller.username,
            reason=reason[:500],
            flatten=flatten,
        )
        self._db.write(lambda c: control_rows.engage(c, kill))
        self._audit.note(caller, "kill_switch.engage", {"every": every, "flatten": flatten, "reason": reason})
        self.act()
        found = next((row for row in self.listed() if row.account_id == account_id), None)
        return found or kill

    def release(self, caller: Caller, *, every: bool = False) -> bool:
        """Allow new risk again; False when it was not engaged."""
        account_id = self._scope(caller, every)
        released = self._db.write(lambda c: control_rows.release(c, account_id))
        if released:
            self._audit.note(caller, "kill_switch.release", {"every": every})
        return released

    def act(self) -> None:
        """Do the work of every engaged switch that has not been done yet."""
        for kill in self.listed():
            if kill.acted_at is not None:
                continue
            lines: list[str] = []
            complete = True
            for account in self._held(kill):
                complete = self._act_on(account, kill, lines) and complete
            if complete:
                now, report = self._clock.now(), "\n".join(lines)
                key = kill.account_id
                self._db.write(lambda c, k=key, r=report, n=now: control_rows.acted(c, k, r, n))  # type: ignore[misc]

    def _act_on(self, account: Account, kill: Kill, lines: list[str]) -> bool:
        """Cancel and close at every venue of an account; False when a book could not be read."""
        complete = True
        lines += self._stop_strategies(account.id)
        for venue in _venues(account):
            caller = self._accounts.caller_of_user(account.user_id, account.id, door="worker")
            caller = replace(caller, account=venue)
            try:
                swept = self._orders.cancel_all(caller)
                lines += _told(f"{account.name} ({venue.venue}): cancelled", swept)
                if kill.flatten:
                    lines += _told(
                        f"{account.name} ({venue.venue}): closed",
                        self._orders.close_all(caller, "Kill switch"),
                    )
            except PlatformError as error:
                log.warning("kill switch account=%s venue=%s: %s", account.id, venue.venue, error)
                lines.append(f"{account.name} ({venue.venue}): not read: {error}")
                complete = complete and venue.mode is not account.mode
        return complete

    def _held(self, kill: Kill) -> list[Account]:
        if kill.account_id == EVERY_ACCOUNT:
            return self._accounts.every_account()
        return [self._accounts.account(kill.account_id)]

    @staticmethod
    def _scope(caller: Caller, every: bool) -> int:
        if not every:
            return caller.account.id
        if not caller.is_admin:
            raise InvalidRequest("Only an admin can stop every account.", "every")
        return EVERY_ACCOUNT


def _venues(account: Account) -> list[Account]:
    """The account as it is, and a live one's paper shadow or the live side of one in analyze mode."""
    modes = [account.mode]
    if not account.is_paper:
        modes += [mode for mode in Mode if mode is not account.mode]
    return [replace(account, mode=mode) for mode in modes]


def _told(words: str, swept: Swept) -> list[str]:
    lines = [f"{words} {len(swept.done)}"] if swept.done else []
    return lines + [f"{words}: not {name}: {why}" for name, why in swept.failed]

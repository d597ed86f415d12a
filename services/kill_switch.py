"""The kill switch: a row that the gate reads in every admission, and the work of cancelling and closing behind it.

Engaging blocks at once, in whatever process the next order comes. What has to be done afterwards is done here and again
by the worker until it is noted as done; it needs no web server.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection

from database import controls as control_rows
from database import intents as intent_rows
from database import triggers as trigger_rows
from database.controls import EVERY_ACCOUNT, Kill
from database.engine import Database
from database.intents import Intent
from database.types import to_micros
from domain.calendar_day import day_start
from domain.clock import Clock
from domain.errors import InvalidRequest, PlatformError
from domain.model import IntentKind, IntentState, Mode
from services.accounts import Account, Accounts, Caller
from services.audit import Audit
from services.sweeps import Sweeps, Swept

__all__ = ["Kill", "KillSwitch"]

log = logging.getLogger(__name__)

FOLLOWED = timedelta(minutes=10)
"""How long after a switch has done its work the ends of its exits are looked at."""
TURNS = ("flatten", "flatten late")
"""What is open when it acts, and what orders that had no answer then have opened since."""
_ON_THEIR_WAY = (IntentState.SENDING, IntentState.UNKNOWN)


class KillSwitch:
    """Of one account, or of all of them (admins)."""

    def __init__(
        self,
        orders_store: Database,
        clock: Clock,
        accounts: Accounts,
        sweeps: Sweeps,
        audit: Audit,
        stop_strategies: Callable[[int], list[str]] = lambda account_id: [],
    ) -> None:
        """`stop_strategies(account_id)` stops the account's hosted strategies and says so, a line each."""
        self._db = orders_store
        self._clock = clock
        self._accounts = accounts
        self._sweeps = sweeps
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

        def work(connection: Connection) -> Kill:
            control_rows.hold_gate(connection, account_id)
            kill = Kill(
                account_id=account_id,
                engaged_at=self._clock.now(),
                engaged_by=caller.username,
                reason=reason[:500],
                flatten=flatten,
            )
            control_rows.engage(connection, kill)
            return kill

        kill = self._db.write(work)
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
            if kill.acted_at is not None and not self._fell_short(kill):
                continue
            lines: list[str] = []
            complete = True
            for account in self._held(kill):
                complete = self._act_on(account, kill, lines) and complete
            report = "\n".join(lines)
            now = self._clock.now() if complete else kill.acted_at
            self._db.write(lambda c, k=kill, r=report, n=now: control_rows.acted(c, k, r, n))  # type: ignore[misc]

    def _fell_short(self, kill: Kill) -> bool:
        """Whether an exit of a switch that has done its work ended short since, and can be tried again."""
        if not kill.flatten or kill.acted_at is None or self._clock.now() - kill.acted_at > FOLLOWED:
            return False
        return any(
            self._sweeps.to_close(account.id, f"{_mark(kill, venue)}:{turn}")
            for account in self._held(kill)
            for venue in _venues(account)
            for turn in TURNS
        )

    def _act_on(self, account: Account, kill: Kill, lines: list[str]) -> bool:
        """Stop, cancel and close at every venue of an account; False while something is left to do."""
        complete = True
        lines += self._stop_strategies(account.id)
        for venue in _venues(account):
            caller = self._accounts.caller_of_user(account.user_id, account.id, door="worker")
            try:
                complete = self._clear(replace(caller, account=venue), kill, lines) and complete
            except PlatformError as error:
                log.warning("kill switch account=%s venue=%s: %s", account.id, venue.venue, error)
                lines.append(f"{account.name} ({venue.venue}): not read: {error}")
                complete = complete and venue.mode is not account.mode
        return complete

    def _clear(self, caller: Caller, kill: Kill, lines: list[str]) -> bool:
        """Cancel and (flatten) close at one venue. Asked again it does only what was not done: every cancel and every
        exit has a key of its own."""
        account, mark = caller.account, _mark(kill, caller.account)
        before, after = self._asked(account, kill)
        spared = {known for intent in after for known in (intent.id, intent.broker_order_id)}
        swept = self._sweeps.cancel_each_once(
            caller, mark, lambda o: o.order_id not in spared and (o.client_order_id or "-") not in spared
        )
        lines += _told(f"{account.name} ({account.venue}): cancelled", swept)
        unanswered = sum(intent.state in _ON_THEIR_WAY for intent in before)
        under_way = swept.under_way + unanswered
        if kill.flatten:
            self._sweeps.await_end(caller, swept.done)
            late = any(intent.settled_at and intent.settled_at > kill.engaged_at for intent in before)
            for turn in TURNS if late and not unanswered else TURNS[:1]:
                closed = self._sweeps.close_until_taken(caller, "Kill switch", f"{mark}:{turn}")
                lines += _told(f"{account.name} ({account.venue}): closed", closed)
                under_way += closed.under_way
        if unanswered:
            lines.append(f"{account.name} ({account.venue}): {unanswered} orders without an answer yet")
        lines += self._left_there(account)
        return not under_way

    def _left_there(self, account: Account) -> list[str]:
        """What a broker keeps and fires by itself: it may be a stop, so it is told and not ended."""
        with self._db.read() as connection:
            kept = len(trigger_rows.at_broker(connection, account.id, account.venue))
        words = (
            f"{account.name} ({account.venue}): {kept} GTTs stand at the broker, which fires them by itself"
        )
        return [words] if kept else []

    def _asked(self, account: Account, kill: Kill) -> tuple[list[Intent], list[Intent]]:
        """New orders of the day at a venue that were admitted before the switch was thrown, and after."""
        with self._db.read() as connection:
            found = intent_rows.since(connection, account.id, day_start(kill.engaged_at))
        here = [one for one in found if one.broker == account.venue and one.kind is IntentKind.PLACE]
        before = [one for one in here if one.created_at <= kill.engaged_at]
        return before, [one for one in here if one.created_at > kill.engaged_at]

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


def _mark(kill: Kill, venue: Account) -> str:
    """What the keys of all it does at one venue begin with."""
    return f"kill:{to_micros(kill.engaged_at)}:{venue.venue}"


def _told(words: str, swept: Swept) -> list[str]:
    lines = [f"{words} {len(swept.done)}"] if swept.done else []
    return lines + [f"{words}: not {name}: {why}" for name, why in swept.failed]

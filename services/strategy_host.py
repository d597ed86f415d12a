"""Hosted strategies as their owners see them: upload, change, start, stop, look.

Nothing is started here: a door writes down what is wanted, and the worker's keeper (`services/strategy_keeper.py`)
makes it so. What a door says of a strategy is what the keeper last saw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from database import controls as control_rows
from database import strategies as rows
from database import strategy_runs as run_rows
from database.crypto import Vault
from database.engine import Database
from domain.clock import IST, Clock
from domain.errors import InvalidRequest, NotFound, NotSupported, RiskRefused, Unauthorized
from domain.model import Exchange
from domain.roles import TRADE
from domain.strategies import (
    Note,
    Restart,
    Run,
    RunLimits,
    Sample,
    Schedule,
    ScheduleKind,
    Strategy,
    StrategyState,
    Version,
    Wanted,
)
from services.accounts import Accounts, Caller
from services.audit import Audit
from services.event_bus import Bell, log_topic
from services.market_calendar import MarketCalendar
from services.strategy_fields import (
    EXCHANGES,
    check_limits,
    checked_exchange,
    checked_name,
    default_schedule,
)
from services.strategy_values import StrategyValues
from strategies import support
from strategies import upload as uploads
from strategies.files import Places
from strategies.schedule import Due, check, due, told
from strategies.shelter import offers, warning

__all__ = ["EXCHANGES", "Started", "StrategyHost", "default_schedule", "offers", "told", "warning"]

_RUNNING = "It is running. Stop it first."


@dataclass(frozen=True, slots=True)
class Started:
    """What pressing Start did. armed: it starts at its next window, for `reason`"""

    armed: bool
    reason: str = ""
    next_start: datetime | None = None


class StrategyHost:
    """Use cases of the doors. Every call is by a caller and is about strategies of that user."""

    def __init__(
        self,
        store: Database,
        logs: Database,
        orders: Database,
        data_dir: Path,
        clock: Clock,
        vault: Vault,
        accounts: Accounts,
        calendar: MarketCalendar,
        audit: Audit,
        bell: Bell,
    ) -> None:
        self._db = store
        self._logs = logs
        self._orders = orders
        self._data_dir = data_dir
        self._clock = clock
        self._accounts = accounts
        self._calendar = calendar
        self._audit = audit
        self._bell = bell
        self.values = StrategyValues(store, clock, vault)

    # -- look
    def any_uploaded(self) -> bool:
        """Whether anybody has a strategy here."""
        with self._db.read() as connection:
            return bool(rows.every(connection))

    def listed(self, caller: Caller) -> list[Strategy]:
        """The caller's strategies, by name; through an API key, those of its account."""
        account = None if caller.door in ("page", "cli") else caller.account.id
        with self._db.read() as connection:
            found = rows.every(connection, user_id=caller.user_id, account_id=account)
        return [each for each in found if not caller.strategy or each.id == caller.strategy]

    def get(self, caller: Caller, strategy_id: str) -> Strategy:
        """Raises NotFound, also for another's."""
        Places.of(self._data_dir, strategy_id)
        with self._db.read() as connection:
            found = rows.by_id(connection, strategy_id)
        by_key = caller.door not in ("page", "cli")
        if (
            found is None
            or found.deleted_at is not None
            or found.user_id != caller.user_id
            or (by_key and found.account_id != caller.account.id)
            or (caller.strategy and found.id != caller.strategy)
        ):
            raise NotFound("No such strategy.")
        return found

    def due(self, strategy: Strategy) -> Due:
        """What its schedule says now. Raises Unavailable when the calendar cannot be read."""
        calendar = self._calendar.current()
        return due(
            strategy.schedule, lambda day: calendar.sessions(strategy.exchange, day), self._clock.now()
        )

    def places(self, strategy: Strategy) -> Places:
        return Places.of(self._data_dir, strategy.id)

    def runs(self, caller: Caller, strategy_id: str, limit: int = 50) -> list[Run]:
        """Newest first."""
        self.get(caller, strategy_id)
        with self._db.read() as connection:
            return run_rows.runs_of(connection, strategy_id, limit)

    def notes(self, caller: Caller, strategy_id: str, limit: int = 50) -> list[Note]:
        """What the host decided, newest first."""
        self.get(caller, strategy_id)
        with self._db.read() as connection:
            return run_rows.notes_of(connection, strategy_id, limit)

    def samples(self, caller: Caller, strategy_id: str, since: datetime) -> list[Sample]:
        """What it took, oldest first."""
        self.get(caller, strategy_id)
        with self._logs.read() as connection:
            return run_rows.samples_of(connection, strategy_id, since)

    def versions(self, caller: Caller, strategy_id: str) -> list[Version]:
        """Newest first."""
        self.get(caller, strategy_id)
        with self._db.read() as connection:
            return rows.versions_of(connection, strategy_id)

    def files(self, caller: Caller, strategy_id: str, number: int | None = None) -> dict[str, bytes]:
        """A version's files (None: the newest). Raises NotFound."""
        strategy = self.get(caller, strategy_id)
        return self.places(strategy).load_version(strategy.version if number is None else number)

    # -- make and change
    def upload(
        self,
        caller: Caller,
        name: str,
        file_name: str,
        content: bytes,
        exchange: Exchange = Exchange.NSE,
        schedule: Schedule | None = None,
        **more: Any,
    ) -> Strategy:
        """Keep a new strategy, armed for its next window: one that is open now is left out until Start is pressed.

        `more` are further fields of a Strategy. Raises InvalidRequest naming the field.
        """
        bundle = uploads.read(file_name, content)
        stem = uploads.safe_stem(file_name.rsplit(".", 1)[0])
        return self._keep_new(
            caller, name, stem, bundle, exchange, schedule or default_schedule(exchange), more
        )

    def copy(self, caller: Caller, strategy_id: str, name: str) -> Strategy:
        """Another instance of the same files, for other parameters. Secrets do not come along."""
        strategy = self.get(caller, strategy_id)
        bundle = uploads.bundle(self.files(caller, strategy_id), strategy.entry)
        more = {field: getattr(strategy, field) for field in ("about", "restart", "limits")}
        stem = strategy.id.rsplit("_", 1)[0]
        made = self._keep_new(caller, name, stem, bundle, strategy.exchange, strategy.schedule, more)
        for value in self.values.shown(strategy_id):
            if not value.secret:
                self.values.set(made.id, value.name, value.text, secret=False)
        return made

    def _keep_new(
        self,
        caller: Caller,
        name: str,
        stem: str,
        bundle: uploads.Bundle,
        exchange: Exchange,
        schedule: Schedule,
        more: dict[str, Any],
    ) -> Strategy:
        _check_supported()
        check(schedule)
        now = self._clock.now()
        strategy = Strategy(
            id=self._free_id(stem, now),
            user_id=caller.user_id,
            account_id=caller.account.id,
            name=checked_name(name),
            exchange=checked_exchange(exchange),
            entry=bundle.entry,
            created_at=now,
            modified_at=now,
            schedule=schedule,
            **more,
        )
        said = self.due(strategy)
        strategy = replace(
            strategy,
            done_window=said.current.start if said.current else None,
            next_start=said.next.start if said.next else None,
        )
        self.places(strategy).save_version(1, bundle.files)
        version = _version(strategy.id, 1, bundle, "uploaded", caller, now)

        def work(connection: Connection) -> None:
            rows.add(connection, strategy)
            rows.add_version(connection, version)
            run_rows.add_note(connection, strategy.id, Note(at=now, kind="info", words="Uploaded"))

        try:
            self._db.write(work)
        except IntegrityError as error:
            raise InvalidRequest(
                "Two were uploaded at once under that name. Try again.", "strategy_file"
            ) from error
        self._tell(caller, "strategy.upload", strategy.id, {"name": strategy.name, "digest": bundle.digest})
        return strategy

    def _free_id(self, stem: str, now: datetime) -> str:
        """`<stem>_<time>`, the first second from now on that is free."""
        stamp = int(now.astimezone(IST).strftime("%Y%m%d%H%M%S"))
        with self._db.read() as connection:
            while rows.by_id(connection, f"{stem}_{stamp}") is not None:
                stamp += 1
        return f"{stem}_{stamp}"

    def save(
        self, caller: Caller, strategy_id: str, files: Mapping[str, bytes], note: str = "edited"
    ) -> Version:
        """Keep changed files as a new version; those not named stay. Raises InvalidRequest while it runs."""
        strategy = self._at_rest(caller, strategy_id)
        current = self.places(strategy).load_version(strategy.version)
        bundle = uploads.bundle({**current, **files}, strategy.entry)
        return self._keep_version(caller, strategy, bundle, note)

    def renew(self, caller: Caller, strategy_id: str, name: str, content: bytes, note: str) -> Version:
        """Keep an upload as a new version; see `strategies.upload.renewed`. Raises InvalidRequest."""
        strategy = self._at_rest(caller, strategy_id)
        current = self.places(strategy).load_version(strategy.version)
        bundle = uploads.renewed(current, strategy.entry, name, content)
        return self._keep_version(caller, strategy, bundle, note or "uploaded")

    def roll_back(self, caller: Caller, strategy_id: str, number: int) -> Version:
        """Make an old version the newest again. Raises NotFound, and InvalidRequest while it runs."""
        strategy = self._at_rest(caller, strategy_id)
        bundle = uploads.bundle(self.places(strategy).load_version(number), strategy.entry)
        return self._keep_version(caller, strategy, bundle, f"version {number} again")

    def _keep_version(self, caller: Caller, strategy: Strategy, bundle: uploads.Bundle, note: str) -> Version:
        now = self._clock.now()
        with self._db.read() as connection:
            newest = rows.versions_of(connection, strategy.id)[0]
        if newest.digest == bundle.digest:
            return newest
        version = _version(strategy.id, newest.number + 1, bundle, note, caller, now)
        self.places(strategy).save_version(version.number, bundle.files)

        def work(connection: Connection) -> None:
            rows.add_version(connection, version)
            rows.change(connection, strategy.id, version=version.number, entry=bundle.entry, modified_at=now)

        try:
            self._db.write(work)
        except IntegrityError as error:
            raise InvalidRequest(
                "Somebody else saved it just now. Load the page again.", "content"
            ) from error
        self._tell(
            caller, "strategy.save", strategy.id, {"version": version.number, "digest": version.digest}
        )
        return version

    def reschedule(
        self, caller: Caller, strategy_id: str, schedule: Schedule, exchange: Exchange | None = None
    ) -> Strategy:
        """Raises InvalidRequest for a bad schedule, and while it runs."""
        strategy = self._at_rest(caller, strategy_id)
        changed = replace(
            strategy, schedule=check(schedule), exchange=checked_exchange(exchange or strategy.exchange)
        )
        said = self.due(changed)
        values = {
            "schedule": changed.schedule,
            "exchange": changed.exchange,
            "done_window": said.current.start if said.current else None,
            "next_start": said.next.start if said.next else None,
        }
        return self._change(caller, strategy, "strategy.schedule", values)

    def settle(self, caller: Caller, strategy_id: str, **values: Any) -> Strategy:
        """Change name, about, restart, limits, cancel_on_stop, flatten_on_stop; limits count from the next start."""
        strategy = self.to_act(caller, strategy_id)
        if "name" in values:
            values["name"] = checked_name(values["name"])
        if isinstance(limits := values.get("limits"), RunLimits):
            check_limits(limits)
        if "restart" in values:
            values["restart"] = Restart(values["restart"])
        return self._change(caller, strategy, "strategy.settings", values)

    # -- start and stop
    def start(self, caller: Caller, strategy_id: str, *, force: bool = False) -> Started:
        """Start now when its window is open (or `force`), else arm it for the next one. Takes back a manual stop.

        Raises InvalidRequest when it runs already or is still stopping, RiskRefused under a kill switch, NotSupported
        where the system runs none.
        """
        _check_supported()
        strategy = self.to_act(caller, strategy_id)
        if strategy.state.is_live:
            stops = strategy.state is StrategyState.STOPPING or strategy.wanted is Wanted.STOPPED
            raise InvalidRequest(
                "It is still stopping. Start it when it has stopped." if stops else "It is running already."
            )
        with self._orders.read() as connection:
            killed = control_rows.killed(connection, strategy.account_id)
        if killed is not None:
            raise RiskRefused("kill_switch", "The kill switch is on. Release it before starting strategies.")
        said = self.due(strategy)
        now = force or said.current is not None or strategy.schedule.kind is ScheduleKind.MANUAL
        wanted = Wanted.NOW if now and said.current is None else Wanted.AUTO
        following = said.next.start if said.next else None
        values: dict[str, Any] = {
            "wanted": wanted,
            "next_start": following,
            "pressed_at": self._clock.now(),
            "done_window": None,
            "crashes": (),
            "retry_at": None,
            "reason": "",
            "state": StrategyState.SCHEDULED,
        }
        self._change(caller, strategy, "strategy.start", values)
        return Started(not now, "" if now else said.reason, following)

    def stop(self, caller: Caller, strategy_id: str) -> bool:
        """Stop it and keep it off until somebody presses Start. True when it was running."""
        strategy = self.get(caller, strategy_id)
        words = f"Stopped by {caller.username}"
        values = {
            "wanted": Wanted.STOPPED,
            "reason": words if not strategy.state.is_live else strategy.reason,
        }
        self._change(caller, strategy, "strategy.stop", values, self._sweep_newest)
        return strategy.state.is_live

    def restart(self, caller: Caller, strategy_id: str) -> None:
        """Have the run that lives ended and, when it has gone, another started. Raises InvalidRequest when none lives.

        The wish names the run, so it is done once, whoever dies meanwhile. Its orders are left alone.
        """
        strategy = self.to_act(caller, strategy_id)

        def wish(connection: Connection, strategy: Strategy) -> None:
            now = rows.by_id(connection, strategy.id, locked=True) or strategy
            if not now.state.is_live or now.wanted is Wanted.STOPPED or now.deleted_at is not None:
                raise InvalidRequest("It is not running. Start it.")
            rows.change(connection, strategy.id, restart_of=now.generation)

        self._change(caller, strategy, "strategy.restart", {}, wish)

    def stop_account(self, account_id: int) -> list[str]:
        """Have every strategy of an account stopped, for the kill switch; a line for each."""
        with self._db.read() as connection:
            found = rows.every(connection, account_id=account_id)
        held = [each for each in found if each.wanted is not Wanted.STOPPED]

        def work(connection: Connection) -> None:
            for each in held:
                rows.change(connection, each.id, wanted=Wanted.STOPPED, reason="Kill switch")

        if held:
            self._db.write(work)
        return [f"strategy {each.name}: told to stop" for each in held]

    def clear_error(self, caller: Caller, strategy_id: str) -> Strategy:
        """Forget that it crashed or failed; it stays off until its next window. Raises InvalidRequest while it runs."""
        strategy = self._at_rest(caller, strategy_id)
        values = {"state": StrategyState.STOPPED, "reason": "", "crashes": (), "retry_at": None}
        return self._change(caller, strategy, "strategy.clear_error", values)

    def delete(self, caller: Caller, strategy_id: str) -> None:
        """Stop it and drop it with its files and logs."""
        strategy = self.get(caller, strategy_id)
        values = {"wanted": Wanted.STOPPED, "deleted_at": self._clock.now()}
        self._change(caller, strategy, "strategy.delete", values)

    # -- together
    def to_act(self, caller: Caller, strategy_id: str) -> Strategy:
        """For all but an end: who may not trade at its account (any more) does not have it run there, either.

        Raises NotFound, Unauthorized.
        """
        strategy = self.get(caller, strategy_id)
        seats = {seat.account.id: seat.role.scopes for seat in self._accounts.seats_of(caller.user_id)}
        seats[caller.account.id] = caller.scopes
        if TRADE not in seats.get(strategy.account_id, ()):
            raise Unauthorized("You may not trade on the account it runs at. Stop it or delete it.")
        return strategy

    def _at_rest(self, caller: Caller, strategy_id: str) -> Strategy:
        strategy = self.to_act(caller, strategy_id)
        if strategy.state.is_live:
            raise InvalidRequest(_RUNNING)
        return strategy

    @staticmethod
    def _sweep_newest(connection: Connection, strategy: Strategy) -> None:
        """Stopped when it was over already (it had crashed): its orders are looked after all the same."""
        run = run_rows.newest(connection, [strategy.id]).get(strategy.id)
        asks = strategy.cancel_on_stop or strategy.flatten_on_stop
        if asks and run is not None and run.ended_at is not None and run.sweep == "":
            run_rows.change_run(connection, run.id, sweep="due")

    def _change(
        self,
        caller: Caller,
        strategy: Strategy,
        action: str,
        values: dict[str, Any],
        also: Callable[[Connection, Strategy], None] = lambda connection, strategy: None,
    ) -> Strategy:
        now = self._clock.now()
        note = Note(at=now, kind="info", words=f"{_SAID[action]} by {caller.username} ({caller.door})")

        def work(connection: Connection) -> None:
            rows.change(connection, strategy.id, **values, modified_at=now)
            run_rows.add_note(connection, strategy.id, note)
            also(connection, strategy)

        self._db.write(work)
        self._tell(caller, action, strategy.id, {})
        return replace(strategy, **values, modified_at=now)

    def _tell(self, caller: Caller, action: str, strategy_id: str, detail: dict[str, Any]) -> None:
        self._audit.note(caller, action, detail, subject=strategy_id)
        self._bell.ring(log_topic(strategy_id))


_SAID = {
    "strategy.schedule": "Schedule changed",
    "strategy.settings": "Settings changed",
    "strategy.start": "Start pressed",
    "strategy.stop": "Stop pressed",
    "strategy.restart": "Restart pressed",
    "strategy.clear_error": "Error cleared",
    "strategy.delete": "Deleted",
}


def _check_supported() -> None:
    """Raises NotSupported where the system runs no strategies."""
    if words := support.refusal():
        raise NotSupported(words)


def _version(
    strategy_id: str, number: int, bundle: uploads.Bundle, note: str, caller: Caller, now: datetime
) -> Version:
    return Version(
        strategy_id=strategy_id,
        number=number,
        digest=bundle.digest,
        size=bundle.size,
        files=tuple(sorted(bundle.files)),
        note=note[:200],
        made_by=caller.username,
        made_at=now,
    )

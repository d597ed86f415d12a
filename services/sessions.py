"""Broker sessions: who is logged in where, and, in this one place, which Broker an account's calls go to."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from broker import catalog
from broker.interface import Broker, BrokerSession, InstrumentLookup
from broker.manifest import Manifest
from database import accounts as account_rows
from database import broker_sessions as session_rows
from database.broker_sessions import SessionRow
from database.crypto import Vault
from database.engine import Database
from domain.clock import IST, Clock
from domain.errors import InvalidRequest, NotSupported, SessionOver
from domain.model import Mode
from services.accounts import Account
from services.data_logins import DataLogins

log = logging.getLogger(__name__)

EXPIRING = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """word: "ok", "expiring", "expired", or "none" when nobody ever logged in; paper is always "ok"."""

    word: str
    opened_at: datetime | None = None
    expires_at: datetime | None = None
    broker_user: str = ""


class Sessions:
    """Log in, log out, and hand back brokers. Brokers are kept per login and are safe to share between threads."""

    def __init__(
        self,
        platform: Database,
        vault: Vault,
        clock: Clock,
        find: Callable[[str, str, str], object],
        paper: Callable[[BrokerSession, InstrumentLookup], Broker],
        changed: Callable[[int], None] = lambda account_id: None,
        counted: Path | None = None,
    ) -> None:
        """`find(broker, broker_exchange, broker_token)` looks an instrument up; `paper` makes the paper Broker;
        `changed(account_id)` hears of logins that begin and end; in `counted` all processes of this machine count
        the calls that they make to brokers."""
        self._db = platform
        self._vault = vault
        self._clock = clock
        self._find = find
        self._make_paper = paper
        self._changed = changed
        self._counted = counted
        self._data_logins = DataLogins(platform, clock)
        self._lock = threading.Lock()
        self._rows = threading.local()
        self._kept: dict[tuple[str, int], tuple[int, Broker]] = {}

    def broker_for(self, account: Account) -> Broker:
        """Where the account's orders, books and money are: its broker, or the paper exchange in analyze mode.

        A live account in analyze mode trades at its own broker's prices while it is logged in.
        Raises SessionOver when a live account is not logged in.
        """
        return (
            self._paper(account, self.feed_of(account))
            if account.mode is Mode.ANALYZE
            else self._live(account)
        )

    def data_broker_for(self, account: Account) -> Broker:
        """Where the account's market data comes from: its broker while logged in, else the paper exchange."""
        if account.is_paper or self.state(account).word in ("none", "expired"):
            return self._paper(account, account_rows.PAPER)
        return self._live(account)

    def feed_of(self, account: Account) -> str:
        """The name of the account's tick feed in bus topics."""
        if account.is_paper or self.state(account).word in ("none", "expired"):
            return account_rows.PAPER
        return f"{account.broker}:{account.id}"

    def state(self, account: Account) -> SessionState:
        """The login's state now."""
        if account.is_paper:
            return SessionState(word="ok")
        row = self._row(account.id)
        if row is None:
            return SessionState(word="none")
        return SessionState(
            word=_word(row, self._clock.now()),
            opened_at=row.opened_at,
            expires_at=row.expires_at,
            broker_user=row.broker_user,
        )

    def load_brokers(self) -> None:
        """Import the packages of all accounts' brokers: it takes longer than the first order may."""
        with self._db.read() as connection:
            brokers = {account.broker for account in account_rows.every(connection)}
        for name in sorted(brokers - {account_rows.PAPER}):
            catalog.load(name)

    # -- login
    def save_credentials(
        self, account: Account, values: Mapping[str, str], urls: Mapping[str, str] | None = None
    ) -> None:
        """Keep the login form's fields, sealed. An empty secret keeps the saved one. Raises InvalidRequest."""
        manifest = catalog.manifest(account.broker)
        saved = self._credentials(account.id)
        kept = {name: values.get(name, "").strip() or saved.get(name, "") for name in _names(manifest)}
        missing = [f.label for f in manifest.login.fields if f.required and not kept[f.name]]
        if missing:
            raise InvalidRequest(f"Fill in: {', '.join(missing)}.", missing[0])
        sealed = self._vault.seal(json.dumps({"values": kept, "urls": dict(urls or self._urls(account.id))}))
        self._db.write(lambda c: account_rows.set_credentials(c, account.id, sealed))

    def saved_fields(self, account: Account) -> dict[str, str]:
        """What may be shown of the saved credentials: secrets as "set" or ""."""
        saved = self._credentials(account.id)
        secret = {field.name for field in catalog.manifest(account.broker).login.fields if field.secret}
        return {k: ("set" if v else "") if k in secret else v for k, v in saved.items()}

    def login_fields(self, account: Account) -> dict[str, str]:
        """The stored fields of the login form, secrets too: to prove a broker's signature with, never to be shown."""
        return self._credentials(account.id)

    def login_page(self, account: Account, state: str) -> str:
        """Where to send the person's browser; "" when the login has no page."""
        broker = catalog.load(account.broker)
        return broker.login_page(self._credentials(account.id), self._urls(account.id), state)

    def log_in(self, account: Account, asked: Mapping[str, str]) -> SessionState:
        """Open a session with the saved fields and what was asked. Raises LoginFailed and BrokerUnavailable."""
        if account.is_paper:
            raise NotSupported("The paper exchange needs no login.")
        broker = catalog.load(account.broker)
        urls = self._urls(account.id)
        tokens = broker.log_in({**self._credentials(account.id), **asked}, urls, self._clock)
        now = self._clock.now()
        expires_at = tokens.expires_at or _daily_end(broker.manifest, now)
        sealed = self._vault.seal(json.dumps(tokens.values))
        self._db.write(
            lambda c: session_rows.open_session(
                c,
                account.id,
                broker_user=tokens.user_id,
                tokens_cipher=sealed,
                urls=urls,
                now=now,
                expires_at=expires_at,
            )
        )
        self._data_logins.forget(account.id)
        log.info("broker login account=%s broker=%s", account.id, account.broker)
        self._changed(account.id)
        return self.state(account)

    def log_out(self, account: Account) -> None:
        """End the session here and, as far as it answers, at the broker."""
        row = self._row(account.id)
        if row is None or row.ended_at is not None:
            return
        if _word(row, self._clock.now()) != "expired":
            broker = self._live(account)
            broker.session = self._session(account, row)
            broker.log_out()
        self.ended(account, row.serial)

    def ended(self, account: Account, serial: int | None = None) -> None:
        """Note that the broker ended a login (the newest when no serial is given)."""
        row = self._row(account.id)
        if row is not None and serial in (None, row.serial):
            now = self._clock.now()
            if self._db.write(lambda c: session_rows.end(c, account.id, row.serial, now)):
                self._changed(account.id)

    def renew_data(self, account: Account, refused: Mapping[str, str]) -> dict[str, str] | None:
        """The tokens to go on with after these were refused for market data: those that another thread or process got
        meanwhile, else those of one new login by the saved fields. None when there are none to be had."""

        def present() -> dict[str, str]:
            return self._session(account, self._open(account)).tokens

        def others() -> dict[str, str] | None:
            tokens = present()
            return None if tokens == refused else tokens

        def log_in() -> dict[str, str]:
            row = self._open(account)
            fresh = catalog.load(account.broker).log_in_data(
                self._credentials(account.id), row.urls, self._clock
            )
            sealed = self._vault.seal(json.dumps(self._session(account, row).tokens | fresh))
            self._db.write(lambda c: session_rows.replace_tokens(c, account.id, row.serial, sealed))
            return present()

        try:
            return self._data_logins.once(account.id, others, log_in)
        except SessionOver:
            return None

    def live_session(self, account: Account) -> tuple[int, BrokerSession]:
        """(serial, session) of the present login, for a feed. Raises SessionOver."""
        row = self._open(account)
        return row.serial, self._session(account, row)

    # -- inside
    def _open(self, account: Account) -> SessionRow:
        """The present login's row. Raises SessionOver."""
        row = self._row(account.id)
        if row is None or _word(row, self._clock.now()) == "expired":
            raise SessionOver(f"{account.name}: log in to {catalog.manifest(account.broker).title} again.")
        return row

    def _live(self, account: Account) -> Broker:
        """The broker of the present login. Its tokens are opened once: an order waits for none of that."""
        row = self._open(account)
        serial, key = row.serial, (account.broker, account.id)
        kept = self._kept.get(key)
        if kept is not None and kept[0] == serial:
            return kept[1]
        session = self._session(account, row)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept[0] == serial:
                return kept[1]
            broker = catalog.load(account.broker)(session, partial(self._find, account.broker), self._clock)  # type: ignore[arg-type]
            broker.on_over = partial(self.ended, account, serial)
            broker.renew_data = partial(self.renew_data, account)
            self._kept[key] = (serial, broker)
        if kept is not None:
            kept[1].close()
        return broker

    def _paper(self, account: Account, feed: str) -> Broker:
        key = (f"{account_rows.PAPER}/{feed}", account.id)
        kept = self._kept.get(key)
        if kept is not None:
            return kept[1]
        with self._lock:
            if key not in self._kept:
                session = BrokerSession(
                    account=str(account.id), tokens={}, urls={"feed": feed}, opened_at=self._clock.now()
                )
                find = partial(self._find, account_rows.PAPER)
                self._kept[key] = (0, self._make_paper(session, find))  # type: ignore[arg-type]
            return self._kept[key][1]

    def _session(self, account: Account, row: SessionRow) -> BrokerSession:
        return BrokerSession(
            account=str(account.id),
            tokens=json.loads(self._vault.open(row.tokens_cipher)),
            urls=row.urls,
            opened_at=row.opened_at,
            expires_at=row.expires_at,
            counted=self._counted and self._counted / str(account.id),
        )

    def _row(self, account_id: int) -> SessionRow | None:
        """As it is now: a kept one is used only while nothing at all was committed since."""
        version, cache = self._db.version(), self._rows
        if version is None or getattr(cache, "version", None) != version:
            cache.rows, cache.version = {}, version
        if account_id not in cache.rows:
            with self._db.read() as connection:
                cache.rows[account_id] = session_rows.load(connection, account_id)
        found: SessionRow | None = cache.rows[account_id]
        return found

    def _saved(self, account_id: int) -> dict[str, dict[str, str]]:
        with self._db.read() as connection:
            sealed = account_rows.credentials(connection, account_id)
        return {} if sealed is None else json.loads(self._vault.open(sealed))

    def _credentials(self, account_id: int) -> dict[str, str]:
        return self._saved(account_id).get("values", {})

    def _urls(self, account_id: int) -> dict[str, str]:
        return self._saved(account_id).get("urls", {})


def _names(manifest: Manifest) -> list[str]:
    return [field.name for field in manifest.login.fields]


def _word(row: SessionRow, now: datetime) -> str:
    if row.ended_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return "expired"
    return "expiring" if row.expires_at is not None and row.expires_at - now <= EXPIRING else "ok"


def _daily_end(manifest: Manifest, now: datetime) -> datetime | None:
    """The next daily logout of the broker, None when it has none."""
    if not manifest.login.expires_at:
        return None
    hour, minute = (int(part) for part in manifest.login.expires_at.split(":"))
    local = now.astimezone(IST)
    end = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return end if end > local else end + timedelta(days=1)

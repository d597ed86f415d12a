"""The address that orders leave from, beside the one that is registered with a broker (brokers refuse others).

What is registered, the account's admin says. What this machine's address is, only somebody outside can tell: a service
is asked when a person presses the button, never by itself, and until then it is unknown.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from database import settings as rows
from database.engine import Database
from domain.clock import IST, Clock
from domain.errors import InvalidRequest, Unavailable
from services.accounts import Account, Caller
from services.audit import Audit
from services.outside import ask

_SEEN = "egress"
_OLD = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a service outside saw this machine as, and when."""

    address: str
    at: datetime


class Egress:
    """Of every account; the machine's own address is one for all."""

    def __init__(self, store: Database, clock: Clock, audit: Audit, service: str) -> None:
        """`service` is a URL that answers with the caller's address as plain text; "" for none."""
        self._db = store
        self._clock = clock
        self._audit = audit
        self.service = service

    def registered(self, account_id: int) -> str:
        """As the account's admin said; "" when they did not."""
        with self._db.read() as connection:
            return str(rows.load(connection, f"egress|{account_id}") or "")

    def register(self, caller: Caller, text: str) -> str:
        """Keep what is registered for the caller's account; "" forgets it. Raises InvalidRequest."""
        address = _address(text) if text.strip() else ""
        self._db.write(lambda c: rows.save(c, f"egress|{caller.account.id}", address))
        self._audit.note(caller, "egress.register", {"address": address}, str(caller.account.id))
        return address

    def seen(self) -> Seen | None:
        """What was seen at the last look; None when nobody ever looked."""
        with self._db.read() as connection:
            kept = rows.load(connection, _SEEN)
        return None if kept is None else Seen(kept["address"], datetime.fromisoformat(kept["at"]))

    def look(self, caller: Caller) -> Seen:
        """Ask the service outside, because the caller pressed the button. Raises InvalidRequest, Unavailable."""
        if not self.service:
            raise InvalidRequest("No service is set (EGRESS_CHECK_URL), so nobody outside is asked.")
        said = ask(self.service).strip()
        try:
            found = Seen(_address(said), self._clock.now())
        except InvalidRequest as error:
            raise Unavailable(f"{self.service} did not answer with an address.") from error
        value = {"address": found.address, "at": found.at.isoformat()}
        self._db.write(lambda c: rows.save(c, _SEEN, value))
        self._audit.note(caller, "egress.look", {"address": found.address, "service": self.service})
        return found

    def verdict(self, account: Account) -> tuple[str, str]:
        """(a check's state, words) for one account."""
        if account.is_paper:
            return "none", "Paper orders do not leave this machine"
        registered, seen = self.registered(account.id), self.seen()
        if not registered:
            return (
                "warn",
                "Not said: which address is registered with the broker. It refuses orders from others",
            )
        if seen is None:
            return "warn", f"{registered} is registered; this machine's own address was never looked up"
        told = f"seen {seen.at.astimezone(IST):%d %b %H:%M} IST"
        if (":" in registered and ":" not in seen.address) or (":" not in registered and ":" in seen.address):
            return (
                "warn",
                f"{registered} is registered; {seen.address} was {told}: not of the same kind, so not known",
            )
        if registered != seen.address:
            return "fail", f"{registered} is registered, but orders leave from {seen.address} ({told})"
        if self._clock.now() - seen.at > _OLD:
            return "warn", f"{registered}, as registered, but {told}: look again"
        return "ok", f"{registered}, as registered; {told}"


def _address(text: str) -> str:
    try:
        found = ipaddress.ip_address(text.strip())
    except ValueError as error:
        raise InvalidRequest("Write one address, such as 203.0.113.7.", "address") from error
    if found.is_unspecified or found.is_multicast:
        raise InvalidRequest("That is no machine's address.", "address")
    return str(found)

"""What only a paper account has: its terms, its fresh start, its days."""

from __future__ import annotations

from typing import Protocol, cast

from domain.errors import InvalidRequest
from domain.ledger import PaperDay
from domain.model import Mode
from services.accounts import Caller
from services.audit import Audit
from services.sessions import Sessions


class PaperAccount(Protocol):
    """The face of the paper exchange beyond that of every broker."""

    def fetch_terms(self) -> dict[str, str]: ...

    def change_terms(self, changes: dict[str, str]) -> dict[str, str]: ...

    def reset(self) -> int: ...

    def fetch_days(self, generation: int = 0) -> list[PaperDay]: ...


class PaperDesk:
    """Every method raises InvalidRequest for an account that is live, and what the exchange's reads raise."""

    def __init__(self, sessions: Sessions, audit: Audit) -> None:
        self._sessions = sessions
        self._audit = audit

    def terms(self, caller: Caller) -> dict[str, str]:
        """Leverages, fills, charges and times, as text."""
        return self._account(caller).fetch_terms()

    def change(self, caller: Caller, changes: dict[str, str]) -> dict[str, str]:
        """Change some terms. Raises InvalidRequest naming the one that is wrong; then nothing was changed."""
        changed = self._account(caller).change_terms(changes)
        self._audit.note(caller, "paper.terms", dict(changes))
        return changed

    def reset(self, caller: Caller) -> int:
        """Begin again with the starting capital; the number of the new generation."""
        generation = self._account(caller).reset()
        self._audit.note(caller, "paper.reset", {"generation": generation})
        return generation

    def days(self, caller: Caller) -> list[PaperDay]:
        """How the account stood at the end of each trading day since it began, oldest first."""
        return sorted(self._account(caller).fetch_days(), key=lambda day: day.day)

    def _account(self, caller: Caller) -> PaperAccount:
        if caller.account.mode is not Mode.ANALYZE:
            raise InvalidRequest("This account is live; its paper side is reached when it is on paper.")
        return cast(PaperAccount, self._sessions.broker_for(caller.account))

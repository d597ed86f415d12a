"""Who may do what: a person's role on the server, and their role at one account."""

from __future__ import annotations

from enum import StrEnum

READ, TRADE, LOGIN = "read", "trade", "login"


class Role(StrEnum):
    """What somebody may do. On the server it is a ceiling; at an account it is what they were given there.

    The owner of an account is its admin, unless the server's ceiling is lower.
    """

    ADMIN = "admin"
    """Also runs things: of the server, its users and calendars; of an account, its login, mode and limits."""
    TRADER = "trader"
    """Sees and trades."""
    VIEWER = "viewer"
    """Sees; changes nothing."""

    @property
    def scopes(self) -> frozenset[str]:
        """What API keys and pages may do in this role."""
        may = {Role.VIEWER: {READ}, Role.TRADER: {READ, TRADE}, Role.ADMIN: {READ, TRADE, LOGIN}}
        return frozenset(may[self])

    def under(self, ceiling: Role) -> Role:
        """This role at an account for somebody whose role on the server is `ceiling`: only a viewer is held down."""
        return Role.VIEWER if ceiling is Role.VIEWER else self

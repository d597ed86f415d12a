"""Users, their accounts and their API keys: who asks, and what they may do."""

from __future__ import annotations

import ipaddress
import re
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from database import accounts as account_rows
from database import api_keys as key_rows
from database import members as member_rows
from database import users as user_rows
from database.accounts import PAPER, Account
from database.api_keys import ApiKey, KeyOwner
from database.crypto import Vault
from database.engine import Database, hold
from database.members import Member, Seat
from database.users import User
from domain.clock import Clock
from domain.errors import InvalidRequest, NotFound, Unauthorized
from domain.model import Mode, OrderMode
from domain.roles import LOGIN, TRADE, Role

__all__ = ["Account", "Accounts", "ApiKey", "Caller", "Role", "User"]

SCOPES = Role.ADMIN.scopes
USUAL_SCOPES = Role.TRADER.scopes
"""What a key may do when nothing is said: logging an account in to its broker is asked for by name."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SHORTEST_PASSWORD = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, through which door, for which account.

    scopes   of "read", "trade", "login"
    role     what the person may do at this account
    key_id   None when no key was used (a page, the command line)
    door     "api", "page", "webhook", "strategy", "socket", "cli", "worker"
    address  the peer's IP address, "" inside the platform
    strategy the hosted strategy whose key was used, else ""
    """

    user_id: int
    username: str
    is_admin: bool
    account: Account
    scopes: frozenset[str]
    door: str
    role: Role = Role.VIEWER
    key_id: int | None = None
    address: str = ""
    strategy: str = ""


class Accounts:
    """Every read is of the database as it is now: a revoked key or a switched mode holds at the next call."""

    def __init__(
        self,
        platform: Database,
        vault: Vault,
        clock: Clock,
        open_controls: Callable[[int], None],
        hasher: PasswordHasher | None = None,
        changed: Callable[[int], None] = lambda account_id: None,
    ) -> None:
        """`open_controls(account_id)` prepares a new account's limits before it can trade; `changed(account_id)` hears
        that an account trades elsewhere from now on."""
        self._db = platform
        self._vault = vault
        self._clock = clock
        self._open_controls = open_controls
        self._hasher = hasher or PasswordHasher()
        self._changed = changed
        self._cache = threading.local()

    # -- who asks
    def caller_of_key(self, key: str, *, address: str = "", door: str = "api") -> Caller:
        """The caller behind an API key. Raises Unauthorized, always in the same words."""
        owner = self._owner(key)
        if owner is None or not self._may_use(owner.key, address):
            raise Unauthorized("Invalid openalgo apikey")
        role = owner.seat.under(owner.ceiling)
        return Caller(
            user_id=owner.key.user_id,
            username=owner.username,
            is_admin=owner.ceiling is Role.ADMIN,
            account=owner.account,
            scopes=owner.key.scopes & role.scopes,
            role=role,
            door="strategy" if owner.key.strategy else door,
            key_id=owner.key.id,
            address=address,
            strategy=owner.key.strategy,
        )

    def caller_of_user(
        self, user_id: int, account_id: int | None = None, *, address: str = "", door: str = "page"
    ) -> Caller:
        """The caller behind a signed-in user, for one of their accounts (None: the default). Raises NotFound.

        The worker finishes what was asked for earlier, stops among it, whatever the person may do by now.
        """
        user = self._any_user(user_id) if door == "worker" else self.user(user_id)
        seat = self._seat(user_id, account_id)
        role = Role.ADMIN if door == "worker" else seat.role.under(user.role)
        return Caller(
            user_id=user.id,
            username=user.name,
            is_admin=user.is_admin,
            account=seat.account,
            scopes=role.scopes,
            role=role,
            door=door,
            address=address,
        )

    def _owner(self, key: str) -> KeyOwner | None:
        fingerprint = self._vault.fingerprint(key)
        version = self._db.version()
        cache = self._cache
        if version is None or getattr(cache, "version", None) != version:
            cache.owners, cache.version = {}, version
        if fingerprint not in cache.owners:
            with self._db.read() as connection:
                owner = key_rows.owner_of(connection, fingerprint)
            if owner is None or version is None:
                return owner
            cache.owners[fingerprint] = owner
        found: KeyOwner = cache.owners[fingerprint]
        return found

    def _may_use(self, key: ApiKey, address: str) -> bool:
        if key.expires_at is not None and key.expires_at <= self._clock.now():
            return False
        if not key.addresses or not address:
            return not key.addresses
        peer = ipaddress.ip_address(address)
        return any(peer in ipaddress.ip_network(network) for network in key.addresses)

    # -- users
    def add_user(self, name: str, password: str, *, role: Role = Role.TRADER) -> User:
        """Create a user with a paper account of their own. Raises InvalidRequest naming the field."""
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                "A user name is 1 to 64 letters, digits and . _ - @, and starts with a letter or digit.",
                "name",
            )
        self._check_password(password)
        hashed = self._hasher.hash(password)
        now = self._clock.now()

        def work(connection: Connection) -> tuple[int, int]:
            user_id = user_rows.add(connection, name, name.casefold(), hashed, role, now)
            return user_id, account_rows.add(connection, user_id, PAPER, PAPER, Mode.ANALYZE, True, now)

        try:
            user_id, account_id = self._db.write(work)
        except IntegrityError as error:
            raise InvalidRequest(f"There is a user named {name} already.", "name") from error
        self._open_controls(account_id)
        return self.user(user_id)

    def verify_password(self, name: str, password: str) -> User:
        """The user of a name and password. Raises Unauthorized, after the same time whatever was wrong."""
        with self._db.read() as connection:
            user = user_rows.by_name(connection, name.casefold())
        known = user is not None and user.disabled_at is None
        if not self._matches(user.password_hash if user else self._decoy(), password) or not known:
            raise Unauthorized("Wrong user name or password.")
        assert user is not None
        if self._hasher.check_needs_rehash(user.password_hash):
            fresh = self._hasher.hash(password)
            self._db.write(lambda c: user_rows.set_password(c, user.id, fresh))
        return user

    def change_password(self, user_id: int, old: str, new: str) -> None:
        """Raises Unauthorized for a wrong old password, InvalidRequest for a weak new one."""
        if not self._matches(self.user(user_id).password_hash, old):
            raise Unauthorized("The current password is wrong.")
        self._check_password(new)
        hashed = self._hasher.hash(new)
        self._db.write(lambda c: user_rows.set_password(c, user_id, hashed))

    def reset_password(self, user_id: int, new: str) -> None:
        """Set a password without the old one: for the server's owner. Raises InvalidRequest for a weak one."""
        self._check_password(new)
        hashed = self._hasher.hash(new)
        self._db.write(lambda c: user_rows.set_password(c, user_id, hashed))

    def user(self, user_id: int) -> User:
        """Raises NotFound, also for a disabled user."""
        user = self._any_user(user_id)
        if user.disabled_at is not None:
            raise NotFound("No such user.")
        return user

    def _any_user(self, user_id: int) -> User:
        """Barred ones too: what they asked for earlier, stops among it, is finished all the same."""
        with self._db.read() as connection:
            user = user_rows.by_id(connection, user_id)
        if user is None:
            raise NotFound("No such user.")
        return user

    def user_named(self, name: str) -> User:
        """Raises NotFound."""
        with self._db.read() as connection:
            user = user_rows.by_name(connection, name.casefold())
        if user is None:
            raise NotFound(f"There is no user named {name}.")
        return user

    def users(self) -> list[User]:
        with self._db.read() as connection:
            return user_rows.every(connection)

    def names(self, ids: Iterable[int | None]) -> dict[int, str]:
        """id -> name of the people behind rows, read at once; barred ones too."""
        wanted = {user_id for user_id in ids if user_id is not None}
        with self._db.read() as connection:
            return user_rows.names(connection, wanted)

    def has_users(self) -> bool:
        with self._db.read() as connection:
            return user_rows.count(connection) > 0

    # -- accounts
    def accounts_of(self, user_id: int) -> list[Account]:
        """Their own, the default one first, then those of others at which they have a seat."""
        return [seat.account for seat in self.seats_of(user_id)]

    def seats_of(self, user_id: int) -> list[Seat]:
        """The same accounts with the user's role at each, not above their role on the server."""
        with self._db.read() as connection:
            ceiling = user_rows.by_id(connection, user_id)
            seats = member_rows.seats(connection, user_id)
        return [Seat(one.account, one.role.under(ceiling.role)) for one in seats if ceiling is not None]

    def every_account(self) -> list[Account]:
        with self._db.read() as connection:
            return account_rows.every(connection)

    def account(self, account_id: int) -> Account:
        """Raises NotFound."""
        with self._db.read() as connection:
            account = account_rows.by_id(connection, account_id)
        if account is None:
            raise NotFound("No such account.")
        return account

    def add_account(self, user_id: int, name: str, broker: str) -> Account:
        """Add an account at a broker. It starts in analyze mode: going live is its owner's own step."""
        if not 1 <= len(name.strip()) <= 64:
            raise InvalidRequest("An account name is 1 to 64 characters.", "name")
        now = self._clock.now()
        try:
            account_id = self._db.write(
                lambda c: account_rows.add(c, user_id, name.strip(), broker, Mode.ANALYZE, False, now)
            )
        except IntegrityError as error:
            raise InvalidRequest(f"You have an account named {name} already.", "name") from error
        self._open_controls(account_id)
        return self.account(account_id)

    def set_mode(self, caller: Caller, mode: Mode) -> None:
        """Switch the caller's account. Raises InvalidRequest when a paper account is told to go live."""
        if caller.account.is_paper and mode is Mode.LIVE:
            raise InvalidRequest("A paper account has no live mode.", "mode")
        self._db.write(lambda c: account_rows.set_mode(c, caller.account.id, mode))
        self._changed(caller.account.id)

    def set_order_mode(self, caller: Caller, mode: OrderMode) -> None:
        self._db.write(lambda c: account_rows.set_order_mode(c, caller.account.id, mode))

    def set_default(self, user_id: int, account_id: int) -> None:
        """Raises NotFound when the account is not the user's own."""
        if self._seat(user_id, account_id).account.user_id != user_id:
            raise NotFound("No such account of your own.")
        self._db.write(lambda c: account_rows.set_default(c, user_id, account_id))

    def _seat(self, user_id: int, account_id: int | None) -> Seat:
        for seat in self.seats_of(user_id):
            if account_id in (None, seat.account.id):
                return seat
        raise NotFound("No such account.")

    # -- who may do what
    def set_role(self, user_id: int, role: Role) -> None:
        """Change what a user may do at most. Raises NotFound; InvalidRequest when no administrator would be left."""
        known = self.user(user_id)
        leaves = known.is_admin and role is not Role.ADMIN

        def work(connection: Connection) -> None:
            if leaves:
                _keep_an_admin(connection, user_id)
            user_rows.set_role(connection, user_id, role)

        self._db.write(work)

    def set_barred(self, name: str, barred: bool) -> User:
        """Bar a user: sign-in, sessions and keys end at once. Or let them in again. Raises as `set_role`."""
        known = self.user_named(name)
        at = self._clock.now() if barred else None

        def work(connection: Connection) -> None:
            if barred and known.is_admin:
                _keep_an_admin(connection, known.id)
            user_rows.set_disabled(connection, known.id, at)

        self._db.write(work)
        return known

    def members(self) -> list[Member]:
        """Everybody who has a role at another's account."""
        with self._db.read() as connection:
            return member_rows.every(connection)

    def give_seat(self, account_id: int, user_id: int, role: Role | None) -> None:
        """Give a user a role at another's account; None takes it away. Raises NotFound, InvalidRequest."""
        account, known = self.account(account_id), self.user(user_id)
        if account.user_id == known.id:
            raise InvalidRequest(f"{known.name} owns that account.", "user")
        self._db.write(lambda c: member_rows.give(c, account_id, user_id, role))

    # -- keys
    def create_key(
        self,
        user_id: int,
        *,
        account_id: int | None = None,
        scopes: Iterable[str] = USUAL_SCOPES,
        name: str = "",
        expires_at: datetime | None = None,
        addresses: Iterable[str] = (),
        strategy: str = "",
    ) -> str:
        """Make a key of 64 hex digits for one account (None: the default) and return it.

        Raises InvalidRequest for rights that the user has not got at that account.
        """
        seat = self._seat(user_id, account_id)
        account, wanted = seat.account, _scopes(scopes)
        if LOGIN in wanted - seat.role.scopes:
            raise InvalidRequest(f"Only an admin of {account.name} logs it in to its broker.", "scopes")
        if TRADE in wanted - seat.role.scopes:
            raise InvalidRequest(
                f"You may look at {account.name}, not trade on it: make a key that only reads.", "scopes"
            )
        networks = _networks(addresses)
        key = secrets.token_hex(32)
        now = self._clock.now()
        self._db.write(
            lambda c: key_rows.add(
                c,
                user_id=user_id,
                account_id=account.id,
                name=name[:64],
                fingerprint=self._vault.fingerprint(key),
                cipher=self._vault.seal(key),
                last_four=key[-4:],
                scopes=wanted,
                addresses=networks,
                strategy=strategy,
                now=now,
                expires_at=expires_at,
            )
        )
        return key

    def keys_of(self, user_id: int) -> list[ApiKey]:
        """Newest first; keys of hosted runs are not listed."""
        with self._db.read() as connection:
            return key_rows.of_user(connection, user_id)

    def reveal_key(self, user_id: int, key_id: int) -> str:
        """The key itself; the door asks for a fresh password first. Raises NotFound."""
        with self._db.read() as connection:
            sealed = key_rows.cipher_of(connection, user_id, key_id)
        if sealed is None:
            raise NotFound("No such key.")
        return self._vault.open(sealed)

    def revoke_key(self, user_id: int, key_id: int) -> None:
        """Raises NotFound."""
        now = self._clock.now()
        if not self._db.write(lambda c: key_rows.revoke(c, user_id, key_id, now)):
            raise NotFound("No such key.")

    # -- passwords
    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerifyMismatchError, InvalidHashError):
            return False

    def _decoy(self) -> str:
        """A hash nobody's password has, so that an unknown name takes as long as a known one."""
        if not hasattr(self, "_decoy_hash"):
            self._decoy_hash = self._hasher.hash(secrets.token_hex(16))
        return self._decoy_hash

    @staticmethod
    def _check_password(password: str) -> None:
        if len(password) < _SHORTEST_PASSWORD:
            raise InvalidRequest(f"A password has {_SHORTEST_PASSWORD} characters or more.", "password")
        if len(password) > 1024:
            raise InvalidRequest("A password has 1,024 characters at most.", "password")


def _scopes(scopes: Iterable[str]) -> frozenset[str]:
    wanted = frozenset(scopes)
    if not wanted or not wanted <= SCOPES:
        raise InvalidRequest("Scopes are read, trade and login.", "scopes")
    return wanted


def _networks(addresses: Iterable[str]) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(address.strip(), strict=False)) for address in addresses)
    except ValueError as error:
        raise InvalidRequest(f"Not an IP address or network: {error}", "addresses") from error


def _keep_an_admin(connection: Connection, leaving: int) -> None:
    hold(connection, "administrators")
    users = user_rows.every(connection)
    if not any(one.is_admin and one.disabled_at is None and one.id != leaving for one in users):
        raise InvalidRequest("Somebody must run the server: make another administrator first.", "role")

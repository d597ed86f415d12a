"""People at accounts of others, and what they may do there. An account's owner needs no row."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Column, Connection, ForeignKey, String, Table, and_, case, delete, or_, select

from database.accounts import ACCOUNTS, FIELDS, Account, from_row
from database.engine import put
from database.metadata import PLATFORM
from database.users import USERS
from domain.roles import Role

MEMBERS = Table(
    "account_members",
    PLATFORM,
    Column("account_id", ForeignKey(ACCOUNTS.c.id), primary_key=True),
    Column("user_id", ForeignKey(USERS.c.id), primary_key=True, index=True),
    Column("role", String(8), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Seat:
    """A person's place at an account. Another owner's account is named with its owner: "ravi/paper"."""

    account: Account
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody who was given a role at an account."""

    account_id: int
    account: str
    owner: str
    user_id: int
    user: str
    role: Role


def seats(connection: Connection, user_id: int) -> list[Seat]:
    """The user's open accounts, default first, then those of others. Raises ValueError for an unreadable role."""
    mine = ACCOUNTS.c.user_id == user_id
    query = (
        select(*FIELDS, USERS.c.name.label("owner"), MEMBERS.c.role)
        .join_from(ACCOUNTS, USERS, USERS.c.id == ACCOUNTS.c.user_id)
        .outerjoin(MEMBERS, and_(MEMBERS.c.account_id == ACCOUNTS.c.id, MEMBERS.c.user_id == user_id))
        .where(ACCOUNTS.c.closed_at.is_(None), or_(mine, MEMBERS.c.role.is_not(None)))
        .order_by(case((mine, 0), else_=1), ACCOUNTS.c.is_default.desc(), ACCOUNTS.c.id)
    )
    found = []
    for row in connection.execute(query).mappings():
        account = from_row(row)
        if account.user_id == user_id:
            found.append(Seat(account, Role.ADMIN))
        else:
            shared = replace(account, name=f"{row['owner']}/{account.name}", is_default=False)
            found.append(Seat(shared, Role(row["role"])))
    return found


def every(connection: Connection) -> list[Member]:
    """Everybody who was given a role at another's account."""
    owners = USERS.alias("owners")
    query = (
        select(
            MEMBERS.c.account_id,
            ACCOUNTS.c.name.label("account"),
            owners.c.name.label("owner"),
            MEMBERS.c.user_id,
            USERS.c.name.label("user"),
            MEMBERS.c.role,
        )
        .join_from(MEMBERS, ACCOUNTS, ACCOUNTS.c.id == MEMBERS.c.account_id)
        .join(owners, owners.c.id == ACCOUNTS.c.user_id)
        .join(USERS, USERS.c.id == MEMBERS.c.user_id)
        .order_by(owners.c.name, ACCOUNTS.c.name, USERS.c.name)
    )
    return [Member(**{**row, "role": Role(row["role"])}) for row in connection.execute(query).mappings()]


def give(connection: Connection, account_id: int, user_id: int, role: Role | None) -> None:
    """Seat a user at an account; None takes the seat away."""
    if role is not None:
        values = {"account_id": account_id, "user_id": user_id, "role": role.value}
        put(connection, MEMBERS, values)
        return
    here = (MEMBERS.c.account_id == account_id, MEMBERS.c.user_id == user_id)
    connection.execute(delete(MEMBERS).where(*here))

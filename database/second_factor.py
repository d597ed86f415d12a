"""The second factor's columns of `users`: sealed secret, last accepted step, hashes of recovery codes."""

from __future__ import annotations

from sqlalchemy import Connection, or_, select, update

from database.users import USERS


def secret(connection: Connection, user_id: int) -> tuple[str | None, bool]:
    """The sealed secret (None when none was made) and whether it is in force."""
    query = select(USERS.c.totp_cipher, USERS.c.totp_enabled).where(USERS.c.id == user_id)
    row = connection.execute(query).first()
    return (None, False) if row is None else (row[0], bool(row[1]))


def offer(connection: Connection, user_id: int, sealed: str) -> None:
    """Keep a secret that is not in force yet."""
    values = {"totp_cipher": sealed, "totp_enabled": False, "totp_last_step": None}
    connection.execute(update(USERS).where(USERS.c.id == user_id).values(**values))


def enable(connection: Connection, user_id: int, recovery_hashes: list[str]) -> None:
    values = {"totp_enabled": True, "recovery_hashes": " ".join(recovery_hashes)}
    connection.execute(update(USERS).where(USERS.c.id == user_id).values(**values))


def disable(connection: Connection, user_id: int) -> None:
    values = {"totp_cipher": None, "totp_enabled": False, "totp_last_step": None, "recovery_hashes": ""}
    connection.execute(update(USERS).where(USERS.c.id == user_id).values(**values))


def spend_step(connection: Connection, user_id: int, step: int) -> bool:
    """Mark a time step as used; False when it or a later one was used before."""
    unused = or_(USERS.c.totp_last_step.is_(None), USERS.c.totp_last_step < step)
    query = update(USERS).where(USERS.c.id == user_id, unused).values(totp_last_step=step)
    return connection.execute(query).rowcount == 1


def recovery_hashes(connection: Connection, user_id: int) -> list[str]:
    text = connection.execute(select(USERS.c.recovery_hashes).where(USERS.c.id == user_id)).scalar()
    return (text or "").split()


def spend_recovery(connection: Connection, user_id: int, hashed: str) -> bool:
    """Take a recovery code away; False when it is not there, or no longer."""
    query = select(USERS.c.recovery_hashes).where(USERS.c.id == user_id).with_for_update()
    kept = (connection.execute(query).scalar() or "").split()
    if hashed not in kept:
        return False
    keep_recovery(connection, user_id, [one for one in kept if one != hashed])
    return True


def keep_recovery(connection: Connection, user_id: int, hashes: list[str]) -> None:
    query = update(USERS).where(USERS.c.id == user_id).values(recovery_hashes=" ".join(hashes))
    connection.execute(query)

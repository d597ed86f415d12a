"""Time-based one-time codes and recovery codes: enrolment, checking, and that each code works once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

import pyotp
import segno
from sqlalchemy import Connection

from database import second_factor as rows
from database.crypto import Vault
from database.engine import Database
from domain.clock import Clock
from domain.errors import InvalidRequest, Unauthorized

_STEP = 30
_DRIFT = 1
_RECOVERY_CODES = 8
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a page shows once. `path` is the QR code as an SVG path on a `size` × `size` grid."""

    secret: str
    uri: str
    size: int
    path: str


class SecondFactor:
    """A code is accepted within thirty seconds either side of now, and never twice."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._db = database
        self._vault = vault
        self._clock = clock

    def is_on(self, user_id: int) -> bool:
        with self._db.read() as connection:
            return rows.secret(connection, user_id)[1]

    def offer(self, user_id: int, name: str) -> Enrolment:
        """Make a secret, or show the one offered and not yet confirmed. Raises InvalidRequest when on."""
        with self._db.read() as connection:
            sealed, on = rows.secret(connection, user_id)
        if on:
            raise InvalidRequest("Codes are on already; turn them off first.")
        secret = self._vault.open(sealed) if sealed else pyotp.random_base32()
        if not sealed:
            self._db.write(lambda c: rows.offer(c, user_id, self._vault.seal(secret)))
        uri = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name="OpenAlgo")
        return Enrolment(secret, uri, *_qr(uri))

    def confirm(self, user_id: int, code: str) -> list[str]:
        """Put the offered secret in force. Returns the recovery codes, shown once. Raises Unauthorized."""
        with self._db.read() as connection:
            sealed, on = rows.secret(connection, user_id)
        step = None if sealed is None or on else self._step_of(self._vault.open(sealed), code)
        if step is None:
            raise Unauthorized("That code does not match.")
        codes, hashes = self._recovery_codes()

        def work(connection: Connection) -> None:
            rows.enable(connection, user_id, hashes)
            rows.spend_step(connection, user_id, step)

        self._db.write(work)
        return codes

    def renew_recovery_codes(self, user_id: int) -> list[str]:
        """New recovery codes; the old ones stop working."""
        codes, hashes = self._recovery_codes()
        self._db.write(lambda c: rows.keep_recovery(c, user_id, hashes))
        return codes

    def recovery_codes_left(self, user_id: int) -> int:
        with self._db.read() as connection:
            return len(rows.recovery_hashes(connection, user_id))

    def turn_off(self, user_id: int) -> None:
        self._db.write(lambda c: rows.disable(c, user_id))

    def check(self, user_id: int, code: str) -> None:
        """Spend a six-digit code or a recovery code. Raises Unauthorized."""
        digits = "".join(code.split())
        spent = self._spend_code(user_id, digits) if digits.isascii() and digits.isdigit() else False
        if not spent and not self._spend_recovery(user_id, digits):
            raise Unauthorized("That code does not match.")

    def _spend_code(self, user_id: int, code: str) -> bool:
        with self._db.read() as connection:
            sealed, on = rows.secret(connection, user_id)
        step = self._step_of(self._vault.open(sealed), code) if sealed and on else None
        return step is not None and self._db.write(lambda c: rows.spend_step(c, user_id, step))

    def _spend_recovery(self, user_id: int, code: str) -> bool:
        hashed = self._vault.fingerprint(_plain(code))
        return self._db.write(lambda c: rows.spend_recovery(c, user_id, hashed))

    def _step_of(self, secret: str, code: str) -> int | None:
        """The time step whose code this is, None for none near now."""
        digits = "".join(code.split())
        if len(digits) != 6:
            return None
        now = int(self._clock.now().timestamp()) // _STEP
        totp = pyotp.TOTP(secret)
        near = range(now - _DRIFT, now + _DRIFT + 1)
        return next((step for step in near if secrets.compare_digest(_at(totp, step), digits)), None)

    def _recovery_codes(self) -> tuple[list[str], list[str]]:
        codes = ["".join(secrets.choice(_ALPHABET) for _ in range(8)) for _ in range(_RECOVERY_CODES)]
        return [f"{code[:4]}-{code[4:]}" for code in codes], [self._vault.fingerprint(code) for code in codes]


def _at(totp: pyotp.TOTP, step: int) -> str:
    return str(totp.at(step * _STEP))


def _plain(code: str) -> str:
    return code.replace("-", "").upper()


def _qr(text: str) -> tuple[int, str]:
    matrix = [list(row) for row in segno.make(text, error="m").matrix]
    cells = ((x, y) for y, row in enumerate(matrix) for x, bit in enumerate(row) if bit)
    return len(matrix), "".join(f"M{x} {y}h1v1h-1z" for x, y in cells)


def seconds_left(now: datetime) -> int:
    """How long the present code is the newest one."""
    return _STEP - int(now.timestamp()) % _STEP

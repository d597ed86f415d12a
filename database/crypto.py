"""Secrets at rest: Fernet for what must be read again, HMAC-SHA256 for what only has to be recognised."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class WrongKey(Exception):
    """A stored secret does not open with the installation's keys."""


class Vault:
    """Encrypts with the first key and opens with any of them, so that keys can be rotated."""

    def __init__(self, keys: tuple[str, ...], pepper: str) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._pepper = pepper.encode()

    def seal(self, plain: str) -> str:
        """Ciphertext of a text; equal texts give different ciphertexts."""
        return self._fernet.encrypt(plain.encode()).decode()

    def open(self, sealed: str) -> str:
        """The text of a ciphertext. Raises WrongKey."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise WrongKey("a stored secret does not open with this installation's keys") from error

    def rotate(self, sealed: str) -> str:
        """The same secret under the first key."""
        try:
            return self._fernet.rotate(sealed.encode()).decode()
        except InvalidToken as error:
            raise WrongKey("a stored secret does not open with this installation's keys") from error

    def fingerprint(self, secret: str) -> str:
        """64 hex digits by which a secret is found again; useless without the pepper."""
        return hmac.new(self._pepper, secret.encode(), hashlib.sha256).hexdigest()

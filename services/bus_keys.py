"""Keys of the message bus: one CURVE pair a role, made once, and the ZAP gate that lets only those in.

Everything that holds one of these keys is trusted as a part of the platform; file modes keep other users out,
and hosted strategies have no access to the folder.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zmq
from zmq.utils import z85

log = logging.getLogger(__name__)

ROLES: Final = ("stream", "exchange", "web", "worker", "tool")
DOMAIN: Final = b"openalgo"
_ZAP = "inproc://zeromq.zap.01"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE pair in Z85 text (40 bytes each). Never logged."""

    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return "KeyPair(…)"


@dataclass(frozen=True, slots=True)
class BusKeys:
    """Every role's pair, of one data directory."""

    pairs: dict[str, KeyPair]

    def pair(self, role: str) -> KeyPair:
        """The role's own pair. Raises KeyError for a role that is not in ROLES."""
        return self.pairs[role]

    @property
    def allowed(self) -> frozenset[bytes]:
        """The public keys that may connect, raw (32 bytes each), as ZAP shows them."""
        return frozenset(z85.decode(pair.public) for pair in self.pairs.values())


def bus_keys(data_dir: Path) -> BusKeys:
    """Read the keys below `<data_dir>/keys/bus`, making those that are missing.

    Safe when several processes start at once: the first file to appear is everybody's.
    Raises OSError when the folder cannot be written or read, ValueError for a damaged file.
    """
    folder = data_dir / "keys" / "bus"
    folder.mkdir(parents=True, exist_ok=True)
    for private in (folder.parent, folder):
        private.chmod(0o700)
    return BusKeys({role: _pair(folder / f"{role}.key") for role in ROLES})


def _pair(path: Path) -> KeyPair:
    if not path.exists():
        _create(path)
    public, _, secret = path.read_bytes().strip().partition(b"\n")
    if len(public) != 40 or len(secret) != 40:
        raise ValueError(f"not a bus key: {path}")
    return KeyPair(public, secret)


def _create(path: Path) -> None:
    public, secret = zmq.curve_keypair()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(public + b"\n" + secret + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


class Gate:
    """Answers ZAP for one context: a peer is let in when its public key is in `allowed`.

    The thread ends when the context is terminated.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], allowed: frozenset[bytes]) -> None:
        self._allowed = allowed
        self._socket = context.socket(zmq.REP)
        self._socket.linger = 0
        self._socket.bind(_ZAP)
        threading.Thread(target=self._serve, name="bus-gate", daemon=True).start()

    def _serve(self) -> None:
        try:
            while True:
                self._socket.send_multipart(self._answer(self._socket.recv_multipart()))
        except zmq.ContextTerminated:
            log.debug("bus gate closed")
        finally:
            self._socket.close()

    def _answer(self, request: list[bytes]) -> list[bytes]:
        version, request_id = request[0], request[1]
        known = len(request) == 7 and request[5] == b"CURVE" and request[6] in self._allowed
        if not known:
            log.warning("bus: an unknown key was refused")
        code, text = (b"200", b"OK") if known else (b"400", b"unknown key")
        return [version, request_id, code, text, b"", b""]

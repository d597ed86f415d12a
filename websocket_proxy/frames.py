"""WebSocket frames as bytes, ready to be shared by any number of sockets (a server's frames are not masked)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

TEXT: Final = 0x81
BINARY: Final = 0x82
_BATCH: Final = 500


def frame(kind: int, payload: bytes) -> bytes:
    """One final frame of a kind."""
    size = len(payload)
    if size < 126:
        return bytes((kind, size)) + payload
    if size < 65536:
        return bytes((kind, 126)) + size.to_bytes(2, "big") + payload
    return bytes((kind, 127)) + size.to_bytes(8, "big") + payload


def text(payload: bytes) -> bytes:
    return frame(TEXT, payload)


def json_batch(ticks: Sequence[bytes]) -> bytes:
    """Extension: frames `{"type":"batch","ticks":[…]}` of ticks already encoded as JSON objects."""
    groups = (ticks[start : start + _BATCH] for start in range(0, len(ticks), _BATCH))
    return b"".join(text(b'{"type":"batch","ticks":[' + b",".join(group) + b"]}") for group in groups)


def msgpack_batch(ticks: Sequence[bytes]) -> bytes:
    """Extension: the same as binary frames of ticks already encoded as msgpack maps."""
    groups = (ticks[start : start + _BATCH] for start in range(0, len(ticks), _BATCH))
    head = b"\x82\xa4type\xa5batch\xa5ticks\xdc"
    return b"".join(frame(BINARY, head + len(group).to_bytes(2, "big") + b"".join(group)) for group in groups)

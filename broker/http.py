"""The one HTTP client towards brokers: pool, split timeouts, pacing, size caps, nothing secret in a log.

It is a bare pool on purpose: there is no cookie jar, and nothing follows a redirect, so credentials go to the address
that was asked and nowhere else. It sends once; retrying reads is `sequence.py`'s.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlencode

import certifi
import orjson
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    SSLError,
)

from broker.pacing import Pacer
from domain.clock import Clock

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 7.0
WHOLE_SECONDS = 20.0
BODY_BYTES = 16 << 20
MASTER_BYTES = 96 << 20
_IDLE_SECONDS = 20.0
_CHUNK = 16 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request, before it is sent.

    op      our name of the operation, for logs and tests
    kind    endpoint class of the pacer: "orders", "quotes", "candles", "default"
    query   pairs in order; names may repeat
    urgent  goes before others that wait (exits)
    """

    op: str
    method: str
    url: str
    kind: str = "default"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    urgent: bool = False

    @property
    def address(self) -> str:
        return f"{self.url}?{urlencode(self.query, quote_via=quote)}" if self.query else self.url


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, whole. `retry_after` is seconds, 0.0 when not said."""

    status: int
    content_type: str
    body: bytes
    retry_after: float = 0.0

    def json(self) -> object:
        """The decoded body. Raises ValueError when it is not JSON."""
        return orjson.loads(self.body)


class NotSent(Exception):
    """No connection was made: the broker has seen nothing."""


class NoAnswer(Exception):
    """Bytes may have left, and no whole answer came back."""


class HttpClient:
    """Connections of one account to one broker. Used from many threads at once."""

    def __init__(self, pacer: Pacer, clock: Clock) -> None:
        self._pacer = pacer
        self._clock = clock
        self._pool = urllib3.PoolManager(num_pools=8, maxsize=32, ssl_context=trusted())
        self._last_used = clock.monotonic()

    def send(self, call: Call) -> Reply:
        """Send once and read the whole answer.

        Raises Paced and NotSent when nothing left, NoAnswer when that is not certain.
        """
        self._pacer.wait(call.kind, urgent=call.urgent)
        response = self._open(call, ANSWER_SECONDS)
        try:
            body = b"".join(self._chunks(response, BODY_BYTES, WHOLE_SECONDS))
        finally:
            response.close()
        log.debug("broker call op=%s status=%s bytes=%d", call.op, response.status, len(body))
        return _reply(response, body)

    def download(self, call: Call, path: Path, progress: Callable[[int, int], None]) -> Reply:
        """As `send`, with the body written to `path`; `progress(done, total)`, total 0 when not said."""
        self._pacer.wait(call.kind, urgent=call.urgent)
        response = self._open(call, 30.0)
        try:
            total = int(response.headers.get("Content-Length") or 0)
            done = 0
            with path.open("wb") as file:
                for chunk in self._chunks(response, MASTER_BYTES, 300.0):
                    file.write(chunk)
                    done += len(chunk)
                    progress(done, total)
        finally:
            response.close()
        return _reply(response, b"")

    def close(self) -> None:
        """Give the pool back. Safe to call twice."""
        self._pool.clear()
        self._pacer.close()

    def _open(self, call: Call, answer_seconds: float) -> urllib3.BaseHTTPResponse:
        now = self._clock.monotonic()
        if now - self._last_used > _IDLE_SECONDS:
            # A kept connection that the far side is about to drop turns an order into an unknown outcome.
            self._pool.clear()
        self._last_used = now
        try:
            return self._pool.urlopen(
                call.method,
                call.address,
                body=call.body or None,
                headers=call.headers,
                retries=False,
                redirect=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=answer_seconds),
            )
        except HTTPError as error:
            why = type(error).__name__
            raise (NotSent(why) if _never_left(error) else NoAnswer(why)) from None
        except ValueError as error:
            # A header that cannot be written: they are gathered before the first byte leaves.
            raise NotSent(type(error).__name__) from None

    def _chunks(self, response: urllib3.BaseHTTPResponse, cap: int, seconds: float) -> Iterator[bytes]:
        """The decoded body, piece by piece; too large, too slow or broken off is NoAnswer."""
        deadline = self._clock.monotonic() + seconds
        size = 0
        try:
            for piece in response.stream(_CHUNK, decode_content=True):
                size += len(piece)
                if size > cap:
                    raise NoAnswer("answer too large")
                if self._clock.monotonic() > deadline:
                    raise NoAnswer("answer too slow")
                yield piece
        except (HTTPError, OSError) as error:
            raise NoAnswer(type(error).__name__) from None


@cache
def trusted() -> ssl.SSLContext:
    """Which certificates are believed, read once."""
    return ssl.create_default_context(cafile=certifi.where())


def _never_left(error: HTTPError) -> bool:
    """Whether the request can not have gone out. Of TLS's failures only a refused certificate proves that."""
    if isinstance(error, SSLError):
        return bool(error.args) and isinstance(error.args[0], ssl.SSLCertVerificationError)
    return isinstance(error, NewConnectionError | ConnectTimeoutError | LocationValueError)


def _reply(response: urllib3.BaseHTTPResponse, body: bytes) -> Reply:
    try:
        retry_after = float(response.headers.get("Retry-After") or 0)
    except ValueError:
        retry_after = 0.0
    kind = (response.headers.get("Content-Type") or "").split(";")[0].strip().lower()
    return Reply(response.status, kind, body, max(0.0, min(retry_after, 60.0)))

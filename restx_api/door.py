"""The way of every request: count it, read it, check it, know who asks, call the service, answer.

The order is the contract's (1.4): a bad body with a bad key is a bad body. Endpoints are described by `Endpoint`
and kept in one `Subject` a file; nothing here knows what any of them does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from flask import Response, request
from marshmallow import Schema, ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, TooManyRequests

from domain.errors import InvalidRequest, NotSupported, PlatformError, Unauthorized, Unavailable
from domain.model import Mode, OrderMode
from restx_api import body as json_body
from restx_api import errors
from restx_api.errors import Answer, Style
from restx_api.fields.base import Lenient
from restx_api.fields.shapes import Shape, data, obj
from restx_api.limits import Limits
from services.addresses import Proxies

if TYPE_CHECKING:
    from services.accounts import Caller
    from services.platform import Platform

log = logging.getLogger(__name__)

_LONGEST_IDEMPOTENCY_KEY = 128


class KeyIn(Enum):
    """Where an endpoint looks for the API key."""

    BODY = "body"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class Call:
    """One checked request.

    key        its Idempotency-Key, "" when it brought none
    body_hash  of everything it said but the API key, "" without an Idempotency-Key
    """

    platform: Platform
    caller: Caller
    body: dict[str, Any]
    key: str = ""
    body_hash: str = ""

    @property
    def on_paper(self) -> bool:
        """Whether the account's orders go to the paper exchange."""
        return self.caller.account.mode is Mode.ANALYZE


Handler = Callable[[Call], "dict[str, Any] | Answer | Response"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method of one path.

    reply      JSON Schema of the 200 body
    limit      rate class of limits.py, "" for none
    scope      what the key must be allowed: "read", "trade" or "login"
    sandboxed  answers carry `mode` for an account that trades on paper
    wording    how errors are told, see errors.Wording
    subject    the request field that names an order, for "Order <id> not found"
    text_format  the value of the request's `format` that asks for plain text: errors are then plain text too
    key_first  who asks is known before the fields are looked at: a missing key is an unknown one
    once       the reply is kept under the Idempotency-Key; without it the service keeps what it did
    held       closed to keys of an account in semi-auto mode: "live" while it trades live, "always"
    """

    method: str
    path: str
    tag: str
    handler: Handler
    request: Schema
    reply: Shape
    limit: str = "api"
    scope: str = "read"
    style: Style = Style.B
    sandboxed: bool = False
    key_in: KeyIn = KeyIn.BODY
    denied: int = 403
    denial: str = "Invalid openalgo apikey"
    unknown_instrument: int = 400
    subject: str = ""
    key_first: bool = False
    once: bool = False
    held: str = ""
    text_format: str = ""
    media: tuple[str, ...] = ("application/json",)
    summary: str = ""
    built: bool = True

    def wording(self, given: Mapping[str, Any]) -> errors.Wording:
        """How this request's errors are told."""
        subject = given.get(self.subject) if self.subject else ""
        return errors.Wording(
            self.style,
            self.denied,
            self.denial,
            self.unknown_instrument,
            subject if isinstance(subject, str) else "",
        )


@dataclass(slots=True)
class Subject:
    """The endpoints of one file."""

    name: str
    endpoints: list[Endpoint] = field(default_factory=list)

    def post(self, path: str, request: Schema, **options: Any) -> Callable[[Handler], Handler]:
        """Register the function below as POST `path`; its docstring becomes the published summary."""
        return self._keep("POST", path, request, options)

    def get(self, path: str, request: Schema, **options: Any) -> Callable[[Handler], Handler]:
        """Register the function below as GET `path`; it reads the query string."""
        return self._keep("GET", path, request, {"key_in": KeyIn.QUERY, **options})

    def later(self, method: str, path: str, **options: Any) -> None:
        """Register a path that is not built: it knows its caller, and says so honestly with 501."""
        options = {"reply": data(obj({})), "built": False, **options}
        self._keep(method, path, Lenient(), options)(_not_built)

    def _keep(
        self, method: str, path: str, schema: Schema, options: dict[str, Any]
    ) -> Callable[[Handler], Handler]:
        def keep(handler: Handler) -> Handler:
            summary = " ".join((handler.__doc__ or "").split())
            self.endpoints.append(
                Endpoint(
                    method=method,
                    path=path,
                    tag=self.name,
                    handler=handler,
                    request=schema,
                    summary=summary,
                    **options,
                )
            )
            return handler

        return keep


def _not_built(call: Call) -> Answer:
    """Not built yet: answers 501."""
    raise NotSupported("This endpoint is not built yet")


@dataclass(slots=True)
class _Visit:
    """What is known of a request so far."""

    given: dict[str, Any] = field(default_factory=dict)
    caller: Caller | None = None


KEPT_FOR_READS = 8
"""Web threads that orders never take."""


class Door:
    """Answers requests for one platform."""

    def __init__(self, platform: Platform, limits: Limits) -> None:
        self._platform = platform
        self._limits = limits
        self._proxies = Proxies(platform.settings.trusted_proxies)
        self._writing = threading.BoundedSemaphore(max(1, platform.settings.web_threads - KEPT_FOR_READS))

    @contextmanager
    def _room_for(self, endpoint: Endpoint) -> Iterator[None]:
        """Orders and logins may wait for a broker in all threads but a few: reads and health always find one."""
        if endpoint.scope == "read":
            yield
            return
        if not self._writing.acquire(blocking=False):
            raise Unavailable("Too many orders are on their way. Nothing was sent; try again shortly.")
        try:
            yield
        finally:
            self._writing.release()

    def _address(self) -> str:
        peer = request.remote_addr or ""
        forwarded = request.headers.get("X-Forwarded-For")
        return self._proxies.client(peer, forwarded) if forwarded else peer

    def serve(self, endpoint: Endpoint, values: Mapping[str, str]) -> Response:
        """One request, whatever happens in it. `values` are the path's variables."""
        visit = _Visit()
        try:
            call = self._admit(endpoint, values, visit)
            with self._room_for(endpoint):
                result = self._once(endpoint, call) if endpoint.once and call.key else endpoint.handler(call)
            if isinstance(result, Response):
                return result
            answer = result if isinstance(result, Answer) else Answer(200, result)
        except ValidationError as error:
            answer = errors.invalid(endpoint.style, error.messages)
        except PlatformError as error:
            answer = errors.of(error, endpoint.wording(visit.given))
        except Exception:
            log.exception("request failed path=%s", endpoint.path)
            answer = errors.UNEXPECTED
        if endpoint.sandboxed and self._on_paper(visit):
            answer = answer._replace(body={"mode": Mode.ANALYZE.value, **answer.body})
        if endpoint.text_format and str(visit.given.get("format")).lower() == endpoint.text_format:
            return Response(
                errors.sentence(answer.body["message"]), answer.status, answer.headers, mimetype="text/plain"
            )
        return respond(answer)

    def _admit(self, endpoint: Endpoint, values: Mapping[str, str], visit: _Visit) -> Call:
        """Everything before the service is asked."""
        address = self._address()
        if endpoint.limit:
            self._limits.address(address)
        given = _read(endpoint, values)
        key = ""
        if isinstance(given, dict):
            visit.given = given
            if isinstance(named := given.get("apikey"), str):
                key = named
        if endpoint.limit:
            self._limits.key(key, address, endpoint.path, endpoint.limit)
        if endpoint.key_first:
            visit.caller = self._platform.accounts.caller_of_key(key, address=address)
        checked = endpoint.request.load(given)
        once = _idempotency_key()
        caller = visit.caller or self._platform.accounts.caller_of_key(key, address=address)
        visit.caller = caller
        _check_may(endpoint, caller)
        return Call(self._platform, caller, checked, once, _hash(endpoint, given) if once else "")

    def _once(self, endpoint: Endpoint, call: Call) -> Answer:
        """The answer that this key got the first time."""

        def work() -> str:
            result = endpoint.handler(call)
            status, body = result[:2] if isinstance(result, Answer) else (200, result)
            return json_body.encode([status, body]).decode()

        status, body = json_body.decode(
            self._platform.once.run(call.caller, call.key, call.body_hash, work).encode()
        )
        return Answer(status, body)

    def _on_paper(self, visit: _Visit) -> bool:
        """Whether who asked trades on paper; looked up again where the request failed before that mattered."""
        caller = visit.caller
        if caller is None and isinstance(key := visit.given.get("apikey"), str):
            try:
                caller = self._platform.accounts.caller_of_key(key, address=self._address())
            except Unauthorized:
                return False
        return caller is not None and caller.account.mode is Mode.ANALYZE


def _drain() -> None:
    """Read on for a while, so that a client which sends before it listens hears why it was refused."""
    stream, left = request.environ["wsgi.input"], 8 * json_body.LARGEST
    while left > 0 and (chunk := stream.read(65536)):
        left -= len(chunk)


def _check_may(endpoint: Endpoint, caller: Caller) -> None:
    if endpoint.scope not in caller.scopes:
        raise errors.Denied(f"This API key lacks the {endpoint.scope} scope")
    account = caller.account
    held = endpoint.held == "always" or (endpoint.held == "live" and account.mode is Mode.LIVE)
    if held and account.order_mode is OrderMode.SEMI_AUTO:
        raise errors.Denied("This account is in semi-auto mode: do this on the Action Center page")


def respond(answer: Answer) -> Response:
    """Encode an answer."""
    return Response(json_body.encode(answer.body), answer.status, answer.headers, mimetype="application/json")


def _read(endpoint: Endpoint, values: Mapping[str, str]) -> Any:
    """What the request says, before it is checked: usually an object, never a form."""
    given: Any = {**request.args.to_dict(), **values} if endpoint.key_in is KeyIn.QUERY else _json()
    if isinstance(given, dict) and "apikey" not in given and (header := request.headers.get("X-API-KEY")):
        given["apikey"] = header
    return given


def _json() -> Any:
    # One byte more than is allowed: a body of unknown length is cut there, not refused, by the stream itself.
    request.max_content_length = json_body.LARGEST + 1
    try:
        raw = request.get_data(cache=False)
        if len(raw) > json_body.LARGEST:
            _drain()
            raise RequestEntityTooLarge
        return json_body.decode(raw)
    except json_body.NotJson as error:
        raise errors.Unreadable(str(error)) from error
    except RequestEntityTooLarge as error:
        raise errors.TooLarge("Request body is larger than 1 MiB") from error
    except TooManyRequests as error:
        raise errors.TooMany(1.0) from error
    except HTTPException as error:
        raise errors.Unreadable("Request body could not be read") from error


def _hash(endpoint: Endpoint, given: dict[str, Any]) -> str:
    """A fingerprint of what was asked: the same for the same request, whatever key or key order it came with."""
    said = json_body.encode({name: value for name, value in given.items() if name != "apikey"})
    return sha256(endpoint.path.encode() + said).hexdigest()


def _idempotency_key() -> str:
    key = request.headers.get("Idempotency-Key", "").strip()
    if len(key) > _LONGEST_IDEMPOTENCY_KEY or not (key.isascii() and key.isprintable()):
        raise InvalidRequest("Idempotency-Key has 128 printable ASCII characters at most")
    return key

"""Every HTTP number and error body of /api/v1, and nothing else knows them (contract 1.3, 1.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from domain.errors import (
    BrokerError,
    BrokerUnavailable,
    DuplicateKey,
    InstrumentNotFound,
    InvalidRequest,
    LoginFailed,
    NotFound,
    NotSupported,
    OrderNotFound,
    OrderRejected,
    PlatformError,
    RateLimited,
    RiskRefused,
    SessionOver,
    Unauthorized,
    Unavailable,
)
from domain.model import OrderMode

if TYPE_CHECKING:
    from services.orders import Placed


class Style(Enum):
    """How an endpoint words a request that its schema refuses."""

    A = "a string that shows the error map"
    B = "the error map itself"
    C = "Validation error"
    D = "Validation failed"
    PLAIN = "one sentence"


class Answer(NamedTuple):
    """What goes back, before it is encoded."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = {}


class Wording(NamedTuple):
    """Where endpoints differ in answering the same error.

    denied              status of an unknown key
    denial              its message
    unknown_instrument  status of a symbol that is not in the master
    subject             the id that an order (or GTT) endpoint was asked about, "" elsewhere
    """

    style: Style = Style.B
    denied: int = 403
    denial: str = "Invalid openalgo apikey"
    unknown_instrument: int = 400
    subject: str = ""


class Denied(PlatformError):
    """The key is known but may not do this."""


class TooMany(PlatformError):
    """A rate limit of the door; `retry_after` in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("Rate limit exceeded. Please slow down your requests.")
        self.retry_after = retry_after


class Unreadable(PlatformError):
    """The request body is not one JSON value."""


class TooLarge(PlatformError):
    """The request body is longer than the door reads."""


_STATUS: tuple[tuple[type[PlatformError], int, str], ...] = (
    (DuplicateKey, 409, "duplicate_key"),
    (InvalidRequest, 400, ""),
    (Unreadable, 400, ""),
    (TooLarge, 413, ""),
    (RiskRefused, 400, "risk_refused"),
    (NotSupported, 501, "not_supported"),
    (Denied, 403, "scope"),
    (LoginFailed, 403, "login_failed"),
    (NotFound, 404, ""),
    (OrderNotFound, 404, ""),
    (OrderRejected, 400, "order_rejected"),
    (BrokerUnavailable, 500, "broker_unavailable"),
    (BrokerError, 500, "broker_error"),
    (Unavailable, 503, "unavailable"),
)

_MISSING = "Missing data for required field."

UNEXPECTED = Answer(500, {"status": "error", "message": "An unexpected error occurred"})


def refused(message: object, kind: str = "", **more: Any) -> dict[str, Any]:
    """The one shape of an error; `kind` becomes `error_type` when there is one."""
    body = {"status": "error", "message": message, **more}
    return {**body, "error_type": kind} if kind else body


def invalid(style: Style, messages: Any) -> Answer:
    """A request that the schema refuses: 400 in the endpoint's own style."""
    if style is Style.A:
        return Answer(400, refused(str(messages)))
    if style is Style.B:
        return Answer(400, refused(messages))
    if style is Style.PLAIN:
        keyless = isinstance(messages, dict) and messages.get("apikey") == [_MISSING]
        return Answer(400, refused("Missing apikey parameter" if keyless else sentence(messages)))
    return Answer(400, refused(style.value, errors=messages))


def of(error: PlatformError, wording: Wording) -> Answer:
    """The answer for an error of the services."""
    if isinstance(error, Unauthorized):
        return Answer(wording.denied, refused(wording.denial, "invalid_key"))
    if isinstance(error, SessionOver):
        return Answer(wording.denied, refused(wording.denial, "session_expired"))
    if isinstance(error, InstrumentNotFound):
        return Answer(wording.unknown_instrument, refused(str(error)))
    if isinstance(error, TooMany | RateLimited):
        return _slow_down(str(error), error.retry_after)
    if isinstance(error, RiskRefused):
        return Answer(400, refused(str(error), "risk_refused", limit=error.limit))
    if isinstance(error, OrderNotFound | NotFound) and wording.subject:
        return Answer(404, refused(f"Order {wording.subject} not found"))
    for kind, status, word in _STATUS:
        if isinstance(error, kind):
            return Answer(status, refused(str(error), word), {"Retry-After": "1"} if status == 503 else {})
    return UNEXPECTED


def placed(outcome: Placed, subject: str, done: str = "", guards: Sequence[str] = ()) -> Answer:
    """What became of an order, a change or a cancel (contract 1.3, 1.6, 3.1). `done` is said on paper too.

    guards  ids of the exit triggers that were kept with the order
    """
    more: dict[str, Any] = {"orderids": list(outcome.order_ids)} if outcome.order_ids else {}
    more |= {"exit_trigger_ids": list(guards)} if guards else {}
    if outcome.state == "accepted":
        body = {"status": "success", "orderid": outcome.order_id, **more}
        return Answer(200, {**body, "message": done} if done else body)
    if outcome.state == "none":
        return Answer(200, {"status": "success", "message": outcome.message})
    if outcome.state == "parked":
        return Answer(200, {**queued(outcome.approval_id), **more})
    if outcome.state == "partial":
        body = {"status": "success", "orderid": outcome.order_id, "message": outcome.message}
        return Answer(200, {**body, "state": "partial", **more})
    if outcome.state != "refused":
        body = {"status": "pending", "orderid": outcome.order_id, "message": outcome.message}
        return Answer(200, {**body, "state": outcome.state, **more})
    return _refused(outcome, subject)


def queued(approval_id: int | None) -> dict[str, Any]:
    """The reply of an account in semi-auto mode: a person decides (contract 1.6)."""
    return {
        "status": "success",
        "message": "Order queued for approval in Action Center",
        "mode": OrderMode.SEMI_AUTO.value,
        "pending_order_id": approval_id,
    }


def _refused(outcome: Placed, subject: str) -> Answer:
    if outcome.code == "ORDER_NOT_FOUND":
        return Answer(404, refused(f"Order {subject} not found"))
    if outcome.code == "SESSION_EXPIRED":
        return Answer(403, refused(Wording().denial, "session_expired"))
    if outcome.code == "THROTTLED":
        return _slow_down(outcome.message, 1.0)
    more = {"orderid": outcome.order_id} if outcome.order_id else {}
    return Answer(400, refused(outcome.message, "order_rejected", **more, code=outcome.code))


def not_all_closed(failed: Sequence[tuple[str, str]], done: int) -> Answer:
    """Some positions of a live account stay open: said as an error, naming them."""
    rows = [{"symbol": symbol, "message": message} for symbol, message in failed]
    message = f"Closed {done} positions. Failed to close {len(rows)} positions."
    return Answer(400, refused(message, "not_all_closed", closed_positions=done, failed=rows))


def no_quotes(unknown: list[dict[str, Any]]) -> Answer:
    """None of the instruments asked for has a quote."""
    return Answer(400, refused("No valid symbols in the request", invalid_symbols=unknown))


def plain(status: int, message: str) -> Answer:
    """An error of the web server itself."""
    return Answer(status, refused(message))


def not_found(path: str) -> Answer:
    return Answer(404, {"status": "error", "message": "Not found", "path": path})


def wrong_method(allowed: list[str]) -> Answer:
    message = "The method is not allowed for the requested URL."
    return Answer(405, refused(message), {"Allow": ", ".join(allowed)})


def _slow_down(message: str, retry_after: float) -> Answer:
    seconds = max(1, -int(-retry_after // 1))
    return Answer(429, refused(message, retry_after=seconds), {"Retry-After": str(seconds)})


def sentence(messages: Any) -> str:
    """The first complaint of an error map, with the field it is about; a plain message as it is."""
    where = []
    while isinstance(messages, dict) and messages:
        field, messages = next(iter(messages.items()))
        where.append(str(field))
    first = messages[0] if isinstance(messages, list) and messages else messages
    return f"{'.'.join(where)}: {first}" if where else str(first)

"""Errors, classed by what the caller must do.

PlatformError
├─ InvalidRequest ─ DuplicateKey                                        fix the request
├─ InstrumentNotFound · NotSupported · RiskRefused                      fix the request
├─ Unauthorized · LoginFailed · SessionOver                             prove who you are, log in again
├─ NotFound                                                             no such row of yours
├─ Unavailable                                                          a part of ours is not there: try later
└─ BrokerError(broker, code, text)                                      the broker's words, kept
   ├─ OrderRejected ─ InsufficientFunds · PriceOutOfBand                the market said no: do not repeat
   ├─ OrderNotFound · RateLimited(retry_after)                          look again · wait
   ├─ BrokerUnavailable                                                 nothing was done: reads may retry
   ├─ OutcomeUnknown                                                    sent, no answer came: look, never resend
   └─ BadResponse                                                       cannot be read: our bug or theirs
"""

from __future__ import annotations


class PlatformError(Exception):
    """Root. `str(error)` is fit to be shown to the person who asked."""


class InvalidRequest(PlatformError):
    """The request cannot be served as it stands. `field` names the public field, "" when none is at fault."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class DuplicateKey(InvalidRequest):
    """The same Idempotency-Key came with another body: nothing was sent."""


class InstrumentNotFound(PlatformError):
    """No such symbol on that exchange in the account's own master."""

    def __init__(self, symbol: str, exchange: str) -> None:
        super().__init__(f"Symbol '{symbol}' not found on exchange '{exchange}'")
        self.symbol = symbol
        self.exchange = exchange


class NotSupported(PlatformError):
    """The broker (or this build) cannot do it; nothing was sent."""


class RiskRefused(PlatformError):
    """The gate said no before anything was sent. `limit` is the limit's name."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class Unauthorized(PlatformError):
    """Who asks is not known, or may not."""


class LoginFailed(PlatformError):
    """The broker did not accept a login; str(error) holds its words."""


class SessionOver(PlatformError):
    """The account has no live broker session."""


class NotFound(PlatformError):
    """No such row, or not one of the caller's (the two are not told apart)."""


class Unavailable(PlatformError):
    """A part of the platform does not answer; nothing was sent."""


class BrokerError(PlatformError):
    """Something a broker said or failed to say. `code` and `text` are the broker's own."""

    def __init__(self, broker: str, code: str = "", text: str = "") -> None:
        super().__init__(text or code or broker)
        self.broker = broker
        self.code = code
        self.text = text


class OrderRejected(BrokerError):
    """The market said no: do not repeat."""


class InsufficientFunds(OrderRejected):
    """Not enough money or margin."""


class PriceOutOfBand(OrderRejected):
    """The price lies outside the day's band or the exchange's protection range."""


class OrderNotFound(BrokerError):
    """The broker knows no such order."""


class RateLimited(BrokerError):
    """Too many calls. `retry_after` in seconds, 0 when not said."""

    def __init__(self, broker: str, code: str = "", text: str = "", retry_after: float = 0.0) -> None:
        super().__init__(broker, code, text)
        self.retry_after = retry_after


class BrokerUnavailable(BrokerError):
    """Not reached; nothing was done."""


class OutcomeUnknown(BrokerError):
    """Bytes left, no answer came."""


class BadResponse(BrokerError):
    """An answer that cannot be read."""

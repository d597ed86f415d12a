"""Errors in a trader's words: what happened, to what, and what to do about it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from flask import Flask, Response, flash, redirect, render_template, request, session, url_for
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from domain.errors import (
    BrokerError,
    InstrumentNotFound,
    InvalidRequest,
    NotFound,
    NotSupported,
    OrderNotFound,
    OutcomeUnknown,
    PlatformError,
    RateLimited,
    RiskRefused,
    SessionOver,
    Unauthorized,
    Unavailable,
)

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """`words` say it whole; `href` leads to the way out, "" where there is none on a page."""

    words: str
    href: str = ""
    action: str = ""
    status: int = 400


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """What a part of a page wanted to show, or why it cannot."""

    value: T
    problem: Problem | None = None


def problem_of(error: PlatformError) -> Problem:
    """An error as a page says it."""
    if isinstance(error, SessionOver):
        return Problem(str(error), url_for("accounts.index"), "Log in to the broker", 409)
    if isinstance(error, RateLimited):
        wait = f"in {error.retry_after:.0f} s" if error.retry_after else "in a few seconds"
        return Problem(f"{error.broker} takes no more calls just now. Try again {wait}.", status=429)
    if isinstance(error, OutcomeUnknown):
        return Problem("No answer yet. Not sent again; the order book shows what became of it.", status=504)
    if isinstance(error, OrderNotFound):
        return Problem(_sentence(str(error)), url_for("books.orders"), "Orders", 404)
    if isinstance(error, BrokerError):
        code = f" ({error.code})" if error.code and error.code not in str(error) else ""
        return Problem(f"{error.broker} says: {str(error).rstrip('.')}{code}.", status=502)
    if isinstance(error, Unavailable):
        return Problem(
            f"{str(error).rstrip('.')}. Nothing was sent. It is tried again by itself.", status=503
        )
    return Problem(_sentence(str(error)), status=_status(error))


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _status(error: PlatformError) -> int:
    if isinstance(error, NotFound | InstrumentNotFound):
        return 404
    if isinstance(error, NotSupported):
        return 501
    if isinstance(error, Unauthorized):
        return 403
    return 400 if isinstance(error, InvalidRequest | RiskRefused) else 500


def attempt(call: Callable[[], T], otherwise: T) -> Read[T]:
    """A part of a page that may fail without taking the page with it."""
    try:
        return Read(call())
    except PlatformError as error:
        return Read(otherwise, problem_of(error))


def say(kind: str, title: str, text: str = "") -> None:
    """A toast on the next page. kind: "up", "info", "warn" or "err"."""
    flash({"title": title, "text": text}, kind)  # type: ignore[arg-type]


def done(kind: str, title: str, text: str, default: str) -> BaseResponse:
    """A toast at once for a script, on the page that follows for a plain form."""
    if is_script():
        page = render_template("toast.html", kind=kind, title=title, text=text)
        return Response(page, 422 if kind == "err" else 200, mimetype="text/html")
    say(kind, title, text)
    return back_to(default)


def back_to(default: str) -> BaseResponse:
    """To the page the form came from (a path of ours) or `default`, as a GET."""
    wanted = request.form.get("back", "")
    ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return redirect(wanted if ours else default, 303)


def is_script() -> bool:
    """Whether a script of ours asks and wants a part, not a page."""
    return bool(request.headers.get("HX-Request")) or request.headers.get("X-Requested-With") == "fetch"


def _page(problem: Problem, title: str) -> tuple[str, int]:
    if is_script():
        return render_template("errors/part.html", problem=problem, title=title), problem.status
    template = "errors/page.html" if current_user.is_authenticated else "errors/gate.html"
    return render_template(template, problem=problem, title=title, section=""), problem.status


_HTTP = {
    400: ("That request cannot be read", "Go back, load the page again and retry."),
    403: ("Not yours to see", "Ask the administrator for access to this account or page."),
    404: ("There is no such page", "The address may be old. Everything can be reached by search."),
    405: ("That address takes no such request", "Use the buttons of its page."),
    413: ("That is too large", "Send less than the size named beside the field."),
    429: ("Too many requests", "Wait a few seconds, then try again."),
}
_OURS = (
    "This page broke",
    "The fault is ours and is in the server's log. Nothing else of this page was done.",
)


def install(app: Flask, is_ours: Callable[[], bool]) -> None:
    """Answer errors of the pages; other doors' errors go on to whoever answers them."""

    @app.errorhandler(PlatformError)
    def _platform(error: PlatformError) -> tuple[str, int] | BaseResponse:
        if not is_ours():
            raise error
        return _page(problem_of(error), "That did not work")

    @app.errorhandler(CSRFError)
    def _csrf(error: CSRFError) -> tuple[str, int] | BaseResponse:
        return _expired_form()

    def _http(error: HTTPException) -> Any:
        """By code, so that it is asked before any general handler; what is not ours goes on to that one."""
        if is_ours():
            title, words = _HTTP.get(error.code or 500, _OURS)
            return _page(Problem(words, status=error.code or 500), title)
        general = app.error_handler_spec[None][None].get(HTTPException)
        return general(error) if general else error

    for code in _HTTP:
        app.register_error_handler(code, _http)

    @app.errorhandler(Exception)
    def _bug(error: Exception) -> Any:
        if isinstance(error, HTTPException) or not is_ours():
            raise error
        log.exception("page failed path=%s", request.path)
        return _page(Problem(_OURS[1], status=500), _OURS[0])


def _expired_form() -> BaseResponse | tuple[str, int]:
    """A form whose session ended before it was sent: keep what was typed, ask to sign in."""
    if is_script():
        if not current_user.is_authenticated:
            hold_form()
        return Response("Your session has ended. Sign in again.", 401, mimetype="text/plain")
    if current_user.is_authenticated or not request.form:
        return _page(Problem("Load the page again, then retry.", status=400), "That form was too old")
    hold_form()
    return redirect(url_for("gate.login"), 303)


_NEVER_KEPT = ("csrf_token", "password", "again", "old", "new", "code", "secret", "token", "pin", "key")


def hold_form() -> None:
    """Keep a form's harmless fields in the guest session; `held.show` offers them again."""
    fields = [
        (name, value[:2000])
        for name, value in request.form.items(multi=True)
        if not any(word in name.lower() for word in _NEVER_KEPT) or name == "idempotency_key"
    ]
    if fields:
        session["held"] = {"path": request.path, "fields": fields[:100]}

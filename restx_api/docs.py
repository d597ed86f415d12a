"""/api/docs and /api/v1/swagger.json: the description, for who is signed in or sends a key in X-API-KEY."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, render_template, request
from flask_login import current_user

from domain.errors import Unauthorized
from restx_api import errors, spec
from restx_api.door import Endpoint, respond

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.platform import Platform

_HERE = Path(__file__).parent
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)


def blueprint(platform: Platform, endpoints: Iterable[Endpoint]) -> Blueprint:
    """The two pages and their script, behind one check."""
    known = tuple(endpoints)

    @cache
    def written() -> str:
        return json.dumps(spec.document(known), separators=(",", ":"))

    pages = Blueprint("api_docs", __name__, template_folder="templates")

    @pages.get("/api/docs")
    @_for_insiders(platform, page=True)
    def docs() -> Response:
        answer = Response(render_template("api_docs/page.html", subjects=_subjects(known)))
        answer.headers["Content-Security-Policy"] = _POLICY
        return answer

    @pages.get("/api/docs.js")
    def script() -> Response:
        answer = Response((_HERE / "static" / "docs.js").read_bytes(), mimetype="text/javascript")
        answer.headers["Cache-Control"] = "no-cache"
        return answer

    @pages.get("/api/v1/swagger.json")
    @_for_insiders(platform, page=False)
    def document() -> Response:
        return Response(written(), mimetype="application/json")

    return pages


def _for_insiders(platform: Platform, *, page: bool) -> Callable[[Callable[[], Response]], Any]:
    def guard(view: Callable[[], Response]) -> Callable[[], Response]:
        @wraps(view)
        def guarded() -> Response:
            if _is_known(platform):
                return view()
            if page:
                return Response(render_template("api_docs/closed.html"), 401)
            return respond(errors.of(Unauthorized(), errors.Wording(denied=401)))

        return guarded

    return guard


def _is_known(platform: Platform) -> bool:
    if hasattr(current_app, "login_manager") and current_user.is_authenticated:
        return True
    try:
        platform.accounts.caller_of_key(
            request.headers.get("X-API-KEY", ""), address=request.remote_addr or ""
        )
    except Unauthorized:
        return False
    return True


def _subjects(endpoints: Iterable[Endpoint]) -> dict[str, list[Endpoint]]:
    found: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        found.setdefault(endpoint.tag, []).append(endpoint)
    return found

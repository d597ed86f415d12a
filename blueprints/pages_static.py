"""The few files that need no build: the page's own icon."""

from __future__ import annotations

from flask import Blueprint, Response

blueprint = Blueprint("pages_static", __name__)

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none"><rect width="24" height="24" rx="6" '
    'fill="#111419"/><circle cx="12" cy="12" r="7.5" stroke="#ebedf0" stroke-width="2.2" '
    'stroke-dasharray="36 11" stroke-dashoffset="-3"/><path d="M12 15.5v-7M9.3 10.8v2.4M14.7 10.8v2.4" '
    'stroke="#7c86f5" stroke-width="1.8" stroke-linecap="round"/></svg>'
)


@blueprint.get("/favicon.svg")
def icon() -> Response:
    """The mark, for the browser's tab."""
    answer = Response(_ICON, mimetype="image/svg+xml")
    answer.headers["Cache-Control"] = "public, max-age=86400"
    return answer


@blueprint.get("/favicon.ico")
def old_icon() -> Response:
    """Browsers that ask unasked get the same mark."""
    return icon()

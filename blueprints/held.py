"""What was typed into a form whose session had ended: shown again after signing in, sent only when told to."""

from __future__ import annotations

from flask import render_template, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import pages
from blueprints.problems import back_to

blueprint = pages("held", prefix="/held")

_WORDS = {"csrf_token": "", "idempotency_key": "", "back": ""}


@blueprint.get("")
def show() -> str | BaseResponse:
    """The held form, once."""
    held = session.pop("held", None)
    if not isinstance(held, dict):
        return back_to(url_for("gate.home"))
    shown = [(name, value) for name, value in held["fields"] if name not in _WORDS and value]
    return render_template("held/show.html", held=held, shown=shown, section="")

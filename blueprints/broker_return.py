"""Where brokers' login pages post their answer to.

Such a post comes from another site, so the browser leaves our cookie at home and nobody is signed in here. Nothing is
read or changed: the values are handed back as a form of our own, whose press comes with the cookie and goes on in
`accounts.back`. They travel in bodies only, never in an address.
"""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request

from blueprints.access import keyed
from domain.errors import InvalidRequest
from services import broker_directory

blueprint = Blueprint("broker_return", __name__)

_LONGEST = 8192


@blueprint.post("/<broker>/callback")
@keyed
def returned(broker: str) -> Response:
    """Hand back what the broker's manifest says its page returns, and our mark."""
    manifest = broker_directory.manifest_of(broker)
    told = {**request.args.to_dict(), **request.form.to_dict()}
    given = {name: told[name] for name in (*manifest.login.callback, "state") if told.get(name)}
    if len(given) < 2 or any(len(value) > _LONGEST for value in given.values()):
        raise InvalidRequest("This is not the answer of a login that was begun here.")
    page = render_template("accounts/returned.html", manifest=manifest, given=given)
    answer = make_response(page)
    answer.headers["Cache-Control"] = "no-store"
    return answer

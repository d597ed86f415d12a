"""Broker accounts of the user: which one is in front, its mode, its login."""

from __future__ import annotations

from flask import render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import choose_account, pages, platform, user
from blueprints.problems import back_to

blueprint = pages("accounts", prefix="/accounts")


@blueprint.get("")
def index() -> str:
    """Every account with its mode and login state."""
    services = platform()
    rows = [
        (account, services.sessions.state(account)) for account in services.accounts.accounts_of(user().id)
    ]
    return render_template("accounts/index.html", section="accounts", rows=rows)


@blueprint.post("/<int:account_id>/choose")
def choose(account_id: int) -> BaseResponse:
    """Put an account in front. Raises NotFound for one that is not the user's."""
    choose_account(account_id)
    return back_to(url_for("dashboard.dashboard"))

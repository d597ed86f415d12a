"""The Action Center: what programs asked for waits here until a person decides."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import caller, pages, platform
from blueprints.books import order_tabs
from blueprints.problems import problem_of, say
from domain.errors import PlatformError

blueprint = pages("approvals", prefix="/action-center")

_STATES = ("pending", "approved", "rejected", "expired")


@blueprint.get("")
def index() -> str:
    """Requests of the account in front, by state."""
    state = request.args.get("state", "pending")
    wanted = state if state in _STATES else None
    listed = platform().approvals.listed(caller(), wanted)
    template = "approvals/panel.html" if request.args.get("part") == "panel" else "approvals/index.html"
    return render_template(
        template,
        section="orders",
        rows=listed[:200],
        state=state,
        states=_STATES,
        tabs=order_tabs("approvals"),
    )


@blueprint.get("/waiting")
def waiting() -> str:
    """How many wait, for the bar of any open page; fetched when the account has news of its orders."""
    return render_template("approvals/waiting.html", waiting=platform().approvals.waiting(caller()))


@blueprint.post("/<int:approval_id>/approve")
def approve(approval_id: int) -> BaseResponse:
    """Send it, once."""
    try:
        platform().approvals.approve(caller(), approval_id)
    except PlatformError as error:
        say("err", "Not approved", problem_of(error).words)
    else:
        say("up", "Approved", "It is on its way; the order book shows what becomes of it.")
    return redirect(url_for("approvals.index"), 303)


@blueprint.post("/<int:approval_id>/reject")
def reject(approval_id: int) -> BaseResponse:
    """Let it go unsent."""
    try:
        platform().approvals.reject(caller(), approval_id, request.form.get("reason", "")[:500])
    except PlatformError as error:
        say("err", "Not rejected", problem_of(error).words)
    else:
        say("up", "Rejected", "Nothing was sent.")
    return redirect(url_for("approvals.index"), 303)


@blueprint.post("/approve-all")
def approve_all() -> BaseResponse:
    """Send everything that waits, oldest first."""
    done, failed = platform().approvals.approve_all(caller())
    why = "; ".join(f"{number}: {words}" for number, words in failed[:5])
    say("err" if failed else "up", f"{len(done)} approved" + (f", {len(failed)} not" if failed else ""), why)
    return redirect(url_for("approvals.index"), 303)

"""What a person is told of their strategies: the list, the toasts of a page that is open, the same as JSON."""

from __future__ import annotations

from flask import Response, jsonify, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import caller, own, pages, platform, user
from domain.clock import IST

blueprint = pages("python_alerts", prefix="/python")

WORDS = {"crashed": "crashed", "failed": "stopped working", "late": "has not started", "guard": "needs you"}


@blueprint.get("/alerts")
def index() -> str:
    """The newest, with the last lines of each."""
    found = platform().strategy_alerts.listed(user().id)
    there = {each.id for each in platform().strategy_host.listed(caller())}
    return render_template("python/alerts.html", section="strategies", alerts=found, words=WORDS, there=there)


@blueprint.post("/alerts/seen")
@own
def see() -> BaseResponse:
    """Everything was seen."""
    platform().strategy_alerts.see(user().id)
    return redirect(url_for("python_alerts.index"), 303)


@blueprint.get("/alerts/news")
def news() -> Response:
    """Toasts of what came after the alert `after`; the newest one's number is in a header."""
    after = request.args.get("after", "")
    since = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0
    found = [each for each in platform().strategy_alerts.listed(user().id, since) if each.seen_at is None]
    answer = make_response(render_template("python/news.html", alerts=found[:3], words=WORDS))
    answer.headers["X-Newest"] = str(max((each.id for each in found), default=since))
    return answer


@blueprint.get("/api/alerts")
def as_json() -> Response:
    """The newest, for programs."""
    rows = [
        {
            "id": each.id,
            "strategy_id": each.strategy_id,
            "name": each.name,
            "kind": each.kind,
            "reason": each.reason,
            "last_lines": each.tail.splitlines(),
            "timestamp": each.at.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S"),
            "seen": each.seen_at is not None,
        }
        for each in platform().strategy_alerts.listed(user().id)
    ]
    return jsonify({"status": "success", "alerts": rows})

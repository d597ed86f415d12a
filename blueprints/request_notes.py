"""Notes each answered request, of every door, for the traffic page: no body, no path, no key."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request
from flask.wrappers import Request

from blueprints.access import desk, page_session, platform
from services.request_log import RequestRow

_UNMATCHED = "(no such page)"


def install(app: Flask) -> None:
    """Time requests from their first hook to their last."""

    @app.before_request
    def _begin() -> None:
        g.began = time.perf_counter_ns()

    @app.after_request
    def _note(answer: Response) -> Response:
        began = g.get("began")
        if began is not None and not request.path.startswith("/static/"):
            desk().requests.note(_row(request, answer.status_code, (time.perf_counter_ns() - began) // 1000))
        return answer


def _row(asked: Request, status: int, micros: int) -> RequestRow:
    rule = asked.url_rule
    return RequestRow(
        at=platform().clock.now(),
        method=asked.method[:8],
        route=(rule.rule if rule is not None else _UNMATCHED)[:128],
        status=status,
        micros=micros,
        user_id=page_session().user_id,
        address=(g.get("address") or "")[:64],
    )

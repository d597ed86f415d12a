"""Orders by a secret URL from charting platforms and scanners; brokers' postbacks. No session, cookie, form token."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, current_app, request
from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from werkzeug.exceptions import RequestEntityTooLarge

from domain.errors import InvalidRequest, NotFound, NotSupported, Unauthorized
from services.postbacks import Postbacks
from services.signals import SignalRefused, Signals

blueprint = Blueprint("webhooks", __name__)
PATHS = ("/strategy/webhook/", "/chartink/webhook/", "/postback/")
_LARGEST = 64 * 1024
_limiter = MovingWindowRateLimiter(MemoryStorage())


@blueprint.post("/strategy/webhook/<webhook_id>")
def strategy(webhook_id: str) -> Response:
    """A signal of TradingView, GoCharting, AmiBroker or the SDK's Strategy."""
    try:
        symbol = _signals().strategy_signal(webhook_id, _body(webhook_id))
    except SignalRefused as error:
        return _answer({"error": str(error)}, error.status)
    return _answer({"message": f"Order queued successfully for {symbol}"})


@blueprint.post("/chartink/webhook/<webhook_id>")
def chartink(webhook_id: str) -> Response:
    """An alert of a ChartInk scan."""
    try:
        symbols = _signals().chartink_signal(webhook_id, _body(webhook_id))
    except SignalRefused as error:
        if error.status == 200:
            return _answer({"status": "success", "message": str(error)})
        return _answer({"status": "error", "error": str(error)}, error.status)
    if not symbols:
        return _answer({"status": "warning", "message": "No orders were queued"})
    return _answer({"status": "success", "message": f"Orders queued for symbols: {', '.join(symbols)}"})


@blueprint.post("/postback/<broker>")
def postback(broker: str) -> Response:
    """Order news of a broker, proven by its signature. It makes us look; it is not believed by itself."""
    postbacks: Postbacks = current_app.extensions["platform"].postbacks
    try:
        postbacks.take(broker, _read())
    except RequestEntityTooLarge:
        return _answer({"status": "error", "message": "Request body is too large"}, 413)
    except NotFound as error:
        return _answer({"status": "error", "message": str(error)}, 404)
    except NotSupported as error:
        return _answer({"status": "error", "message": str(error)}, 501)
    except InvalidRequest as error:
        return _answer({"status": "error", "message": str(error)}, 400)
    except Unauthorized as error:
        return _answer({"status": "error", "message": str(error)}, 403)
    return _answer({"status": "success"})


def _signals() -> Signals:
    signals: Signals = current_app.extensions["platform"].signals
    return signals


def _body(webhook_id: str) -> object:
    """The JSON of the body, whatever its declared type. Raises SignalRefused."""
    settings = current_app.extensions["platform"].settings
    for rate in parse_many(settings.webhook_rate_limit):
        if not _limiter.hit(rate, request.remote_addr or "", webhook_id):
            raise SignalRefused("Rate limit exceeded. Please slow down your requests.", 429)
    try:
        return json.loads(_read() or b"{}")
    except RequestEntityTooLarge as error:
        raise SignalRefused("Request body is too large", 413) from error
    except (ValueError, RecursionError) as error:
        raise SignalRefused("Request body must be valid JSON") from error


def _read() -> bytes:
    """The whole body, also where no length was told before. Raises RequestEntityTooLarge."""
    request.max_content_length = _LARGEST + 1  # the stream ends there, without a word
    raw = request.get_data(cache=False)
    if len(raw) > _LARGEST:
        raise RequestEntityTooLarge
    return raw


def _answer(body: dict[str, Any], status: int = 200) -> Response:
    response = Response(json.dumps(body, sort_keys=True), status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    if status == 429:
        response.headers["Retry-After"] = "60"
    return response

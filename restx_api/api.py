"""Hangs the endpoints on a Flask application: each path with and without its slash, 404 and 405 as JSON."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import flask_restx
from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException

from restx_api import (
    broker_login,
    calendar,
    cors,
    docs,
    errors,
    gtt,
    history,
    instruments,
    later,
    market_data,
    options,
    orders,
    plans,
    portfolio,
    safety,
    spec,
    strategies,
    system,
)
from restx_api.door import Door, Endpoint, respond
from restx_api.limits import Limits, Memory, Shared, classes

if TYPE_CHECKING:
    from services.platform import Platform

PREFIX = "/api/v1"
_ANY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"]

SUBJECTS = (
    orders.orders,
    plans.plans,
    gtt.gtt,
    safety.safety,
    portfolio.portfolio,
    market_data.market_data,
    history.history,
    instruments.instruments,
    options.options,
    calendar.calendar,
    strategies.strategies,
    system.system,
    broker_login.broker_login,
    later.later,
)
ENDPOINTS: tuple[Endpoint, ...] = tuple(endpoint for subject in SUBJECTS for endpoint in subject.endpoints)


class Api(flask_restx.Api):  # type: ignore[misc]
    """Flask-RESTX without its own pages, error handling and description: ours are strict about all three."""

    @property
    def __schema__(self) -> dict[str, Any]:
        return spec.document(ENDPOINTS)

    def _register_apidoc(self, app: Flask) -> None:
        """Its Swagger page needs inline script."""

    def _register_doc(self, app: Blueprint) -> None:
        """Its root page answers in its own error form."""

    def error_router(self, original_handler: Callable[[Exception], Response], e: Exception) -> Response:
        """Endpoints never raise; everything else in the application keeps its own handler."""
        return original_handler(e)


def register(app: Flask, platform: Platform) -> None:
    """Serve /api/v1 from this application."""
    settings = platform.settings
    memory = Memory(time.monotonic)
    counter = Shared(settings.redis_url, memory, time.time) if settings.redis_url else memory
    door = Door(platform, Limits(classes(settings), counter))
    blueprint = Blueprint("api_v1", __name__, url_prefix=PREFIX)
    api = Api(doc=False)
    api.init_app(blueprint, add_specs=False)
    for path, methods in _by_path(ENDPOINTS).items():
        slashed = () if "<" in path else (f"{path}/",)
        name = path.strip("/").partition("/<")[0].replace("/", "_")
        api.add_resource(_resource(name, door, methods), path, *slashed, endpoint=name)
    cors.install(blueprint, settings)
    app.register_blueprint(blueprint)
    app.register_blueprint(docs.blueprint(platform, ENDPOINTS))
    app.add_url_rule("/api/<path:rest>", "api_unknown", _unknown, methods=_ANY_METHOD)
    app.add_url_rule("/api/", "api_root", _unknown, methods=_ANY_METHOD)
    app.register_error_handler(HTTPException, _http)


def _http(error: HTTPException) -> Response | HTTPException:
    """What the server refuses before any endpoint is found; pages register their own handler after this one."""
    if request.path.startswith("/api/") and error.code in (404, 405):
        return _unknown()
    if request.path.startswith("/api/") and error.code is not None and error.code >= 400:
        return respond(errors.plain(error.code, error.description or error.name))
    return error


def _by_path(endpoints: tuple[Endpoint, ...]) -> Mapping[str, dict[str, Endpoint]]:
    found: dict[str, dict[str, Endpoint]] = defaultdict(dict)
    for endpoint in endpoints:
        found[endpoint.path][endpoint.method] = endpoint
    return found


def _resource(name: str, door: Door, methods: dict[str, Endpoint]) -> type[flask_restx.Resource]:
    """One Resource class a path, with a method for each of its endpoints."""
    views: dict[str, Any] = {method.lower(): _view(door, endpoint) for method, endpoint in methods.items()}
    return type(name, (flask_restx.Resource,), {**views, "options": _options(sorted({*methods, "OPTIONS"}))})


def _view(door: Door, endpoint: Endpoint) -> Callable[..., Response]:
    def view(self: flask_restx.Resource, **values: str) -> Response:
        return door.serve(endpoint, values)

    return view


def _options(allowed: list[str]) -> Callable[..., Response]:
    def options(self: flask_restx.Resource, **values: str) -> Response:
        """What the path takes; cross-origin headers are added where they are allowed."""
        return Response(status=200, headers={"Allow": ", ".join(allowed)})

    return options


def _unknown(rest: str = "") -> Response:
    """What no endpoint took: another method of a known path, or no path at all."""
    path = request.path
    known = _by_path(ENDPOINTS).get(path.removeprefix(PREFIX).rstrip("/"))
    if known and path.startswith(PREFIX):
        return respond(errors.wrong_method(sorted(known)))
    return respond(errors.not_found(path))

"""Cross-origin answers for browsers that call /api/v1 from pages of other servers: an allow-list, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

if TYPE_CHECKING:
    from config import Settings


def install(blueprint: Blueprint, settings: Settings) -> None:
    """Add the headers that the settings allow to every answer of the API."""
    if not settings.cors_enabled:
        return
    allowed = frozenset(settings.cors_allowed_origins)

    def add(answer: Response) -> Response:
        origin = request.headers.get("Origin")
        if origin is None:
            return answer
        answer.headers.add("Vary", "Origin")
        if origin in allowed or "*" in allowed:
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
            _say_more(answer, settings)
        return answer

    blueprint.after_app_request(lambda answer: add(answer) if request.path.startswith("/api/v1/") else answer)


def _say_more(answer: Response, settings: Settings) -> None:
    headers = answer.headers
    if settings.cors_exposed_headers:
        headers["Access-Control-Expose-Headers"] = ", ".join(settings.cors_exposed_headers)
    if settings.cors_allow_credentials and "*" not in settings.cors_allowed_origins:
        headers["Access-Control-Allow-Credentials"] = "true"
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        headers["Access-Control-Allow-Methods"] = ", ".join(settings.cors_allowed_methods)
        headers["Access-Control-Allow-Headers"] = ", ".join(settings.cors_allowed_headers)
        headers["Access-Control-Max-Age"] = str(settings.cors_max_age)

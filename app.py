"""The web application: settings, then the platform, then the doors that lead to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask

if TYPE_CHECKING:
    from config import Settings


class Application(Flask):
    """Every view and hook here is an ordinary function, so none is looked at for each request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(settings: Settings) -> Flask:
    """Build the application for one install."""
    import blueprints
    from restx_api import api
    from services.platform import build_platform

    app = Application(__name__, static_folder=None, template_folder="blueprints/templates")
    platform = build_platform(settings)
    app.extensions["platform"] = platform
    api.register(app, platform)
    blueprints.register(app)
    return app

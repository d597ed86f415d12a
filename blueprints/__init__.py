"""The browser door: server-rendered pages over the services. `register(app)` is all that `app.py` calls."""

from __future__ import annotations

import logging
from datetime import time
from importlib import metadata
from typing import TYPE_CHECKING

from flask import Flask, request
from flask_wtf.csrf import CSRFProtect

from blueprints import (
    access,
    accounts,
    admin,
    approvals,
    assets,
    baskets,
    books,
    broker_return,
    chart,
    conversions,
    dashboard,
    egress,
    filters,
    gate,
    headers,
    held,
    help,
    hooks,
    kill,
    metrics,
    operate,
    options,
    orders,
    pages_static,
    playground,
    pnl,
    problems,
    python,
    python_alerts,
    python_json,
    python_start,
    request_notes,
    requests,
    search,
    settings,
    shell,
    trade,
    triggers,
    users,
    webhooks,
)
from services.browser import Browser, build_browser
from services.desk import build_desk

if TYPE_CHECKING:
    from services.platform import Platform

log = logging.getLogger(__name__)

_PAGES = (
    *(
        pages_static,
        gate,
        held,
        dashboard,
        trade,
        chart,
        orders,
        books,
        conversions,
        search,
        approvals,
        triggers,
        baskets,
        options,
    ),
    *(pnl, hooks, playground, operate, requests, admin, users),
    *(
        python,
        python_alerts,
        python_json,
        python_start,
        settings,
        accounts,
        egress,
        broker_return,
        kill,
        help,
        shell,
        webhooks,
        metrics,
    ),
)
_LARGEST_FORM = 10 << 20
"""Bytes of a form with its files; a larger one is refused before it is read."""
_LARGEST_FIELD = 4 << 20
_KEYED = ("/api/", *webhooks.PATHS)
"""Paths whose callers prove themselves with a key in the request, never with a cookie."""


def register(app: Flask, browser: Browser | None = None) -> None:
    """Add every page to `app`. The Platform must be at `app.extensions["platform"]`."""
    platform = app.extensions["platform"]
    settings_ = platform.settings
    app.secret_key = settings_.app_key
    app.extensions["browser"] = browser or _browser(platform)
    app.extensions["desk"] = build_desk(platform, app.extensions["browser"].journal)
    app.config.setdefault("WTF_CSRF_TIME_LIMIT", None)
    app.config.setdefault("WTF_CSRF_CHECK_DEFAULT", False)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    secure = settings_.host_server.startswith("https://")
    request_notes.install(app)
    access.install(app, trusted_proxies=settings_.trusted_proxies, secure=secure)
    _protect(app)
    headers.install(app, settings_.websocket_url)
    filters.install(app)
    assets.install(app)
    shell.install(app)
    problems.install(app, is_ours)
    for module in _PAGES:
        app.register_blueprint(module.blueprint)
    app.jinja_env.globals["ui"] = app.jinja_env.get_template("_ui.html").module
    app.jinja_env.globals["version"] = _version()
    announce(app)


def announce(app: Flask) -> None:
    """Say the set-up code where the server was started, while nobody has an account."""
    code = app.extensions["browser"].first_run.new_code()
    if code is not None:
        log.warning(
            "first run: open %s and use the set-up code %s",
            app.extensions["platform"].settings.host_server,
            code,
        )


def is_ours() -> bool:
    """Whether the request is for a page, not for another door."""
    return not request.path.startswith(_KEYED)


def _protect(app: Flask) -> None:
    """Ask every write for the form's token; only keyed doors, which read no cookie, are spared."""
    csrf = CSRFProtect(app)

    @app.before_request
    def _check() -> None:
        if request.method in ("GET", "HEAD", "OPTIONS", "TRACE") or not is_ours() or not request.endpoint:
            return
        request.max_content_length, request.max_form_memory_size = _LARGEST_FORM, _LARGEST_FIELD
        if not access.is_keyed(app.view_functions[request.endpoint]):
            csrf.protect()


def _browser(platform: Platform) -> Browser:
    def tell_sockets(user_id: int) -> None:
        """Have the sockets of a user's pages look at once whether their session lives."""
        for account in platform.accounts.accounts_of(user_id):
            platform.event_bus.ring(f"account|{account.id}|")

    cut = platform.settings.session_expiry_time
    return build_browser(
        platform.databases,
        platform.vault,
        platform.clock,
        cut=cut if isinstance(cut, time) else time(3),
        ended=tell_sockets,
    )


def _version() -> str:
    try:
        return metadata.version("openalgo")
    except metadata.PackageNotFoundError:
        return "0.1.0"

"""The frame round every page: navigation, the account in front, and the header's slow numbers as one fragment."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import Flask, render_template, request, session, url_for
from flask_login import current_user

from blueprints.access import caller, pages, platform, user
from blueprints.filters import clock_time, duration
from blueprints.headers import socket_origin
from blueprints.help import KEYS
from blueprints.problems import attempt
from domain.model import Mode

blueprint = pages("shell", prefix="/shell")

_INDICES = (
    ("NIFTY 50", "NSE_INDEX:NIFTY"),
    ("BANK NIFTY", "NSE_INDEX:BANKNIFTY"),
    ("INDIA VIX", "NSE_INDEX:INDIAVIX"),
)


@dataclass(frozen=True, slots=True)
class Status:
    """The header's slow values. `pnl` None where the broker did not say."""

    session: str
    session_class: str
    session_title: str
    pnl: Decimal | None


@blueprint.get("/status")
def status() -> str:
    """Session left and the day's P&L, fetched after the page is painted."""
    return render_template("shell/status.html", status=read_status())


def read_status() -> Status:
    """Session state and P&L of the account in front."""
    here = caller()
    word, words, title = _session_words()
    funds = attempt(lambda: platform().portfolio.funds(here), None).value
    return Status(words, word, title, None if funds is None else funds.realised + funds.unrealised)


def _session_words() -> tuple[str, str, str]:
    here = caller()
    if here.account.venue == "paper":
        return "", "Always open", "Paper accounts need no login"
    state = platform().sessions.state(here.account)
    if state.word in ("none", "expired"):
        return "text-error", "Ended" if state.word == "expired" else "None", "Log in to the broker to trade"
    if state.expires_at is None:
        return "", "Open", "The broker names no end"
    left = (state.expires_at - platform().clock.now()).total_seconds()
    look = "text-warning" if state.word == "expiring" else ""
    return look, duration(left), f"The broker ends the session at {clock_time(state.expires_at)} IST"


def mode_name(mode: Mode) -> str:
    """What a page calls a mode: "live" or "paper"."""
    return "live" if mode is Mode.LIVE else "paper"


def _frame() -> dict[str, Any]:
    """What every template may use."""
    frame: dict[str, Any] = {
        "theme": "light" if request.cookies.get("theme") == "light" else "dark",
        "now": platform().clock.now(),
        "held": session.get("held"),
        "section": "",
        "status": None,
    }
    if not current_user.is_authenticated:
        return frame
    here = caller()
    return frame | {
        "caller": here,
        "mode": mode_name(here.account.mode),
        "accounts": platform().accounts.accounts_of(user().id),
        "socket_url": socket_origin(platform().settings.websocket_url),
        "indices": [{"label": label, "key": key} for label, key in _INDICES],
        "key_sheet": KEYS,
        "nav": _nav(),
        "nav_foot": [
            ("accounts", url_for("accounts.index"), "list-checks", "Accounts"),
            ("settings", url_for("settings.profile"), "settings-2", "Settings"),
        ],
        "nav_dock": _dock(),
    }


def _nav() -> list[tuple[str, str, str, str]]:
    return [
        ("dashboard", url_for("dashboard.dashboard"), "layout-dashboard", "Home"),
        ("positions", url_for("books.positions"), "layers", "Positions"),
        ("orders", url_for("books.orders"), "list", "Orders"),
        ("search", url_for("search.search"), "search", "Search"),
    ]


def _dock() -> list[tuple[str, str, str, str]]:
    return [
        ("dashboard", url_for("dashboard.dashboard"), "layout-dashboard", "Home"),
        ("orders", url_for("books.orders"), "list", "Orders"),
        ("positions", url_for("books.positions"), "layers", "Positions"),
        ("search", url_for("search.search"), "search", "Search"),
        ("kill", url_for("kill.kill"), "octagon-x", "Kill"),
    ]


def install(app: Flask) -> None:
    """Give the frame to every template of the pages."""
    app.context_processor(_frame)

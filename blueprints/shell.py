"""The frame round every page: navigation, the account in front, and the header's slow numbers as one fragment."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import Flask, Response, jsonify, render_template, request, session, url_for
from flask_login import current_user

from blueprints.access import caller, own, page_session, pages, platform, user
from blueprints.filters import clock_time, duration
from blueprints.headers import socket_origin
from blueprints.help import KEYS
from blueprints.problems import Read, attempt
from domain.model import Mode, OrderMode, Position
from domain.roles import TRADE, Role
from services.accounts import Caller

blueprint = pages("shell", prefix="/shell")

_MOST_FOLLOWED = 100
_INDICES = (
    ("NIFTY 50", "NSE_INDEX:NIFTY"),
    ("BANK NIFTY", "NSE_INDEX:BANKNIFTY"),
    ("INDIA VIX", "NSE_INDEX:INDIAVIX"),
)


@dataclass(frozen=True, slots=True)
class Status:
    """The header's slow values. `pnl` None where the broker did not say; `held` lets the page follow it by ticks, and
    `booked` is all of it that does not follow them."""

    session: str
    session_class: str
    session_title: str
    pnl: Decimal | None
    booked: Decimal
    held: list[Position]


@blueprint.get("/status")
def status() -> str:
    """Session left and the day's P&L, fetched after the page is painted."""
    return render_template("shell/status.html", status=read_status())


@blueprint.post("/socket")
@own
def socket_ticket() -> Response:
    """A ticket for the page's one socket: works once, for seconds, for the account in front."""
    here, row = caller(), page_session().row
    ticket = platform().tickets.issue(here.user_id, here.account.id, row.hash if row else "")
    return jsonify(ticket=ticket, url=socket_origin(platform().settings.websocket_url))


def read_status() -> Status:
    """Session state and the day's P&L of the account in front."""
    here = caller()
    look, words, title = _session_words()
    read: Read[list[Position] | None] = attempt(lambda: platform().portfolio.positions(here), None)
    rows = read.value or []
    booked = [row.realised for row in rows if row.realised is not None]
    held = [row for row in rows if row.quantity and row.unrealised is not None]
    known = (
        read.value is not None
        and len(booked) == len(rows)
        and len(held) == sum(1 for r in rows if r.quantity)
    )
    total = sum(booked, Decimal(0))
    pnl = total + sum((row.unrealised or Decimal(0) for row in held), Decimal(0)) if known else None
    followed, rest = held[:_MOST_FOLLOWED], held[_MOST_FOLLOWED:]
    still = total + sum((row.unrealised or Decimal(0) for row in rest), Decimal(0))
    return Status(words, look, title, pnl, still, followed)


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


def _login_word(here: Caller) -> str:
    return platform().sessions.state(here.account).word


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
        "me": here,
        "mode": mode_name(here.account.mode),
        "may_trade": TRADE in here.scopes,
        "may_manage": here.role is Role.ADMIN,
        "accounts": platform().accounts.accounts_of(user().id),
        "socket_url": socket_origin(platform().settings.websocket_url),
        "indices": [{"label": label, "key": key} for label, key in _INDICES],
        "strategy_alerts": platform().strategy_alerts.unseen(user().id),
        "asks_first": here.account.order_mode is OrderMode.SEMI_AUTO,
        "waiting": platform().approvals.waiting(here)
        if here.account.order_mode is OrderMode.SEMI_AUTO
        else 0,
        "engaged": platform().kill_switch.engaged(here.account.id),
        "session_words": _session_words()[1],
        "session_over": here.account.mode is Mode.LIVE and _login_word(here) in ("none", "expired"),
        "key_sheet": KEYS,
        "nav": _nav(),
        "nav_foot": [
            ("search", url_for("search.search"), "search", "Search"),
            ("accounts", url_for("accounts.index"), "list-checks", "Accounts"),
            ("settings", url_for("settings.profile"), "settings-2", "Settings"),
        ],
        "nav_dock": _dock(TRADE in here.scopes),
    }


def _nav() -> list[tuple[str, str, str, str]]:
    return [
        ("dashboard", url_for("dashboard.dashboard"), "layout-dashboard", "Home"),
        ("trade", url_for("trade.trade"), "chart-candlestick", "Trade"),
        ("positions", url_for("books.positions"), "layers", "Positions"),
        ("orders", url_for("books.orders"), "list", "Orders"),
        ("strategies", url_for("python.index"), "square-terminal", "Strategies"),
        ("options", url_for("options.chain"), "table-2", "Options"),
        ("pnl", url_for("pnl.tracker"), "chart-spline", "P&L"),
        (
            "operate",
            url_for("operate.health" if user().is_admin else "operate.contracts"),
            "activity",
            "Operate",
        ),
    ]


def _dock(trades: bool) -> list[tuple[str, str, str, str]]:
    last = ("kill", url_for("kill.kill"), "octagon-x", "Kill")
    return [
        ("trade", url_for("trade.trade"), "chart-candlestick", "Watch"),
        ("orders", url_for("books.orders"), "list", "Orders"),
        ("positions", url_for("books.positions"), "layers", "Positions"),
        ("strategies", url_for("python.index"), "square-terminal", "Strategies"),
        last if trades else ("dashboard", url_for("dashboard.dashboard"), "layout-dashboard", "Home"),
    ]


def install(app: Flask) -> None:
    """Give the frame to every template of the pages."""
    app.context_processor(_frame)

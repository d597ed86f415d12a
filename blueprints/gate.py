"""The way in: first-run set-up, sign-in with its second step, sign-out, the theme switch."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, g, make_response, redirect, render_template, request, session, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import (
    browser,
    device_cookie,
    known_device,
    page_session,
    platform,
    require_user,
    safe_next,
    sign_in,
    sign_out,
    user,
)
from blueprints.filters import clock_time
from domain.errors import InvalidRequest, NotFound, Unauthorized
from services.accounts import User
from services.login_guard import LockedOut, Try
from services.second_factor import seconds_left

blueprint = Blueprint("gate", __name__)

_HALF = "half"
_HALF_LIFE = timedelta(minutes=10)
_YEAR = 365 * 24 * 3600
Answer = str | BaseResponse | tuple[str, int]


@blueprint.get("/")
def home() -> BaseResponse:
    """The right page for whoever comes: set-up, sign-in or the dashboard."""
    if not browser().first_run.is_over():
        return redirect(url_for("gate.setup"), 303)
    if not current_user.is_authenticated:
        return redirect(url_for("gate.login"), 303)
    return redirect(url_for("dashboard.dashboard"), 303)


# -- first run
@blueprint.route("/setup", methods=["GET", "POST"])
def setup() -> Answer:
    """Make the administrator, with the code that the server printed."""
    if browser().first_run.is_over():
        return redirect(url_for("gate.home"), 303)
    if request.method == "GET":
        return render_template("gate/setup.html", step=1, errors={}, form={})
    form = request.form
    if form.get("password") != form.get("again"):
        return _setup_error({"again": "The two passwords differ."})
    try:
        attempt = _begin("setup", "setup")
    except LockedOut as locked:
        return _setup_error({"code": _wait(locked.until)}, 429)
    try:
        made = browser().first_run.make_admin(
            platform().accounts, form.get("code", ""), form.get("username", ""), form.get("password", "")
        )
    except Unauthorized:
        browser().guard.failed(attempt)
        return _setup_error({"code": "That is not the code the server printed. A restart prints a new one."})
    except InvalidRequest as error:
        browser().guard.succeeded(attempt)
        return _setup_error({_setup_field(error): str(error)})
    browser().guard.succeeded(attempt)
    sign_in(made, trust=False)
    return redirect(url_for("gate.setup_codes"), 303)


def _setup_field(error: InvalidRequest) -> str:
    return {"name": "username"}.get(getattr(error, "field", "") or "", "password")


def _setup_error(errors: dict[str, str], status: int = 400) -> Answer:
    return render_template("gate/setup.html", step=1, errors=errors, form=request.form), status


@blueprint.route("/setup/codes", methods=["GET", "POST"])
def setup_codes() -> Answer:
    """Second step of set-up: the authenticator app. May be done later."""
    if (answer := require_user()) is not None:
        return answer
    factor, who = browser().second_factor, user()
    if factor.is_on(who.id):
        return redirect(url_for("gate.setup_ready"), 303)
    error = ""
    if request.method == "POST":
        try:
            attempt = _begin(who.name, "code", who)
            codes = factor.confirm(who.id, request.form.get("code", ""))
        except LockedOut as locked:
            error = _wait(locked.until)
        except Unauthorized:
            browser().guard.failed(attempt)
            error = "That code does not match. Codes change every 30 s; check the phone's clock."
        else:
            browser().guard.succeeded(attempt)
            return render_template("gate/setup.html", step=2, codes=codes, errors={}, form={})
    offer = factor.offer(who.id, who.name)
    page = render_template("gate/setup.html", step=2, offer=offer, errors={"code": error}, form={})
    return page, 400 if error else 200


@blueprint.get("/setup/ready")
def setup_ready() -> Answer:
    """Last step of set-up: what there is now and where to go."""
    if (answer := require_user()) is not None:
        return answer
    accounts = platform().accounts.accounts_of(user().id)
    return render_template("gate/setup.html", step=3, accounts=accounts, errors={}, form={})


# -- sign in and out
@blueprint.route("/login", methods=["GET", "POST"])
def login() -> Answer:
    """Name and password; then the code, unless it is off or this device is trusted."""
    if not browser().first_run.is_over():
        return redirect(url_for("gate.setup"), 303)
    if request.method == "GET":
        if current_user.is_authenticated:
            return redirect(url_for("gate.home"), 303)
        return render_template("gate/login.html", error="", form={})
    name, password = request.form.get("username", "").strip(), request.form.get("password", "")
    try:
        attempt = _begin(name, "password", _named(name))
    except LockedOut as locked:
        return _login_error(_wait(locked.until), 429)
    try:
        who = platform().accounts.verify_password(name, password)
    except Unauthorized:
        browser().guard.failed(attempt)
        return _login_error(f"User name or password is wrong. {_left(attempt)}", 401)
    browser().guard.succeeded(attempt)
    return _after_password(who)


def _after_password(who: User) -> BaseResponse:
    trust = request.form.get("remember") == "on"
    if browser().second_factor.is_on(who.id) and not browser().sessions.trusts_device(
        device_cookie(), who.id
    ):
        kept = {name: session[name] for name in ("held", "next") if name in session}
        page_session().clear()
        session.update(kept)
        session[_HALF] = {"user": who.id, "name": who.name, "trust": trust, "at": _now().timestamp()}
        page_session().renew(None)
        return redirect(url_for("gate.login_code"), 303)
    sign_in(who, trust=trust)
    return _after_sign_in()


def _after_sign_in() -> BaseResponse:
    if "held" in session:
        return redirect(url_for("held.show"), 303)
    return redirect(safe_next(url_for("gate.home")), 303)


@blueprint.route("/login/code", methods=["GET", "POST"])
def login_code() -> Answer:
    """The six digits, or a recovery code."""
    half = _half()
    if half is None:
        return redirect(url_for("gate.login"), 303)
    if request.method == "GET":
        return _code_page(half, "")
    try:
        attempt = _begin(half["name"], "code", _named(half["name"]))
    except LockedOut as locked:
        return _code_page(half, _wait(locked.until), 429)
    try:
        browser().second_factor.check(half["user"], request.form.get("code", ""))
        who = platform().accounts.user(half["user"])
    except (Unauthorized, NotFound):
        browser().guard.failed(attempt)
        return _code_page(half, f"That code does not match. {_left(attempt)}", 401)
    browser().guard.succeeded(attempt)
    session.pop(_HALF)
    sign_in(who, trust=half["trust"])
    return _after_sign_in()


def _half() -> dict[str, Any] | None:
    """The sign-in that still lacks its code, None when there is none or it took too long."""
    half = session.get(_HALF)
    if not isinstance(half, dict) or _now().timestamp() - half["at"] > _HALF_LIFE.total_seconds():
        return None
    return half


def _code_page(half: dict[str, Any], error: str, status: int = 200) -> Answer:
    page = render_template(
        "gate/code.html",
        name=half["name"],
        error=error,
        left=seconds_left(_now()),
        recovery="recovery" in request.args,
    )
    return page, status


@blueprint.post("/logout")
def logout() -> BaseResponse:
    """End this session; strategies and broker sessions are not touched."""
    return sign_out()


@blueprint.get("/forgot")
def forgot() -> Answer:
    """What to do about a lost password: only the server's owner can set a new one."""
    return render_template("gate/forgot.html")


@blueprint.post("/theme")
def theme() -> BaseResponse:
    """Switch between dark and light without a script."""
    wanted = "light" if request.form.get("theme") == "light" else "dark"
    back = request.form.get("back", "/")
    answer = make_response(
        redirect(back if back.startswith("/") and back[1:2] not in ("/", "\\") else "/", 303)
    )
    answer.set_cookie("theme", wanted, max_age=_YEAR, samesite="Lax", path="/", secure=request.is_secure)
    return answer


# -- words
def _begin(subject: str, kind: str, who: User | None = None) -> Try:
    agent = request.headers.get("User-Agent", "")
    device = known_device(who.id if who else None)
    return browser().guard.begin(subject, kind, address=g.address, agent=agent, device=device)


def _named(name: str) -> User | None:
    try:
        found: User = platform().accounts.user_named(name)
    except NotFound:
        return None
    return found


def _now() -> datetime:
    moment: datetime = platform().clock.now()
    return moment


def _left(attempt: Try) -> str:
    if attempt.left == 0:
        return "No tries left from this device for 15 minutes."
    return f"{attempt.left} {'try' if attempt.left == 1 else 'tries'} left from this device."


def _wait(until: datetime) -> str:
    return f"Too many wrong tries. The next one is looked at from {clock_time(until)} IST."


def _login_error(error: str, status: int) -> Answer:
    return render_template("gate/login.html", error=error, form=request.form), status

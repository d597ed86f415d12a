"""Settings of the person: profile, password and codes, devices and sessions, API keys."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import browser, caller, own, page_session, pages, platform, renew_session, user
from blueprints.fresh import wrong_password
from blueprints.problems import say
from blueprints.samples import FIRST_ORDER, programs
from domain.clock import IST
from domain.errors import InvalidRequest, NotFound, Unauthorized

blueprint = pages("settings", prefix="/settings")

Answer = str | BaseResponse | tuple[str, int]


def render(template: str, here: str, **values: Any) -> str:
    """A settings page with its side navigation."""
    groups = [
        (
            "You",
            [
                ("profile", url_for("settings.profile"), "Profile"),
                ("password", url_for("settings.password"), "Password and codes"),
                ("devices", url_for("settings.devices"), "Devices"),
            ],
        ),
        (
            "Access",
            [
                ("keys", url_for("settings.keys"), "API keys"),
                ("hooks", url_for("hooks.index"), "Webhooks"),
                ("playground", url_for("playground.index"), "Playground"),
                ("limits", url_for("admin.limits"), "Limits"),
            ],
        ),
        ("Server", _server_pages()),
    ]
    return render_template(template, section="settings", here=here, groups=groups, errors={}, **values)


def _server_pages() -> list[tuple[str, str, str]]:
    """Everybody may read the freeze quantities and their own audit; the rest is for administrators."""
    pages_ = [
        ("freeze", url_for("admin.freeze"), "Freeze quantities"),
        ("audit", url_for("admin.audit"), "Audit"),
    ]
    if not user().is_admin:
        return pages_
    return [
        ("users", url_for("users.users"), "Users"),
        ("security", url_for("admin.security"), "Security"),
        ("calendar", url_for("admin.calendar"), "Calendar"),
        *pages_,
    ]


@blueprint.get("")
def profile() -> str:
    """Who is signed in, and their accounts."""
    return render(
        "settings/profile.html", "profile", who=user(), codes_on=browser().second_factor.is_on(user().id)
    )


# -- password and codes
@blueprint.route("/password", methods=["GET", "POST"])
@own
def password() -> Answer:
    """Change the password: every other session ends."""
    if request.method == "GET":
        return _password_page()
    if request.form.get("new") != request.form.get("again"):
        return _password_page({"again": "The two passwords differ."}), 400
    if error := wrong_password("old"):
        return _password_page({"old": error}), 403
    try:
        platform().accounts.change_password(
            user().id, request.form.get("old", ""), request.form.get("new", "")
        )
    except InvalidRequest as refused:
        return _password_page({"new": str(refused)}), 400
    ended = browser().sessions.end_all(user().id, but=_this_session())
    renew_session()
    say("up", "Password changed", f"{ended} other {'session' if ended == 1 else 'sessions'} ended.")
    return redirect(url_for("settings.password"), 303)


def _password_page(errors: dict[str, str] | None = None, **values: Any) -> str:
    factor, who = browser().second_factor, user()
    on = factor.is_on(who.id)
    page = {
        "on": on,
        "left": factor.recovery_codes_left(who.id) if on else 0,
        "offer": None,
        "codes": None,
        "problems": errors or {},
    }
    return render("settings/password.html", "password", **(page | values))


@blueprint.post("/codes/start")
@own
def start_codes() -> Answer:
    """Show the QR code, after the password."""
    if error := wrong_password():
        return _password_page({"start": error}), 403
    return _password_page(offer=browser().second_factor.offer(user().id, user().name))


@blueprint.post("/codes/confirm")
@own
def confirm_codes() -> Answer:
    """Put the second factor in force: every other session ends."""
    factor, who = browser().second_factor, user()
    try:
        codes = factor.confirm(who.id, request.form.get("code", ""))
    except Unauthorized as error:
        offer = None if factor.is_on(who.id) else factor.offer(who.id, who.name)
        return _password_page({"code": str(error)}, offer=offer), 400
    browser().sessions.end_all(who.id, but=_this_session())
    renew_session()
    return _password_page(codes=codes)


@blueprint.post("/codes/renew")
@own
def renew_codes() -> Answer:
    """New recovery codes, after the password."""
    if error := wrong_password():
        return _password_page({"renew": error}), 403
    return _password_page(codes=browser().second_factor.renew_recovery_codes(user().id))


@blueprint.post("/codes/off")
@own
def stop_codes() -> Answer:
    """Turn the second factor off, after the password and a code: every other session ends."""
    if error := wrong_password():
        return _password_page({"off": error}), 403
    try:
        browser().second_factor.check(user().id, request.form.get("code", ""))
    except Unauthorized as refused:
        return _password_page({"off": str(refused)}), 403
    browser().second_factor.turn_off(user().id)
    browser().sessions.end_all(user().id, but=_this_session())
    renew_session()
    say("up", "Codes are off", "Only the password is asked for now.")
    return redirect(url_for("settings.password"), 303)


def _this_session() -> str | None:
    row = page_session().row
    return row.hash if row else None


# -- devices
@blueprint.get("/devices")
def devices() -> str:
    """Sessions that are open, devices that are known, the latest tries to sign in."""
    services, who = browser(), user()
    return render(
        "settings/devices.html",
        "devices",
        sessions=services.sessions.of_user(who.id),
        this=_this_session(),
        devices=services.sessions.devices_of(who.id),
        attempts=services.guard.latest(who.name, limit=20),
    )


@blueprint.post("/devices/sessions/<hashed>/end")
@own
def end_session(hashed: str) -> BaseResponse:
    """End one session of one's own."""
    if not browser().sessions.end_of_user(user().id, hashed):
        raise NotFound("That session has ended already.")
    say("up", "Session ended")
    return redirect(url_for("settings.devices"), 303)


@blueprint.post("/devices/sessions/end-others")
@own
def end_others() -> BaseResponse:
    """End every session but this one."""
    ended = browser().sessions.end_all(user().id, but=_this_session())
    say("up", f"{ended} {'session' if ended == 1 else 'sessions'} ended")
    return redirect(url_for("settings.devices"), 303)


@blueprint.post("/devices/<hashed>/forget")
@own
def forget_device(hashed: str) -> BaseResponse:
    """Make a device a stranger again."""
    if not browser().sessions.forget_device(user().id, hashed):
        raise NotFound("That device is not known.")
    say("up", "Device forgotten", "It is asked for a code again.")
    return redirect(url_for("settings.devices"), 303)


# -- keys
@blueprint.get("/keys")
def keys() -> str:
    """The user's API keys, by their last four."""
    return _keys_page()


def _keys_page(**values: Any) -> str:
    accounts = platform().accounts.accounts_of(user().id)
    page = {
        "keys": platform().accounts.keys_of(user().id),
        "account_names": {account.id: account.name for account in accounts},
        "choices": [(account.id, account.name) for account in accounts],
        "made": None,
        "revealed": None,
        "form": {},
        "problems": {},
        "chosen": caller().account.id,
        "programs": programs(request.host_url.rstrip("/"), "post", "/placeorder", FIRST_ORDER),
    }
    return render("settings/keys.html", "keys", **(page | values))


@blueprint.post("/keys")
@own
def create_key() -> Answer:
    """Make a key, after the password, and show it."""
    if error := wrong_password():
        return _keys_page(form=request.form, problems={"password": error}), 403
    form = request.form
    name = form.get("name", "").strip()
    try:
        made = platform().accounts.create_key(
            user().id,
            account_id=_whole(form.get("account", "")),
            scopes=form.getlist("scopes"),
            name=name,
            expires_at=_end_of(form.get("expires", "")),
            addresses=form.get("addresses", "").replace(",", " ").split(),
        )
    except InvalidRequest as refused:
        return _keys_page(form=form, problems={refused.field or "name": str(refused)}), 400
    return _keys_page(made=(name or "without a name", made))


@blueprint.post("/keys/<int:key_id>/reveal")
@own
def reveal_key(key_id: int) -> Answer:
    """Show a key again, after the password."""
    if error := wrong_password():
        return _keys_page(problems={f"reveal-{key_id}": error}), 403
    return _keys_page(revealed=(key_id, platform().accounts.reveal_key(user().id, key_id)))


@blueprint.post("/keys/<int:key_id>/revoke")
@own
def revoke_key(key_id: int) -> BaseResponse:
    """End a key at once."""
    platform().accounts.revoke_key(user().id, key_id)
    say("up", "Key revoked", "Programs that use it are refused from now on.")
    return redirect(url_for("settings.keys"), 303)


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _end_of(text: str) -> datetime | None:
    """The last moment (IST) of a date field, None when it is empty. Raises InvalidRequest."""
    if not text:
        return None
    try:
        wanted = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=IST).date()
    except ValueError as error:
        raise InvalidRequest("Give the date as year-month-day.", "expires") from error
    end = datetime.combine(wanted, time(), IST) + timedelta(days=1)
    if end <= platform().clock.now():
        raise InvalidRequest("That day is over.", "expires")
    return end.astimezone(UTC)

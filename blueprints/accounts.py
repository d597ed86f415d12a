"""Broker accounts of the user: which one is in front, its broker login, its mode, how its orders go out."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from flask import g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import check_manages, choose_account, keyed, own, pages, platform, user
from blueprints.problems import back_to, problem_of, say
from domain.errors import (
    BrokerError,
    InvalidRequest,
    LoginFailed,
    NotFound,
    NotSupported,
    PlatformError,
    Unauthorized,
)
from domain.model import Mode, OrderMode
from domain.roles import Role
from services import broker_directory
from services.accounts import Account, Caller
from services.broker_directory import Manifest
from services.sessions import SessionState

blueprint = pages("accounts")

Answer = str | BaseResponse | tuple[str, int]
_LOGIN = "broker_login"


@dataclass(frozen=True, slots=True)
class Row:
    """An account with what can be said of its broker and login."""

    account: Account
    manifest: Manifest
    state: SessionState
    role: Role

    @property
    def needs_login(self) -> bool:
        return self.manifest.login.kind != "none"


@blueprint.get("/accounts")
def index() -> str:
    """Every account with its mode, login state and what to do next."""
    return _index({})


def _index(errors: dict[str, str]) -> str:
    return render_template(
        "accounts/index.html",
        section="accounts",
        rows=[_row(seat.account, seat.role) for seat in platform().accounts.seats_of(user().id)],
        brokers=broker_directory.listed(),
        errors=errors,
        form=request.form,
    )


def _row(account: Account, role: Role = Role.ADMIN) -> Row:
    manifest = broker_directory.manifest_of(account.broker)
    return Row(account, manifest, platform().sessions.state(account), role)


def _run_by_me(account_id: int) -> tuple[Account, Caller]:
    """An account that the signed-in user runs, and them acting for it. Raises NotFound, Unauthorized."""
    caller = platform().accounts.caller_of_user(user().id, account_id, address=g.address)
    check_manages(caller)
    return caller.account, caller


@blueprint.post("/accounts/<int:account_id>/choose")
@own
def choose(account_id: int) -> BaseResponse:
    """Put an account in front. Raises NotFound for one that is not the user's."""
    choose_account(account_id)
    return back_to(url_for("dashboard.dashboard"))


@blueprint.post("/accounts")
@own
def add() -> Answer:
    """Open an account with a broker; it starts on paper prices and orders until it is taken live."""
    if user().role is Role.VIEWER:
        raise Unauthorized("You may look, not act: an administrator opens accounts for you to see.")
    form = request.form
    manifest = broker_directory.manifest_of(form.get("broker", ""))
    try:
        made = platform().accounts.add_account(user().id, form.get("name", ""), manifest.name)
    except InvalidRequest as error:
        return _index({error.field or "name": str(error)}), 400
    if manifest.login.kind == "none":
        say("up", f"{made.name} is ready")
        return redirect(url_for("accounts.index"), 303)
    return redirect(url_for("accounts.connect", account_id=made.id), 303)


@blueprint.post("/accounts/<int:account_id>/default")
@own
def default(account_id: int) -> BaseResponse:
    """The account that keys and new browsers get when none is named."""
    platform().accounts.set_default(user().id, account_id)
    return redirect(url_for("accounts.index"), 303)


# -- how orders go out
@blueprint.route("/accounts/<int:account_id>/mode", methods=["GET", "POST"])
@own
def mode(account_id: int) -> Answer:
    """Live takes the account's name, typed; back to paper takes one press."""
    account, caller = _run_by_me(account_id)
    if request.method == "GET":
        return _mode_page(account, "")
    wanted = Mode.LIVE if request.form.get("mode") == "live" else Mode.ANALYZE
    if wanted is Mode.LIVE and request.form.get("confirm", "").strip() != account.name:
        return _mode_page(account, "The name does not match. The account stays on paper."), 400
    try:
        platform().accounts.set_mode(caller, wanted)
    except InvalidRequest as error:
        return _mode_page(account, str(error)), 400
    _ring(account)
    word = "live: real orders from now on" if wanted is Mode.LIVE else "on paper: no money moves"
    say("warn" if wanted is Mode.LIVE else "up", f"{account.name} is {word}")
    return redirect(url_for("accounts.index"), 303)


def _mode_page(account: Account, error: str) -> str:
    verdict = platform().egress.verdict(account)
    return render_template(
        "accounts/mode.html", section="accounts", row=_row(account), error=error, verdict=verdict
    )


@blueprint.post("/accounts/<int:account_id>/order-mode")
@own
def order_mode(account_id: int) -> BaseResponse:
    """Whether programs' orders go out at once or wait for a person."""
    account, caller = _run_by_me(account_id)
    semi = request.form.get("order_mode") == "semi_auto"
    platform().accounts.set_order_mode(caller, OrderMode.SEMI_AUTO if semi else OrderMode.AUTO)
    words = "wait for approval in the Action Center" if semi else "go out at once"
    say("up", f"Orders of {account.name} {words}")
    return redirect(url_for("accounts.index"), 303)


def _ring(account: Account) -> None:
    """Have open sockets look again whose prices they show."""
    platform().event_bus.ring(f"account|{account.id}|")


# -- broker login
@blueprint.route("/accounts/<int:account_id>/connect", methods=["GET", "POST"])
@own
def connect(account_id: int) -> Answer:
    """The login form that the broker's manifest describes."""
    account, _ = _run_by_me(account_id)
    manifest = broker_directory.manifest_of(account.broker)
    if manifest.login.kind == "none":
        return redirect(url_for("accounts.index"), 303)
    if request.method == "GET":
        return _connect_page(account, manifest)
    form = request.form
    try:
        kept = {field.name: form.get(field.name, "") for field in manifest.login.fields}
        platform().sessions.save_credentials(account, kept)
        state = secrets.token_urlsafe(24)
        page = platform().sessions.login_page(account, state)
        if page:
            session[_LOGIN] = {"account": account.id, "state": state}
            return render_template("accounts/leave.html", section="accounts", row=_row(account), page=page)
        return _log_in(account, {field.name: form.get(field.name, "") for field in manifest.login.ask})
    except (InvalidRequest, LoginFailed, BrokerError, NotSupported) as error:
        return _connect_page(account, manifest, _login_words(error, manifest)), 400


def _login_words(error: PlatformError, manifest: Manifest) -> str:
    if isinstance(error, LoginFailed):
        return f"{manifest.title} says: {str(error).rstrip('.')}. Nothing was changed."
    return problem_of(error).words


def _connect_page(account: Account, manifest: Manifest, error: str = "") -> str:
    return render_template(
        "accounts/connect.html",
        section="accounts",
        row=_row(account),
        saved=platform().sessions.saved_fields(account),
        form=request.form,
        error=error,
        callback=url_for("accounts.callback", broker=manifest.name, _external=True),
    )


def _log_in(account: Account, asked: dict[str, str]) -> BaseResponse:
    platform().sessions.log_in(account, asked)
    _ring(account)
    say("up", f"{account.name} is connected")
    return redirect(url_for("accounts.index"), 303)


@blueprint.get("/<broker>/callback")
def callback(broker: str) -> Answer:
    """Where a broker's login page sends the browser back. Nothing happens until the person presses the button."""
    pending = session.get(_LOGIN) or {}
    account = _pending(broker, pending)
    if account is None:
        raise NotFound("No broker login was begun in this browser. Start it from Accounts.")
    given = request.args.to_dict()
    matches = given.get("state") in (None, pending["state"])
    return render_template(
        "accounts/finish.html", section="accounts", row=_row(account), given=given, matches=matches
    )


@blueprint.post("/<broker>/callback/back")
@keyed
@own
def back(broker: str) -> Answer:
    """The same for a page that posted its answer (`broker_return`). Our mark in it stands for the form's token."""
    pending = session.get(_LOGIN) or {}
    account, given = _pending(broker, pending), request.form.to_dict()
    mark = str(pending.get("state") or "")
    if (
        account is None
        or not mark
        or not secrets.compare_digest(given.get("state", "").encode(), mark.encode())
    ):
        raise InvalidRequest("This answer belongs to another login. Begin again from Accounts.")
    return render_template(
        "accounts/finish.html", section="accounts", row=_row(account), given=given, matches=True
    )


@blueprint.post("/<broker>/callback/finish")
@own
def finish(broker: str) -> Answer:
    """Trade what the broker's page gave for a session."""
    account = _pending(broker, session.pop(_LOGIN, None) or {})
    if account is None:
        raise NotFound("No broker login was begun in this browser. Start it from Accounts.")
    asked: dict[str, Any] = request.form.to_dict()
    asked.pop("csrf_token", None)
    manifest = broker_directory.manifest_of(account.broker)
    try:
        return _log_in(account, asked)
    except (InvalidRequest, LoginFailed, BrokerError, NotSupported) as error:
        return _connect_page(account, manifest, _login_words(error, manifest)), 400


def _pending(broker: str, pending: dict[str, Any]) -> Account | None:
    try:
        account, _ = _run_by_me(int(pending.get("account", 0)))
    except NotFound:
        return None
    return account if account.broker == broker else None


@blueprint.post("/accounts/<int:account_id>/disconnect")
@own
def disconnect(account_id: int) -> BaseResponse:
    """End the broker session, here and at the broker as far as it answers."""
    account, _ = _run_by_me(account_id)
    try:
        platform().sessions.log_out(account)
    except BrokerError as error:
        say("warn", f"{account.name} is logged out here", problem_of(error).words)
    else:
        say("up", f"{account.name} is logged out")
    _ring(account)
    return redirect(url_for("accounts.index"), 303)

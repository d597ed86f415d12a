"""Who looks at a page: sign-in state, the account in front of them, and that nothing is open by default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from flask import Blueprint, Flask, Response, current_app, g, redirect, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user
from werkzeug.wrappers import Response as BaseResponse

from blueprints.session_store import PageSession, RowSessions
from domain.clock import IST
from domain.errors import NotFound, Unauthorized
from domain.roles import TRADE, Role
from services.accounts import Caller, User
from services.addresses import Proxies
from services.browser import Browser
from services.browser_sessions import hash_cookie
from services.desk import Desk

if TYPE_CHECKING:
    from services.platform import Platform

P = ParamSpec("P")
T = TypeVar("T")
_ACCOUNT = "account"


@dataclass
class SignedIn(UserMixin):  # type: ignore[misc]
    """A user as Flask-Login wants them."""

    user: User
    id: str = field(init=False)

    def __post_init__(self) -> None:
        self.id = str(self.user.id)


def platform() -> Platform:
    """The platform's services."""
    return cast("Platform", current_app.extensions["platform"])


def browser() -> Browser:
    """The pages' own services."""
    return cast(Browser, current_app.extensions["browser"])


def desk() -> Desk:
    """Services that the Run and Operate pages add."""
    return cast(Desk, current_app.extensions["desk"])


def today() -> date:
    """The date in India."""
    return platform().clock.now().astimezone(IST).date()


def page_session() -> PageSession:
    return cast(PageSession, session)


def user() -> User:
    """Who is signed in; only for views behind `pages`."""
    return cast(SignedIn, current_user).user


def caller() -> Caller:
    """The signed-in user acting for the account in front of them (their default one when that is closed)."""
    if "caller" not in g:
        accounts, chosen = platform().accounts, session.get(_ACCOUNT)
        try:
            g.caller = accounts.caller_of_user(user().id, chosen, address=g.address)
        except NotFound:
            session.pop(_ACCOUNT, None)
            g.caller = accounts.caller_of_user(user().id, None, address=g.address)
    return cast(Caller, g.caller)


def choose_account(account_id: int) -> None:
    """Put another of the user's accounts in front of them. Raises NotFound."""
    g.caller = platform().accounts.caller_of_user(user().id, account_id, address=g.address)
    session[_ACCOUNT] = account_id


def sign_in(who: User, *, trust: bool) -> None:
    """Begin a fresh session for a user who has proved everything, and remember this device."""
    interface = _interface()
    device = request.cookies.get(interface.device_name(request), "")
    agent = request.headers.get("User-Agent", "")
    g.device_cookie = browser().sessions.keep_device(device, who.id, agent=agent, trust=trust)
    kept = {name: session[name] for name in ("held", "next") if name in session}
    page_session().clear()
    page_session().update(kept, _user_id=str(who.id), _fresh=True)
    page_session().renew(who.id)


def renew_session() -> None:
    """Continue under a new cookie after a change of rights."""
    page_session().renew(user().id)


def sign_out() -> BaseResponse:
    """End this browser's session for good."""
    answer = redirect(url_for("gate.login"), 303)
    _interface().forget(page_session(), request, cast(Response, answer))
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


def device_cookie() -> str:
    return request.cookies.get(_interface().device_name(request), "")


def known_device(user_id: int | None) -> str:
    """The hash of the device cookie when this user has signed in from it before, else ""."""
    cookie = device_cookie()
    if user_id is None or not browser().sessions.knows_device(cookie, user_id):
        return ""
    return hash_cookie(cookie)


def _interface() -> RowSessions:
    return cast(RowSessions, current_app.session_interface)


def require_admin() -> None:
    """For pages of the whole server. Raises Unauthorized."""
    if not user().is_admin:
        raise Unauthorized("Only an administrator sees this page.")


def keyed(view: Callable[P, T]) -> Callable[P, T]:
    """Mark a view whose callers are programs: they prove themselves in the request, so no form token is asked."""
    view.keyed = True  # type: ignore[attr-defined]
    return view


def is_keyed(view: object) -> bool:
    return bool(getattr(view, "keyed", False))


def own(view: Callable[P, T]) -> Callable[P, T]:
    """Mark a view whose writes concern the person alone, or which looks itself at what they may do."""
    view.asks = "own"  # type: ignore[attr-defined]
    return view


def manages(view: Callable[P, T]) -> Callable[P, T]:
    """Mark a view whose writes run the account in front: its limits, its paper terms."""
    view.asks = "manage"  # type: ignore[attr-defined]
    return view


def check_manages(who: Caller) -> None:
    """Raises Unauthorized unless the caller runs their account."""
    if who.role is not Role.ADMIN:
        raise Unauthorized(
            f"You are a {who.role} at {who.account.name}. Its login, mode, limits and terms are changed by its admin."
        )


def check_trades(who: Caller) -> None:
    """Raises Unauthorized unless the caller may trade on their account."""
    if TRADE not in who.scopes:
        raise Unauthorized(f"You may look at {who.account.name}, not act on it. Nothing was changed.")


def require_right() -> None:
    """Every write asks for the right to trade on the account in front, unless its view is marked otherwise."""
    if request.method in ("GET", "HEAD", "OPTIONS") or not current_user.is_authenticated:
        return
    asks = getattr(current_app.view_functions.get(str(request.endpoint)), "asks", "trade")
    if asks == "manage":
        check_manages(caller())
    elif asks != "own":
        check_trades(caller())


def pages(name: str, *, prefix: str | None = None) -> Blueprint:
    """A blueprint whose every view asks for somebody signed in, and for writes for the right to trade."""
    blueprint = Blueprint(name, f"blueprints.{name}", url_prefix=prefix)
    blueprint.before_request(require_user)
    blueprint.before_request(require_right)
    return blueprint


def require_user() -> BaseResponse | None:
    """Send strangers to the sign-in page, remembering where a GET was going."""
    if current_user.is_authenticated:
        return None
    if request.headers.get("HX-Request") or request.headers.get("X-Requested-With") == "fetch":
        answer = Response("Your session has ended. Sign in again.", 401, mimetype="text/plain")
        answer.headers["HX-Redirect"] = url_for("gate.login")
        return answer
    if request.method == "GET":
        session["next"] = request.full_path.rstrip("?")
    return redirect(url_for("gate.login"), 303)


def safe_next(default: str) -> str:
    """Where the person was going before signing in: a path of ours or `default`."""
    wanted = str(session.pop("next", "") or "")
    return wanted if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) else default


def install(app: Flask, *, trusted_proxies: tuple[str, ...], secure: bool) -> None:
    """Sessions as rows, Flask-Login over them, and the peer's address on every request."""
    app.session_interface = RowSessions(app.extensions["browser"].sessions, secure=secure)
    manager = LoginManager(app)
    manager.session_protection = None
    proxies = Proxies(trusted_proxies)

    @manager.user_loader  # type: ignore[untyped-decorator]
    def _load(user_id: str) -> SignedIn | None:
        if page_session().user_id != int(user_id):
            return None
        try:
            return SignedIn(platform().accounts.user(int(user_id)))
        except NotFound:
            return None

    @app.before_request
    def _note_address() -> Response | None:
        """Also turns banned addresses away, whatever door they came to."""
        g.address = proxies.client(request.remote_addr or "", request.headers.get("X-Forwarded-For", ""))
        if browser().bans.holds(g.address):
            return Response("This address is not served.", 403, mimetype="text/plain")
        return None

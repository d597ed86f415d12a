"""People of the server: who may sign in, what each may do at most, and at whose accounts."""

from __future__ import annotations

from collections.abc import Iterable

from flask import redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import browser, caller, own, pages, platform, require_admin
from blueprints.forms import word
from blueprints.fresh import wrong_password
from blueprints.problems import say
from blueprints.settings import render
from domain.errors import InvalidRequest, NotFound
from domain.roles import Role

blueprint = pages("users", prefix="/settings/users")

Answer = str | BaseResponse | tuple[str, int]


@blueprint.get("")
def users() -> Answer:
    """Everybody, their role, and the seats they were given."""
    require_admin()
    return _page({})


def _page(problems: dict[str, str]) -> Answer:
    accounts = platform().accounts
    people = [(one, browser().second_factor.is_on(one.id)) for one in accounts.users()]
    names = {one.id: one.name for one, _ in people}
    page = render(
        "settings/users.html",
        "users",
        people=people,
        members=accounts.members(),
        every_account=[(one.id, f"{names[one.user_id]}/{one.name}") for one in accounts.every_account()],
        problems=problems,
        form=request.form,
    )
    return (page, 400) if problems else page


@blueprint.post("")
@own
def add() -> Answer:
    """Let somebody in, with a role and a first password."""
    require_admin()
    if error := wrong_password("own_password"):
        return _page({"own_password": error})
    form = request.form
    try:
        role = word(Role, form, "role")
        made = platform().accounts.add_user(form.get("name", ""), form.get("password", ""), role=role)
    except InvalidRequest as refused:
        return _page({refused.field or "name": str(refused)})
    platform().audit.note(caller(), "user.add", {"name": made.name, "role": made.role.value})
    say("up", f"{made.name} may sign in", "They have a paper account of their own.")
    return redirect(url_for("users.users"), 303)


@blueprint.post("/change")
@own
def change() -> Answer:
    """Another role for somebody, or bar them, or let them in again."""
    require_admin()
    if error := wrong_password("own_password"):
        return _page({f"change-{request.form.get('name', '')}": error})
    form, accounts = request.form, platform().accounts
    try:
        if form.get("role") in ("bar", "unbar"):
            changed = accounts.set_barred(form.get("name", ""), form["role"] == "bar")
            browser().sessions.end_all(changed.id)
        else:
            changed = accounts.user_named(form.get("name", ""))
            accounts.set_role(changed.id, word(Role, form, "role"))
    except (InvalidRequest, NotFound) as refused:
        return _page({f"change-{form.get('name', '')}": str(refused)})
    _ring(seat.account.id for seat in accounts.seats_of(changed.id))
    platform().audit.note(caller(), "user.role", {"name": changed.name, "role": form["role"]})
    say("up", f"Rights of {changed.name} changed", "It holds from their next request on.")
    return redirect(url_for("users.users"), 303)


@blueprint.post("/seats")
@own
def seat() -> Answer:
    """Give somebody a role at another's account, or take it away."""
    require_admin()
    if error := wrong_password("seat_password"):
        return _page({"seat_password": error})
    form, accounts = request.form, platform().accounts
    account = form.get("account", "")
    try:
        person = accounts.user_named(form.get("user", ""))
        role = None if form.get("role") == "none" else word(Role, form, "role")
        accounts.give_seat(int(account) if account.isascii() and account.isdigit() else 0, person.id, role)
    except (InvalidRequest, NotFound) as refused:
        return _page({"user": str(refused)})
    _ring([int(account)])
    told = {"name": person.name, "account": account, "role": role.value if role else "none"}
    platform().audit.note(caller(), "account.seat", told)
    say("up", f"Seat of {person.name} changed", "It holds from their next request on.")
    return redirect(url_for("users.users"), 303)


def _ring(account_ids: Iterable[int]) -> None:
    """Have open sockets look at once whether they still may."""
    for account_id in account_ids:
        platform().event_bus.ring(f"account|{account_id}|")

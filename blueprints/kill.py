"""The kill switch as a plain form: it must work without a script, from a phone, in a hurry."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import browser, caller, manages, pages, platform, user
from blueprints.fresh import wrong_password
from blueprints.problems import Read, attempt, problem_of, say
from domain.errors import InvalidRequest, Unauthorized
from domain.model import Order, Position

blueprint = pages("kill", prefix="/kill")

Answer = str | BaseResponse | tuple[str, int]


@blueprint.get("")
def kill() -> str:
    """What would be stopped, counted; or, once thrown, what was done and how to unlock."""
    return _page()


def _page(error: str = "") -> str:
    here, services = caller(), platform()
    template = "kill/body.html" if request.args.get("part") == "body" else "kill/kill.html"
    orders: Read[list[Order]] = attempt(lambda: services.orders.book(here), [])
    positions: Read[list[Position]] = attempt(lambda: services.portfolio.positions(here), [])
    return render_template(
        template,
        orders=orders,
        positions=positions,
        working=sum(order.state.is_working for order in orders.value),
        unanswered=len(browser().journal.unsettled(here)),
        held=sum(bool(position.quantity) for position in positions.value),
        engaged=services.kill_switch.engaged(here.account.id),
        codes_on=browser().second_factor.is_on(user().id),
        error=error,
    )


@blueprint.post("")
def throw() -> BaseResponse:
    """Lock trading now, cancel what works, and exit what is held when that is ticked."""
    form = request.form
    try:
        thrown = platform().kill_switch.engage(
            caller(),
            every=form.get("every") == "on",
            flatten=form.get("flatten") == "on",
            reason=form.get("reason", ""),
        )
    except InvalidRequest as error:
        say("err", "Not stopped", problem_of(error).words)
        return redirect(url_for("kill.kill"), 303)
    say("warn", "Trading is locked", thrown.report.replace("\n", "; ") or "The rest is being done.")
    return redirect(url_for("kill.kill"), 303)


@blueprint.post("/unlock")
@manages
def unlock() -> Answer:
    """Allow trading again, after the password and, where codes are on, a code."""
    if error := wrong_password():
        return _page(error), 403
    factor, who = browser().second_factor, user()
    if factor.is_on(who.id):
        try:
            factor.check(who.id, request.form.get("code", ""))
        except Unauthorized as refused:
            return _page(str(refused)), 403
    here = caller()
    every = here.is_admin and platform().kill_switch.release(here, every=True)
    if platform().kill_switch.release(here) or every:
        say("up", "Trading is unlocked")
    return redirect(url_for("kill.kill"), 303)

"""The kill switch as a plain form: it must work without a script, from a phone, in a hurry."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import caller, pages, platform
from blueprints.problems import Read, attempt, say
from domain.model import Order, Position
from services.orders import Swept

blueprint = pages("kill", prefix="/kill")


@blueprint.get("")
def kill() -> str:
    """What would be stopped, counted."""
    here, services = caller(), platform()
    orders: Read[list[Order]] = attempt(lambda: services.orders.book(here), [])
    positions: Read[list[Position]] = attempt(lambda: services.portfolio.positions(here), [])
    return render_template(
        "kill/kill.html",
        orders=orders,
        positions=positions,
        working=sum(order.state.is_working for order in orders.value),
        held=sum(bool(position.quantity) for position in positions.value),
    )


@blueprint.post("")
def throw() -> BaseResponse:
    """Cancel and exit as ticked; each part says what it did."""
    here, services = caller(), platform()
    if "cancel" in request.form:
        _tell("orders cancelled", attempt(lambda: services.orders.cancel_all(here), None))
    if "exit" in request.form:
        _tell("positions sent to exit", attempt(lambda: services.orders.close_all(here), None))
    return redirect(url_for("kill.kill"), 303)


def _tell(words: str, read: object) -> None:
    problem, swept = getattr(read, "problem", None), getattr(read, "value", None)
    if problem is not None:
        say("err", f"No {words}", problem.words)
    elif isinstance(swept, Swept):
        failed = "; ".join(f"{name}: {why}" for name, why in swept.failed)
        say("err" if swept.failed else "up", f"{len(swept.done)} {words}", failed)

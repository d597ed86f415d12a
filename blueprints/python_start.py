"""Start and stop of a strategy, by the buttons of its page and of the list. On a live account a start asks first."""

from __future__ import annotations

from collections.abc import Callable

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import caller, pages, platform
from blueprints.problems import say
from blueprints.python_faces import REASONS
from blueprints.python_forms import unconfirmed
from domain.errors import InvalidRequest
from services.strategy_host import StrategyHost

blueprint = pages("python_start", prefix="/python")

Answer = str | BaseResponse | tuple[str, int]


def _host() -> StrategyHost:
    return platform().strategy_host


@blueprint.get("/<strategy_id>/start")
def ask(strategy_id: str) -> str:
    """Asks for the account's name before a start with real money."""
    return _ask_page(strategy_id, "")


def _ask_page(strategy_id: str, error: str) -> str:
    strategy = _host().to_act(caller(), strategy_id)
    account = platform().accounts.account(strategy.account_id)
    return render_template(
        "python/start.html", section="strategies", strategy=strategy, account=account, error=error
    )


@blueprint.post("/<strategy_id>/start")
def start(strategy_id: str) -> Answer:
    """Start it now, or arm it. On a live account without its name, typed, nothing is started: 422."""
    strategy = _host().to_act(caller(), strategy_id)
    if error := unconfirmed(platform().accounts.account(strategy.account_id)):
        return _ask_page(strategy_id, error), 422

    def act() -> None:
        started = _host().start(caller(), strategy_id, force="force" in request.form)
        if started.armed:
            say(
                "info",
                "Armed",
                f"{REASONS.get(started.reason, '')}. It starts at its next window.".lstrip(". "),
            )
        else:
            say("up", "Told to start")

    return _pressed(act, strategy_id)


@blueprint.post("/<strategy_id>/stop")
def stop(strategy_id: str) -> BaseResponse:
    """Stop it."""

    def act() -> None:
        _host().stop(caller(), strategy_id)
        say("up", "Told to stop", "It stays off until you press Start.")

    return _pressed(act, strategy_id)


@blueprint.post("/<strategy_id>/restart")
def restart(strategy_id: str) -> BaseResponse:
    """End its run and, when that has gone, start another. Asks for no name: real orders were begun with it."""

    def act() -> None:
        _host().restart(caller(), strategy_id)
        say("up", "Told to restart", "It starts again when it has ended. Its orders stay.")

    return _pressed(act, strategy_id)


def _pressed(act: Callable[[], None], strategy_id: str) -> BaseResponse:
    """Do it, say what went wrong as a toast, and go back to where the button was."""
    try:
        act()
    except InvalidRequest as error:
        say("err", "Not done", str(error))
    back = url_for("python.index") if request.form.get("from") == "list" else None
    return redirect(back or url_for("python.show", strategy_id=strategy_id), 303)

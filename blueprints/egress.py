"""The address that an account's orders leave from, beside the one registered with its broker."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import check_manages, own, pages, platform, user
from blueprints.problems import say
from domain.errors import InvalidRequest, Unavailable
from services import broker_directory
from services.accounts import Caller

blueprint = pages("egress", prefix="/accounts")

Answer = str | BaseResponse | tuple[str, int]


def _run_by_me(account_id: int) -> Caller:
    """The signed-in user acting for an account that they run. Raises NotFound, Unauthorized."""
    caller = platform().accounts.caller_of_user(user().id, account_id, address=g.address)
    check_manages(caller)
    return caller


@blueprint.route("/<int:account_id>/address", methods=["GET", "POST"])
@own
def address(account_id: int) -> Answer:
    """What is registered and what was seen; POST keeps what is registered."""
    here = _run_by_me(account_id)
    if request.method == "GET":
        return _page(here)
    try:
        kept = platform().egress.register(here, request.form.get("address", ""))
    except InvalidRequest as error:
        return _page(here, str(error)), 400
    say("up", f"{kept} is registered for {here.account.name}" if kept else "Forgotten")
    return redirect(url_for("egress.address", account_id=account_id), 303)


@blueprint.post("/<int:account_id>/address/look")
@own
def look(account_id: int) -> BaseResponse:
    """Ask the service outside which address this machine has."""
    here = _run_by_me(account_id)
    try:
        seen = platform().egress.look(here)
    except (InvalidRequest, Unavailable) as error:
        say("err", "Not known", str(error))
    else:
        say("up", f"This machine is {seen.address} to others")
    return redirect(url_for("egress.address", account_id=account_id), 303)


def _page(here: Caller, error: str = "") -> str:
    egress = platform().egress
    return render_template(
        "accounts/address.html",
        section="accounts",
        account=here.account,
        broker=broker_directory.manifest_of(here.account.broker),
        registered=request.form.get("address", "") if error else egress.registered(here.account.id),
        seen=egress.seen(),
        verdict=egress.verdict(here.account),
        service=egress.service,
        host=urlsplit(egress.service).hostname,
        error=error,
    )

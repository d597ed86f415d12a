"""Webhooks of the user: their secret addresses, what they may trade, what came in and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import caller, pages, platform, user
from blueprints.books import name_of
from blueprints.forms import number
from blueprints.problems import problem_of, say
from domain.errors import InvalidRequest, PlatformError
from domain.model import Exchange

blueprint = pages("hooks", prefix="/webhooks")

Answer = str | BaseResponse | tuple[str, int]
PLATFORMS = (
    ("tradingview", "TradingView"),
    ("gocharting", "GoCharting"),
    ("amibroker", "AmiBroker"),
    ("python", "Python"),
    ("metatrader", "MetaTrader"),
    ("excel", "Excel"),
    ("others", "Other"),
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a program sends its signals, and what it sends there."""

    url: str
    example: str


@blueprint.get("")
def index() -> str:
    """Every webhook of the user."""
    return _index({})


def _index(errors: dict[str, str]) -> str:
    accounts = {one.id: one.name for one in platform().accounts.accounts_of(user().id)}
    return render_template(
        "hooks/index.html",
        section="strategies",
        hooks=platform().signals.listed(caller()),
        account_names=accounts,
        platforms=PLATFORMS,
        errors=errors,
        form=request.form,
    )


@blueprint.post("")
def create() -> Answer:
    """A webhook for the account in front; it starts switched off."""
    form = request.form
    times = (form.get("start", "09:15"), form.get("end", "15:00"), form.get("squareoff", "15:15"))
    try:
        made = platform().signals.create(
            caller(),
            "chartink" if form.get("kind") == "chartink" else "strategy",
            form.get("name", ""),
            platform=form.get("platform", "tradingview"),
            trading_mode=form.get("trading_mode", "LONG"),
            intraday=form.get("intraday") == "on",
            times=times,
        )
    except InvalidRequest as error:
        return _index({error.field or "name": str(error)}), 400
    return redirect(url_for("hooks.show", hook_id=made.id), 303)


@blueprint.get("/<int:hook_id>")
def show(hook_id: int) -> str:
    """One webhook: its address, its symbols, its latest signals."""
    return _page(hook_id, {})


def _page(hook_id: int, errors: dict[str, str]) -> str:
    here, signals = caller(), platform().signals
    hook = signals.one(here, hook_id)
    part = request.args.get("part") == "signals"
    return render_template(
        "hooks/signals.html" if part else "hooks/show.html",
        section="strategies",
        hook=hook,
        account=platform().accounts.account(hook.account_id),
        address=_address(hook),
        names={one.symbol: name_of(one.exchange, one.symbol) for one in hook.mappings},
        recent=signals.recent(here, hook_id),
        exchanges=[(e.value, e.value) for e in Exchange if not e.endswith("_INDEX")],
        errors=errors,
        form=request.form,
    )


def _address(hook: Any) -> Address:
    door = "chartink" if hook.kind == "chartink" else "strategy"
    url = f"{platform().settings.host_server}/{door}/webhook/{hook.webhook_id}"
    if hook.kind == "chartink":
        return Address(
            url, '{"scan_name": "My scan BUY", "stocks": "RELIANCE,SBIN", "triggered_at": "10:05 am"}'
        )
    symbol = hook.mappings[0].symbol if hook.mappings else "RELIANCE"
    if hook.trading_mode == "BOTH":
        return Address(url, f'{{"symbol": "{symbol}", "action": "BUY", "position_size": "1"}}')
    return Address(url, f'{{"symbol": "{symbol}", "action": "BUY"}}')


@blueprint.post("/<int:hook_id>/switch")
def switch(hook_id: int) -> BaseResponse:
    """On or off; signals that come while it is off are refused."""
    on = request.form.get("on") == "1"
    hook = platform().signals.switch(caller(), hook_id, on)
    say("up", f"{hook.name} is {'on' if on else 'off'}")
    return redirect(url_for("hooks.show", hook_id=hook_id), 303)


@blueprint.post("/<int:hook_id>/delete")
def delete(hook_id: int) -> BaseResponse:
    """Drop it; its address is refused from now on."""
    platform().signals.remove(caller(), hook_id)
    say("up", "Webhook deleted", "Signals that came in stay on record.")
    return redirect(url_for("hooks.index"), 303)


@blueprint.post("/<int:hook_id>/symbols")
def map_symbol(hook_id: int) -> Answer:
    """Let it trade a symbol, with a quantity for each entry."""
    form = request.form
    try:
        platform().signals.map_symbol(
            caller(),
            hook_id,
            form.get("symbol", "").strip().upper(),
            form.get("exchange", ""),
            number(form, "quantity") or Decimal(0),
            form.get("product", ""),
        )
    except PlatformError as error:
        field = error.field if isinstance(error, InvalidRequest) else "symbol"
        return _page(hook_id, {field or "symbol": problem_of(error).words}), 400
    return redirect(url_for("hooks.show", hook_id=hook_id), 303)


@blueprint.post("/<int:hook_id>/symbols/<int:mapping_id>/remove")
def unmap(hook_id: int, mapping_id: int) -> BaseResponse:
    """It may no longer trade the symbol."""
    platform().signals.unmap(caller(), hook_id, mapping_id)
    return redirect(url_for("hooks.show", hook_id=hook_id), 303)

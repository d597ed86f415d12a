"""Orders that wait for a price: good-till-triggered ones, and the stops and targets that guard positions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import caller, pages, platform
from blueprints.books import name_of, open_position, order_tabs
from blueprints.forms import EXIT_FIELDS, exits_of, number, word
from blueprints.problems import Read, attempt, problem_of, say
from domain.errors import InvalidRequest, PlatformError
from domain.model import Exchange, OrderRequest, OrderType, Position, Product, Side
from services.triggers import GttRequest

blueprint = pages("triggers", prefix="/triggers")

Answer = str | BaseResponse | tuple[str, int]


@blueprint.get("")
def index() -> str:
    """Everything that waits or is active, newest first."""
    return _page()


def _page(errors: dict[str, str] | None = None, **values: Any) -> str:
    here = caller()
    listed: Read[list[Any]] = attempt(lambda: platform().triggers.listed(here), [])
    panel = request.args.get("part") == "panel"
    return render_template(
        "triggers/panel.html" if panel else "triggers/index.html",
        section="orders",
        listed=listed,
        tabs=order_tabs("triggers"),
        names={one.symbol: name_of(one.exchange, one.symbol) for one in listed.value},
        errors=errors or {},
        form=request.form,
        exchanges=[(e.value, e.value) for e in Exchange if not e.endswith("_INDEX")],
        **values,
    )


@blueprint.post("")
def place() -> Answer:
    """Keep a good-till-triggered order: one trigger, or two of which the first to fire ends the other."""
    form = request.form
    try:
        quantity = number(form, "quantity")
        if not quantity:
            raise InvalidRequest("Say how many: a quantity above 0.", "quantity")
        wanted = GttRequest(
            symbol=form.get("symbol", "").strip().upper(),
            exchange=word(Exchange, form, "exchange"),
            side=word(Side, form, "action"),
            product=word(Product, form, "product"),
            quantity=quantity,
            order_type=word(OrderType, form, "pricetype"),
            below=number(form, "below"),
            above=number(form, "above"),
            price=number(form, "price"),
            below_price=number(form, "below_price"),
            above_price=number(form, "above_price"),
        )
        made = platform().triggers.place_gtt(caller(), wanted)
    except PlatformError as error:
        field = error.field if isinstance(error, InvalidRequest) else ""
        return _page({_FIELDS.get(field, field or "symbol"): problem_of(error).words}), 400
    say("up", f"{made.side.value.title()} {name_of(made.exchange, made.symbol)} waits for its price", made.id)
    return redirect(url_for("triggers.index"), 303)


_FIELDS = {
    "triggerprice_sl": "below",
    "triggerprice_tg": "above",
    "trigger_price": "below",
    "trigger_type": "below",
}


@blueprint.post("/<trigger_id>/cancel")
def cancel(trigger_id: str) -> BaseResponse:
    """End one that waits or is active."""
    try:
        platform().triggers.cancel_gtt(caller(), trigger_id)
    except PlatformError as error:
        say("err", "Not cancelled", problem_of(error).words)
    else:
        say("up", "Cancelled", "Its price is no longer waited for.")
    return redirect(url_for("triggers.index"), 303)


# -- positions
@blueprint.route("/guard", methods=["GET", "POST"])
def guard() -> Answer:
    """A stop, a target or a trailing stop for an open position."""
    position = open_position(request.values.get("position", ""))
    if request.method == "GET":
        return _guard_page(position, {})
    try:
        exits = exits_of(request.form)
        if not exits:
            raise InvalidRequest("Give a stop, a target or a trailing distance.", "stop")
        wanted = OrderRequest(
            symbol=position.symbol,
            exchange=position.exchange,
            side=Side.BUY if position.quantity > 0 else Side.SELL,
            quantity=abs(position.quantity),
            product=position.product,
        )
        platform().triggers.guard_position(caller(), wanted, exits, position.average_price or Decimal(0))
    except PlatformError as error:
        field = error.field if isinstance(error, InvalidRequest) else ""
        named = EXIT_FIELDS.get(field, field)
        return _guard_page(position, {named or "stop": problem_of(error).words}), 400
    say("up", f"{name_of(position.exchange, position.symbol)} is guarded")
    return redirect(url_for("books.positions"), 303)


def _guard_page(position: Position, errors: dict[str, str]) -> str:
    return render_template(
        "triggers/guard.html",
        section="positions",
        position=position,
        name=name_of(position.exchange, position.symbol),
        errors=errors,
        form=request.form,
    )

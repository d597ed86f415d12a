"""Baskets: put together, priced as a whole, sent as one plan whose every leg is reported."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import browser, caller, own, pages, platform, user
from blueprints.books import name_of, order_tabs
from blueprints.forms import body_hash, new_form_key, order_request
from blueprints.problems import attempt, done, is_script, problem_of, say
from domain.errors import InvalidRequest, PlatformError
from domain.model import Exchange, OrderRequest, Side
from services.baskets import Basket

blueprint = pages("baskets", prefix="/baskets")

Answer = str | BaseResponse | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Cost:
    """Rupees; None where the account's broker does not say. `peak` is the most it takes on the way."""

    final: Decimal | None
    peak: Decimal | None
    alone: Decimal | None
    available: Decimal | None


@blueprint.get("")
def index() -> str:
    """Every basket of the user."""
    return render_template(
        "baskets/index.html",
        section="orders",
        tabs=order_tabs("baskets"),
        baskets=browser().baskets.listed(user().id),
        errors={},
        form={},
    )


@blueprint.post("")
@own
def create() -> Answer:
    """A new, empty basket."""
    try:
        made = browser().baskets.create(user().id, request.form.get("name", ""))
    except InvalidRequest as error:
        page = render_template(
            "baskets/index.html",
            section="orders",
            tabs=order_tabs("baskets"),
            baskets=browser().baskets.listed(user().id),
            errors={"name": str(error)},
            form=request.form,
        )
        return page, 400
    return redirect(url_for("baskets.show", basket_id=made), 303)


@blueprint.get("/<int:basket_id>")
def show(basket_id: int) -> str:
    """One basket with what it would take."""
    return _page(browser().baskets.one(user().id, basket_id))


def _page(basket: Basket, errors: dict[str, str] | None = None, sent: Any = None) -> str:
    panel = request.args.get("part") == "panel"
    return render_template(
        "baskets/panel.html" if panel else "baskets/show.html",
        section="orders",
        basket=basket,
        names={leg.symbol: name_of(leg.exchange, leg.symbol) for leg in basket.legs},
        cost=_cost(basket) if basket.legs else None,
        form_key=new_form_key(),
        errors=errors or {},
        form=request.form,
        sent=sent,
        exchanges=[(e.value, e.value) for e in Exchange if not e.endswith("_INDEX")],
    )


def _cost(basket: Basket) -> Cost:
    """Margin of the whole, of the dearest moment on the way (buys go first), and of the legs one by one."""
    here = caller()
    buys = [leg for leg in basket.legs if leg.side is Side.BUY]
    ordered = buys + [leg for leg in basket.legs if leg.side is Side.SELL]

    def margin(legs: list[OrderRequest]) -> Decimal:
        return platform().portfolio.margin(here, legs).total

    final = attempt(lambda: margin(ordered), None).value
    if final is None:
        return Cost(None, None, None, None)
    steps = [ordered[: n + 1] for n in range(len(ordered))]
    peak = attempt(lambda: max(margin(step) for step in steps), None).value
    alone = attempt(lambda: sum((margin([leg]) for leg in ordered), Decimal(0)), None).value
    funds = attempt(lambda: platform().portfolio.funds(here), None).value
    return Cost(final, peak, alone, None if funds is None else funds.available)


@blueprint.post("/<int:basket_id>/add")
@own
def add(basket_id: int) -> Answer:
    """Put an order into the basket."""
    form = request.form
    try:
        symbol = form.get("symbol", "").strip().upper()
        instrument = platform().orders.resolve(caller().account, form.get("exchange", ""), symbol)
        browser().baskets.add(user().id, basket_id, order_request(form, instrument))
    except PlatformError as error:
        if is_script():
            raise
        field = error.field if isinstance(error, InvalidRequest) else "symbol"
        return _page(
            browser().baskets.one(user().id, basket_id), {field or "symbol": problem_of(error).words}
        ), 400
    return done(
        "up", f"{instrument.symbol} is in the basket", "", url_for("baskets.show", basket_id=basket_id)
    )


@blueprint.post("/<int:basket_id>/change")
@own
def change(basket_id: int) -> BaseResponse:
    """Move a leg, take it out, or empty the basket."""
    form, baskets, who = request.form, browser().baskets, user().id
    if (place := _place("remove")) is not None:
        baskets.remove(who, basket_id, place)
    if (place := _place("up")) is not None:
        baskets.move(who, basket_id, place, -1)
    if (place := _place("down")) is not None:
        baskets.move(who, basket_id, place, 1)
    if "clear" in form:
        baskets.clear(who, basket_id)
    return redirect(url_for("baskets.show", basket_id=basket_id), 303)


def _place(name: str) -> int | None:
    text = request.form.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else None


@blueprint.post("/<int:basket_id>/delete")
@own
def delete(basket_id: int) -> BaseResponse:
    """Drop the basket; nothing that was sent changes."""
    browser().baskets.delete(user().id, basket_id)
    say("up", "Basket deleted")
    return redirect(url_for("baskets.index"), 303)


@blueprint.post("/<int:basket_id>/send")
def send(basket_id: int) -> Answer:
    """Send every leg, buys first, once for this form however often it arrives."""
    basket = browser().baskets.one(user().id, basket_id)
    try:
        answer = platform().order_plans.basket(
            caller(),
            basket.legs,
            key=request.form.get("idempotency_key", "")[:128],
            body_hash=body_hash(request.form),
        )
    except PlatformError as error:
        return _page(basket, {"send": problem_of(error).words}), 400
    return _page(basket, sent=answer)

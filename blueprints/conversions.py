"""The page that asks for an open position to be held under another product."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import caller, pages, platform
from blueprints.books import name_of, open_position, row_of
from blueprints.filters import units
from blueprints.forms import body_hash, new_form_key, number, products, word
from blueprints.problems import Read, attempt, problem_of, say
from domain.errors import InvalidRequest, NotSupported, PlatformError
from domain.model import OrderRequest, Position, Product, Side
from services.conversions import Conversion
from services.orders import Placed

blueprint = pages("conversions")

Answer = str | BaseResponse | tuple[str, int]


@blueprint.route("/positions/convert", methods=["GET", "POST"])
def convert() -> Answer:
    """Choose product and quantity; the form sends one conversion however often it arrives."""
    row = request.values.get("position", "")
    if request.method == "GET":
        return _page(open_position(row), {})
    try:
        wanted = _wanted(row)
        key = request.form.get("idempotency_key", "")[:128]
        done = platform().conversions.convert(caller(), wanted, key=key, body_hash=body_hash(request.form))
    except PlatformError as error:
        field = error.field if isinstance(error, InvalidRequest) else ""
        problem = problem_of(error)
        return _page(open_position(row), {field or "position": problem.words}), problem.status
    if done.state == "refused":
        code = f" ({done.code})" if done.code and done.code not in done.message else ""
        return _page(open_position(row), {"position": f"Not converted. {done.message}{code}"}), 422
    _say(wanted, done)
    return redirect(url_for("books.positions"), 303)


def _wanted(row: str) -> Conversion:
    """The form's fields; a quantity in lots becomes units, none at all means the whole position. A position that is not
    open any more is the service's to refuse: the form may have arrived before."""
    exchange, symbol, product = row_of(row)
    quantity = number(request.form, "quantity")
    if quantity is not None and request.form.get("unit") == "lots":
        quantity *= platform().orders.resolve(caller().account, exchange, symbol).lot_size
    to_product = word(Product, request.form, "to_product")
    return Conversion(
        symbol=symbol, exchange=exchange, product=product, to_product=to_product, quantity=quantity
    )


def _say(wanted: Conversion, done: Placed) -> None:
    """What became of it, in words that claim no more than is known."""
    quantity = "All of" if wanted.quantity is None else units(wanted.quantity)
    what = (
        f"{quantity} {name_of(wanted.exchange, wanted.symbol)} from {wanted.product} to {wanted.to_product}"
    )
    if done.state == "accepted":
        say("up", f"{what}: converted", "Nothing was bought or sold.")
    else:
        say("warn", f"{what}: no answer yet", "Not sent again. The positions settle what became of it.")


def _page(position: Position, errors: dict[str, str]) -> str:
    here = caller()
    [targets] = platform().conversions.targets(here.account, [position])
    if not targets:
        raise NotSupported(
            f"{position.symbol} {position.product} cannot be converted at {here.account.venue}."
        )
    chosen = request.values.get("to_product", targets[0].value)
    named = dict(products(position.exchange))
    return render_template(
        "books/convert.html",
        section="positions",
        position=position,
        name=name_of(position.exchange, position.symbol),
        instrument=platform().orders.resolve(here.account, position.exchange, position.symbol),
        targets=[(one.value, named[one.value]) for one in targets],
        chosen=chosen,
        costs=_costs(position, targets),
        funds=attempt(lambda: platform().portfolio.funds(here), None).value,
        errors=errors,
        form=request.form,
        form_key=new_form_key(),
    )


def _costs(position: Position, targets: list[Product]) -> list[tuple[str, Decimal | None]]:
    """What the whole position would block as each product at today's price, None where the broker does not say."""

    def of(product: Product) -> Decimal:
        asked = OrderRequest(
            symbol=position.symbol,
            exchange=position.exchange,
            side=Side.BUY if position.quantity > 0 else Side.SELL,
            quantity=abs(position.quantity),
            product=product,
        )
        total: Decimal = platform().portfolio.margin(caller(), [asked]).total
        return total

    def read(product: Product) -> Read[Any]:
        return attempt(lambda: of(product), None)

    return [(product.value, read(product).value) for product in (position.product, *targets)]

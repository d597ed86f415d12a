"""What the pages ask of orders: place, modify, cancel, exit. However often a form arrives, it sends one order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from flask import Response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import browser, caller, pages, platform
from blueprints.books import name_of, row_of
from blueprints.filters import units
from blueprints.forms import EXIT_FIELDS, body_hash, exits_of, new_form_key, number, order_request, word
from blueprints.problems import back_to, is_script, problem_of, say
from domain.errors import InvalidRequest, PlatformError
from domain.figures import inr
from domain.model import Instrument, Order, OrderRequest, OrderType, Side
from services.gate import Admission
from services.orders import OrderTerms, Placed
from services.sweeps import Swept
from services.triggers import keep_with

blueprint = pages("orders")

Answer = str | BaseResponse | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Said:
    """A toast: kind "up", "info", "warn" or "err"."""

    kind: str
    title: str
    text: str = ""
    field: str = ""


# -- new orders
@blueprint.post("/orders/place")
def place() -> Answer:
    """Send the ticket's order, once."""
    form = request.form
    try:
        instrument = _instrument(form.get("exchange", ""), form.get("symbol", ""))
        wanted = order_request(form, instrument)
        admission = _guarded(
            wanted, Admission(key=form.get("idempotency_key", "")[:128], body_hash=body_hash(form))
        )
        placed = platform().order_plans.place(caller(), wanted, admission)
    except PlatformError as error:
        return _answer(_refused(error), url_for("books.orders"))
    return _answer(_placed(placed, _what(wanted)), url_for("books.orders"), placed.state)


def _guarded(wanted: OrderRequest, admission: Admission) -> Admission:
    """With the ticket's exit plan, which arms when the order has filled; without one, as it was."""
    exits = exits_of(request.form)
    if not exits:
        return admission
    guard = platform().triggers.exits_of(caller(), wanted, exits)
    return replace(admission, beside=partial(keep_with, guard))


def _instrument(exchange: str, symbol: str) -> Instrument:
    found: Instrument = platform().orders.resolve(caller().account, exchange, symbol)
    return found


def _what(wanted: OrderRequest) -> str:
    at = f" at {inr(wanted.price)}" if wanted.price is not None and wanted.order_type.has_price else ""
    return (
        f"{wanted.side.value.title()} {units(wanted.quantity)} {name_of(wanted.exchange, wanted.symbol)}{at}"
    )


def _placed(placed: Placed, what: str) -> Said:
    """What became of a request, in words that claim no more than is known."""
    if placed.state == "accepted":
        many = placed.order_ids
        names = f"Orders {', '.join(many)}" if many else f"Order {placed.order_id}"
        return Said("up", f"{what}: accepted", names)
    if placed.state == "refused":
        code = f" ({placed.code})" if placed.code and placed.code not in placed.message else ""
        return Said("err", f"{what}: rejected", f"{placed.message}{code}")
    if placed.state == "partial":
        return Said("warn", f"{what}: sent in part", placed.message)
    if placed.state == "parked":
        return Said("info", f"{what}: waits for approval", "It is in the Action Center; nothing was sent.")
    if placed.state == "queued":
        return Said("info", f"{what}: queued", placed.message)
    return Said("warn", f"{what}: no answer yet", "Not sent again. The order book settles what became of it.")


def _refused(error: PlatformError) -> Said:
    field = error.field if isinstance(error, InvalidRequest) else ""
    return Said("err", "Not sent", problem_of(error).words, EXIT_FIELDS.get(field, field))


def _answer(said: Said, default: str, state: str = "") -> Answer:
    """A toast for a script, with a fresh form key; a redirect that carries the toast for a plain form."""
    if not is_script():
        say(said.kind, said.title, said.text)
        return back_to(default)
    status = 422 if said.kind == "err" else 200
    answer = Response(render_template("orders/toast.html", said=said), status, mimetype="text/html")
    answer.headers["X-Outcome"] = state or "invalid"
    answer.headers["X-Field"] = said.field
    answer.headers["X-Form-Key"] = new_form_key()
    return answer


# -- working orders
@blueprint.get("/orders/<order_id>")
def order(order_id: str) -> Answer:
    """One order: its terms, its timeline, what can be done with it."""
    here = caller()
    found = _found(order_id)
    template = "orders/detail.html" if request.args.get("part") == "detail" else "orders/order.html"
    return render_template(
        template,
        section="orders",
        order=found,
        order_id=order_id,
        name=name_of(found.exchange, found.symbol),
        timeline=browser().journal.timeline(here, order_id),
    )


def _found(order_id: str) -> Order:
    found: Order = platform().orders.status(caller(), order_id)
    return found


@blueprint.route("/orders/<order_id>/modify", methods=["GET", "POST"])
def modify(order_id: str) -> Answer:
    """New terms for a working order."""
    here, found = caller(), _found(order_id)
    if request.method == "GET":
        return _modify_page(found, order_id, {})
    form = request.form
    try:
        terms = OrderTerms(
            quantity=number(form, "quantity") or found.quantity,
            order_type=word(OrderType, form, "pricetype"),
            price=number(form, "price"),
            trigger_price=number(form, "trigger_price"),
            disclosed_quantity=found.disclosed_quantity,
        )
        key = form.get("idempotency_key", "")[:128]
        done = platform().orders.modify(here, order_id, terms, key=key, body_hash=body_hash(form))
    except PlatformError as error:
        said = _refused(error)
        if is_script():
            return _answer(said, "")
        return _modify_page(found, order_id, {said.field or "price": said.text}), 400
    return _answer(_changed(done, "Change"), url_for("orders.order", order_id=order_id), done.state)


def _modify_page(found: Order, order_id: str, errors: dict[str, str]) -> str:
    template = "orders/modify_form.html" if request.args.get("part") == "form" else "orders/modify.html"
    instrument = platform().instruments.get(caller().account.venue, found.exchange, found.symbol)
    return render_template(
        template,
        section="orders",
        order=found,
        order_id=order_id,
        instrument=instrument,
        name=name_of(found.exchange, found.symbol),
        errors=errors,
        form_key=new_form_key(),
    )


def _changed(done: Placed, what: str) -> Said:
    if done.state == "accepted":
        return Said("up", f"{what} accepted", f"Order {done.order_id}")
    if done.state == "refused":
        return Said("err", f"{what} refused", done.message)
    return Said("warn", f"{what}: no answer yet", "Not sent again. The order book settles what became of it.")


@blueprint.post("/orders/<order_id>/cancel")
def cancel(order_id: str) -> Answer:
    """End one working order."""
    try:
        done = platform().orders.cancel(caller(), order_id, key=request.form.get("idempotency_key", "")[:128])
    except PlatformError as error:
        return _answer(_refused(error), url_for("books.orders"))
    return _answer(_changed(done, "Cancel"), url_for("books.orders"), done.state)


@blueprint.post("/orders/cancel")
def cancel_many() -> Answer:
    """End the ticked orders, or every working one."""
    here, chosen = caller(), request.form.getlist("order")
    try:
        if "all" in request.form:
            swept: Swept = platform().sweeps.cancel_all(here)
        else:
            swept = _cancel_each(chosen)
    except PlatformError as error:
        return _answer(_refused(error), url_for("books.orders"))
    return _answer(_swept(swept, "cancelled", "No working orders"), url_for("books.orders"))


def _cancel_each(order_ids: list[str]) -> Swept:
    done, failed = [], []
    for order_id in order_ids[:500]:
        try:
            answer = platform().orders.cancel(caller(), order_id)
        except PlatformError as error:
            failed.append((order_id, str(error)))
            continue
        if answer.state == "accepted":
            done.append(order_id)
        else:
            failed.append((order_id, answer.message))
    return Swept(done=done, failed=failed)


def _swept(swept: Swept, did: str, none: str) -> Said:
    why = "; ".join(f"{name}: {words}" for name, words in swept.failed[:5])
    if swept.failed:
        return Said("err", f"{len(swept.done)} {did}, {len(swept.failed)} not", why)
    if not swept.done:
        return Said("info", none)
    return Said("up", f"{len(swept.done)} {did}")


# -- positions
@blueprint.post("/positions/exit")
def exit_positions() -> Answer:
    """Exit the named position, the ticked ones, or all, at market. A flat one cannot be exited."""
    here = caller()
    try:
        if "all" in request.form:
            swept: Swept = platform().sweeps.close_all(here)
            return _answer(_swept(swept, "sent to exit", "No open positions"), url_for("books.positions"))
        said = [_exit(row) for row in request.form.getlist("position")]
    except PlatformError as error:
        return _answer(_refused(error), url_for("books.positions"))
    if len(said) == 1:
        return _answer(said[0], url_for("books.positions"))
    bad = [one for one in said if one.kind != "up"]
    text = "; ".join(f"{one.title}: {one.text}" for one in bad[:5])
    kind = "err" if bad else "up" if said else "info"
    title = f"{len(said) - len(bad)} sent to exit" + (f", {len(bad)} not" if bad else "")
    return _answer(Said(kind, title if said else "Nothing was ticked", text), url_for("books.positions"))


def _exit(row: str) -> Said:
    """Exit one position given as EXCHANGE:SYMBOL:PRODUCT, by the share asked for; reads it afresh first."""
    exchange, symbol, product = row_of(row)
    held: Decimal = platform().portfolio.open_quantity(caller(), symbol, exchange, product)
    if held == 0:
        return Said("info", f"{symbol} is flat", "Nothing was sent.")
    instrument = _instrument(exchange, symbol)
    quantity = _share(abs(held), instrument, request.form.get("share", "100"))
    wanted = OrderRequest(
        symbol=symbol,
        exchange=instrument.exchange,
        side=Side.SELL if held > 0 else Side.BUY,
        quantity=quantity,
        product=product,
        reduce_only=True,
    )
    key = request.form.get("idempotency_key", "")
    admission = Admission(key=f"{key}-{row}"[:128] if key else "", body_hash=body_hash(request.form))
    return _placed(platform().order_plans.place(caller(), wanted, admission), f"Exit {_what(wanted)}")


def _share(held: Decimal, instrument: Instrument, share: str) -> Decimal:
    """Part of a position in whole lots, one lot at least."""
    if share not in ("25", "50", "75", "100"):
        raise InvalidRequest("Choose 25, 50, 75 or 100 percent.", "share")
    lots = held * int(share) // 100 // instrument.lot_size
    return held if share == "100" else max(Decimal(1), lots) * instrument.lot_size

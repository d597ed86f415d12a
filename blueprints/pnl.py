"""The day's P&L as it went, and the paper account: its terms, its days, its fresh start."""

from __future__ import annotations

from flask import Response, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import caller, desk, manages, pages
from blueprints.listing import csv_answer
from blueprints.problems import Read, attempt, problem_of, say
from domain.errors import InvalidRequest, PlatformError
from domain.ledger import PaperDay
from domain.model import Mode
from services.charges import TARIFFS
from services.pnl_curve import Curve

blueprint = pages("pnl")

Answer = str | BaseResponse | tuple[str, int]

GROUPS: tuple[tuple[str, tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...]], ...] = (
    (
        "Margin: an order's value is divided by",
        (
            ("equity_mis_leverage", "Shares, intraday", "", ()),
            ("equity_cnc_leverage", "Shares, delivery", "", ()),
            ("futures_leverage", "Futures", "", ()),
            ("option_buy_leverage", "Options bought", "", ()),
            ("option_sell_leverage", "Options sold", "", ()),
            (
                "option_margin",
                "Sold options block",
                "",
                (("premium", "Their premium"), ("contract", "A part of the contract's value")),
            ),
        ),
    ),
    (
        "Fills",
        (
            (
                "fill",
                "How orders fill",
                "",
                (
                    ("depth", "Walk the quoted levels"),
                    ("quote", "All at the best quote"),
                    ("touch", "All at the last price"),
                ),
            ),
            ("latency_ms", "Delay, ms", "", ()),
            ("slippage_bps", "Slippage, basis points", "against every aggressive fill", ()),
            ("participation", "Share of quoted quantity", "more than 0, up to 1", ()),
            ("charges", "Taxes and fees", "", (("false", "Not booked"), ("true", "Booked"))),
            (
                "brokerage",
                "Brokerage of",
                "with taxes and fees",
                (("", "Nobody"), *((one, one) for one in TARIFFS)),
            ),
        ),
    ),
    (
        "Square-off, IST, on live and replayed markets",
        (
            ("nse_bse_square_off_time", "NSE, BSE, NFO, BFO", "", ()),
            ("cds_bcd_square_off_time", "Currency", "", ()),
            ("mcx_square_off_time", "MCX", "", ()),
            ("ncdex_square_off_time", "NCDEX", "", ()),
            (
                "option_expiry_settlement",
                "Expiring options settle at",
                "",
                (("intrinsic", "Intrinsic value"), ("ltp", "The last price"), ("zero", "Nothing")),
            ),
        ),
    ),
)

CAPITALS = (
    ("100000", "1 L"),
    ("500000", "5 L"),
    ("1000000", "10 L"),
    ("2500000", "25 L"),
    ("5000000", "50 L"),
    ("10000000", "1 Cr"),
)


@blueprint.get("/pnl")
def tracker() -> str:
    """The curve with its extremes."""
    read: Read[Curve | None] = attempt(lambda: desk().pnl.today(caller()), None)
    return render_template("pnl/tracker.html", section="pnl", curve=read)


@blueprint.get("/pnl/points")
def points() -> Response:
    """[epoch seconds, rupees] by the minute, for the chart; `begun` is where the day began, `beside` what the header
    counts beyond them, null where the header has none."""
    try:
        curve = desk().pnl.today(caller())
    except PlatformError as error:
        answer = jsonify(error=problem_of(error).words)
        answer.status_code = problem_of(error).status
        return answer
    return jsonify(
        points=curve.points, begun=curve.begun, beside=None if curve.told is None else curve.beside
    )


# -- the paper account
@blueprint.get("/paper")
def paper() -> str | BaseResponse:
    """Equity by the day, and how the account is run."""
    return _paper_page()


def _paper_page(errors: dict[str, str] | None = None) -> str | BaseResponse:
    here, paper_desk = caller(), desk().paper
    if here.account.mode is not Mode.ANALYZE:
        return render_template("pnl/not_paper.html", section="pnl")
    terms: Read[dict[str, str]] = attempt(lambda: paper_desk.terms(here), {})
    days: Read[list[PaperDay]] = attempt(lambda: paper_desk.days(here), [])
    if request.args.get("format") == "csv":
        return csv_answer("paper_days", _COLUMNS, days.value)
    return render_template(
        "pnl/paper.html",
        section="pnl",
        groups=GROUPS,
        terms=terms,
        days=days.value[::-1][:60],
        equity=[float(day.equity) for day in days.value],
        capitals=CAPITALS,
        errors=errors or {},
        form=request.form,
    )


_COLUMNS = {
    name: (lambda day, name=name: getattr(day, name))
    for name in ("day", "equity", "cash", "used", "holdings", "realised_today", "unrealised", "charges")
}


@blueprint.post("/paper/terms")
@manages
def change_terms() -> Answer:
    """Run the account by other terms from now on."""
    known = {name for _, fields in GROUPS for name, *_ in fields} | {"starting_capital"}
    changes = {name: value.strip() for name, value in request.form.items() if name in known}
    try:
        desk().paper.change(caller(), changes)
    except InvalidRequest as error:
        page = _paper_page({error.field or "fill": str(error)})
        return (page, 400) if isinstance(page, str) else page
    say("up", "Saved", "New orders follow it; what is open keeps its margin.")
    return redirect(url_for("pnl.paper"), 303)


@blueprint.post("/paper/reset")
@manages
def reset() -> Answer:
    """Begin again, after typing the account's name."""
    here = caller()
    if request.form.get("confirm", "").strip() != here.account.name:
        page = _paper_page({"confirm": "The name does not match. Nothing was changed."})
        return (page, 400) if isinstance(page, str) else page
    desk().paper.reset(here)
    say("up", "The paper account begins again", "The books before are kept and can be exported.")
    return redirect(url_for("pnl.paper"), 303)

"""Settings of the server and of accounts' limits: users, limits, calendar, freeze quantities, security, audit."""

from __future__ import annotations

from datetime import date, time
from typing import Any

from flask import redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import browser, caller, desk, pages, platform, require_admin, today, user
from blueprints.forms import number
from blueprints.fresh import wrong_password
from blueprints.listing import Listing, csv_answer
from blueprints.problems import problem_of, say
from blueprints.settings import render
from domain.calendar import DayType, HolidayFact
from domain.errors import InvalidRequest, PlatformError
from domain.model import Exchange, Instrument

blueprint = pages("admin", prefix="/settings")

Answer = str | BaseResponse | tuple[str, int]


# -- limits of the account in front
@blueprint.route("/limits", methods=["GET", "POST"])
def limits() -> Answer:
    """What the gate holds the account to."""
    here = caller()
    if request.method == "GET":
        return render("settings/limits.html", "limits", limits=desk().limits.of(here), problems={}, form={})
    form = request.form
    try:
        values: dict[str, Any] = {name: number(form, name) for name in _EXACT}
        values |= {name: _whole(form, name) for name in _WHOLE}
        values |= {
            name: form.get(name, "").strip() or None for name in ("allowed_symbols", "allowed_products")
        }
        values |= {
            "split_entries": form.get("split_entries") == "on",
            "algo_id": form.get("algo_id", "").strip(),
        }
        values["queue_seconds"] = _whole(form, "queue_seconds") or 0
        desk().limits.change(here, values)
    except InvalidRequest as error:
        page = render(
            "settings/limits.html",
            "limits",
            limits=desk().limits.of(here),
            problems={error.field or "max_quantity": str(error)},
            form=form,
        )
        return page, 400
    say("up", "Limits saved", "They hold from the next order on.")
    return redirect(url_for("admin.limits"), 303)


_EXACT = ("max_quantity", "max_value", "max_day_loss", "price_collar_percent")
_WHOLE = ("max_open_orders", "max_orders_per_day", "max_orders_per_second", "duplicate_window_ms")


def _whole(form: Any, name: str) -> int | None:
    value = number(form, name)
    if value is not None and value != value.to_integral_value():
        raise InvalidRequest("A whole number.", name)
    return None if value is None else int(value)


# -- users
@blueprint.route("/users", methods=["GET", "POST"])
def users() -> Answer:
    """Who may sign in; an administrator adds people."""
    require_admin()
    problems: dict[str, str] = {}
    if request.method == "POST":
        form = request.form
        if error := wrong_password("own_password"):
            problems = {"own_password": error}
        else:
            try:
                made = platform().accounts.add_user(
                    form.get("name", ""), form.get("password", ""), admin=form.get("admin") == "on"
                )
                platform().audit.note(caller(), "user.add", {"name": made.name, "admin": made.is_admin})
                say("up", f"{made.name} may sign in", "They have a paper account of their own.")
                return redirect(url_for("admin.users"), 303)
            except InvalidRequest as refused:
                problems = {refused.field or "name": str(refused)}
    people = [(one, browser().second_factor.is_on(one.id)) for one in platform().accounts.users()]
    page = render("settings/users.html", "users", people=people, problems=problems, form=request.form)
    return page, 400 if problems else 200


# -- security
@blueprint.get("/security")
def security() -> str:
    """Tries to sign in, and where the failing ones come from."""
    require_admin()
    guard = browser().guard
    return render(
        "settings/security.html",
        "security",
        attempts=guard.latest(limit=100),
        addresses=guard.busiest_addresses(),
    )


# -- calendar
@blueprint.route("/calendar", methods=["GET", "POST"])
def calendar() -> Answer:
    """Holidays and special sessions of a year, and the operator's corrections."""
    require_admin()
    problems: dict[str, str] = {}
    if request.method == "POST":
        try:
            fact = _fact()
            platform().calendar.correct(caller(), fact)
            say(
                "up",
                f"{fact.day:%d %b %Y} corrected",
                "It holds at once, on every page and for every schedule.",
            )
            return redirect(url_for("admin.calendar", year=fact.day.year), 303)
        except PlatformError as error:
            problems = {getattr(error, "field", "") or "day": problem_of(error).words}
    year = _year()
    page = render(
        "settings/calendar.html",
        "calendar",
        year=year,
        holidays=platform().calendar.holidays(year),
        overrides=[one for one in platform().calendar.overrides() if one.day.year == year],
        markets=["EQUITY", "CURRENCY", "COMMODITY", *(e.value for e in Exchange if not e.endswith("_INDEX"))],
        kinds=[(kind.value, kind.value.replace("_", " ").capitalize()) for kind in DayType],
        problems=problems,
        form=request.form,
    )
    return page, 400 if problems else 200


def _year() -> int:
    asked = request.args.get("year", "")
    return (
        int(asked) if asked.isascii() and asked.isdigit() and 2000 <= int(asked[:4]) <= 2100 else today().year
    )


def _fact() -> HolidayFact:
    form = request.form
    try:
        return HolidayFact(
            day=date.fromisoformat(form.get("day", "")),
            group=form.get("group", ""),
            name=form.get("name", ""),
            type=DayType(form.get("type", "")),
            open=time.fromisoformat(form["open"]) if form.get("open") else None,
            close=time.fromisoformat(form["close"]) if form.get("close") else None,
            note=form.get("note", ""),
        )
    except ValueError as error:
        raise InvalidRequest("Give a day, a kind and times such as 18:00.", "day") from error


@blueprint.post("/calendar/take-back")
def take_back() -> BaseResponse:
    """Drop a correction: the facts hold again."""
    require_admin()
    try:
        day = date.fromisoformat(request.form.get("day", ""))
    except ValueError as error:
        raise InvalidRequest("Not a day.", "day") from error
    platform().calendar.take_back(caller(), day, request.form.get("group", ""))
    say("up", "Correction taken back")
    return redirect(url_for("admin.calendar", year=day.year), 303)


# -- freeze quantities
@blueprint.get("/freeze")
def freeze() -> str | BaseResponse:
    """The largest order of each underlying, as the account's contract file has it."""
    listing: Listing[tuple[str, str, int, int]] = Listing(
        _frozen(),
        {"name": lambda row: row[0], "exchange": lambda row: row[1], "freeze": lambda row: row[3]},
        sort="name",
        text=lambda row: f"{row[0]} {row[1]}",
    )
    if request.args.get("format") == "csv":
        columns = {
            name: (lambda row, at=at: row[at])
            for at, name in enumerate(("name", "exchange", "lot", "freeze"))
        }
        return csv_answer("freeze_quantities", columns, listing.all)
    return render("settings/freeze.html", "freeze", listing=listing)


def _frozen() -> list[tuple[str, str, int, int]]:
    found: dict[tuple[str, str], Instrument] = {}
    for row in platform().instruments.rows(caller().account.venue):
        if row.freeze_quantity and row.expiry is not None:
            found.setdefault((row.name, row.exchange.value), row)
    return [
        (name, exchange, row.lot_size, row.freeze_quantity or 0) for (name, exchange), row in found.items()
    ]


# -- audit
@blueprint.get("/audit")
def audit() -> str | BaseResponse:
    """The chained record: an administrator sees all accounts, others the one in front."""
    here = caller()
    account = None if here.is_admin and request.args.get("all") == "1" else here.account.id
    before = request.args.get("before", "")
    rows = platform().audit.latest(
        account, 100, int(before) if before.isascii() and before.isdigit() else None
    )
    if request.args.get("format") == "csv":
        return csv_answer("audit", _AUDIT_COLUMNS, rows)
    return render(
        "settings/audit.html",
        "audit",
        rows=rows,
        next_before=rows[-1].seq if len(rows) == 100 else None,
        whole=account is None,
        verdict=platform().audit.verify() if request.args.get("verify") == "1" and user().is_admin else None,
    )


_AUDIT_COLUMNS = {
    "seq": lambda row: row.seq,
    "at": lambda row: row.entry.at.isoformat(),
    "hash": lambda row: row.hash,
    "entry": lambda row: str(row.entry),
}

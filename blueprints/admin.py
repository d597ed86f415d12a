"""Settings of the server and of accounts' limits: users, limits, calendar, freeze quantities, security, audit."""

from __future__ import annotations

import json
from datetime import date, time, timedelta
from typing import Any

from flask import redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import browser, caller, desk, manages, own, pages, platform, require_admin, today, user
from blueprints.forms import number
from blueprints.listing import Listing, csv_answer
from blueprints.problems import problem_of, say
from blueprints.settings import render
from domain.calendar import DayType, HolidayFact
from domain.errors import InvalidRequest, PlatformError
from domain.model import Exchange, Instrument
from services.audit import Entry

blueprint = pages("admin", prefix="/settings")

Answer = str | BaseResponse | tuple[str, int]


# -- limits of the account in front
@blueprint.route("/limits", methods=["GET", "POST"])
@manages
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


# -- security
@blueprint.get("/security")
def security() -> Answer:
    """Tries to sign in, where the failing ones come from, and who is shut out."""
    require_admin()
    return _security_page({})


def _security_page(problems: dict[str, str]) -> Answer:
    guard = browser().guard
    page = render(
        "settings/security.html",
        "security",
        attempts=guard.latest(limit=100),
        addresses=guard.busiest_addresses(),
        bans=browser().bans.listed(),
        lasts=[(value, words) for value, words, _ in _LASTS],
        problems=problems,
        form=request.form,
    )
    return (page, 400) if problems else page


_LASTS: tuple[tuple[str, str, timedelta | None], ...] = (
    ("hour", "An hour", timedelta(hours=1)),
    ("day", "A day", timedelta(days=1)),
    ("week", "A week", timedelta(days=7)),
    ("lifted", "Until lifted", None),
)


@blueprint.post("/security/bans")
@own
def ban() -> Answer:
    """Shut an address or a network out of every page and the API."""
    require_admin()
    form = request.form
    lasts = next((last for value, _, last in _LASTS if value == form.get("lasts")), timedelta(days=1))
    try:
        made = browser().bans.add(caller(), form.get("network", ""), form.get("reason", ""), lasts)
    except InvalidRequest as refused:
        return _security_page({refused.field or "network": str(refused)})
    platform().audit.note(caller(), "ban.add", {"network": made.network, "reason": made.reason})
    say("up", f"{made.network} is shut out", "It is answered 403 from now on.")
    return redirect(url_for("admin.security"), 303)


@blueprint.post("/security/bans/lift")
@own
def lift_ban() -> BaseResponse:
    """Serve it again."""
    require_admin()
    network = request.form.get("network", "")
    browser().bans.lift(network)
    platform().audit.note(caller(), "ban.lift", {"network": network})
    say("up", f"{network} is served again")
    return redirect(url_for("admin.security"), 303)


# -- calendar
@blueprint.route("/calendar", methods=["GET", "POST"])
@own
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
@own
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
    as_csv = request.args.get("format") == "csv"
    begin = int(before) if before.isascii() and before.isdigit() else None
    rows = platform().audit.latest(account, _MOST_AUDITED if as_csv else 100, begin)
    names = platform().accounts.names(row.entry.user_id for row in rows)
    if as_csv:
        return csv_answer("audit", {"who": lambda row: _who(row.entry, names)} | _AUDIT_COLUMNS, rows)
    return render(
        "settings/audit.html",
        "audit",
        rows=[(row, _who(row.entry, names)) for row in rows],
        next_before=rows[-1].seq if len(rows) == 100 else None,
        whole=account is None,
        verdict=platform().audit.verify() if request.args.get("verify") == "1" and user().is_admin else None,
    )


def _who(entry: Entry, names: dict[int, str]) -> str:
    """The person's name. What the journal sealed has their number, which stays so: the chain counts every letter."""
    return names.get(entry.user_id or 0, entry.who) if entry.who in ("", str(entry.user_id)) else entry.who


_MOST_AUDITED = 10_000
_AUDIT_COLUMNS: dict[str, Any] = {
    "no": lambda row: row.seq,
    "time": lambda row: row.entry.at.isoformat(),
    "what": lambda row: row.entry.action,
    "subject": lambda row: row.entry.subject,
    "through": lambda row: row.entry.door,
    "address": lambda row: row.entry.address,
    "account": lambda row: row.entry.account_id,
    "strategy": lambda row: row.entry.strategy,
    "algo_id": lambda row: row.entry.algo_id,
    "detail": lambda row: json.dumps(row.entry.detail, sort_keys=True),
    "hash": lambda row: row.hash,
}

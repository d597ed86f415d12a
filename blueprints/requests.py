"""Every request for an order of the account in front: who asked by which door, what was decided, how long it took."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from flask import request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import browser, caller, pages, platform
from blueprints.listing import csv_answer
from blueprints.operate import render
from domain.clock import IST
from domain.model import IntentKind, IntentState, Mode
from services.order_journal import Asked, Intent

blueprint = pages("requests", prefix="/operate/requests")

PAGE = 100
MOST = 10_000
DOORS = {
    "page": "A person",
    "api": "A program",
    "strategy": "A hosted strategy",
    "webhook": "A webhook",
    "worker": "The worker",
    "cli": "The command line",
}
KINDS = {"PLACE": "New order", "MODIFY": "Change", "CANCEL": "Cancel", "CONVERT": "Conversion"}


@blueprint.get("")
def index() -> str | BaseResponse:
    """Newest first; filtered and paged by the store."""
    here, asked = caller(), _asked()
    if request.args.get("format") == "csv":
        found = browser().journal.requests(here, asked, None, MOST)
        names = platform().accounts.names(row.user_id for row in found)
        return csv_answer("requests", _COLUMNS | {"who": lambda row: names.get(row.user_id)}, found)
    rows = browser().journal.requests(here, asked, _before(), PAGE + 1)
    more = rows[PAGE - 1] if len(rows) > PAGE else None
    keys = {key.id: key.name or f"…{key.last_four}" for key in platform().accounts.keys_of(here.user_id)}
    return render(
        "operate/requests.html",
        "requests",
        rows=rows[:PAGE],
        keys=keys,
        names=platform().accounts.names(row.user_id for row in rows),
        took={row.id: took(row) for row in rows},
        doors=DOORS,
        kinds=KINDS,
        states=[(state.value, state.value.capitalize()) for state in IntentState],
        asked=request.args,
        older=_link(before=f"{more.created_at.isoformat()}~{more.id}") if more else "",
        newest=_link(before=None) if request.args.get("before") else "",
        csv=_link(before=None, format="csv"),
    )


def _link(**changes: str | None) -> str:
    asked = {**request.args.to_dict(), **changes}
    values: dict[str, Any] = {name: value for name, value in asked.items() if value}
    return url_for("requests.index", **values)


def _asked() -> Asked:
    """The filters of the address; a word that is none of the choices asks for everything."""
    args = request.args
    kind, state, mode = args.get("kind", ""), args.get("state", ""), args.get("mode", "")
    day = _day(args.get("day", ""))
    return Asked(
        start=day,
        end=None if day is None else day + timedelta(days=1),
        kind=IntentKind(kind) if kind in set(IntentKind) else None,
        state=IntentState(state) if state in set(IntentState) else None,
        mode=Mode(mode) if mode in set(Mode) else None,
        door=args.get("door", "") if args.get("door", "") in DOORS else "",
        words=tuple(args.get("q", "")[:100].split()[:5]),
    )


def _day(text: str) -> datetime | None:
    try:
        return datetime.combine(datetime.fromisoformat(text).date(), time(), IST)
    except ValueError:
        return None


def _before() -> tuple[datetime, str] | None:
    at, _, intent_id = request.args.get("before", "").partition("~")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (moment, intent_id) if moment.tzinfo is not None else None


def took(row: Intent) -> float | None:
    """Milliseconds from the request to the answer; None while there is none, or where a person decided between."""
    if row.settled_at is None or row.sent_at is None:
        return None
    return (row.settled_at - row.created_at).total_seconds() * 1000


def _ist(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


_COLUMNS: dict[str, Any] = {
    "time": lambda row: _ist(row.created_at),
    "kind": lambda row: row.kind.value,
    "state": lambda row: row.state.value,
    "mode": lambda row: row.mode.value,
    "broker": lambda row: row.broker,
    "door": lambda row: row.door,
    "key": lambda row: row.key_id,
    "address": lambda row: row.address,
    "strategy": lambda row: row.strategy,
    "symbol": lambda row: row.symbol,
    "exchange": lambda row: row.exchange.value,
    "action": lambda row: row.side.value,
    "quantity": lambda row: row.quantity,
    "pricetype": lambda row: row.order_type.value,
    "product": lambda row: row.product.value,
    "to_product": lambda row: row.to_product.value if row.to_product else None,
    "price": lambda row: row.price,
    "trigger": lambda row: row.trigger_price,
    "orderid": lambda row: row.public_id,
    "code": lambda row: row.code,
    "answer": lambda row: row.words,
    "sent": lambda row: _ist(row.sent_at),
    "settled": lambda row: _ist(row.settled_at),
}

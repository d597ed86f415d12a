"""What the strategy pages and their JSON routes send, read into the words of the domain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import request
from werkzeug.datastructures import MultiDict

from domain.clock import IST
from domain.errors import InvalidRequest
from domain.model import Exchange, Mode
from domain.strategies import DAYS, RunLimits, Schedule, ScheduleKind, Window
from services.accounts import Account
from services.strategy_host import EXCHANGES, default_schedule


def exchange_of(text: str | None) -> Exchange:
    """NSE when none is said. Raises InvalidRequest."""
    wanted = (text or "NSE").strip().upper()
    if wanted not in {exchange.value for exchange in EXCHANGES}:
        raise InvalidRequest(f"Strategies run by the hours of {', '.join(EXCHANGES)}.", "exchange")
    return Exchange(wanted)


def days_of(given: Any) -> tuple[str, ...]:
    """Day names in the week's order, from a list or from JSON text of one. Raises InvalidRequest."""
    if isinstance(given, str):
        try:
            given = json.loads(given) if given.strip() else []
        except ValueError as error:
            raise InvalidRequest("The days are no list.", "schedule_days") from error
    if not isinstance(given, list) or not all(isinstance(day, str) for day in given):
        raise InvalidRequest("The days are no list of names.", "schedule_days")
    names = {day.strip().lower()[:3] for day in given}
    if wrong := names - set(DAYS):
        raise InvalidRequest(f"Not a day: {', '.join(sorted(wrong))}.", "schedule_days")
    return tuple(day for day in DAYS if day in names)


def simple_schedule(
    exchange: Exchange, start: str | None, stop: str | None, days: tuple[str, ...] | None
) -> Schedule:
    """The contract's schedule: one start, an optional stop, days; what is missing is the exchange's usual.

    Around the clock on an exchange that never closes reads as `always`.
    """
    usual = default_schedule(exchange)
    if exchange is Exchange.CRYPTO and (start or "00:00", stop or "23:59") == ("00:00", "23:59") and not days:
        return usual
    window = Window(
        start=start or (usual.windows[0].start if usual.windows else "00:00"), stop=stop or "23:59"
    )
    return Schedule(windows=(window,), days=usual.days if days is None else days)


def schedule_of(form: MultiDict[str, str]) -> Schedule:
    """The page's form. Raises InvalidRequest naming the field."""
    try:
        kind = ScheduleKind(form.get("kind", "windows"))
    except ValueError as error:
        raise InvalidRequest("No such schedule.", "kind") from error
    starts, stops = form.getlist("start"), form.getlist("stop")
    windows = tuple(
        Window(start=start.strip(), stop=stop.strip())
        for start, stop in zip(starts, stops, strict=False)
        if start.strip() or stop.strip()
    )
    return Schedule(
        kind=kind,
        windows=windows if kind in (ScheduleKind.WINDOWS, ScheduleKind.INTERVAL) else (),
        days=days_of(form.getlist("days")),
        at=_moment(form.get("at", "")) if kind is ScheduleKind.ONCE else None,
        every=_whole(form, "every", 0) if kind is ScheduleKind.INTERVAL else 0,
        late=_whole(form, "late", 0) if form.get("late", "").strip() else None,
    )


def unconfirmed(account: Account, kind: ScheduleKind | None = None) -> str:
    """Why a start there may not go ahead, "" when it may: real money takes the account's name, typed as `confirm`.

    `kind` of the schedule that is being set, None for a start at once; one that only Start begins asks then.
    """
    if account.mode is not Mode.LIVE or kind is ScheduleKind.MANUAL:
        return ""
    if request.form.get("confirm", "").strip() == account.name:
        return ""
    return f"Its orders are real: type the account's name, {account.name}. Nothing was started or changed."


def limits_of(form: Mapping[str, str], now: RunLimits) -> RunLimits:
    """Limits as the form has them; those it leaves out stay."""
    names: Sequence[str] = RunLimits.__slots__
    return RunLimits(**{name: _whole(form, name, getattr(now, name)) for name in names})


def _whole(form: Mapping[str, str], name: str, usual: int) -> int:
    text = form.get(name, "").strip()
    if not text:
        return usual
    if not text.isascii() or not text.isdigit() or len(text) > 7:
        raise InvalidRequest("A whole number is needed.", name)
    return int(text)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=IST)
    except ValueError as error:
        raise InvalidRequest("Give date and time.", "at") from error

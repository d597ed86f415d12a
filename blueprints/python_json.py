"""The JSON routes below /python, for scripts that know the page: session cookie, CSRF token, the old field names."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

from flask import Response, jsonify, request, send_file

from blueprints.access import caller, pages, platform
from blueprints.problems import problem_of
from blueprints.python_forms import days_of, exchange_of, simple_schedule
from domain.clock import IST
from domain.errors import InvalidRequest, PlatformError
from domain.model import Exchange
from domain.strategies import Strategy, StrategyState, Wanted
from services.strategy_book import Overview
from services.strategy_host import EXCHANGES, StrategyHost
from services.strategy_logs import StrategyLogs

blueprint = pages("python_json", prefix="/python")

_Answer = Response | tuple[Response, int]
_RETRY_MS = 3000
_WORDS = {
    "weekend": "Market closed: weekend",
    "holiday": "Market closed: holiday",
    "before_market": "Before its window",
    "after_market": "After its window",
    "day": "Not on its days",
}


def _host() -> StrategyHost:
    return platform().strategy_host


def _answers(view: Callable[..., Any]) -> Callable[..., Any]:
    """Errors as this door tells them: `{status: "error", message}`."""

    @wraps(view)
    def answer(*args: Any, **kwargs: Any) -> Any:
        try:
            return view(*args, **kwargs)
        except PlatformError as error:
            problem = problem_of(error)
            body = {"status": "error", "message": str(error)}
            if "running" in str(error):
                body["error_code"] = "STRATEGY_RUNNING"
            return jsonify(body), problem.status

    return answer


def _ok(message: str, **more: Any) -> Response:
    return jsonify({"status": "success", "message": message, **more})


# -- change
@blueprint.post("/new")
@_answers
def new() -> _Answer:
    """Upload: multipart strategy_name, strategy_file, exchange, schedule_start, schedule_stop, schedule_days."""
    file, form = request.files.get("strategy_file"), request.form
    if file is None or not file.filename:
        raise InvalidRequest("Choose a Python file.", "strategy_file")
    exchange = exchange_of(form.get("exchange"))
    days = days_of(form["schedule_days"]) if form.get("schedule_days") else None
    schedule = simple_schedule(exchange, form.get("schedule_start"), form.get("schedule_stop"), days)
    made = _host().upload(
        caller(),
        form.get("strategy_name", "") or file.filename,
        file.filename,
        file.stream.read(),
        exchange,
        schedule,
    )
    return _ok(f"Strategy {made.name} uploaded", data={"strategy_id": made.id})


@blueprint.post("/start/<strategy_id>")
@_answers
def start(strategy_id: str) -> _Answer:
    """Start now, or arm for the next window."""
    started = _host().start(caller(), strategy_id)
    if not started.armed:
        return _ok("Strategy started")
    armed = {"armed": True, "reason": started.reason, "next_start": _time(started.next_start)}
    return _ok(f"Strategy armed. {_WORDS.get(started.reason, '')}".strip(), data=armed)


@blueprint.post("/stop/<strategy_id>")
@_answers
def stop(strategy_id: str) -> _Answer:
    """Stop, and keep it off until Start."""
    was_running = _host().stop(caller(), strategy_id)
    return _ok("Strategy stopped" if was_running else "Scheduled start cancelled")


@blueprint.post("/schedule/<strategy_id>")
@_answers
def schedule(strategy_id: str) -> _Answer:
    """JSON {start_time, stop_time?, days?, exchange?}."""
    given = _given()
    strategy = _host().get(caller(), strategy_id)
    exchange = exchange_of(given["exchange"]) if given.get("exchange") else strategy.exchange
    if not given.get("start_time"):
        raise InvalidRequest("Start time is required", "start_time")
    days = days_of(given["days"]) if given.get("days") is not None else None
    wanted = simple_schedule(exchange, str(given["start_time"]), given.get("stop_time"), days)
    _host().reschedule(caller(), strategy_id, wanted, exchange)
    return _ok("Schedule saved")


@blueprint.post("/unschedule/<strategy_id>")
@_answers
def unschedule(strategy_id: str) -> _Answer:
    """Refused here as ever; the schedule page has "only when you press Start"."""
    _host().get(caller(), strategy_id)
    raise InvalidRequest("Every strategy has a schedule. Change it instead.")


@blueprint.post("/delete/<strategy_id>")
@_answers
def delete(strategy_id: str) -> _Answer:
    """Stop it and drop its files."""
    _host().delete(caller(), strategy_id)
    return _ok("Strategy deleted")


@blueprint.post("/save/<strategy_id>")
@_answers
def save(strategy_id: str) -> _Answer:
    """JSON {content}: the entry file's new text, kept as a new version."""
    content = _given().get("content")
    if not isinstance(content, str):
        raise InvalidRequest("content is required", "content")
    strategy = _host().get(caller(), strategy_id)
    version = _host().save(caller(), strategy_id, {strategy.entry: content.encode()})
    return _ok("Strategy saved", timestamp=_time(version.made_at), version=version.number)


@blueprint.post("/clear-error/<strategy_id>")
@_answers
def clear_error(strategy_id: str) -> _Answer:
    """Only of a strategy that stands in error."""
    strategy = _host().get(caller(), strategy_id)
    if _status(strategy) != "error":
        raise InvalidRequest("Strategy is not in error state")
    _host().clear_error(caller(), strategy_id)
    return _ok("Error cleared")


@blueprint.post("/logs/<strategy_id>/clear")
@_answers
def clear_logs(strategy_id: str) -> _Answer:
    """Drop its logs; refused while it runs."""
    count, size = _logs().clear(caller(), strategy_id)
    return _ok(f"{count} log files cleared", cleared_count=count, total_size_mb=round(size / 2**20, 2))


@blueprint.post("/check-contracts")
@_answers
def check_contracts() -> _Answer:
    """Waiting strategies start by themselves; this says how many still wait."""
    waiting = [s for s in _host().listed(caller()) if s.state is StrategyState.WAITING]
    return _ok(
        f"{len(waiting)} strategies wait and start when ready", data={"started": 0, "waiting": len(waiting)}
    )


# -- look
@blueprint.get("/export/<strategy_id>")
@_answers
def export(strategy_id: str) -> Any:
    """The newest version: its file, or a zip of several."""
    name, content = _logs().packed(caller(), strategy_id)
    return send_file(content, as_attachment=True, download_name=name)


@blueprint.get("/status")
@_answers
def status() -> _Answer:
    """Counts, and a line for each strategy."""
    found = _host().listed(caller())
    running = sum(_status(each) == "running" for each in found)
    ready = bool(platform().instruments.status())
    brief = [{"id": each.id, "name": each.name, "status": _status(each)} for each in found]
    return jsonify(
        {
            "running": running,
            "total": len(found),
            "scheduler_running": platform().strategy_book.is_kept(),
            "current_ist_time": platform().clock.now().astimezone(IST).strftime("%H:%M:%S IST"),
            "platform": sys.platform,
            "master_contracts_ready": ready,
            "master_contracts_message": "" if ready else "No instruments are loaded yet",
            "strategies": brief,
        }
    )


@blueprint.get("/api/exchanges")
@_answers
def exchanges() -> _Answer:
    """Exchanges whose hours a strategy may follow, with today's."""
    today = platform().clock.now().astimezone(IST).date()
    calendar = platform().calendar.current()
    rows = []
    for exchange in EXCHANGES:
        spans = calendar.sessions(exchange, today)
        always = exchange is Exchange.CRYPTO
        opens = f"{spans[0][0]:%H:%M}" if spans and not always else "00:00" if always else None
        closes = f"{spans[-1][1]:%H:%M}" if spans and not always else "23:59" if always else None
        rows.append(
            {
                "value": exchange.value,
                "label": exchange.value,
                "description": f"{exchange.value} hours" if spans else f"{exchange.value}, closed today",
                "start_time": opens,
                "end_time": closes,
                "window": f"{opens} - {closes}" if spans else "Closed",
                "is_24x7": always,
            }
        )
    return jsonify({"status": "success", "exchanges": rows, "default": "NSE"})


@blueprint.get("/api/strategies")
@_answers
def strategies() -> _Answer:
    """Every strategy of the person."""
    found = platform().strategy_book.overview(_host().listed(caller()))
    return jsonify({"status": "success", "strategies": [record(each) for each in found]})


@blueprint.get("/api/strategy/<strategy_id>")
@_answers
def strategy(strategy_id: str) -> _Answer:
    """One of them."""
    found = platform().strategy_book.overview([_host().get(caller(), strategy_id)])
    return jsonify({"status": "success", "strategy": record(found[0])})


@blueprint.get("/api/strategy/<strategy_id>/content")
@_answers
def content(strategy_id: str) -> _Answer:
    """The entry file's text."""
    found = _host().get(caller(), strategy_id)
    text = _host().files(caller(), strategy_id)[found.entry].decode("utf-8-sig")
    return jsonify(
        {
            "status": "success",
            "id": found.id,
            "name": found.name,
            "file_name": found.entry,
            "content": text,
            "is_running": found.state.is_live,
            "line_count": text.count("\n") + 1,
            "size_kb": round(len(text.encode()) / 1024, 2),
            "last_modified": _time(found.modified_at),
            "version": found.version,
        }
    )


@blueprint.get("/api/logs/<strategy_id>")
@_answers
def log_list(strategy_id: str) -> _Answer:
    """Its log files, newest first."""
    files = [
        {"name": each.name, "size_kb": round(each.size / 1024, 2), "last_modified": _time(each.at)}
        for each in _logs().listed(caller(), strategy_id)
    ]
    return jsonify({"status": "success", "logs": files})


@blueprint.get("/api/logs/<strategy_id>/<name>")
@_answers
def log_content(strategy_id: str, name: str) -> _Answer:
    """One log: whole when it is small, else its end; `?after=BYTE` goes on from there, `?full=1` is all of it."""
    after = request.args.get("after", "")
    wanted = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else None
    text, begin, end = _logs().read(
        caller(), strategy_id, name, wanted, whole=request.args.get("full") == "1"
    )
    return jsonify({"status": "success", "name": name, "content": text, "begin": begin, "end": end})


@blueprint.get("/api/events")
@_answers
def events() -> Response:
    """What every strategy is now, as server-sent events; the browser asks again every three seconds.

    No connection is held: the page's own live view comes over its WebSocket.
    """
    parts = [f"retry: {_RETRY_MS}\n"]
    now = _time(platform().clock.now())
    for each in _host().listed(caller()):
        event = {"strategy_id": each.id, "status": _status(each), "message": _message(each), "timestamp": now}
        parts.append(f"data: {json.dumps(event)}\n\n")
    return Response("".join(parts), mimetype="text/event-stream", headers={"Cache-Control": "no-store"})


# -- shapes
def record(seen: Overview) -> dict[str, Any]:
    """A strategy in the old names, and what the host knows beyond them."""
    each, run = seen.strategy, seen.run
    live = run is not None and run.ended_at is None
    status = _status(each)
    window = each.schedule.windows[0] if each.schedule.windows else None
    return {
        "id": each.id,
        "name": each.name,
        "file_name": each.entry,
        "exchange": each.exchange.value,
        "status": status,
        "status_message": _message(each),
        "is_running": status == "running",
        "is_scheduled": True,
        "manually_stopped": each.wanted is Wanted.STOPPED,
        "schedule_start_time": window.start if window else "00:00",
        "schedule_stop_time": window.stop if window else "23:59",
        "schedule_days": list(each.schedule.days) or ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "last_started": _time(each.last_started),
        "last_stopped": _time(each.last_stopped),
        "error_message": each.reason if status == "error" else None,
        "paused_reason": each.reason if status == "paused" else None,
        "paused_message": _WORDS.get(each.reason) if status == "paused" else None,
        "process_id": run.pid if run and live else None,
        "created_at": _time(each.created_at),
        "state": each.state.value,
        "reason_code": each.reason,
        "version": each.version,
        "exit_code": run.exit_code if run else None,
        "signal": run.signal if run else None,
        "restarts_today": max(0, seen.starts - 1),
        "rss_mb": round(seen.sample.memory / 2**20, 1) if live and seen.sample else None,
        "cpu_pct": round(seen.sample.cpu, 1) if live and seen.sample else None,
        "next_start_at": _time(each.next_start),
        "next_stop_at": _time(each.next_stop),
    }


def _status(each: Strategy) -> str:
    """The contract's five states."""
    if each.state.is_live:
        return "running"
    if each.wanted is Wanted.STOPPED:
        return "manually_stopped"
    if each.state in (StrategyState.CRASHED, StrategyState.FAILED):
        return "error"
    return "paused" if each.state is StrategyState.PAUSED else "scheduled"


def _message(each: Strategy) -> str:
    status = _status(each)
    if status == "running":
        return "Running"
    if status == "error":
        return each.reason
    if status == "manually_stopped":
        return "Manually stopped. Press Start to run it"
    if status == "paused":
        return f"{each.exchange} is closed today"
    if each.state is StrategyState.WAITING:
        return f"Waiting: {each.reason}"
    return f"Starts {_time(each.next_start)}" if each.next_start else each.reason or "Scheduled"


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S") if moment else None


def _given() -> dict[str, Any]:
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        raise InvalidRequest("A JSON object is needed.")
    return given


def _logs() -> StrategyLogs:
    return platform().strategy_logs

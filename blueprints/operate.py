"""How the server does: contract files, logs, latency, traffic, health, what is not settled."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil
from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import browser, caller, desk, own, pages, platform, require_admin, user
from blueprints.listing import csv_answer
from blueprints.problems import attempt, say
from domain.errors import InvalidRequest
from domain.model import Mode
from services.log_reader import LEVELS

blueprint = pages("operate", prefix="/operate")


def render(template: str, here: str, **values: Any) -> str:
    """An Operate page with its tabs."""
    everybody = [
        (url_for("operate.checks"), "Go / no-go", None, here == "checks"),
        (url_for("operate.contracts"), "Contract files", None, here == "contracts"),
        (url_for("operate.unsettled"), "Reconciliation", None, here == "unsettled"),
        (url_for("requests.index"), "Requests", None, here == "requests"),
        (url_for("operate.latency"), "Latency", None, here == "latency"),
    ]
    server = [
        (url_for("operate.traffic"), "Traffic", None, here == "traffic"),
        (url_for("operate.logs"), "Logs", None, here == "logs"),
    ]
    health = [(url_for("operate.health"), "Health", None, here == "health")]
    tabs = [*health, *everybody, *server] if user().is_admin else everybody
    return render_template(template, section="operate", tabs=tabs, **values)


@blueprint.get("/checks")
def checks() -> str:
    """Go or no-go for the account in front; with `part=panel` the list alone."""
    found = desk().checks.run(caller())
    if request.args.get("part") == "panel":
        return render_template("operate/checks_panel.html", checks=found)
    return render("operate/checks.html", "checks", checks=found)


@blueprint.get("/contracts")
def contracts() -> str:
    """Each broker's master: rows by exchange, and loads under way."""
    instruments = platform().instruments
    masters = [(master, instruments.counts(master.broker)) for master in instruments.status()]
    jobs = platform().jobs.latest("master", 20)
    panel = request.args.get("part") == "panel"
    template = "operate/contracts_panel.html" if panel else "operate/contracts.html"
    return render(
        template, "contracts", masters=masters, jobs=jobs, running=any(j.finished_at is None for j in jobs)
    )


@blueprint.post("/contracts/again")
def load_again() -> BaseResponse:
    """Have the worker load the contract file of the account's broker once more."""
    account = caller().account
    if account.is_paper:
        raise InvalidRequest("A paper account has no broker's contract file.")
    if platform().sessions.state(account).word not in ("ok", "expiring"):
        raise InvalidRequest(f"{account.name} is not logged in; its contract file comes with the login.")
    platform().contract_sync.ask(account)
    platform().audit.note(caller(), "contracts.again", {"broker": account.broker})
    say("up", "Asked for", "The file is loaded within seconds; the present one serves until it is checked.")
    return redirect(url_for("operate.contracts"), 303)


@blueprint.get("/unsettled")
def unsettled() -> str:
    """Orders and conversions without an answer: since when, and what was seen; on live accounts, what differs."""
    here = caller()
    report = platform().reconciliation.state(here.account)[0] if here.account.mode is Mode.LIVE else None
    rows = [*browser().journal.unsettled(here), *browser().journal.converting(here)]
    return render("operate/unsettled.html", "unsettled", rows=rows, report=report)


@blueprint.post("/unsettled/look")
@own
def look_now() -> BaseResponse:
    """Read the broker's book for them now instead of in a moment."""
    account = caller().account
    live = account.mode is Mode.LIVE
    error = platform().reconciliation.look(account).error if live else ""
    problem = attempt(lambda: platform().reconciler.sweep(), None).problem
    if error or problem is not None:
        say("err", "The book could not be read", error or (problem.words if problem else ""))
    else:
        say("up", "Looked again", "What the book shows is settled; the rest is looked for again by itself.")
    return redirect(url_for("operate.unsettled"), 303)


@blueprint.get("/latency")
def latency() -> str | BaseResponse:
    """How long orders of the account took, stage by stage."""
    hours = {"1": 1, "24": 24, "168": 168}.get(request.args.get("hours", ""), 24)
    brokers = desk().latency.by_broker(caller(), hours)
    if request.args.get("format") == "csv":
        rows = [(one.broker, stage) for one in brokers for stage in one.stages]
        return csv_answer("latency", _LATENCY_COLUMNS, rows)
    return render("operate/latency.html", "latency", brokers=brokers, hours=hours)


_LATENCY_COLUMNS = {
    "broker": lambda row: row[0],
    "stage": lambda row: row[1].name,
    "orders": lambda row: row[1].count,
    "p50_ms": lambda row: round(row[1].p50, 3),
    "p95_ms": lambda row: round(row[1].p95, 3),
    "p99_ms": lambda row: round(row[1].p99, 3),
    "slowest_ms": lambda row: round(row[1].slowest, 3),
}


@blueprint.get("/traffic")
def traffic() -> str:
    """What was asked of the web role, by route, and the latest requests."""
    require_admin()
    minutes = {"5": 5, "60": 60, "1440": 1440}.get(request.args.get("minutes", ""), 60)
    routes = desk().requests.by_route(minutes)
    return render(
        "operate/traffic.html",
        "traffic",
        minutes=minutes,
        routes=routes[:60],
        total=sum(one.count for one in routes),
        failed=sum(one.failed for one in routes),
        latest=desk().requests.latest(minutes, 50),
    )


@blueprint.get("/logs")
def logs() -> str:
    """The newest lines of the roles' logs."""
    require_admin()
    asked = request.args
    lines = desk().logs.tail(
        role=asked.get("role", ""), level=asked.get("level", ""), words=asked.get("q", "").strip()[:100]
    )
    panel = asked.get("part") == "panel"
    return render(
        "operate/log_lines.html" if panel else "operate/logs.html",
        "logs",
        lines=lines,
        roles=desk().logs.roles(),
        levels=LEVELS,
    )


@dataclass(frozen=True, slots=True)
class Program:
    """One process of the platform; bytes and seconds."""

    name: str
    pid: int
    memory: int
    threads: int
    files: int | None
    cpu: float
    since: float


@blueprint.get("/health")
def health() -> str:
    """Processes, stores, disk, machine."""
    require_admin()
    home = platform().settings.data_dir
    stores = [(path.name, path.stat().st_size) for path in sorted(home.glob("*.db"))]
    usage, memory = shutil.disk_usage(home), psutil.virtual_memory()
    return render(
        "operate/health.html",
        "health",
        programs=_programs(),
        stores=stores,
        disk=usage,
        memory=memory,
        load=os.getloadavg() if hasattr(os, "getloadavg") else None,
        checks=desk().checks.run(caller()),
    )


def _programs() -> list[Program]:
    """This process and those that its supervisor runs beside it."""
    here = psutil.Process()
    with suppress(psutil.Error):
        parent = here.parent()
        if parent is not None and "commands" in " ".join(parent.cmdline()):
            family = [parent, *parent.children(recursive=True)]
            return [found for process in family if (found := _program(process, "strategy")) is not None]
    alone = _program(here, here.name())
    return [] if alone is None else [alone]


def _program(process: psutil.Process, otherwise: str) -> Program | None:
    try:
        with process.oneshot():
            words = process.cmdline()
            return Program(
                name=_role(words) or otherwise,
                pid=process.pid,
                memory=process.memory_info().rss,
                threads=process.num_threads(),
                files=process.num_fds() if hasattr(process, "num_fds") else None,
                cpu=sum(process.cpu_times()[:2]),
                since=process.create_time(),
            )
    except psutil.Error:
        return None


def _role(words: list[str]) -> str:
    words = " ".join(words).split()
    for name in ("web", "stream", "exchange", "worker"):
        if name in words:
            return name
    return "supervisor" if "run" in words else ""

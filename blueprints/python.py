"""Strategy pages: the list, one strategy's log and code, its schedule, limits, variables, versions, runs and orders."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import jsonify, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import caller, pages, platform, user
from blueprints.fresh import wrong_password
from blueprints.problems import Read, attempt, say
from blueprints.python_alerts import WORDS
from blueprints.python_faces import face
from blueprints.python_forms import exchange_of, limits_of, schedule_of, unconfirmed
from blueprints.shell import mode_name
from domain.clock import IST
from domain.errors import InvalidRequest, NotFound
from domain.roles import TRADE
from domain.strategies import DAYS, Restart, ScheduleKind, Strategy, Wanted
from services.strategy_examples import example, examples
from services.strategy_host import EXCHANGES, StrategyHost, offers, told, warning
from services.strategy_logs import StrategyLogs

blueprint = pages("python", prefix="/python")

Answer = str | BaseResponse | tuple[str, int]

_KINDS = (
    (ScheduleKind.WINDOWS, "In windows of the trading day"),
    (ScheduleKind.INTERVAL, "Again and again, at an interval"),
    (ScheduleKind.ONCE, "Once"),
    (ScheduleKind.ALWAYS, "Always"),
    (ScheduleKind.MANUAL, "Only when I press Start"),
)


_AT_ONCE = (ScheduleKind.WINDOWS, ScheduleKind.ALWAYS, ScheduleKind.MANUAL)
"""What an upload may say at once; the others need more, which the schedule's page asks."""


def _pairs(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Choices of a select whose values are their own words."""
    return [(word, word) for word in words]


def _host() -> StrategyHost:
    return platform().strategy_host


def _logs() -> StrategyLogs:
    return platform().strategy_logs


# -- the list
@blueprint.get("/")
def index() -> str:
    """Every strategy of the person."""
    return render_template("python/index.html", section="strategies", warning=warning(), **_listed())


@blueprint.get("/cards")
def cards() -> str:
    """The list's cards alone, fetched when something changed."""
    return render_template("python/cards.html", **_listed())


def _listed() -> dict[str, Any]:
    here = caller()
    seen = platform().strategy_book.overview(_host().listed(here))
    shown = request.args.get("show", "")
    groups = {
        "running": [each for each in seen if each.strategy.state.is_live],
        "attention": [each for each in seen if face(each.strategy).look == "err"],
        "off": [each for each in seen if face(each.strategy).look == "off"],
    }
    accounts = {account.id: account for account in platform().accounts.accounts_of(user().id)}
    return {
        "seen": groups.get(shown, seen),
        "total": len(seen),
        "groups": {name: len(members) for name, members in groups.items()},
        "shown": shown,
        "face": face,
        "told": told,
        "owned": accounts,
        "acts_at": _acts_at(),
        "alerts": platform().strategy_alerts.newest_unseen(user().id),
        "alert_words": WORDS,
        "mode_name": mode_name,
        "books": {each.strategy.id: platform().strategy_book.book(each.strategy) for each in seen},
        "lines": {each.strategy.id: _last_line(each.strategy) for each in seen},
        "cpu": sum(each.sample.cpu for each in seen if each.sample and each.strategy.state.is_live),
        "memory": sum(each.sample.memory for each in seen if each.sample and each.strategy.state.is_live),
    }


def _acts_at() -> set[int]:
    """Accounts on which the person may trade, and so have strategies run."""
    return {seat.account.id for seat in platform().accounts.seats_of(user().id) if TRADE in seat.role.scopes}


def _last_line(strategy: Strategy) -> str:
    _, text, _ = _logs().tail(caller(), strategy.id, most=2048)
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][11:] if lines else ""


@blueprint.post("/stop-all")
def stop_all() -> BaseResponse:
    """Stop everything that is not stopped."""
    here = caller()
    held = [each for each in _host().listed(here) if each.wanted is not Wanted.STOPPED]
    for each in held:
        _host().stop(here, each.id)
    say("up", f"{len(held)} strategies told to stop")
    return redirect(url_for("python.index"), 303)


# -- new
@blueprint.get("/new")
def new() -> str:
    """The upload form, and examples that run at once on paper."""
    return _new_page()


def _new_page(problems: dict[str, str] | None = None) -> str:
    return render_template(
        "python/new.html",
        section="strategies",
        exchanges=EXCHANGES,
        pairs=_pairs,
        examples=examples(),
        problems=problems or {},
        form=request.form,
        days=DAYS,
        kinds=[(kind, text) for kind, text in _KINDS if kind in _AT_ONCE],
        warning=warning(),
    )


@blueprint.post("/upload")
def upload() -> Answer:
    """Keep an upload."""
    file, form = request.files.get("strategy_file"), request.form
    try:
        if file is None or not file.filename:
            raise InvalidRequest("Choose a .py file or a .zip.", "strategy_file")
        schedule = schedule_of(form) if "kind" in form else None
        if error := unconfirmed(caller().account, schedule.kind if schedule else ScheduleKind.WINDOWS):
            return _new_page({"confirm": error}), 422
        made = _host().upload(
            caller(),
            form.get("strategy_name", "").strip() or file.filename.rsplit(".", 1)[0],
            file.filename,
            file.stream.read(),
            exchange_of(form.get("exchange")),
            schedule,
        )
    except InvalidRequest as error:
        return _new_page({error.field or "strategy_file": str(error)}), 400
    say("up", f"{made.name} uploaded", "It starts at its next window, or when you press Start.")
    return redirect(url_for("python.show", strategy_id=made.id), 303)


@blueprint.post("/examples/<name>")
def use_example(name: str) -> BaseResponse:
    """Keep one of the examples as a strategy that runs when Start is pressed."""
    found = example(name)
    if found is None:
        raise NotFound("No such example.")
    made = found.keep(_host(), caller())
    say("up", f"{made.name} is yours", "Press Start to run it.")
    return redirect(url_for("python.show", strategy_id=made.id), 303)


@blueprint.get("/guide")
def guide() -> str:
    """How to write one."""
    return render_template("python/guide.html", section="strategies", held=offers(), warning=warning())


# -- one strategy
def render(template: str, strategy_id: str, here: str, **values: Any) -> str:
    """A page of one strategy, with its head."""
    who = caller()
    strategy = _host().get(who, strategy_id)
    seen = platform().strategy_book.overview([strategy])[0]
    tabs = [
        (url_for(f"python.{name}", strategy_id=strategy_id), text, None, name == here)
        for name, text in (
            *(("show", "Log"), ("edit", "Code"), ("runs", "Runs"), ("orders", "Orders")),
            *(("schedule", "Schedule"), ("settings", "Limits"), ("environment", "Environment")),
        )
    ]
    page = {
        "strategy": strategy,
        "seen": seen,
        "state": face(strategy),
        "account": platform().accounts.account(strategy.account_id),
        "may_change": TRADE in who.scopes and strategy.account_id in _acts_at(),
        "mode_name": mode_name,
        "told": told,
        "tabs": tabs,
        "here": here,
        "pairs": _pairs,
        "once": strategy.schedule.at.astimezone(IST).strftime("%Y-%m-%dT%H:%M")
        if strategy.schedule.at
        else "",
        "problems": {},
        "form": request.form,
    }
    return render_template(template, section="strategies", **(page | values))


@blueprint.get("/<strategy_id>")
def show(strategy_id: str) -> str:
    """The live log, and what the host decided."""
    here = caller()
    name, text, end = _logs().tail(here, strategy_id)
    return render(
        "python/show.html",
        strategy_id,
        "show",
        log_name=name,
        log_text=text,
        log_end=end,
        files=_logs().listed(here, strategy_id),
        notes=_host().notes(here, strategy_id, 12),
        book=platform().strategy_book.book(_host().get(here, strategy_id)),
    )


@blueprint.get("/<strategy_id>/head")
def head(strategy_id: str) -> str:
    """The head of a strategy's page alone, fetched when something changed."""
    return render("python/head.html", strategy_id, request.args.get("here", "show"))


@blueprint.get("/<strategy_id>/tail")
def tail(strategy_id: str) -> Any:
    """What was added to the newest log since byte `after` of `name`; from the start when a newer log has begun."""
    here, name = caller(), request.args.get("name", "")
    files = _logs().listed(here, strategy_id)
    if not files:
        return jsonify(name="", text="", end=0)
    newest = files[0].name
    after = request.args.get("after", "0")
    begin = int(after) if newest == name and after.isdigit() and len(after) < 16 else 0
    text, begun, end = _logs().read(here, strategy_id, newest, begin)
    return jsonify(name=newest, text=text, begin=begun, end=end)


@blueprint.get("/<strategy_id>/search")
def search(strategy_id: str) -> str:
    """Lines of all its logs that hold the words."""
    words = request.args.get("q", "")
    read: Read[list[tuple[str, str]]] = attempt(
        lambda: list(_logs().search(caller(), strategy_id, words)), []
    )
    return render("python/search.html", strategy_id, "show", words=words, found=read)


@blueprint.get("/<strategy_id>/logs/<name>")
def log(strategy_id: str, name: str) -> BaseResponse:
    """Download a log."""
    return send_file(_logs().path(caller(), strategy_id, name), mimetype="text/plain", as_attachment=True)


@blueprint.get("/<strategy_id>/edit")
def edit(strategy_id: str) -> str:
    """The code, editable while nothing runs."""
    return _edit_page(strategy_id)


def _edit_page(strategy_id: str, **values: Any) -> str:
    strategy = _host().get(caller(), strategy_id)
    files = _host().files(caller(), strategy_id)
    name = request.values.get("file", strategy.entry)
    if name not in files:
        raise NotFound("No such file.")
    page = {
        "name": name,
        "names": sorted(files),
        "text": files[name].decode("utf-8-sig"),
        "versions": _host().versions(caller(), strategy_id),
    }
    return render("python/edit.html", strategy_id, "edit", **(page | values))


@blueprint.post("/<strategy_id>/edit")
def save(strategy_id: str) -> Answer:
    """Keep the edited file as a new version."""
    form = request.form
    text = form.get("content", "").replace("\r\n", "\n")
    strategy = _host().get(caller(), strategy_id)
    try:
        version = _host().save(
            caller(),
            strategy_id,
            {form.get("file", strategy.entry): text.encode()},
            form.get("note", "").strip() or "edited",
        )
    except InvalidRequest as error:
        return _edit_page(strategy_id, text=text, problems={"content": str(error)}), 400
    say("up", f"Version {version.number} saved", "It runs from the next start.")
    return redirect(url_for("python.edit", strategy_id=strategy_id, file=form.get("file")), 303)


@blueprint.post("/<strategy_id>/renew")
def renew(strategy_id: str) -> Answer:
    """Keep an uploaded file, or a zip in place of all files, as a new version."""
    file, note = request.files.get("strategy_file"), request.form.get("note", "").strip()
    try:
        if file is None or not file.filename:
            raise InvalidRequest("Choose a file or a .zip.", "strategy_file")
        version = _host().renew(caller(), strategy_id, file.filename, file.stream.read(), note)
    except InvalidRequest as error:
        return _edit_page(strategy_id, problems={"content": str(error)}), 400
    say("up", f"Version {version.number} saved", "It runs from the next start.")
    return redirect(url_for("python.edit", strategy_id=strategy_id), 303)


@blueprint.get("/<strategy_id>/versions/<int:number>")
def version(strategy_id: str, number: int) -> str:
    """How a version differs from the newest."""
    newest = _host().get(caller(), strategy_id).version
    lines = _logs().difference(caller(), strategy_id, number, newest)
    return render("python/version.html", strategy_id, "edit", number=number, newest=newest, lines=lines)


@blueprint.post("/<strategy_id>/versions/<int:number>")
def roll_back(strategy_id: str, number: int) -> BaseResponse:
    """Make an old version the newest again."""
    made = _host().roll_back(caller(), strategy_id, number)
    say("up", f"Version {number} is back", f"It is version {made.number} now.")
    return redirect(url_for("python.edit", strategy_id=strategy_id), 303)


@blueprint.get("/<strategy_id>/runs")
def runs(strategy_id: str) -> str:
    """Its runs: how each ended, and its last lines."""
    since = platform().clock.now() - timedelta(hours=6)
    return render(
        "python/runs.html",
        strategy_id,
        "runs",
        runs=_host().runs(caller(), strategy_id, 100),
        samples=_host().samples(caller(), strategy_id, since),
    )


@blueprint.get("/<strategy_id>/orders")
def orders(strategy_id: str) -> str:
    """What it ordered today, and what that left."""
    book = platform().strategy_book.book(_host().get(caller(), strategy_id))
    return render("python/orders.html", strategy_id, "orders", book=book)


@blueprint.get("/<strategy_id>/schedule")
def schedule(strategy_id: str) -> str:
    """When it runs."""
    return render(
        "python/schedule.html", strategy_id, "schedule", exchanges=EXCHANGES, kinds=_KINDS, days=DAYS
    )


@blueprint.post("/<strategy_id>/schedule")
def reschedule(strategy_id: str) -> Answer:
    """Keep a changed schedule."""
    here = caller()
    account = platform().accounts.account(_host().to_act(here, strategy_id).account_id)
    page: dict[str, Any] = {"exchanges": EXCHANGES, "kinds": _KINDS, "days": DAYS}
    try:
        wanted = schedule_of(request.form)
        if error := unconfirmed(account, wanted.kind):
            page |= {"problems": {"confirm": error}, "planned": wanted}
            return render("python/schedule.html", strategy_id, "schedule", **page), 422
        _host().reschedule(here, strategy_id, wanted, exchange_of(request.form.get("exchange")))
    except InvalidRequest as refused:
        page["problems"] = {refused.field or "kind": str(refused)}
        return render("python/schedule.html", strategy_id, "schedule", **page), 400
    return _done(strategy_id, "schedule", "Schedule saved")


def _shelter() -> dict[str, Any]:
    """What the page of limits shows of this machine, and the choices of its form."""
    return {"held": offers(), "warning": warning(), "restarts": Restart}


@blueprint.get("/<strategy_id>/settings")
def settings(strategy_id: str) -> str:
    """Limits, restarts, name, copy, delete."""
    return render("python/settings.html", strategy_id, "settings", **_shelter())


@blueprint.post("/<strategy_id>/settings")
def settle(strategy_id: str) -> Answer:
    """Keep changed settings."""
    form, strategy = request.form, _host().get(caller(), strategy_id)
    try:
        _host().settle(
            caller(),
            strategy_id,
            name=form.get("name", strategy.name),
            about=form.get("about", "").strip()[:200],
            restart=Restart(form.get("restart", strategy.restart)),
            limits=limits_of(form, strategy.limits),
            cancel_on_stop="cancel_on_stop" in form,
            flatten_on_stop="flatten_on_stop" in form,
        )
    except InvalidRequest as error:
        problems = {error.field or "name": str(error)}
        page = {"problems": problems, **_shelter()}
        return render("python/settings.html", strategy_id, "settings", **page), 400
    return _done(strategy_id, "settings", "Settings saved")


@blueprint.get("/<strategy_id>/environment")
def environment(strategy_id: str) -> str:
    """Its variables; secret ones by name only."""
    return render(
        "python/environment.html", strategy_id, "environment", values=_host().values.shown(strategy_id)
    )


@blueprint.post("/<strategy_id>/environment")
def set_value(strategy_id: str) -> Answer:
    """Give it a variable."""
    form = request.form
    _host().to_act(caller(), strategy_id)
    try:
        _host().values.set(
            strategy_id, form.get("name", "").strip(), form.get("value", ""), secret="secret" in form
        )
    except InvalidRequest as error:
        problems = {error.field or "name": str(error)}
        page = {"problems": problems, "values": _host().values.shown(strategy_id)}
        return render("python/environment.html", strategy_id, "environment", **page), 400
    return _done(strategy_id, "environment", "Variable set", "It counts from the next start.")


@blueprint.post("/<strategy_id>/environment/<name>/forget")
def forget_value(strategy_id: str, name: str) -> Answer:
    """Take a variable away."""
    _host().to_act(caller(), strategy_id)
    _host().values.forget(strategy_id, name)
    return _done(strategy_id, "environment", f"{name} removed")


# -- copies and the end
@blueprint.post("/<strategy_id>/copy")
def copy(strategy_id: str) -> Answer:
    """Another instance of it, at the account in front; one that has a schedule is armed by that."""
    if error := unconfirmed(caller().account, _host().get(caller(), strategy_id).schedule.kind):
        page = {"problems": {"confirm": error}, **_shelter()}
        return render("python/settings.html", strategy_id, "settings", **page), 422
    name = request.form.get("name", "").strip()
    made = _host().copy(caller(), strategy_id, name or f"{_host().get(caller(), strategy_id).name} 2")
    say("up", f"{made.name} made", "Secrets were not copied.")
    return redirect(url_for("python.environment", strategy_id=made.id), 303)


@blueprint.post("/<strategy_id>/delete")
def delete(strategy_id: str) -> Answer:
    """Drop it, after the password."""
    if error := wrong_password():
        page = {"problems": {"delete": error}, **_shelter()}
        return render("python/settings.html", strategy_id, "settings", **page), 403
    name = _host().get(caller(), strategy_id).name
    _host().delete(caller(), strategy_id)
    say("up", f"{name} deleted")
    return redirect(url_for("python.index"), 303)


def _done(strategy_id: str, view: str, title: str, text: str = "") -> BaseResponse:
    say("up", title, text)
    return redirect(url_for(f"python.{view}", strategy_id=strategy_id), 303)

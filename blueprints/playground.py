"""The API tried from a page: an endpoint, a request to change, its answer, and the program that would ask the same.

Requests go through the API itself, in this process, with a key that lives for the one call.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

from flask import current_app, g, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import caller, own, pages, platform, today
from blueprints.forms import new_form_key
from blueprints.problems import Read, attempt, is_script
from blueprints.samples import Json, example, programs
from domain.errors import InvalidRequest, NotFound
from domain.model import Exchange, Instrument
from services.borrowed_key import borrowed_key

blueprint = pages("playground", prefix="/playground")

MOST_SHOWN = 200_000
_FIRST = "post /quotes"
_UNBUILT = "Not built yet"
_TRADES = frozenset({"Orders", "GTT", "Safety"})


@dataclass(frozen=True, slots=True)
class Reply:
    """What the API said. `text` is cut at MOST_SHOWN characters."""

    status: int
    text: str
    millis: float
    size: int
    cut: bool


@blueprint.get("")
def index() -> str:
    """Every endpoint; one is open with a request that works."""
    wanted = request.args.get("to", _FIRST)
    method, path, operation = _operation(wanted)
    body = example(_document(), method, path, today(), _option())
    return _page(wanted, operation, json.dumps(body, indent=2), body)


@blueprint.post("/send")
@own
def send() -> str | tuple[str, int]:
    """Ask the API and show what it said, as a part for scripts or as the whole page."""
    wanted, text = request.form.get("to", ""), request.form.get("body", "")[:100_000]
    method, path, operation = _operation(wanted)
    try:
        body = _read(text)
    except InvalidRequest as error:
        if is_script():
            return render_template("playground/answer.html", problem=str(error), form_key=new_form_key()), 400
        return _page(wanted, operation, text, {}, problem=str(error)), 400
    reply = _ask(method, path, body)
    if is_script():
        shown = programs(platform().settings.host_server, method, path, body)
        return render_template(
            "playground/answer.html", reply=reply, programs=shown, form_key=new_form_key(), oob=True
        )
    return _page(wanted, operation, text, body, reply=reply)


def _page(wanted: str, operation: Json, text: str, body: Json, **values: Any) -> str:
    method, _, path = wanted.partition(" ")
    return render_template(
        "playground/index.html",
        section="settings",
        wanted=wanted,
        method=method,
        path=path,
        operation=operation,
        trades=_trades(operation),
        text=text,
        groups=_groups(),
        programs=programs(platform().settings.host_server, method, path, body),
        form_key=new_form_key(),
        **values,
    )


# -- the API's own description
def _document() -> Json:
    """Of this application's API; it does not change while the process runs."""
    kept = current_app.extensions
    if "api_document" not in kept:
        answer = cast(BaseResponse, current_app.view_functions["api_docs.document"]())
        kept["api_document"] = json.loads(answer.get_data())
    return cast(Json, kept["api_document"])


def _operation(wanted: str) -> tuple[str, str, Json]:
    """Raises NotFound for what is not an endpoint."""
    method, _, path = wanted.partition(" ")
    operation = _document()["paths"].get(path, {}).get(method)
    if operation is None:
        raise NotFound("There is no such endpoint.")
    return method, path, operation


def _groups() -> list[tuple[str, list[tuple[str, str, str]]]]:
    """(subject, [(endpoint, method, path)]) of what is built."""
    found: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for path, operations in _document()["paths"].items():
        for method, operation in operations.items():
            tag = operation["tags"][0]
            if tag != _UNBUILT:
                found[tag].append((f"{method} {path}", method.upper(), path))
    return list(found.items())


def _trades(operation: Json) -> bool:
    """Whether it may change orders, positions or strategies."""
    names = {one["name"] for one in operation.get("parameters", ())}
    return "Idempotency-Key" in names or operation["tags"][0] == "Safety"


def _option() -> Instrument | None:
    """A NIFTY option near the money, of the account's contract file."""
    here, instruments = caller().account.venue, platform().instruments

    def chain() -> list[Instrument]:
        nearest = instruments.expiries(here, "NIFTY", Exchange.NFO, "options")[:1]
        return instruments.chain(here, "NIFTY", nearest[0], Exchange.NFO) if nearest else []

    found: Read[list[Instrument]] = attempt(chain, [])
    return found.value[len(found.value) // 2] if found.value else None


# -- asking
def _read(text: str) -> Json:
    try:
        body = json.loads(text or "{}")
    except ValueError as error:
        raise InvalidRequest(f"That is not JSON: {error}.", "body") from error
    if not isinstance(body, dict):
        raise InvalidRequest("The request is a JSON object: { … }.", "body")
    return body


def _ask(method: str, path: str, body: Json) -> Reply:
    here = caller()
    with borrowed_key(platform().accounts, here, platform().clock) as key:
        given = {"apikey": key} | {name: value for name, value in body.items() if name != "apikey"}
        for name in [name for name in given if f"{{{name}}}" in path]:
            path = path.replace(f"{{{name}}}", quote(str(given.pop(name)), safe=""))
        headers = {"Idempotency-Key": request.form.get("idempotency_key", "")[:128]}
        began = time.perf_counter()
        answer = current_app.test_client(use_cookies=False).open(
            f"/api/v1{path}",
            method=method.upper(),
            json=given if method != "get" else None,
            query_string=given if method == "get" else None,
            headers={name: value for name, value in headers.items() if value},
            environ_base={"REMOTE_ADDR": g.address},
        )
        return _reply(answer, began, key)


def _reply(answer: Any, began: float, key: str) -> Reply:
    pieces, size = [], 0
    for piece in answer.iter_encoded():
        size += len(piece)
        if size <= MOST_SHOWN * 4:
            pieces.append(piece)
    millis = (time.perf_counter() - began) * 1000
    text = b"".join(pieces).decode("utf-8", "replace").replace(key, "YOUR_API_KEY")
    if answer.is_json:
        with suppress(ValueError):
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return Reply(answer.status_code, text[:MOST_SHOWN], millis, size, len(text) > MOST_SHOWN)

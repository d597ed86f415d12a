"""Logging the key's account in to its broker: for programs that renew a session before the market opens."""

from __future__ import annotations

import secrets
from typing import Any

from domain.errors import InvalidRequest
from restx_api.door import Call, Subject
from restx_api.fields import broker_login as fields
from services import broker_directory
from services.broker_directory import Manifest

broker_login = Subject("Broker")


@broker_login.post("/broker/login", fields.BrokerLogin(), reply=fields.LOGIN, scope="login", limit="login")
def log_in(call: Call) -> dict[str, Any]:
    """Open a broker session with the fields of the broker's form. Without the code that a login page
    returns, the reply names the page instead; its answer goes into `credentials` at the next call."""
    account, sessions = call.caller.account, call.platform.sessions
    manifest = broker_directory.manifest_of(account.broker)
    if call.body["action"] == "form":
        saved = sessions.saved_fields(account)
        form = [{**one, "saved": bool(saved.get(one["name"]))} for one in fields.asked(manifest.login.fields)]
        asks = fields.asked(manifest.login.ask)
        return _told(call, manifest, fields=form, asks=asks)
    given = _known(manifest, call.body["credentials"])
    sessions.save_credentials(account, {one.name: given.get(one.name, "") for one in manifest.login.fields})
    answers = {name: given[name] for name in (*_names(manifest), *manifest.login.callback) if given.get(name)}
    if manifest.login.callback and not answers:
        page = sessions.login_page(account, secrets.token_urlsafe(24))
        return _told(call, manifest, login_page=page, asks=fields.asked(manifest.login.ask))
    sessions.log_in(account, answers)
    return _told(call, manifest)


def _names(manifest: Manifest) -> list[str]:
    return [one.name for one in manifest.login.ask]


def _known(manifest: Manifest, given: dict[str, str]) -> dict[str, str]:
    """What was filled in. Raises InvalidRequest for a name that the form does not have."""
    known = {one.name for one in manifest.login.fields} | {*_names(manifest), *manifest.login.callback}
    if unknown := sorted(set(given) - known):
        form = ", ".join(sorted(known)) or "nothing"
        words = f"{manifest.title} has no login field '{unknown[0]:.64}'; it asks for {form}."
        raise InvalidRequest(words, "credentials")
    return given


def _told(call: Call, manifest: Manifest, **more: Any) -> dict[str, Any]:
    found = fields.state(manifest, call.platform.sessions.state(call.caller.account))
    return {"status": "success", "data": {**found, **more}}

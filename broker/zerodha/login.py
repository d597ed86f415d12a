"""Kite Connect's login: the browser goes to the broker and comes back with a request token, traded for a session.

`request_token` is good for minutes and for one exchange; sessions end at about 06:00 IST.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import urlencode

from broker import catalog, fields
from broker.http import Call
from broker.interface import Tokens
from broker.sequence import form, send_once, session_end
from domain.clock import Clock
from domain.errors import LoginFailed

MANIFEST = catalog.manifest("zerodha")


def page(values: Mapping[str, str], urls: Mapping[str, str], state: str) -> str:
    """The broker's page; `state` comes back as its own query argument."""
    page = urls.get("login") or MANIFEST.urls["login"]
    query = {"v": "3", "api_key": values["api_key"], "redirect_params": urlencode({"state": state})}
    return f"{page}?{urlencode(query)}"


def log_in(values: Mapping[str, str], urls: Mapping[str, str], clock: Clock) -> Tokens:
    """Trade the request token for an access token. Raises LoginFailed with the broker's words."""
    values = MANIFEST.login.complete(values)
    key, token = values["api_key"], values["request_token"]
    checksum = hashlib.sha256(f"{key}{token}{values['api_secret']}".encode()).hexdigest()
    call = Call(
        op="login",
        method="POST",
        url=(urls.get("rest") or MANIFEST.urls["rest"]) + "/session/token",
        headers={"X-Kite-Version": "3", "Content-Type": "application/x-www-form-urlencoded"},
        body=form({"api_key": key, "request_token": token, "checksum": checksum}),
    )
    try:
        envelope = fields.row(send_once(call, clock, MANIFEST.title).json())
        if envelope.get("status") != "success":
            raise LoginFailed(fields.maybe_text(envelope, "message") or "the login was refused")
        data = fields.row(envelope["data"])
        access, user = fields.text(data, "access_token"), fields.text(data, "user_id")
    except (ValueError, KeyError) as error:
        raise LoginFailed(f"{MANIFEST.title} answered in a form that cannot be read") from error
    return Tokens(
        user_id=user,
        values={"api_key": key, "access_token": access, "user_id": user},
        expires_at=session_end(MANIFEST, clock),
    )

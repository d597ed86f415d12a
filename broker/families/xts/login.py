"""XTS's logins: a session at the order service, one at the market data service, and the redirect before them.

The market token is asked for once and shared by quotes and ticks: a second login of a key ends the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import orjson

from broker import fields
from broker.fields import Row
from broker.http import Call
from broker.interface import Tokens
from broker.manifest import Manifest
from broker.sequence import send_once, session_end
from domain.clock import Clock
from domain.errors import LoginFailed

SOURCE = "WebAPI"


def with_key(manifest: Manifest, values: Mapping[str, str], urls: Mapping[str, str], clock: Clock) -> Tokens:
    """Key and secret, with an access token where the person has one."""
    values = manifest.login.complete(values)
    asked = {"appKey": values["api_key"], "secretKey": values["api_secret"], "source": SOURCE}
    if values.get("access_token"):
        asked["accessToken"] = values["access_token"]
    opened = _session(manifest, f"{urls['rest']}/user/session", asked, clock)
    return _tokens(manifest, values, urls, opened, clock)


def with_access_token(
    manifest: Manifest, values: Mapping[str, str], urls: Mapping[str, str], clock: Clock
) -> Tokens:
    """The redirect brings an access token, which the order service trades for a session."""
    values = manifest.login.complete(values)
    asked = {"appKey": values["api_key"], "secretKey": values["api_secret"]}
    asked["accessToken"] = _returned(values["code"], "accessToken")
    opened = _session(manifest, f"{urls['rest']}/user/session", asked, clock)
    return _tokens(manifest, values, urls, opened, clock)


def with_session(
    manifest: Manifest, values: Mapping[str, str], urls: Mapping[str, str], clock: Clock
) -> Tokens:
    """The redirect brings the finished session of the order service."""
    values = manifest.login.complete(values)
    opened = {name: _returned(values["code"], name) for name in ("token", "userID")}
    return _tokens(manifest, values, urls, opened, clock)


def _tokens(
    manifest: Manifest, values: Mapping[str, str], urls: Mapping[str, str], opened: Row, clock: Clock
) -> Tokens:
    asked = {
        "appKey": values["api_key_market"],
        "secretKey": values["api_secret_market"],
        "source": SOURCE,
    }
    market = _session(manifest, f"{urls['market']}/auth/login", asked, clock)
    user = str(opened["userID"])
    return Tokens(
        user_id=user,
        values={
            "user_id": user,
            "access_token": str(opened["token"]),
            "market_user_id": str(market["userID"]),
            "market_token": str(market["token"]),
        },
        expires_at=session_end(manifest, clock),
    )


def _session(manifest: Manifest, url: str, asked: Mapping[str, str], clock: Clock) -> Row:
    """The result of a login call: token and userID. Raises LoginFailed with the house's words."""
    headers = {"Content-Type": "application/json"}
    call = Call(op="login", method="POST", url=url, headers=headers, body=orjson.dumps(asked))
    reply = send_once(call, clock, manifest.title)
    try:
        answer = fields.row(reply.json())
        if answer.get("type") == "success":
            result = fields.row(answer.get("result"))
            if fields.text(result, "token") and fields.text(result, "userID"):
                return result
        words = fields.maybe_text(answer, "description")
    except ValueError:
        raise LoginFailed(f"{manifest.title} answered in a form that cannot be read") from None
    raise LoginFailed(words or f"the login was refused (HTTP {reply.status})")


def _returned(session: str, name: str) -> str:
    """One word of the `session` that a redirect carries: JSON, perhaps percent-encoded, perhaps JSON within JSON."""
    told: object = session.strip().removeprefix("session=")
    for _ in range(3):
        if not isinstance(told, str):
            break
        try:
            told = orjson.loads(told if told[:1] in ("{", '"') else unquote(told))
        except ValueError:
            break
    value = told.get(name) if isinstance(told, dict) else None
    if not isinstance(value, str) or not value:
        raise LoginFailed(f"no {name} in what the login page returned")
    return value

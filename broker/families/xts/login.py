"""XTS's logins: a session at the order service, one at the market data service, and the redirect before them.

The market token is asked for once and shared by quotes and ticks: a second login of a key ends the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
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
Words = Mapping[str, str]
"""Values or addresses, by name."""


def with_key(manifest: Manifest, values: Words, urls: Words, clock: Clock) -> Tokens:
    """Key and secret, with an access token where the person has one."""
    values = manifest.login.complete(values)
    asked = {"appKey": values["api_key"], "secretKey": values["api_secret"], "source": SOURCE}
    if values.get("access_token"):
        asked["accessToken"] = values["access_token"]
    opened = _session(manifest, f"{urls['rest']}/user/session", asked, clock)
    return _tokens(manifest, values, urls, opened, clock)


def with_access_token(manifest: Manifest, values: Words, urls: Words, clock: Clock) -> Tokens:
    """The redirect brings an access token, which the order service trades for a session."""
    values = manifest.login.complete(values)
    asked = {"appKey": values["api_key"], "secretKey": values["api_secret"]}
    asked["accessToken"] = _word(_carried(values["code"]), "accessToken")
    opened = _session(manifest, f"{urls['rest']}/user/session", asked, clock)
    return _tokens(manifest, values, urls, opened, clock)


def with_session(manifest: Manifest, values: Words, urls: Words, clock: Clock) -> Tokens:
    """The redirect brings the finished session of the order service."""
    values = manifest.login.complete(values)
    told = _carried(values["code"])
    opened = {**told, **{name: _word(told, name) for name in ("token", "userID")}}
    return _tokens(manifest, values, urls, opened, clock)


def _tokens(manifest: Manifest, values: Words, urls: Words, opened: Row, clock: Clock) -> Tokens:
    """A dealer's calls must name a client, and neither how one is named nor a dealer's books are documented: without a
    name their orders would be the dealer's own. Source: xts-api-client 0.1.26 (it sends `*****`), read 2026-11-24."""
    if str(opened.get("isInvestorClient", True)).lower() == "false":
        raise LoginFailed(
            f"This is a dealer's login at {manifest.title}. A dealer's orders must name the client whom they are for, "
            "which cannot be done here: use the app keys of the client's own login."
        )
    user = str(opened["userID"])
    kept = {"user_id": user, "access_token": str(opened["token"])}
    kept |= market_tokens(manifest, values, urls, clock)
    return Tokens(user_id=user, values=kept, expires_at=session_end(manifest, clock))


def market_tokens(manifest: Manifest, values: Words, urls: Words, clock: Clock) -> dict[str, str]:
    """A session at the market data service, which ends the one that its keys opened before."""
    key, secret = values.get("api_key_market", ""), values.get("api_secret_market", "")
    asked = {"appKey": key, "secretKey": secret, "source": SOURCE}
    opened = _session(manifest, f"{urls['market']}/auth/login", asked, clock)
    return {"market_user_id": str(opened["userID"]), "market_token": str(opened["token"])}


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


def _carried(session: str) -> Row:
    """The `session` that a redirect carries: JSON, perhaps percent-encoded, perhaps JSON within JSON; {} if neither."""
    told: object = session.strip().removeprefix("session=")
    for _ in range(3):
        if isinstance(told, str):
            with suppress(ValueError):
                told = orjson.loads(told if told[:1] in ("{", '"') else unquote(told))
    return told if isinstance(told, dict) else {}


def _word(told: Row, name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str) or not value:
        raise LoginFailed(f"no {name} in what the login page returned")
    return value

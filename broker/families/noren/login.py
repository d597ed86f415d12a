"""Noren's OAuth login: the browser returns with a code, which is traded for a token against a checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import orjson

from broker import fields
from broker.families.noren import wire
from broker.http import Call
from broker.interface import Tokens
from broker.manifest import Manifest
from broker.sequence import send_once, session_end
from domain.clock import Clock
from domain.errors import LoginFailed

_TOKEN_NAMES = ("access_token", "accesstoken", "token", "susertoken")
_USER_NAMES = ("USERID", "client", "uid")


def checksum(*parts: str) -> str:
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def generate_token(manifest: Manifest, values: Mapping[str, str], url: str, clock: Clock) -> Tokens:
    """GenAcsTok: {code, checksum of client id, secret and code}. Raises LoginFailed with the house's words."""
    values = manifest.login.complete(values)
    code = values["code"]
    data: dict[str, object] = {
        "code": code,
        "checksum": checksum(values["api_key"], values["api_secret"], code),
        "uid": values["user_id"],
    }
    call = Call(
        op="login",
        method="POST",
        url=f"{url}/GenAcsTok",
        headers={"Content-Type": "text/plain"},
        body=wire.body(data),
    )
    return read_tokens(manifest, values, call, clock)


def read_tokens(manifest: Manifest, values: Mapping[str, str], call: Call, clock: Clock) -> Tokens:
    """Send a login call and take the tokens out of its answer."""
    reply = send_once(call, clock, manifest.title)
    try:
        row = fields.row(reply.json())
    except ValueError:
        raise LoginFailed(f"{manifest.title} answered in a form that cannot be read") from None
    token = next((row[name] for name in _TOKEN_NAMES if row.get(name)), None)
    if not isinstance(token, str) or str(row.get("stat")).lower() != "ok":
        raise LoginFailed(fields.maybe_text(row, "emsg") or "the login was refused")
    user = values["user_id"]
    came = next((str(row[name]) for name in _USER_NAMES if row.get(name)), user)
    if came.lower() != user.lower():
        raise LoginFailed(f"you came back as {came}, but this account is {user}")
    account = row.get("actid")
    return Tokens(
        user_id=user,
        values={
            "user_id": user,
            "account_id": account if isinstance(account, str) and account else user,
            "access_token": token,
        },
        expires_at=session_end(manifest, clock),
    )


def token_by_json(manifest: Manifest, values: Mapping[str, str], url: str, clock: Clock) -> Tokens:
    """The older houses' call: JSON at an address of its own, with the secret inside the checksum."""
    values = manifest.login.complete(values)
    key, code = values["api_key"], values["code"]
    asked = {"api_key": key, "request_code": code, "api_secret": checksum(key, code, values["api_secret"])}
    headers = {"Content-Type": "application/json"}
    call = Call(op="login", method="POST", url=url, headers=headers, body=orjson.dumps(asked))
    return read_tokens(manifest, values, call, clock)

"""An account's login at its broker: the form as its manifest has it, and what was filled in."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from restx_api.fields import records, shapes
from restx_api.fields.base import Choice, Keyed
from restx_api.fields.shapes import BOOLEAN, STRING, array, obj, one_of
from services.broker_directory import LoginField, Manifest
from services.sessions import SessionState

_MOST_FIELDS = 20
_LONGEST_VALUE = 8192


class FilledIn(fields.Field[Any]):
    """Names and values of a form, all of them text. What is wrong is told without the value."""

    default_error_messages = {"invalid": "Not an object of names and texts."}  # noqa: RUF012

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        good = isinstance(value, dict) and len(value) <= _MOST_FIELDS
        if not good or not all(_is_text(name) and _is_text(text) for name, text in value.items()):
            raise self.make_error("invalid")
        return value

    def shape(self) -> dict[str, Any]:
        text = {"type": "string", "maxLength": _LONGEST_VALUE}
        return {"type": "object", "additionalProperties": text, "maxProperties": _MOST_FIELDS}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_VALUE and "\x00" not in value


class BrokerLogin(Keyed):
    """`form` asks what the broker wants; `login` brings it. A stored field that is left out stays as it is."""

    action = Choice(("login", "form"), load_default="login")
    credentials = FilledIn(load_default=dict)


def state(manifest: Manifest, found: SessionState) -> dict[str, Any]:
    """Where the login stands."""
    shown = {"broker": manifest.name, "state": found.word}
    if found.broker_user:
        shown["user"] = found.broker_user
    if found.expires_at is not None:
        shown["expires_at"] = records.ist(found.expires_at)
    return shown


def asked(listed: tuple[LoginField, ...]) -> list[dict[str, Any]]:
    """Fields of a form; never what is in them."""
    return [
        {
            "name": one.name,
            "label": one.label,
            "secret": one.secret,
            "required": one.required,
            "help": one.help,
        }
        for one in listed
    ]


_FIELDS = array(
    obj(
        {**dict.fromkeys(("name", "label", "help"), STRING), "secret": BOOLEAN, "required": BOOLEAN},
        {"saved": BOOLEAN},
    )
)
LOGIN = shapes.data(
    obj(
        {"broker": STRING, "state": one_of("ok", "expiring", "expired", "none")},
        {**dict.fromkeys(("user", "expires_at", "login_page"), STRING), "fields": _FIELDS, "asks": _FIELDS},
    )
)

"""The published description of the API: OpenAPI 3.0 from the very schemas that check requests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import fields

from restx_api.door import Endpoint, KeyIn
from restx_api.errors import Style
from restx_api.fields import shapes
from restx_api.fields.base import Flag
from restx_api.fields.shapes import Shape

_FAILURES = {
    404: "No such order or instrument",
    409: "The Idempotency-Key came before with another request",
    413: "The body is larger than 1 MiB",
    429: "Too many requests: wait for Retry-After seconds",
    500: "The broker does not answer or answers with an error, or something went wrong here",
    501: "The broker, or this version, cannot do it",
    503: "A part of the platform does not answer",
}
_DENIED = "The key is not known, or may not do this"
_MAP: Shape = {"type": "object", "additionalProperties": True}
_TEXT = shapes.error(shapes.STRING)
_INVALID = {
    Style.A: _TEXT,
    Style.B: shapes.error({"anyOf": [shapes.STRING, _MAP]}, {"invalid_symbols": shapes.array(_MAP)}),
    Style.C: shapes.error(shapes.STRING, {"errors": _MAP}),
    Style.D: shapes.error(shapes.STRING, {"errors": _MAP}),
    Style.PLAIN: _TEXT,
}
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same request is answered once; with another request it is refused.",
    "schema": {"type": "string", "maxLength": 128, "pattern": "^[ -~]*$"},
}


def document(endpoints: Iterable[Endpoint], server: str = "/api/v1") -> dict[str, Any]:
    """The whole description."""
    spec = APISpec(
        title="OpenAlgo",
        version="v1",
        openapi_version="3.0.3",
        plugins=[_plugin()],
        info={"description": "One API over every broker. Every path also answers with a trailing slash."},
        servers=[{"url": server}],
    )
    for status, words in {**_FAILURES, 401: _DENIED, 403: _DENIED}.items():
        spec.components.response(f"Error{status}", _failure(status, words, _TEXT))
    for style, shape in _INVALID.items():
        words = f"The request cannot be served as it stands; a wrong field is told as {style.value}"
        spec.components.response(f"Invalid{style.name}", _failure(400, words, shape))
    for endpoint in endpoints:
        path = re.sub(r"<(\w+)>", r"{\1}", endpoint.path)
        spec.path(path=path, operations={endpoint.method.lower(): _operation(endpoint)})
    found: dict[str, Any] = spec.to_dict()
    return found


def _plugin() -> MarshmallowPlugin:
    """Each field says its own shape; a schema's name is its class's."""
    plugin = MarshmallowPlugin(schema_name_resolver=_name)
    original = plugin.init_spec

    def init_spec(spec: APISpec) -> None:
        original(spec)
        assert plugin.converter is not None
        plugin.converter.map_to_openapi_type(Flag, None, None)  # type: ignore[no-untyped-call]
        plugin.converter.add_attribute_function(_shape)  # type: ignore[no-untyped-call]

    plugin.init_spec = init_spec  # type: ignore[method-assign]
    return plugin


def _shape(self: Any, field: fields.Field[Any], **kwargs: Any) -> Shape:
    tell = getattr(field, "shape", None)
    shape: Shape = tell() if tell is not None else {}
    if field.allow_none and "enum" in shape:
        shape["enum"].append(None)
    return shape


def _name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    module = kind.__module__.rpartition(".")[2]
    return f"{module}_{kind.__name__}"


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.method.lower()}{re.sub(r'[^a-z]+', '_', endpoint.path)}",
        "summary": endpoint.summary.partition(".")[0],
        "description": endpoint.summary,
        "tags": [endpoint.tag],
        "responses": _responses(endpoint),
    }
    parameters = _parameters(endpoint)
    if endpoint.key_in is KeyIn.BODY:
        body = {"application/json": {"schema": endpoint.request}}
        operation["requestBody"] = {"required": True, "content": body}
    if endpoint.scope == "trade":
        parameters.append(_IDEMPOTENCY)
    return {**operation, "parameters": parameters} if parameters else operation


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    """What a GET reads: the path's variables, then the query string."""
    if endpoint.key_in is KeyIn.BODY:
        return []
    in_path = re.findall(r"<(\w+)>", endpoint.path)
    found = [{"name": name, "in": "path", "required": True, "schema": shapes.STRING} for name in in_path]
    for name, field in endpoint.request.fields.items():
        if name not in in_path:
            shape = field.shape() if hasattr(field, "shape") else shapes.STRING
            where = field.data_key or name
            found.append({"name": where, "in": "query", "required": field.required, "schema": shape})
    return found


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    good = {media: {"schema": _published(endpoint, media)} for media in endpoint.media}
    responses: dict[str, Any] = {"200": {"description": "Done", "content": good}} if endpoint.built else {}
    failures = {400, *_FAILURES, endpoint.denied, 403}
    if endpoint.text_format:
        return {**responses, **{str(status): _either(endpoint, status) for status in failures}}
    named = {str(status): f"Error{status}" for status in failures}
    return {**responses, **named, "400": f"Invalid{endpoint.style.name}"}


def _published(endpoint: Endpoint, media: str) -> Shape:
    return endpoint.reply if media == "application/json" else shapes.STRING


def _either(endpoint: Endpoint, status: int) -> dict[str, Any]:
    """A failure that is told as JSON or, where plain text was asked for, in one line of it."""
    shape = _INVALID[endpoint.style] if status == 400 else _TEXT
    failure = _failure(status, _FAILURES.get(status, _DENIED), shape)
    failure["content"]["text/plain"] = {"schema": shapes.STRING}
    return failure


def _failure(status: int, words: str, shape: Shape) -> dict[str, Any]:
    failure = {"description": words, "content": {"application/json": {"schema": shape}}}
    return {**failure, "headers": {"Retry-After": {"schema": shapes.INTEGER}}} if status == 429 else failure

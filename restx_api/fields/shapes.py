"""JSON Schema in a few words, for describing replies."""

from __future__ import annotations

from typing import Any

Shape = dict[str, Any]

STRING: Shape = {"type": "string"}
NUMBER: Shape = {"type": "number"}
INTEGER: Shape = {"type": "integer"}
BOOLEAN: Shape = {"type": "boolean"}


def one_of(*words: str) -> Shape:
    return {"type": "string", "enum": list(words)}


def array(item: Shape, *, least: int | None = None, most: int | None = None) -> Shape:
    shape: Shape = {"type": "array", "items": item}
    if least is not None:
        shape["minItems"] = least
    if most is not None:
        shape["maxItems"] = most
    return shape


def nullable(shape: Shape) -> Shape:
    return {**shape, "nullable": True}


def obj(required: dict[str, Shape], optional: dict[str, Shape] | None = None) -> Shape:
    """An object with these keys; others may be there."""
    shape: Shape = {"type": "object", "properties": {**required, **(optional or {})}}
    return {**shape, "required": sorted(required)} if required else shape


MODE = one_of("analyze", "semi_auto")


def success(required: dict[str, Shape], optional: dict[str, Shape] | None = None) -> Shape:
    """A reply of status success with these keys beside it."""
    return obj({"status": one_of("success"), **required}, optional)


def data(shape: Shape, optional: dict[str, Shape] | None = None) -> Shape:
    """The usual reply: status and data."""
    return success({"data": shape}, optional)


def sandboxed(shape: Shape) -> Shape:
    """The same reply, with `mode` where the account trades on paper."""
    return {**shape, "properties": {**shape["properties"], "mode": MODE}}


def error(message: Shape, optional: dict[str, Shape] | None = None) -> Shape:
    more = {"error_type": STRING, "mode": MODE, "retry_after": INTEGER, "limit": STRING, "orderid": STRING}
    return obj({"status": one_of("error"), "message": message}, {**more, **(optional or {})})

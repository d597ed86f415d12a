"""JSON in and out of the door: strict where two readers could disagree, sorted keys on the way out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson

LARGEST = 1024 * 1024
"""Bytes of a request body that are read; more is refused unread."""

_BOM = b"\xef\xbb\xbf"
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


class NotJson(Exception):
    """The body cannot be read; str(error) says why."""


def decode(raw: bytes) -> Any:
    """The one value a body holds. Raises NotJson for what is not JSON, and for a key given twice.

    NaN, Infinity, numbers beyond a double, lone surrogates and nesting beyond a thousand levels are not JSON here.
    """
    if raw.startswith(_BOM):
        raw = raw[len(_BOM) :]
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise NotJson("Request body must be valid JSON") from error
    # Each key brings one colon: as many colons as keys kept means that none was dropped as a repeat.
    if raw.count(b":") != _keys(value):
        _refuse_repeats(raw)
    return value


def encode(value: Any) -> bytes:
    """UTF-8 JSON, keys sorted; NaN and infinities become null."""
    return orjson.dumps(value, option=_OPTIONS)


def _keys(root: Any) -> int:
    count, stack = 0, [root]
    while stack:
        value = stack.pop()
        if type(value) is dict:
            count += len(value)
            stack.extend(item for item in value.values() if type(item) in (dict, list))
        elif type(value) is list:
            stack.extend(item for item in value if type(item) in (dict, list))
    return count


def _refuse_repeats(raw: bytes) -> None:
    try:
        json.loads(raw, object_pairs_hook=_no_repeats, parse_int=str, parse_float=str)
    except RecursionError as error:
        raise NotJson("Request body must be valid JSON") from error


def _no_repeats(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise NotJson(f"Request body must be valid JSON: the key '{key[:64]}' is given twice")
        found[key] = value
    return found

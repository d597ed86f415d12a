"""Ping, the analyzer switch."""

from __future__ import annotations

from restx_api.fields.base import Flag, Keyed
from restx_api.fields.shapes import BOOLEAN, INTEGER, STRING, data, obj, one_of


class Toggle(Keyed):
    """true: paper; false: the broker."""

    mode = Flag(required=True)


_STATE = {"mode": one_of("analyze", "live"), "analyze_mode": BOOLEAN, "total_logs": INTEGER}

PING = data(obj({"message": one_of("pong"), "broker": STRING}))
ANALYZER = data(obj(_STATE))
TOGGLED = data(obj({**_STATE, "message": STRING}))

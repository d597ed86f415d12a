"""Ping, the analyzer switch."""

from __future__ import annotations

from marshmallow import INCLUDE

from restx_api.fields.base import Flag, Keyed
from restx_api.fields.shapes import BOOLEAN, INTEGER, STRING, array, data, obj, one_of, success


class Toggle(Keyed):
    """true: paper; false: the broker."""

    mode = Flag(required=True)


class ChartValues(Keyed):
    """Any further fields, kept as they are."""

    class Meta:
        unknown = INCLUDE


_STATE = {"mode": one_of("analyze", "live"), "analyze_mode": BOOLEAN, "total_logs": INTEGER}

PING = data(obj({"message": one_of("pong"), "broker": STRING}))
ANALYZER = data(obj(_STATE))
TOGGLED = data(obj({**_STATE, "message": STRING}))
CHART = data({"type": "object", "additionalProperties": True})
CHART_SAVED = success({"message": STRING})
BENCHMARKS = data(array(obj({"symbol": STRING, "exchange": STRING, "name": STRING})))

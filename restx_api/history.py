"""Bars of the past: always of the account's own data broker, never in analyze shape."""

from __future__ import annotations

from typing import Any

from flask import Response

from domain.errors import InvalidRequest, NotSupported
from domain.market import Candle
from restx_api.door import Call, Subject
from restx_api.fields import history as fields
from restx_api.fields.base import Keyed

history = Subject("History")


@history.post("/history", fields.History(), reply=fields.HISTORY)
def bars(call: Call) -> dict[str, Any]:
    """Bars of both dates and between, ascending. Timestamps are the bar's opening second; a day's is 00:00 UTC."""
    body = call.body
    found = _candles(
        call,
        body["symbol"],
        body["exchange"],
        body["interval"],
        (body["start_date"], body["end_date"]),
        body["source"],
    )
    return {"status": "success", "data": [fields.candle(bar) for bar in found]}


@history.post("/intervals", Keyed(), reply=fields.INTERVAL_LIST)
def intervals(call: Call) -> dict[str, Any]:
    """The bar lengths that /history answers for this account."""
    return {"status": "success", "data": fields.intervals(call.platform.history.intervals(call.caller))}


@history.get(
    "/ticker/<symbol>",
    fields.Ticker(),
    reply=fields.HISTORY,
    media=("application/json", "text/plain"),
    text_format="txt",
)
def ticker(call: Call) -> dict[str, Any] | Response:
    """Bars for importers: JSON, or with format=txt one line a bar. Long ranges are shortened at their start."""
    body = call.body
    exchange, _, symbol = body["symbol"].partition(":")
    interval = body["interval"]
    dates = (fields.clamped(body["start"], body["end"], interval), body["end"])
    found = _candles(call, symbol, exchange.upper(), interval, dates, "api")
    if body["format"] == "txt":
        text = fields.lines(f"{exchange.upper()}:{symbol}", found, interval)
        return Response(text, mimetype="text/plain")
    return {"status": "success", "data": [fields.candle(bar) for bar in found]}


def _candles(
    call: Call, symbol: str, exchange: str, interval: str, dates: tuple[Any, Any], source: str
) -> list[Candle]:
    """Raises InvalidRequest also for an interval that the broker does not keep: another one would be answered."""
    try:
        return call.platform.history.candles(call.caller, symbol, exchange, interval, *dates, source)
    except NotSupported as error:
        raise InvalidRequest(str(error), "interval") from error

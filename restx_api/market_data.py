"""Quotes and depth: always of the account's own feed, never in analyze shape."""

from __future__ import annotations

from typing import Any

from domain.errors import PlatformError
from domain.model import Exchange
from restx_api import errors
from restx_api.door import Call, Subject
from restx_api.errors import Answer
from restx_api.fields import market_data as fields

market_data = Subject("Market data")


@market_data.post("/quotes", fields.Instrument(), reply=fields.QUOTE)
def quotes(call: Call) -> dict[str, Any]:
    """The latest quote of one instrument."""
    found = call.platform.market_data.quote(call.caller, call.body["symbol"], Exchange(call.body["exchange"]))
    return {"status": "success", "data": fields.quote(found)}


@market_data.post("/multiquotes", fields.Instruments(), reply=fields.QUOTES)
def multiquotes(call: Call) -> Answer | dict[str, Any]:
    """The latest quotes of several instruments; those that are not known come first, each with its error."""
    asked = call.body["symbols"]
    pairs = [(pair["symbol"], Exchange(pair["exchange"])) for pair in asked]
    found = call.platform.market_data.quotes(call.caller, pairs)
    good, bad = [], []
    for pair, answer in zip(asked, found, strict=True):
        if isinstance(answer, PlatformError):
            bad.append({**pair, "error": str(answer)})
        else:
            good.append({**pair, "data": fields.quote(answer)})
    return {"status": "success", "results": bad + good} if good else errors.no_quotes(bad)


@market_data.post("/depth", fields.Instrument(), reply=fields.DEPTH)
def depth(call: Call) -> dict[str, Any]:
    """Five levels of the market's book on each side."""
    found = call.platform.market_data.depth(call.caller, call.body["symbol"], Exchange(call.body["exchange"]))
    return {"status": "success", "data": fields.depth(found)}

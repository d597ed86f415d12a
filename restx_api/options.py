"""Options: orders by words, the contract an offset names, chains, synthetic futures, greeks."""

from __future__ import annotations

from typing import Any

from domain.model import Exchange, InstrumentKind
from restx_api import errors
from restx_api.door import Call, Subject
from restx_api.errors import Answer, Style
from restx_api.fields import option_replies as replies
from restx_api.fields import options as fields

options = Subject("Options")

_STYLE: dict[str, Any] = {"style": Style.C, "unknown_instrument": 404}
_TRADE: dict[str, Any] = {**_STYLE, "scope": "trade", "sandboxed": True, "limit": "order"}
_GREEKS: dict[str, Any] = {"style": Style.D, "denied": 401, "unknown_instrument": 404}


@options.post("/optionsorder", fields.OptionsOrder(), reply=replies.ORDER, **_TRADE)
def optionsorder(call: Call) -> Answer | dict[str, Any]:
    """Place the option that an offset from the money names, whole or as children of `splitsize`."""
    wish = fields.wish(call.body, None)
    answer = call.platform.option_orders.place(
        call.caller, fields.asked(call.body), wish, key=call.key, body_hash=call.body_hash
    )
    if answer.approval_id is not None:
        return errors.queued(answer.approval_id)
    leg = answer.legs[0]
    if wish.size:
        return replies.split(call.body, leg, answer.underlying_price)
    said = errors.placed(leg.children[0][1], call.body["underlying"])
    if said.status != 200:
        return said
    return {**said.body, **replies.placed(call.body, leg, answer.underlying_price)}


@options.post("/optionsmultiorder", fields.OptionsMultiOrder(), reply=replies.MULTI_ORDER, **_TRADE)
def optionsmultiorder(call: Call) -> dict[str, Any]:
    """Place 1 to 20 option legs, BUYs first; a leg that fails does not stop the others."""
    wishes = [fields.wish(leg, call.body["expiry_date"]) for leg in call.body["legs"]]
    answer = call.platform.option_orders.place_many(
        call.caller, fields.asked(call.body), wishes, key=call.key, body_hash=call.body_hash
    )
    if answer.approval_id is not None:
        return errors.queued(answer.approval_id)
    mode = call.caller.account.mode
    return replies.multi_order(call.body["underlying"], answer.legs, answer.underlying_price, mode)


@options.post("/optionsymbol", fields.OptionSymbol(), reply=replies.OPTION_SYMBOL, **_STYLE)
def optionsymbol(call: Call) -> dict[str, Any]:
    """The option that an offset from the money names."""
    body = call.body
    found = call.platform.options.choose(
        call.caller,
        body["underlying"],
        Exchange(body["exchange"]),
        body["offset"],
        InstrumentKind(body["option_type"]),
        expiry=body["expiry_date"],
        strike_step=body["strike_int"],
    )
    return replies.option_symbol(found)


@options.post("/optionchain", fields.OptionChain(), reply=replies.CHAIN, **_STYLE)
def optionchain(call: Call) -> dict[str, Any]:
    """Calls and puts of one expiry by strike, with quotes and, when asked, greeks."""
    body = call.body
    found = call.platform.option_chains.chain(
        call.caller,
        body["underlying"],
        Exchange(body["exchange"]),
        body["expiry_date"],
        strike_count=body["strike_count"],
        with_greeks=body["with_greeks"],
        interest_rate=float(body["interest_rate"] or 0),
    )
    return replies.chain(found, with_greeks=body["with_greeks"])


@options.post("/syntheticfuture", fields.SyntheticFuture(), reply=replies.SYNTHETIC, **_STYLE)
def syntheticfuture(call: Call) -> dict[str, Any]:
    """What the call and put at the money say the future costs. No order is placed."""
    body = call.body
    found = call.platform.options.synthetic(
        call.caller, body["underlying"], Exchange(body["exchange"]), body["expiry_date"]
    )
    return replies.synthetic(found)


@options.post("/optiongreeks", fields.OneGreeks(), reply=replies.GREEKS, limit="greeks", **_GREEKS)
def optiongreeks(call: Call) -> dict[str, Any]:
    """Implied volatility and greeks of one option by Black-76."""
    body = call.body
    forward = body["forward_price"]
    found = call.platform.option_greeks.one(
        call.caller,
        fields.greeks_request(body),
        interest_rate=float(body["interest_rate"] or 0),
        forward=float(forward) if forward else None,
        expiry_time=body["expiry_time"],
    )
    return replies.greeks(found)


@options.post("/multioptiongreeks", fields.ManyGreeks(), reply=replies.MANY_GREEKS, **_GREEKS)
def multioptiongreeks(call: Call) -> dict[str, Any]:
    """Implied volatility and greeks of 1 to 50 options; what cannot be valued does not stop the others."""
    body = call.body
    found = call.platform.option_greeks.many(
        call.caller,
        [fields.greeks_request(item) for item in body["symbols"]],
        interest_rate=float(body["interest_rate"] or 0),
        expiry_time=body["expiry_time"],
    )
    return replies.many_greeks(body["symbols"], found)

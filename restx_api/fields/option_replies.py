"""What is answered about options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain import symbols
from domain.errors import PlatformError
from domain.model import Instrument
from restx_api.fields import plans, records
from restx_api.fields.base import EXCHANGES
from restx_api.fields.shapes import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    array,
    nullable,
    obj,
    one_of,
    sandboxed,
    success,
)
from services.option_chain import Chain, Row
from services.option_chain import Leg as ChainLeg
from services.option_greeks import OptionGreeks, Valued
from services.option_orders import Leg
from services.options import Choice, Synthetic

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _contract(instrument: Instrument) -> dict[str, Any]:
    return {"lotsize": instrument.lot_size, "tick_size": float(instrument.tick_size)}


def option_symbol(found: Choice) -> dict[str, Any]:
    """The contract that an offset names."""
    instrument = found.instrument
    freeze = instrument.freeze_quantity
    return {
        "status": "success",
        "symbol": instrument.symbol,
        "exchange": instrument.exchange,
        **_contract(instrument),
        "freeze_qty": instrument.lot_size if freeze is None else freeze,
        "underlying_ltp": found.underlying_price,
    }


def synthetic(found: Synthetic) -> dict[str, Any]:
    """A future made of options."""
    return {
        "status": "success",
        "underlying": found.underlying,
        "underlying_ltp": found.underlying_price,
        "expiry": symbols.expiry_text(found.expiry),
        "atm_strike": float(found.strike),
        "synthetic_future_price": round(found.price, 2),
    }


def placed(given: dict[str, Any], leg: Leg, price: float | None) -> dict[str, Any]:
    """The reply about one option order that was not split; its outcome is added."""
    request = leg.children[0][0]
    return {
        "symbol": request.symbol,
        "exchange": request.exchange,
        "underlying": given["underlying"],
        "underlying_ltp": price,
        "offset": given["offset"],
        "option_type": given["option_type"],
    }


def split(given: dict[str, Any], leg: Leg, price: float | None) -> dict[str, Any]:
    """The reply about one option order that was split."""
    rows = plans.children(leg.children)
    sizes = {"total_quantity": given["quantity"], "split_size": given["splitsize"], "results": rows}
    return {"status": "success", **placed(given, leg, price), **sizes, "summary": plans.summary(rows)}


def multi_order(underlying: str, legs: Sequence[Leg], price: float | None, mode: str) -> dict[str, Any]:
    """The reply about several legs, in the order asked."""
    rows = [_leg_result(number, leg, mode) for number, leg in enumerate(legs, 1)]
    about = {"status": "success", "underlying": underlying, "underlying_ltp": price}
    return {**about, "results": rows, "summary": plans.summary(rows)}


def _leg_result(number: int, leg: Leg, mode: str) -> dict[str, Any]:
    """What became of one leg of several, numbered from 1 in the order asked."""
    wanted = leg.wish
    row = {"leg": number, "offset": wanted.offset, "option_type": wanted.kind, "action": wanted.side}
    if leg.choice is None:
        return {**row, "status": "error", "message": leg.why}
    request = leg.children[0][0]
    row |= {
        "symbol": request.symbol,
        "exchange": request.exchange,
        "product": request.product,
        "mode": mode,
    }
    if not wanted.size:
        return {**row, **plans.outcome(leg.children[0][1])}
    children = plans.children(leg.children)
    any_taken = any(child["status"] != "error" for child in children)
    return {
        **row,
        "status": "success" if any_taken else "error",
        "total_quantity": records.quantity(wanted.quantity),
        "split_size": records.quantity(wanted.size),
        "split_results": children,
    }


def chain(found: Chain, *, with_greeks: bool) -> dict[str, Any]:
    """A chain's reply; rows ascend by strike."""
    return {
        "status": "success",
        "underlying": found.underlying.base,
        "underlying_symbol": found.underlying.symbol,
        "underlying_exchange": found.underlying.exchange,
        "underlying_ltp": records.seen(found.underlying_quote.last_price),
        "underlying_prev_close": records.seen(found.underlying_quote.close),
        "expiry_date": symbols.expiry_text(found.expiry),
        "expiry_ts": int(found.expires_at.timestamp()),
        "server_ts": int(found.at.timestamp()),
        "atm_strike": float(found.at_the_money),
        "quotes_included": True,
        "greeks_included": with_greeks,
        "forward_price": None if found.forward is None else round(found.forward, 2),
        "chain": [_row(row) for row in found.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    return {"strike": float(row.strike), "ce": _leg(row.call), "pe": _leg(row.put)}


def _leg(leg: ChainLeg | None) -> dict[str, Any] | None:
    if leg is None:
        return None
    quote = leg.quote
    seen = {
        "ltp": records.seen(quote.last_price) if quote else 0.0,
        "bid": records.seen(quote.bid) if quote else 0.0,
        "ask": records.seen(quote.ask) if quote else 0.0,
        "bid_qty": quote.bid_quantity if quote else 0,
        "ask_qty": quote.ask_quantity if quote else 0,
        "open": records.seen(quote.open) if quote else 0.0,
        "high": records.seen(quote.high) if quote else 0.0,
        "low": records.seen(quote.low) if quote else 0.0,
        "prev_close": records.seen(quote.close) if quote else 0.0,
        "volume": quote.volume if quote else 0,
        "oi": quote.open_interest if quote else 0,
    }
    row = {"symbol": leg.instrument.symbol, "label": leg.label, **seen, **_contract(leg.instrument)}
    if leg.valued is None:
        return row
    return {
        **row,
        "implied_volatility": round(leg.valued.implied_volatility, 2),
        **_greeks(leg.valued, rho=False),
    }


def _greeks(valued: Valued, *, rho: bool) -> dict[str, float]:
    found = valued.greeks
    rounded = {
        "delta": round(found.delta, 4),
        "gamma": round(found.gamma, 6),
        "theta": round(found.theta, 4),
        "vega": round(found.vega, 4),
    }
    return {**rounded, "rho": round(found.rho, 6)} if rho else rounded


def greeks(found: OptionGreeks) -> dict[str, Any]:
    """One option, valued. `spot_price` is the forward it was valued on."""
    instrument, valued = found.instrument, found.valued
    expiry = f"{found.expiry.day:02d}-{_MONTHS[found.expiry.month - 1]}-{found.expiry.year}"
    answer = {
        "status": "success",
        "symbol": instrument.symbol,
        "exchange": instrument.exchange,
        "underlying": instrument.name,
        "strike": float(instrument.strike or 0),
        "option_type": instrument.kind,
        "expiry_date": expiry,
        "days_to_expiry": round(found.days_to_expiry, 4),
        "spot_price": round(found.forward, 2),
        "option_price": round(found.option_price, 2),
        "interest_rate": round(found.interest_rate, 2),
        "implied_volatility": round(valued.implied_volatility, 2),
        "greeks": _greeks(valued, rho=True),
    }
    if valued.intrinsic_value is not None and valued.time_value is not None:
        answer |= {
            "intrinsic_value": round(valued.intrinsic_value, 2),
            "time_value": round(valued.time_value, 2),
        }
    return {**answer, "note": valued.note} if valued.note else answer


def many_greeks(asked_for: list[dict[str, Any]], found: list[OptionGreeks | PlatformError]) -> dict[str, Any]:
    """Several options, in the order asked, and how many could be valued."""
    rows = [
        {"status": "error", "symbol": item["symbol"], "exchange": item["exchange"], "message": str(answer)}
        if isinstance(answer, PlatformError)
        else greeks(answer)
        for item, answer in zip(asked_for, found, strict=True)
    ]
    failed = sum(row["status"] == "error" for row in rows)
    good = len(rows) - failed
    answer = {
        "status": "success" if not failed else "partial" if good else "error",
        "data": rows,
        "summary": {"total": len(rows), "success": good, "failed": failed},
    }
    return {**answer, "message": f"{failed} of {len(rows)} options could not be valued"} if failed else answer


_CONTRACT = {"lotsize": INTEGER, "tick_size": NUMBER}
_CODE = one_of(*EXCHANGES)
_SIDE = one_of("CE", "PE")
_SEEN = {
    **dict.fromkeys(("ltp", "bid", "ask", "open", "high", "low", "prev_close"), NUMBER),
    **dict.fromkeys(("bid_qty", "ask_qty", "volume", "oi"), INTEGER),
}
_FOUR = dict.fromkeys(("delta", "gamma", "theta", "vega"), NUMBER)
_LEG = nullable(
    obj({"symbol": STRING, "label": STRING, **_SEEN, **_CONTRACT}, {"implied_volatility": NUMBER, **_FOUR})
)
_VALUED = {
    "symbol": STRING,
    "exchange": _CODE,
    "underlying": STRING,
    "strike": NUMBER,
    "option_type": _SIDE,
    "expiry_date": STRING,
    "days_to_expiry": NUMBER,
    "spot_price": NUMBER,
    "option_price": NUMBER,
    "interest_rate": NUMBER,
    "implied_volatility": NUMBER,
    "greeks": obj({**_FOUR, "rho": NUMBER}),
}
_WORN = {"intrinsic_value": NUMBER, "time_value": NUMBER, "note": STRING}
_ABOUT = {
    "symbol": STRING,
    "exchange": _CODE,
    "underlying": STRING,
    "underlying_ltp": nullable(NUMBER),
    "offset": STRING,
    "option_type": _SIDE,
}
_SPLIT = {
    "total_quantity": INTEGER,
    "split_size": INTEGER,
    "results": array(plans.CHILD),
    "summary": plans.SUMMARY,
}
_LEG_RESULT = obj(
    {
        **plans.OUTCOME,
        "leg": INTEGER,
        "offset": STRING,
        "option_type": _SIDE,
        "action": one_of("BUY", "SELL"),
    },
    {
        **dict.fromkeys(("symbol", "message", "orderid"), STRING),
        "exchange": _CODE,
        "product": one_of("MIS", "NRML"),
        "mode": one_of("live", "analyze"),
        "total_quantity": NUMBER,
        "split_size": NUMBER,
        "split_results": array(plans.CHILD),
    },
)

OPTION_SYMBOL = success(
    {"symbol": STRING, "exchange": _CODE, **_CONTRACT, "freeze_qty": INTEGER, "underlying_ltp": NUMBER}
)
SYNTHETIC = success(
    {
        "underlying": STRING,
        "underlying_ltp": NUMBER,
        "expiry": STRING,
        "atm_strike": NUMBER,
        "synthetic_future_price": NUMBER,
    }
)
CHAIN = success(
    {
        "underlying": STRING,
        "underlying_symbol": STRING,
        "underlying_exchange": _CODE,
        "underlying_ltp": NUMBER,
        "underlying_prev_close": NUMBER,
        "expiry_date": STRING,
        "expiry_ts": INTEGER,
        "server_ts": INTEGER,
        "atm_strike": NUMBER,
        "quotes_included": BOOLEAN,
        "greeks_included": BOOLEAN,
        "forward_price": nullable(NUMBER),
        "chain": array(obj({"strike": NUMBER, "ce": _LEG, "pe": _LEG})),
    }
)
GREEKS = success(_VALUED, _WORN)
MANY_GREEKS = obj(
    {
        "status": one_of("success", "partial", "error"),
        "data": array(
            obj(
                {"status": one_of("success", "error"), "symbol": STRING},
                {**_VALUED, **_WORN, "message": STRING},
            )
        ),
        "summary": plans.SUMMARY,
    },
    {"message": STRING},
)
ORDER = sandboxed(
    obj(
        {"status": one_of("success", "pending")},
        {**_ABOUT, **_SPLIT, **plans.QUEUED, "orderid": STRING, "state": STRING},
    )
)
MULTI_ORDER = sandboxed(
    success(
        {},
        {
            "underlying": STRING,
            "underlying_ltp": nullable(NUMBER),
            "results": array(_LEG_RESULT),
            "summary": plans.SUMMARY,
            **plans.QUEUED,
        },
    )
)

"""The option chain: calls and puts of one expiry round the money, with open interest, greeks and a basket."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from flask import render_template, request

from blueprints.access import browser, caller, pages, platform, today, user
from blueprints.problems import Problem, Read, attempt
from domain.errors import InvalidRequest
from domain.model import Exchange
from services.option_chain import Chain, Leg, Row

blueprint = pages("options", prefix="/options")

_UNDERLYINGS = (
    ("NIFTY", "NFO"),
    ("BANKNIFTY", "NFO"),
    ("FINNIFTY", "NFO"),
    ("SENSEX", "BFO"),
    ("CRUDEOIL", "MCX"),
    ("USDINR", "CDS"),
)
_SIDES = (8, 15, 25)
_FEW_EXPIRIES = 6


@dataclass(frozen=True, slots=True)
class Sums:
    """What the chain says as a whole, over the strikes that are shown. None where nothing is quoted."""

    call_interest: int
    put_interest: int
    ratio: float | None
    max_pain: Decimal | None
    volatility: float | None
    straddle: float | None
    largest: int


@blueprint.get("")
def chain() -> str:
    """The chain of the address; NIFTY's nearest expiry by default."""
    name = request.args.get("underlying", "NIFTY").strip().upper()[:32]
    exchange = request.args.get("exchange") or dict(_UNDERLYINGS).get(name, "NFO")
    expiries: Read[list[date]] = attempt(lambda: _expiries(name, exchange), [])
    expiry = _chosen(expiries.value)
    count = _count()
    read: Read[Chain | None] = Read(None, expiries.problem)
    if expiry is not None:
        read = attempt(lambda: _chain(name, exchange, expiry, count), None)
    part = request.args.get("part") == "table"
    return render_template(
        "options/table.html" if part else "options/chain.html",
        section="options",
        name=name,
        exchange=exchange,
        underlyings=_UNDERLYINGS,
        expiries=expiries.value[:_FEW_EXPIRIES],
        more_expiries=expiries.value[_FEW_EXPIRIES:],
        expiry=expiry,
        days=None if expiry is None else (expiry - today()).days,
        chain=read.value,
        problem=read.problem or (Problem(f"No options of {name} on {exchange}.") if expiry is None else None),
        sums=None if read.value is None else _sums(read.value),
        count=count,
        counts=_SIDES,
        baskets=browser().baskets.listed(user().id),
    )


def _expiries(name: str, exchange: str) -> list[date]:
    if exchange not in set(Exchange):
        raise InvalidRequest(f"There is no exchange {exchange}.", "exchange")
    venue = caller().account.venue
    return list(platform().instruments.expiries(venue, name, Exchange(exchange), "options"))


def _chosen(expiries: list[date]) -> date | None:
    asked = request.args.get("expiry", "")
    return next((one for one in expiries if one.isoformat() == asked), expiries[0] if expiries else None)


def _count() -> int:
    asked = request.args.get("strikes", "")
    return int(asked) if asked.isdigit() and int(asked) in _SIDES else _SIDES[0]


def _chain(name: str, exchange: str, expiry: date, count: int) -> Chain:
    desk = platform().option_chains
    return desk.chain(caller(), name, Exchange(exchange), expiry, strike_count=count, with_greeks=True)


def _sums(chain: Chain) -> Sums:
    calls, puts = ([_interest(getattr(row, side)) for row in chain.rows] for side in ("call", "put"))
    money = next((row for row in chain.rows if row.strike == chain.at_the_money), None)
    total = sum(calls)
    return Sums(
        call_interest=total,
        put_interest=sum(puts),
        ratio=sum(puts) / total if total else None,
        max_pain=_max_pain(chain) if total or sum(puts) else None,
        volatility=_volatility(money),
        straddle=_straddle(money),
        largest=max([*calls, *puts, 1]),
    )


def _interest(leg: Leg | None) -> int:
    return leg.quote.open_interest if leg is not None and leg.quote is not None else 0


def _volatility(row: Row | None) -> float | None:
    legs = [leg for leg in ((row.call, row.put) if row else ()) if leg is not None and leg.valued is not None]
    found = [leg.valued.implied_volatility for leg in legs if leg.valued is not None]
    found = [one for one in found if one > 0]
    return sum(found) / len(found) if found else None


def _straddle(row: Row | None) -> float | None:
    """What the call and the put at the money cost together: about how far the market expects to move."""
    legs = (row.call, row.put) if row else ()
    prices = [leg.quote.last_price for leg in legs if leg is not None and leg.quote is not None]
    return sum(prices) if len(prices) == 2 else None


def _max_pain(chain: Chain) -> Decimal:
    """The strike at which the options that are shown would pay the least."""

    def pays(at: Decimal) -> Decimal:
        return sum(
            (
                max(at - row.strike, Decimal(0)) * _interest(row.call)
                + max(row.strike - at, Decimal(0)) * _interest(row.put)
                for row in chain.rows
            ),
            Decimal(0),
        )

    return min((row.strike for row in chain.rows), key=pays)

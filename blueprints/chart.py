"""Bars for the chart, and the lines that orders and positions draw on it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from flask import Response, jsonify, request

from blueprints.access import caller, pages, platform
from blueprints.problems import Read, attempt, problem_of
from domain.clock import IST
from domain.errors import PlatformError
from domain.model import Order, Position, Side

blueprint = pages("chart", prefix="/chart")

_DAYS = {"1m": 3, "3m": 5, "5m": 8, "10m": 14, "15m": 20, "30m": 40, "1h": 90, "D": 730, "W": 1800, "M": 3650}
_MOST_BARS = 3000


@blueprint.get("/bars")
def bars() -> Response:
    """`bars` as [start, open, high, low, close, volume], oldest first; `until` pages further back."""
    here, asked = caller(), request.args
    interval = asked.get("interval", "5m")
    end = _day(asked.get("until", "")) or platform().clock.now().astimezone(IST).date()
    start = end - timedelta(days=_DAYS.get(interval, 8))
    try:
        found = platform().history.candles(
            here, asked.get("symbol", ""), asked.get("exchange", ""), interval, start, end, "api"
        )
    except PlatformError as error:
        answer = jsonify(error=problem_of(error).words)
        answer.status_code = problem_of(error).status
        return answer
    rows = [[c.start, c.open, c.high, c.low, c.close, c.volume] for c in found[-_MOST_BARS:]]
    return jsonify(bars=rows, interval=interval, start=start.isoformat(), lines=_lines())


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _lines() -> list[dict[str, Any]]:
    """What the account has at this instrument: position averages and working orders' prices."""
    here, key = caller(), (request.args.get("exchange", ""), request.args.get("symbol", ""))
    positions: Read[list[Position]] = attempt(lambda: platform().portfolio.positions(here), [])
    orders: Read[list[Order]] = attempt(lambda: platform().orders.book(here), [])
    lines: list[dict[str, Any]] = [
        {"kind": "position", "price": float(one.average_price), "words": f"{one.quantity.normalize():+f}"}
        for one in positions.value
        if (one.exchange, one.symbol) == key and one.quantity and one.average_price is not None
    ]
    for order in orders.value:
        at = order.price if order.price is not None else order.trigger_price
        if (order.exchange, order.symbol) == key and order.state.is_working and at is not None:
            words = f"{order.side} {order.pending.normalize():f} {order.order_type.lower()}"
            kind = "buy" if order.side is Side.BUY else "sell"
            lines.append({"kind": kind, "price": float(at), "words": words})
    return lines

"""Books, positions, holdings, funds and margin."""

from __future__ import annotations

from typing import Any

from domain.errors import InvalidRequest
from domain.model import Exchange, Product
from restx_api.door import Call, Subject
from restx_api.errors import Style
from restx_api.fields import portfolio as fields
from restx_api.fields import records
from restx_api.fields.base import Keyed

portfolio = Subject("Account")


@portfolio.post("/orderbook", Keyed(), reply=fields.ORDER_BOOK, sandboxed=True)
def orderbook(call: Call) -> dict[str, Any]:
    """Today's orders, newest first."""
    return _data(fields.order_book(call.platform.orders.book(call.caller), on_paper=call.on_paper))


@portfolio.post("/tradebook", Keyed(), reply=fields.TRADE_BOOK, sandboxed=True)
def tradebook(call: Call) -> dict[str, Any]:
    """Today's fills, newest first."""
    return _data([fields.trade(fill) for fill in reversed(call.platform.portfolio.trades(call.caller))])


@portfolio.post("/positionbook", Keyed(), reply=fields.POSITION_BOOK, sandboxed=True)
def positionbook(call: Call) -> dict[str, Any]:
    """Net positions, those closed today included."""
    book = call.platform.portfolio.positions(call.caller)
    totals = fields.position_totals(book) if call.on_paper else {}
    return {**_data([fields.position(held) for held in book]), **totals}


@portfolio.post(
    "/openposition", fields.OpenPosition(), reply=fields.OPEN_POSITION, style=Style.A, sandboxed=True
)
def openposition(call: Call) -> dict[str, Any]:
    """The signed quantity of one position; 0 when there is none."""
    body = call.body
    held = call.platform.portfolio.open_quantity(
        call.caller, body["symbol"], Exchange(body["exchange"]), Product(body["product"])
    )
    return {"status": "success", "quantity": records.quantity(held)}


@portfolio.post("/holdings", Keyed(), reply=fields.HOLDINGS, sandboxed=True)
def holdings(call: Call) -> dict[str, Any]:
    """Delivery shares, settled and settling."""
    return _data(fields.holdings(call.platform.portfolio.holdings(call.caller)))


@portfolio.post("/funds", Keyed(), reply=fields.FUNDS, sandboxed=True)
def funds(call: Call) -> dict[str, Any]:
    """Cash, margin used, profit and loss: two-decimal strings live, numbers on paper."""
    money = call.platform.portfolio.funds(call.caller)
    return _data(fields.paper_funds(money) if call.on_paper else fields.live_funds(money))


@portfolio.post("/margin", fields.MarginOf(), reply=fields.MARGIN, style=Style.A)
def margin(call: Call) -> dict[str, Any]:
    """What 1 to 50 orders together would block."""
    return _data(
        fields.margin(call.platform.portfolio.margin(call.caller, fields.margin_requests(call.body)))
    )


@portfolio.post("/pnl/symbols", Keyed(), reply=fields.PNL, sandboxed=True)
def pnl(call: Call) -> dict[str, Any]:
    """What each symbol of a paper account made today, booked and open."""
    if not call.on_paper:
        raise InvalidRequest("This endpoint answers in analyze mode only")
    book = call.platform.portfolio.positions(call.caller)
    return {**_data([fields.pnl_row(held) for held in book]), **fields.position_totals(book)}


def _data(found: object) -> dict[str, Any]:
    return {"status": "success", "data": found}

"""The first page after signing in: money, P&L, what is open, what needs attention."""

from __future__ import annotations

from flask import render_template

from blueprints.access import caller, pages, platform
from blueprints.problems import Read, attempt
from domain.model import Order, Position
from services.strategy_host import warning

blueprint = pages("dashboard")


@blueprint.get("/dashboard")
def dashboard() -> str:
    """Funds, positions and working orders of the account in front."""
    here, services = caller(), platform()
    funds = attempt(lambda: services.portfolio.funds(here), None)
    positions: Read[list[Position]] = attempt(lambda: services.portfolio.positions(here), [])
    orders: Read[list[Order]] = attempt(lambda: services.orders.book(here), [])
    return render_template(
        "dashboard/dashboard.html",
        section="dashboard",
        funds=funds,
        positions=positions,
        open_positions=[row for row in positions.value if row.quantity],
        orders=orders,
        working=[order for order in orders.value if order.state.is_working],
        warning=warning() if services.strategy_host.any_uploaded() else "",
        keys=services.accounts.keys_of(here.user_id),
    )

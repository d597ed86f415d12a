"""What an order would cost in taxes and fees, said before it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from broker.paper.booked import BookedOrder, Line
from broker.paper.charges import ChargeBook
from broker.paper.rules import BROKERAGES, OrderTerms
from domain.model import Instrument, OrderType, Product, Side

TARIFFS = BROKERAGES[1:]


class Charges:
    """The published rates of the day, the same that paper accounts are booked by."""

    def __init__(self, rows: Iterable[Mapping[str, str]]) -> None:
        self._book = ChargeBook(rows)

    def estimate(
        self,
        instrument: Instrument,
        product: Product,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        at: datetime,
        house: str = "",
    ) -> Decimal:
        """Rupees for one order filled at once. `house` is a title of TARIFFS; others add no brokerage."""
        order = BookedOrder(
            account="",
            generation=0,
            order_id="",
            client_order_id="",
            number=0,
            line=Line(instrument, product),
            side=side,
            terms=OrderTerms(quantity=quantity, order_type=OrderType.MARKET, price=None, trigger_price=None),
            strategy="",
            placed_at=at,
            updated_at=at,
            live_at=at,
            filled=quantity,
            value=quantity * price,
        )
        return self._book.of(order, at, house if house in TARIFFS else "")

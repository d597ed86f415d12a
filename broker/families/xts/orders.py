"""XTS's order updates, by the order service's own socket. An update holds what a row of the order book does."""

from __future__ import annotations

from broker.families.xts import wire
from broker.families.xts.socket import XtsSocket, event_object
from broker.order_socket import OrderSocket
from domain.market import Tick


class XtsOrders(OrderSocket, XtsSocket):
    """Tokens: user_id, access_token."""

    def url(self) -> str:
        tokens = self.session.tokens
        return self.address("order_stream", tokens["user_id"], tokens["access_token"], apiType="INTERACTIVE")

    def on_event(self, name: str, payload: object) -> list[Tick]:
        """`trade` and `position` come beside an `order` that says the same."""
        if name == "order":
            self.on_orders([wire.parse_order(event_object(payload), self.find)])
        return []

"""What only Zerodha has: orders of other varieties, and a plan without market data."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from domain.errors import BrokerError, SessionOver
from domain.model import CancelOrder, OrderState
from domain.outcomes import Accepted, Refused
from tests.broker.contract.world import World


@pytest.fixture
def world() -> Iterator[World]:
    made = World("zerodha")
    yield made
    made.close()


def test_an_order_of_another_variety_is_ended_under_its_own(world: World) -> None:
    form = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": "1", "product": "MIS",
            "order_type": "LIMIT", "price": "1400"}  # fmt: skip
    tokens = world.tokens.values
    headers = {"Authorization": f"token {tokens['api_key']}:{tokens['access_token']}"}
    url = world.simulator.urls["rest"] + "/orders/amo"
    order_id = requests.post(url, form, headers=headers, timeout=5).json()["data"]["order_id"]
    wish = CancelOrder(client_order_id="c", order_id=order_id)
    assert world.broker.cancel(wish) == Accepted(order_id)
    assert world.order(order_id).state is OrderState.CANCELLED
    assert isinstance(world.broker.cancel(wish), Refused)


def test_a_plan_without_market_data_is_not_an_ended_session(world: World) -> None:
    world.simulator.failure = lambda *_: _permission()  # type: ignore[method-assign]
    world.simulator.fail_next("refuse", match="quotes", count=-1)
    with pytest.raises(BrokerError, match="Insufficient permission") as failure:
        world.broker.fetch_depth(world.instrument())
    assert not isinstance(failure.value, SessionOver)


def _permission():  # type: ignore[no-untyped-def]
    from tests.simulators.kite import KiteError

    return KiteError("PermissionException", "Insufficient permission for that call.").answer()


def test_a_plan_without_market_data_says_so_for_a_single_quote_too(world: World) -> None:
    world.simulator.failure = lambda *_: _permission()  # type: ignore[method-assign]
    world.simulator.fail_next("refuse", match="quotes", count=-1)
    with pytest.raises(BrokerError, match="Insufficient permission"):
        world.broker.fetch_quotes([world.instrument()])

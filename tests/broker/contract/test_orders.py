"""Orders: what is declared is taken and listed as it was asked; what is not declared never leaves."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.errors import NotSupported
from domain.model import QUOTE_ONLY, CancelOrder, Exchange, OrderState, OrderType, Product, Side
from domain.outcomes import Accepted, Refused
from tests.broker.contract.world import World


def _sent_as(world: World, order_type: OrderType) -> OrderType:
    """What the broker is told: protected types go as limits."""
    if order_type not in world.can.protect:
        return order_type
    return {OrderType.MARKET: OrderType.LIMIT, OrderType.STOP_MARKET: OrderType.STOP_LIMIT}[order_type]


@pytest.mark.parametrize("order_type", OrderType)
def test_a_placed_order_is_listed(world: World, order_type: OrderType) -> None:
    request = world.request(order_type=order_type)
    if order_type not in world.can.order_types:
        with pytest.raises(NotSupported):
            world.broker.place(request)
        assert world.simulator.requests == []
        return
    listed = world.order(world.placed(request))
    assert listed.order_type is _sent_as(world, order_type)
    assert (listed.symbol, listed.exchange, listed.side) == ("INFY", Exchange.NSE, Side.BUY)
    assert (listed.quantity, listed.product) == (request.quantity, request.product)
    if order_type.has_trigger:
        assert listed.trigger_price == request.trigger_price
        assert listed.state is OrderState.TRIGGER_PENDING
    if order_type is OrderType.LIMIT:
        assert (listed.price, listed.state, listed.filled) == (request.price, OrderState.OPEN, 0)
    if order_type is OrderType.MARKET:
        assert listed.state is OrderState.COMPLETE
        assert listed.filled == request.quantity and listed.average_price


@pytest.mark.parametrize("product", Product)
def test_products_keep_their_meaning(world: World, product: Product) -> None:
    exchange = Exchange.NFO if product is Product.CARRY else Exchange.NSE
    instrument = world.one_of(exchange)
    if instrument is None:
        pytest.skip(f"no {exchange}")
    request = world.request(instrument=instrument, product=product)
    if product not in world.can.products:
        with pytest.raises(NotSupported):
            world.broker.place(request)
        return
    assert world.order(world.placed(request)).product is product


@pytest.mark.reads("positions")
@pytest.mark.parametrize("side", Side)
def test_sides_keep_their_meaning(world: World, side: Side) -> None:
    order_id = world.placed(world.request(side=side, rests=False))
    assert world.order(order_id).side is side
    (position,) = [p for p in world.broker.fetch_positions() if p.symbol == "INFY"]
    assert position.quantity == side.sign


@pytest.mark.parametrize("exchange", Exchange)
def test_every_declared_exchange_takes_orders_in_its_own_spelling(world: World, exchange: Exchange) -> None:
    if exchange not in world.can.exchanges or exchange in QUOTE_ONLY:
        one = replace(world.instrument(), exchange=exchange)
        if exchange not in world.can.exchanges:
            with pytest.raises(NotSupported):
                world.broker.place(replace(world.request(), instrument=one))
        assert world.simulator.requests == []
        return
    listed = [one for key, one in world.instruments.items() if key[0] is exchange]
    for one in listed:
        order = world.order(world.placed(world.request(instrument=one)))
        assert (order.exchange, order.symbol) == (exchange, one.symbol)


def test_the_tag_comes_back_where_the_broker_carries_one(world: World) -> None:
    request = world.request()
    order = world.order(world.placed(request))
    assert order.client_order_id == (request.client_order_id if world.manifest.limits.tag else "")


def test_a_modified_order_has_its_new_terms(world: World) -> None:
    request = world.request()
    order_id = world.placed(request)
    change = world.change(request, order_id, quantity=request.quantity * 3, price=request.price - 1)
    if not world.can.modify:
        with pytest.raises(NotSupported):
            world.broker.modify(change)
        return
    assert isinstance(world.broker.modify(change), Accepted)
    listed = world.order(order_id)
    assert (listed.quantity, listed.price) == (change.quantity, change.price)


def test_a_limit_may_become_a_stop(world: World) -> None:
    if not world.can.modify or OrderType.STOP_LIMIT not in world.can.order_types:
        pytest.skip("not declared")
    order_id = world.placed(world.request())
    stop = world.request(order_type=OrderType.STOP_LIMIT)
    assert isinstance(world.broker.modify(world.change(stop, order_id)), Accepted)
    listed = world.order(order_id)
    assert (listed.order_type, listed.trigger_price) == (OrderType.STOP_LIMIT, stop.trigger_price)
    assert listed.state is OrderState.TRIGGER_PENDING


def test_a_cancelled_order_is_cancelled(world: World) -> None:
    order_id = world.placed(world.request())
    assert world.broker.cancel(CancelOrder(client_order_id="c1", order_id=order_id)) == Accepted(order_id)
    listed = world.order(order_id)
    assert listed.state is OrderState.CANCELLED and listed.pending == 0


def test_an_unknown_order_is_refused_with_its_reason(world: World) -> None:
    outcome = world.broker.cancel(CancelOrder(client_order_id="c1", order_id="99999999999999"))
    assert isinstance(outcome, Refused) and outcome.words


def test_a_finished_order_refuses_change_and_cancel(world: World) -> None:
    request = world.request(rests=False)
    order_id = world.placed(request)
    assert world.order(order_id).state is OrderState.COMPLETE
    outcomes = [world.broker.cancel(CancelOrder(client_order_id="c1", order_id=order_id))]
    if world.can.modify:
        outcomes.append(world.broker.modify(world.change(request, order_id, quantity=Decimal(9))))
    assert all(isinstance(outcome, Refused) and outcome.words for outcome in outcomes)


def test_a_partial_fill_is_open_with_what_it_got(world: World) -> None:
    one = world.instrument()
    world.tick(one, world.last_price(one), 3)
    request = world.request(lots=100, rests=False)
    best = world.last_price(one) + one.tick_size
    order_id = world.placed(replace(request, price=best))
    listed = world.order(order_id)
    assert (listed.state, listed.filled, listed.quantity) == (OrderState.OPEN, 3, 100)
    assert listed.average_price == best
    assert listed.pending == 97


def test_a_stop_rests_until_its_trigger_and_then_trades(world: World) -> None:
    if OrderType.STOP_LIMIT not in world.can.order_types:
        pytest.skip("not declared")
    one = world.instrument()
    request = world.request(order_type=OrderType.STOP_LIMIT)
    order_id = world.placed(replace(request, price=request.trigger_price + 10))
    world.tick(one, request.trigger_price - one.tick_size)
    assert world.order(order_id).state is OrderState.TRIGGER_PENDING
    world.tick(one, request.trigger_price)
    assert world.order(order_id).state is OrderState.COMPLETE


@pytest.mark.usefixtures("wire")
def test_a_rejected_order_keeps_the_brokers_words(world: World) -> None:
    world.simulator.fail_next("reject", words="RMS: blocked for the rehearsal")
    outcome = world.broker.place(world.request())
    if isinstance(outcome, Accepted):
        listed = world.order(outcome.order_id)
        assert listed.state is OrderState.REJECTED
        assert "blocked for the rehearsal" in listed.reason
    else:
        assert isinstance(outcome, Refused) and "blocked for the rehearsal" in outcome.words


def test_without_money_nothing_trades_and_the_words_say_so(world: World) -> None:
    world.simulator.set_funds(10)
    outcome = world.broker.place(world.request(lots=100, rests=False))
    words = outcome.words if isinstance(outcome, Refused) else world.order(outcome.order_id).reason
    assert any(word in words.lower() for word in ("fund", "margin", "cash"))
    assert all(order["filled"] == "0" for order in world.taken())


def test_orders_of_the_same_terms_are_two_orders(world: World) -> None:
    first, second = world.placed(world.request()), world.placed(world.request())
    assert first != second
    assert {order.order_id for order in world.broker.fetch_orders()} == {first, second}

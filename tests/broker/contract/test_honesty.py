"""Honesty: what the manifest declares works here, what it does not declare is refused before a byte leaves."""

from __future__ import annotations

from decimal import Decimal

import pytest

from broker.interface import Broker
from domain.errors import NotSupported
from domain.model import Gtt, GttKind, GttLeg, OrderType, PlaceGtt, Product, Side
from domain.outcomes import Accepted, Refused
from tests.broker.contract.world import World

READS = ("orders", "trades", "positions", "holdings", "funds")


@pytest.mark.parametrize("what", READS)
def test_a_read_works_or_is_refused_unsent(world: World, what: str) -> None:
    call = getattr(world.broker, f"fetch_{what}")
    if what in world.can.reads:
        call()
        return
    with pytest.raises(NotSupported):
        call()
    assert world.simulator.requests == []


def test_the_manifest_names_only_what_the_interface_has(world: World) -> None:
    known = {*READS, "quotes", "depth", "candles", "margin", "instruments"}
    assert world.can.reads <= known
    assert world.can.streams <= {"ltp", "quote", "depth", "orders"}
    assert world.can.protect <= world.can.order_types
    assert ("candles" in world.can.reads) == bool(world.can.intervals)
    assert world.can.order_updates in ("stream", "poll")
    assert world.can.postbacks == (world.cls.read_postback.__func__ is not Broker.read_postback.__func__)
    assert not world.has_wire or (world.cls.stream is not None) == bool(world.can.streams)
    assert world.manifest.limits.tag == 0 or world.manifest.limits.tag >= 16


def test_every_instrument_of_the_master_is_of_a_declared_exchange(world: World) -> None:
    assert {one.exchange for one in world.instruments.values()} <= world.can.exchanges


@pytest.mark.usefixtures("wire")
def test_the_master_has_what_the_simulator_lists(world: World) -> None:
    there = {key for key in world.simulator.exchange.instruments if key[0] in world.can.exchanges}
    missing = there - set(world.instruments)
    assert not missing


def _gtt(world: World, kind: GttKind, market: bool = False) -> PlaceGtt:
    one, last = world.instrument(symbol="SBIN"), Decimal("820.5")
    prices = [last - 20] if kind is GttKind.SINGLE else [last - 20, last + 20]
    legs = tuple(
        GttLeg(
            trigger_price=price,
            side=Side.SELL,
            quantity=Decimal(2),
            product=Product.DELIVERY,
            order_type=OrderType.MARKET if market else OrderType.LIMIT,
            price=None if market else price - 1,
        )
        for price in prices
    )
    return PlaceGtt(instrument=one, kind=kind, legs=legs, last_price=last)


@pytest.mark.parametrize("kind", GttKind)
def test_triggers_are_kept_changed_fired_and_removed(world: World, kind: GttKind) -> None:
    wish = _gtt(world, kind)
    if kind.value not in world.can.gtt:
        with pytest.raises(NotSupported):
            world.broker.place_gtt(wish)
        assert world.simulator.requests == []
        return
    first, second = (world.broker.place_gtt(wish) for _ in range(2))
    assert isinstance(first, Accepted) and isinstance(second, Accepted)
    kept: dict[str, Gtt] = {gtt.trigger_id: gtt for gtt in world.broker.fetch_gtts()}
    assert set(kept) == {first.order_id, second.order_id}
    shown = kept[first.order_id]
    assert (shown.kind, shown.status, shown.symbol) == (kind, "active", "SBIN")
    assert [(leg.trigger_price, leg.price) for leg in shown.legs] == [
        (leg.trigger_price, leg.price) for leg in wish.legs
    ]
    assert isinstance(world.broker.cancel_gtt(second.order_id), Accepted)
    assert isinstance(world.broker.modify_gtt(first.order_id, wish), Accepted)
    assert [gtt.trigger_id for gtt in world.broker.fetch_gtts()] == [first.order_id]
    world.tick(wish.instrument, wish.legs[0].trigger_price - 1)
    assert world.broker.fetch_gtts() == []
    (fired,) = world.broker.fetch_orders()
    assert (fired.side, fired.quantity) == (Side.SELL, 2)


def test_a_market_leg_becomes_a_protected_limit(world: World) -> None:
    if not world.can.gtt:
        pytest.skip("not declared")
    assert isinstance(world.broker.place_gtt(_gtt(world, GttKind.SINGLE, market=True)), Accepted)
    (shown,) = world.broker.fetch_gtts()
    (leg,) = shown.legs
    assert leg.order_type is OrderType.LIMIT
    assert leg.price is not None and leg.price < leg.trigger_price


def test_an_unknown_trigger_is_refused(world: World) -> None:
    if world.can.gtt:
        assert isinstance(world.broker.cancel_gtt("424242"), Refused)

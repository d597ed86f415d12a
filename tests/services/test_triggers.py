"""Triggers: fired once, at the right side, for no more than is open, over restarts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from database import triggers as rows
from domain.errors import BrokerUnavailable, InvalidRequest, NotFound
from domain.market import Quote
from domain.model import Exchange, Gtt, GttKind, Mode, OrderState, OrderType, Product, Side
from domain.outcomes import Accepted, Refused
from services.audit import Audit
from services.gate import Admission
from services.trigger_engine import TriggerEngine
from services.trigger_fires import TriggerFires
from services.triggers import Exits, GttRequest, Level, Triggers, keep_with, read_level
from tests.services.order_world import NOW, World, buy

FEED = ("paper", "NSE", "RELIANCE")


class _Socket:
    def poll(self, milliseconds: int) -> int:
        return 0


class _Ticks:
    socket = _Socket()

    def __init__(self) -> None:
        self.topics: set[object] = set()

    def want(self, topic: object) -> None:
        self.topics.add(topic)

    def drop(self, topic: object) -> None:
        self.topics.discard(topic)

    def receive(self) -> list[object]:
        return []


class TriggerWorld(World):
    """The order world with a last price, a position and an engine that can be started again."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.last_price = 1400.0
        self.held = Decimal(0)
        self.triggers = Triggers(
            self.orders_db, self.clock, self, self.orders, self, Audit(self.orders_db, self.clock)
        )
        self.told: list[str] = []
        self.open = True
        self.feed = "paper"
        self.engine = self.start()

    def start(self) -> TriggerEngine:
        self.ticks = _Ticks()
        fires = TriggerFires(self.orders_db, self.clock, self.accounts, self.plans, self, self.tell)
        engine = TriggerEngine(
            self.orders_db,
            self.clock,
            self.accounts,
            self,
            self.orders,
            self,
            self,
            self.ticks,
            self,
            fires,
            self.tell,
        )
        engine.resume()
        engine.refresh()
        return engine

    def see(self, *prices: float) -> None:
        for price in prices:
            self.engine.refresh()
            self.engine.price(FEED, price)

    def broker_for(self, account: object) -> object:
        return self.broker

    def feed_of(self, account: object) -> str:
        return self.feed

    def is_open(self, exchange: object, at: object) -> bool:
        return self.open

    def tell(self, trigger: rows.Trigger, words: str) -> None:
        self.told.append(words)

    def quote(self, caller: object, symbol: str, exchange: str) -> Quote:
        return Quote(
            symbol=symbol,
            exchange=Exchange(exchange),
            last_price=self.last_price,
            open=0,
            high=0,
            low=0,
            close=0,
            volume=0,
            at=NOW,
        )

    def closable(self, *_: object) -> Decimal | None:
        if self.script.book_down:
            raise BrokerUnavailable("scripted", text="no answer")
        return self.held

    def last(self, feed: str, pairs: list[object]) -> list[None]:
        return [None] * len(pairs)

    def enter(self, exits: Exits, quantity: int = 10, fill: str = "1400") -> str:
        """Place a guarded MARKET buy and let it fill."""
        trigger = self.triggers.exits_of(self.caller, buy(quantity), exits)
        admission = Admission(beside=lambda c, intent: keep_with(trigger, c, intent))
        placed = self.orders.place(self.caller, buy(quantity), admission)
        order = replace(
            self.script.orders[placed.order_id],
            state=OrderState.COMPLETE,
            filled=Decimal(quantity),
            average_price=Decimal(fill),
        )
        account = self.caller.account
        self.updates.apply(account.id, account.venue, account.mode, [order], "t")
        self.held = Decimal(quantity)
        self.script.sent.clear()
        return trigger.id

    def trigger(self, trigger_id: str) -> rows.Trigger:
        with self.orders_db.read() as connection:
            found = rows.by_id(connection, trigger_id)
        assert found is not None
        return found


def test_a_gtt_that_is_gone_at_the_broker_can_be_cancelled_here(world: TriggerWorld) -> None:
    can = replace(world.broker.manifest.can, gtt=frozenset({"single"}))
    world.broker.manifest = replace(world.broker.manifest, can=can)
    there: list[Gtt] = []
    world.broker._place_gtt = lambda wish: Accepted("T1")  # type: ignore[method-assign]
    world.broker._cancel_gtt = lambda name: Refused("GONE", "no such trigger")  # type: ignore[method-assign]
    world.broker._fetch_gtts = lambda: there  # type: ignore[method-assign]
    world.caller = replace(world.caller, account=replace(world.caller.account, broker="x", mode=Mode.LIVE))
    kept = world.triggers.place_gtt(world.caller, gtt())
    assert kept.resident_id == "T1"
    there.append(
        Gtt(
            trigger_id="T1",
            kind=GttKind.SINGLE,
            status="active",
            symbol="RELIANCE",
            exchange=Exchange.NSE,
            legs=(),
        )
    )
    with pytest.raises(InvalidRequest, match="no such trigger"):
        world.triggers.cancel_gtt(world.caller, kept.id)
    assert [one.id for one in world.triggers.gtt_book(world.caller)] == [kept.id]
    there.clear()
    world.triggers.cancel_gtt(world.caller, kept.id)
    assert world.triggers.gtt_book(world.caller) == []


@pytest.fixture
def world(tmp_path: Path) -> Iterator[TriggerWorld]:
    made = TriggerWorld(tmp_path)
    yield made
    made.close()


def gtt(**changes: object) -> GttRequest:
    request = GttRequest(
        symbol="RELIANCE",
        exchange=Exchange.NSE,
        side=Side.SELL,
        product=Product.DELIVERY,
        quantity=Decimal(5),
        below=Decimal(1350),
        price=Decimal("1349.50"),
    )
    return replace(request, **changes)  # type: ignore[arg-type]


def test_a_single_gtt_fires_once_at_or_below_its_trigger(world: TriggerWorld) -> None:
    kept = world.triggers.place_gtt(world.caller, gtt())
    world.see(1380.0, 1350.1)
    assert world.script.sent == []
    world.see(1350.0, 1340.0, 1330.0)
    [order] = world.script.sent
    assert (order.order_type, order.price, order.quantity) == (
        OrderType.LIMIT,
        Decimal("1349.50"),
        Decimal(5),
    )
    assert world.trigger(kept.id).state == "triggered"
    assert world.triggers.gtt_book(world.caller) == []


def test_of_an_oco_the_first_leg_ends_the_other(world: TriggerWorld) -> None:
    oco = gtt(above=Decimal(1450), above_price=Decimal(1451), below_price=Decimal(1349), price=None)
    kept = world.triggers.place_gtt(world.caller, oco)
    world.see(1460.0, 1300.0)
    [order] = world.script.sent
    assert order.price == Decimal(1451)
    assert [leg.state for leg in world.trigger(kept.id).legs] == ["cancelled", "triggered"]


def test_a_claimed_leg_is_placed_once_by_the_engine_that_comes_back(world: TriggerWorld) -> None:
    kept = world.triggers.place_gtt(world.caller, gtt())
    world.orders_db.write(lambda c: rows.claim(c, kept.id, "sl", NOW))
    world.engine = world.start()
    world.engine = world.start()
    assert len(world.script.sent) == 1
    assert world.trigger(kept.id).legs[0].order_id == "B1"


def test_two_engines_place_one_order(world: TriggerWorld) -> None:
    world.triggers.place_gtt(world.caller, gtt())
    other = world.start()
    world.see(1340.0)
    other.price(FEED, 1340.0)
    assert len(world.script.sent) == 1


def test_a_cancelled_gtt_never_fires_and_a_foreign_one_is_not_found(world: TriggerWorld) -> None:
    kept = world.triggers.place_gtt(world.caller, gtt())
    stranger = world.accounts.caller_of_user(world.accounts.add_user("ravi", "a long password").id)
    with pytest.raises(NotFound):
        world.triggers.cancel_gtt(stranger, kept.id)
    world.triggers.cancel_gtt(world.caller, kept.id)
    world.see(1000.0)
    assert world.script.sent == []


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (gtt(below=None), "triggerprice_sl"),
        (gtt(above=Decimal(1300), above_price=Decimal(1), below_price=Decimal(1)), "triggerprice_sl"),
        (gtt(product=Product.INTRADAY), "product"),
        (gtt(below=Decimal("1350.05")), "triggerprice_sl"),
        (gtt(symbol="NIFTY", exchange=Exchange.NSE_INDEX), "exchange"),
        (gtt(expires_at=NOW), "expires_at"),
    ],
)
def test_bad_gtts_name_their_field(world: TriggerWorld, request_: GttRequest, field: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        world.triggers.place_gtt(world.caller, request_)
    assert error.value.field == field


def test_exits_wait_for_the_fill_and_count_from_it(world: TriggerWorld) -> None:
    exits = Exits(stop=Level(points=Decimal(10)), target=Level(price=Decimal(1450)))
    trigger_id = world.enter(exits, fill="1402.30")
    world.see(1400.0)
    assert world.trigger(trigger_id).state == "active"
    world.see(1392.4)
    assert world.script.sent == []
    world.see(1392.3)
    [order] = world.script.sent
    assert (order.side, order.quantity, order.order_type) == (Side.SELL, Decimal(10), OrderType.MARKET)


def test_an_exit_closes_no_more_than_is_open(world: TriggerWorld) -> None:
    world.enter(Exits(stop=Level(price=Decimal(1390))))
    world.held = Decimal(4)
    world.see(1380.0)
    assert [order.quantity for order in world.script.sent] == [Decimal(4)]


def test_an_exit_of_a_closed_position_sends_nothing(world: TriggerWorld) -> None:
    trigger_id = world.enter(Exits(stop=Level(price=Decimal(1390))))
    world.held = Decimal(0)
    world.see(1380.0)
    assert world.script.sent == []
    assert world.trigger(trigger_id).legs[0].message == "The position was closed already."


def test_an_exit_waits_while_the_position_cannot_be_read(world: TriggerWorld) -> None:
    world.enter(Exits(stop=Level(price=Decimal(1390))))
    world.script.book_down = True
    world.see(1380.0)
    assert world.script.sent == []
    world.script.book_down = False
    world.clock.sleep(1)
    world.see(1379.0)
    assert len(world.script.sent) == 1


def test_a_trailing_stop_follows_the_best_price_over_a_restart(world: TriggerWorld) -> None:
    world.enter(Exits(trail=Level(points=Decimal(20))))
    world.see(1410.0, 1430.0, 1415.0)
    world.engine.each_second()
    world.engine = world.start()
    world.see(1410.1)
    assert world.script.sent == []
    world.see(1410.0)
    assert len(world.script.sent) == 1


def test_a_silent_feed_is_answered_by_quotes_and_says_so(world: TriggerWorld) -> None:
    kept = world.triggers.place_gtt(world.caller, gtt())
    world.see(1400.0)
    world.clock.sleep(4)
    world.engine.each_second()
    assert world.trigger(kept.id).degraded
    world.last_price = 1340.0
    world.clock.sleep(4)
    world.engine.each_second()
    assert len(world.script.sent) == 1


@pytest.mark.parametrize(
    ("exits", "field"),
    [
        (Exits(stop=Level(price=Decimal(1500))), "stoploss"),
        (Exits(target=Level(price=Decimal(1300))), "target"),
        (Exits(stop=Level(points=Decimal(5000))), "stoploss"),
        (Exits(stop=Level(points=Decimal(5)), trail=Level(points=Decimal(5))), "trailing_sl"),
    ],
)
def test_exits_on_the_wrong_side_name_their_field(world: TriggerWorld, exits: Exits, field: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        world.triggers.exits_of(world.caller, buy(), exits)
    assert error.value.field == field


def test_levels_are_prices_or_points() -> None:
    assert read_level("stoploss", "1450.5") == Level(price=Decimal("1450.5"))
    assert read_level("target", "12.5pt") == Level(points=Decimal("12.5"))
    for bad in ("0", "-5", "nan", "١٢", "5%", ""):
        with pytest.raises(InvalidRequest):
            read_level("target", bad)

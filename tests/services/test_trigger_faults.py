"""What goes wrong around an exit: it is tried again, told, and never sent for more than is open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from database import controls
from database import intents as intent_rows
from database import triggers as rows
from database.accounts import ACCOUNTS
from database.controls import Kill
from database.triggers import TRIGGERS
from domain.errors import InstrumentNotFound, NotFound, RiskRefused, Unavailable
from domain.market import Tick
from domain.model import CancelOrder, Exchange, Holding, IntentState, Mode, Order, OrderState, Product
from domain.outcomes import Accepted, Ambiguous, Outcome, Refused
from services.gate import Admission
from services.order_updates import NOT_RECEIVED
from services.portfolio import Portfolio
from services.risk import Facts
from services.strategy_alerts import StrategyAlerts
from services.triggers import Exits, GttRequest, Level, keep_with
from tests.services.order_world import NOW, RELIANCE, _Catalog, _Sessions, buy
from tests.services.test_triggers import FEED, TriggerWorld, gtt

STOP = Exits(stop=Level(price=Decimal(1390)))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[TriggerWorld]:
    made = TriggerWorld(tmp_path)
    yield made
    made.close()


def news(world: TriggerWorld, order_id: str, **changes: object) -> Order:
    """The broker tells of an order, now."""
    order = replace(world.script.orders[order_id], updated_at=world.clock.now(), **changes)  # type: ignore[arg-type]
    world.script.orders[order_id] = order
    account = world.caller.account
    world.updates.apply(account.id, account.venue, account.mode, [order], "t")
    return order


def later(world: TriggerWorld, seconds: float = 10) -> None:
    world.clock.move(seconds)
    world.clock.sleep(seconds)
    world.engine.each_second()


def refused(words: str) -> object:
    return lambda: Refused("RMS", words)


# -- orders that did not do it
def test_a_stop_that_the_broker_refuses_is_told_and_sent_again(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    world.script.answers = [refused("margin shortfall")]  # type: ignore[list-item]
    world.see(1380.0)
    kept = world.trigger(trigger_id)
    assert (kept.state, [leg.state for leg in kept.legs]) == ("active", ["pending"])
    assert "margin shortfall" in world.told[0]
    world.see(1379.0)
    assert len(world.script.sent) == 1, "no hammering"
    later(world)
    world.see(1379.0)
    assert [order.quantity for order in world.script.sent] == [Decimal(10), Decimal(10)]  # type: ignore[union-attr]


def test_a_stop_whose_account_is_not_ready_yet_is_sent_when_it_is(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    world.orders._ready = _not_ready
    world.see(1380.0)
    assert (world.script.sent, world.trigger(trigger_id).state) == ([], "active")
    world.orders._ready = lambda account: None
    later(world)
    world.see(1380.0)
    assert len(world.script.sent) == 1


def _not_ready(account: object) -> None:
    raise Unavailable("not reconciled yet: nothing was sent.")


def test_a_gtt_waits_for_an_account_that_is_not_ready_but_ends_when_it_is_refused(
    world: TriggerWorld,
) -> None:
    kept = world.triggers.place_gtt(world.caller, gtt())
    world.orders._ready = _not_ready
    world.see(1340.0)
    assert world.trigger(kept.id).state == "active"
    world.orders._ready = lambda account: None
    world.script.answers = [refused("not allowed")]  # type: ignore[list-item]
    later(world)
    world.see(1340.0)
    assert world.trigger(kept.id).legs[0].state == "rejected"
    assert "not allowed" in world.told[-1]


def test_a_stop_that_the_exchange_rejects_after_the_broker_took_it_is_sent_again(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    world.see(1380.0)
    later(world)
    assert world.trigger(trigger_id).state == "triggered", "an order that no news tells of is no evidence"
    news(world, "B2", state=OrderState.REJECTED, reason="circuit limit")
    later(world)
    assert world.trigger(trigger_id).state == "active"
    assert "circuit limit" in world.told[0]
    later(world)
    world.see(1380.0)
    assert len(world.script.sent) == 2


def test_an_order_without_an_answer_that_the_broker_never_had_is_sent_again(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    world.script.answers = ["lost"]
    world.see(1380.0)
    assert world.trigger(trigger_id).legs[0].state == "triggered"
    [unknown] = world.reconciler.unknown()
    changes = {"code": NOT_RECEIVED, "words": "no book shows it", "settled_at": NOW}
    world.orders_db.write(
        lambda c: intent_rows.move(c, unknown.id, IntentState.UNKNOWN, IntentState.REFUSED, NOW, **changes)
    )
    later(world)
    later(world)
    world.see(1380.0)
    assert len(world.script.sent) == 2


def test_only_the_rest_of_a_part_filled_exit_is_sent_again(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    world.see(1380.0)
    news(world, "B2", state=OrderState.EXPIRED, filled=Decimal(6), average_price=Decimal(1380))
    later(world)  # the book of positions still shows 10
    assert world.trigger(trigger_id).state == "active"
    later(world)
    world.see(1380.0)
    assert [order.quantity for order in world.script.sent] == [Decimal(10), Decimal(4)]  # type: ignore[union-attr]
    news(world, "B3", state=OrderState.COMPLETE, filled=Decimal(4), average_price=Decimal(1380))
    world.held = Decimal(0)
    later(world)
    assert world.trigger(trigger_id).legs[0].state == "closed"
    later(world)
    world.see(1380.0)
    assert len(world.script.sent) == 2


def test_an_exit_that_a_person_cancels_is_told_and_not_sent_again(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    world.see(1380.0)
    world.orders.cancel(world.caller, "B2")
    news(world, "B2", state=OrderState.CANCELLED)
    later(world)
    later(world)
    world.see(1380.0)
    assert [type(order) for order in world.script.sent][1:] == [CancelOrder]
    assert world.trigger(trigger_id).legs[0].state == "rejected"
    assert "cancelled" in world.told[0]


def test_a_claim_whose_position_could_not_be_read_at_the_start_is_taken_up_later(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    world.engine.refresh()
    world.orders_db.write(lambda c: rows.claim(c, trigger_id, "sl", NOW))
    world.script.book_down = True
    world.engine = world.start()
    assert world.script.sent == []
    world.script.book_down = False
    later(world)
    assert len(world.script.sent) == 1


def test_an_order_that_was_sent_before_a_crash_is_not_sent_again(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    world.see(1380.0)
    key = f"trigger:{trigger_id}:sl"
    world.orders_db.write(lambda c: rows.settle_leg(c, trigger_id, "sl", rows.FIRING, key))
    world.held = Decimal(0)
    world.engine = world.start()
    later(world)
    assert len(world.script.sent) == 1
    assert world.trigger(trigger_id).legs[0].state == "triggered"


# -- positions
def test_a_position_that_no_book_lists_yet_keeps_its_stop(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    world.held = None
    world.see(1380.0)
    assert world.trigger(trigger_id).state == "active"
    world.held = Decimal(10)
    later(world)
    world.see(1380.0)
    assert len(world.script.sent) == 1


def test_a_position_that_no_book_lists_for_long_ends_its_stop_and_says_so(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    world.held = None
    for _ in range(4):
        world.see(1380.0)
        later(world, 31)
    assert world.trigger(trigger_id).legs[0].state == "cancelled"
    assert (world.script.sent, len(world.told)) == ([], 1)


def test_two_stops_of_one_position_do_not_turn_it_around(world: TriggerWorld) -> None:
    first = world.enter(STOP)
    second = world.triggers.guard_position(world.caller, buy(10), STOP, Decimal(1400)).id
    world.see(1380.0)
    assert len(world.script.sent) == 1, "the position still shows 10 while the first order works"
    news(world, "B2", state=OrderState.COMPLETE, filled=Decimal(10), average_price=Decimal(1380))
    world.held = Decimal(0)
    later(world)
    world.see(1380.0)
    assert len(world.script.sent) == 1
    said = {world.trigger(one).legs[0].message for one in (first, second)}
    assert said == {"", "The position was closed already."}


# -- entries
def entering(world: TriggerWorld, exits: Exits = STOP) -> str:
    trigger = world.triggers.exits_of(world.caller, buy(10), exits)
    admission = Admission(beside=lambda c, intent: keep_with(trigger, c, intent))
    world.orders.place(world.caller, buy(10), admission)
    world.script.sent.clear()
    return trigger.id


def test_a_part_filled_entry_is_guarded_and_its_guard_grows(world: TriggerWorld) -> None:
    trigger_id = entering(world)
    news(world, "B1", filled=Decimal(4), average_price=Decimal(1400))
    world.held = Decimal(4)
    world.engine.refresh()
    assert (world.trigger(trigger_id).state, world.trigger(trigger_id).quantity) == ("active", Decimal(4))
    news(world, "B1", filled=Decimal(7), average_price=Decimal(1400))
    world.held = Decimal(7)
    later(world)
    world.see(1380.0)
    assert [order.quantity for order in world.script.sent] == [Decimal(7)]  # type: ignore[union-attr]
    news(world, "B2", state=OrderState.COMPLETE, filled=Decimal(7), average_price=Decimal(1380))
    news(world, "B1", state=OrderState.COMPLETE, filled=Decimal(10), average_price=Decimal(1400))
    world.held = Decimal(3)
    later(world)
    later(world)
    world.see(1380.0)
    assert [order.quantity for order in world.script.sent] == [Decimal(7), Decimal(3)]  # type: ignore[union-attr]


def test_a_fill_without_an_average_price_is_guarded(world: TriggerWorld) -> None:
    trigger_id = entering(world, Exits(stop=Level(points=Decimal(10))))
    news(world, "B1", state=OrderState.COMPLETE, filled=Decimal(10), average_price=None)
    world.engine.refresh()
    kept = world.trigger(trigger_id)
    assert (kept.state, kept.legs[0].trigger_price) == ("active", Decimal(1390))


def test_a_fill_after_the_end_and_an_order_that_shows_after_all_are_guarded(world: TriggerWorld) -> None:
    trigger_id = entering(world)
    news(world, "B1", state=OrderState.CANCELLED)
    world.engine.refresh()
    assert world.trigger(trigger_id).state == "cancelled"
    news(world, "B1", state=OrderState.CANCELLED, filled=Decimal(5), average_price=Decimal(1400))
    later(world)
    assert (world.trigger(trigger_id).state, world.trigger(trigger_id).quantity) == ("active", Decimal(5))

    world.script.answers = [lambda: Ambiguous("timed out")]
    other = entering(world)
    [unknown] = world.reconciler.unknown()
    changes = {"code": NOT_RECEIVED, "settled_at": NOW}
    world.orders_db.write(
        lambda c: intent_rows.move(c, unknown.id, IntentState.UNKNOWN, IntentState.REFUSED, NOW, **changes)
    )
    later(world)
    assert world.trigger(other).state == "waiting"
    later(world, timedelta(days=1, seconds=60).total_seconds())
    assert world.trigger(other).state == "cancelled"


# -- prices
def test_a_live_stop_never_hears_the_simulated_market(world: TriggerWorld) -> None:
    trigger_id = world.enter(STOP)
    world.platform.write(_make_live)
    world.orders_db.write(
        lambda c: c.execute(update(TRIGGERS).where(TRIGGERS.c.id == trigger_id).values(mode=Mode.LIVE.value))
    )
    world.last_price = 1300.0
    later(world)
    later(world)
    world.see(1380.0)
    assert world.script.sent == []
    assert "not logged in" in world.told[0]
    account = world.accounts.account(world.caller.account.id)
    world.feed = f"{account.broker}:{account.id}"
    world.last_price = 1395.0
    later(world)
    world.engine.price((world.feed, *FEED[1:]), 1389.0)
    assert len(world.script.sent) == 1


def _make_live(connection: Connection) -> None:
    connection.execute(update(ACCOUNTS).values(broker="zerodha"))


def test_nothing_fires_at_a_closed_market(world: TriggerWorld) -> None:
    world.feed = "zerodha:1"
    world.enter(STOP)
    world.open = False
    world.last_price = 1300.0
    later(world)
    world.engine.price((world.feed, *FEED[1:]), 1300.0)
    assert world.script.sent == []
    world.open = True
    world.engine.price((world.feed, *FEED[1:]), 1300.0)
    assert len(world.script.sent) == 1


def test_a_tick_of_before_a_silence_is_no_price(world: TriggerWorld) -> None:
    world.enter(STOP)
    world.engine.refresh()
    at = int(NOW.timestamp() * 1000)
    world.engine.hear("paper", Tick("NSE", "RELIANCE", 1, 1300.0, at, at - 11_000))
    assert world.script.sent == []
    world.engine.hear("paper", Tick("NSE", "RELIANCE", 1, 1300.0, at, at))
    assert len(world.script.sent) == 1


def test_terms_that_were_changed_meanwhile_do_not_fire_as_they_were(world: TriggerWorld) -> None:
    kept = world.triggers.place_gtt(world.caller, gtt())
    world.engine.refresh()
    world.clock.move(1)
    world.triggers.modify_gtt(world.caller, kept.id, gtt(below=Decimal(1200), price=Decimal(1199)))
    world.engine.price(FEED, 1340.0)
    assert world.script.sent == []
    assert world.trigger(kept.id).state == "active"
    world.see(1200.0)
    assert len(world.script.sent) == 1


def test_a_gtt_that_lapsed_while_nobody_watched_does_not_fire(world: TriggerWorld) -> None:
    wish: GttRequest = gtt(expires_at=NOW + timedelta(seconds=5))
    kept = world.triggers.place_gtt(world.caller, wish)
    world.clock.move(6)
    world.see(1340.0)
    world.engine.each_second()
    assert (world.script.sent, world.trigger(kept.id).state) == ([], "expired")


def at_the_broker(world: TriggerWorld, cancel: Outcome, **changes: object) -> str:
    """A GTT that a live account's broker keeps, and what it says when it is asked to end it."""
    can = replace(world.broker.manifest.can, gtt=frozenset({"single"}))
    world.broker.manifest = replace(world.broker.manifest, can=can)
    world.broker._place_gtt = lambda wish: Accepted("T1")  # type: ignore[method-assign]
    world.broker._cancel_gtt = lambda name: cancel  # type: ignore[method-assign]
    account = replace(world.caller.account, broker="x", mode=Mode.LIVE)
    world.caller = replace(world.caller, account=account)
    return world.triggers.place_gtt(world.caller, gtt(**changes)).id


def test_a_lapsed_gtt_that_the_broker_keeps_is_ended_there_first(world: TriggerWorld) -> None:
    kept = at_the_broker(world, Ambiguous("timed out"), expires_at=NOW + timedelta(seconds=5))
    later(world)
    assert world.trigger(kept).state == "active"
    assert "timed out" in world.told[0]
    world.broker._cancel_gtt = lambda name: Accepted(name)  # type: ignore[method-assign]
    later(world)
    assert world.trigger(kept).state == "expired"


def test_a_kill_switch_refuses_gtts_that_add_risk_also_at_the_broker(world: TriggerWorld) -> None:
    kill = Kill(
        account_id=world.caller.account.id, engaged_at=NOW, engaged_by="asha", reason="", flatten=False
    )
    world.orders_db.write(lambda c: controls.engage(c, kill))
    with pytest.raises(RiskRefused, match="kill switch"):
        at_the_broker(world, Accepted("T1"))
    world.facts = Facts(position=Decimal(5))
    assert world.triggers.place_gtt(world.caller, gtt()).resident_id == "T1"


def test_an_exit_is_no_gtt_to_change_and_one_that_became_active_meanwhile_can_be_cancelled(
    world: TriggerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger_id = entering(world)
    seen = world.trigger(trigger_id)
    news(world, "B1", state=OrderState.COMPLETE, filled=Decimal(10), average_price=Decimal(1400))
    world.engine.refresh()
    with pytest.raises(NotFound):
        world.triggers.modify_gtt(world.caller, trigger_id, gtt())
    monkeypatch.setattr(world.triggers, "_active", lambda caller, name: seen)
    world.triggers.cancel_gtt(world.caller, trigger_id)
    assert world.trigger(trigger_id).state == "cancelled"


# -- one bad trigger beside a good one
def test_a_row_that_cannot_be_read_holds_up_no_other(world: TriggerWorld) -> None:
    bad = world.enter(STOP)
    world.enter(STOP)
    world.orders_db.write(
        lambda c: c.execute(update(TRIGGERS).where(TRIGGERS.c.id == bad).values(product="XYZ"))
    )
    world.see(1380.0)
    assert len(world.script.sent) == 1


def test_a_trigger_that_fails_holds_up_no_other(world: TriggerWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    first = world.enter(STOP)
    second = world.triggers.guard_position(world.caller, buy(3), STOP, Decimal(1400))
    sound = world.engine._fires.fire

    def fire(trigger: rows.Trigger, leg: rows.TriggerLeg) -> bool:
        if trigger.id == second.id:
            raise RuntimeError("broken")
        return sound(trigger, leg)

    monkeypatch.setattr(world.engine._fires, "fire", fire)
    world.see(1380.0)
    assert world.trigger(first).state == "triggered"


def test_an_exit_that_cannot_be_armed_holds_up_no_other(
    world: TriggerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = entering(world)
    sound = world.orders.resolve

    def gone(account: object, exchange: str, symbol: str) -> object:
        raise InstrumentNotFound(symbol, exchange)

    news(world, "B1", state=OrderState.COMPLETE, filled=Decimal(10), average_price=Decimal(1400))
    world.triggers.place_gtt(world.caller, gtt())
    monkeypatch.setattr(world.orders, "resolve", gone)
    world.engine.refresh()
    assert world.trigger(bad).state == "waiting"
    monkeypatch.setattr(world.orders, "resolve", sound)
    world.engine.price(FEED, 1340.0)
    assert len(world.script.sent) == 1
    later(world)
    assert world.trigger(bad).state == "active"


# -- what the books say, and what the owner is told
def test_shares_held_beside_the_position_can_be_closed_and_no_line_is_no_zero(world: TriggerWorld) -> None:
    can = replace(world.broker.manifest.can, reads=world.broker.manifest.can.reads | {"holdings"})
    world.broker.manifest = replace(world.broker.manifest, can=can)
    shares = [
        Holding(symbol="RELIANCE", exchange=Exchange.NSE, quantity=Decimal(10), average_price=Decimal(1400))
    ]
    world.broker._fetch_holdings = lambda: shares  # type: ignore[method-assign]
    portfolio = Portfolio(world.orders_db, _Catalog(), _Sessions(world.broker))
    line = ("RELIANCE", Exchange.NSE)
    assert portfolio.closable(world.caller, *line, Product.INTRADAY) is None
    assert portfolio.closable(world.caller, *line, Product.DELIVERY) == 10
    world.script.hold(RELIANCE, Product.DELIVERY, -4)
    world.script.hold(RELIANCE, Product.INTRADAY, 0)
    assert portfolio.closable(world.caller, *line, Product.DELIVERY) == 6
    assert portfolio.closable(world.caller, *line, Product.INTRADAY) == 0
    shares[:] = [replace(shares[0], quantity=Decimal(6), sold_today=Decimal(4))]  # less today's sale already
    assert portfolio.closable(world.caller, *line, Product.DELIVERY) == 6
    world.script.hold(RELIANCE, Product.DELIVERY, 4)
    assert portfolio.closable(world.caller, *line, Product.DELIVERY) == 6


def test_the_same_is_told_once_in_twelve_hours(world: TriggerWorld) -> None:
    alerts = StrategyAlerts(world.platform, world.clock)
    assert alerts.tell_guard(world.user.id, "GTT-1", "RELIANCE", "margin shortfall")
    assert not alerts.tell_guard(world.user.id, "GTT-1", "RELIANCE", "margin shortfall")
    world.clock.move(13 * 3600)
    assert alerts.tell_guard(world.user.id, "GTT-1", "RELIANCE", "margin shortfall")
    assert [(alert.kind, alert.name) for alert in alerts.listed(world.user.id)] == [
        ("guard", "Trigger on RELIANCE")
    ] * 2

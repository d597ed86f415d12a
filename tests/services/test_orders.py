"""The order path: one journal row, one send, an answer read from the row."""

from __future__ import annotations

import threading
from dataclasses import replace
from decimal import Decimal

import pytest

from database import controls, intents
from database.controls import Kill
from domain.errors import (
    DuplicateKey,
    InstrumentNotFound,
    InvalidRequest,
    NotSupported,
    OrderNotFound,
    RiskRefused,
)
from domain.model import Exchange, IntentState, OrderState, OrderType, Position, Product, Side
from domain.outcomes import Refused, SessionExpired, Throttled
from services.gate import Admission, Gate
from services.orders import OrderTerms
from services.risk import Facts
from services.settling import unseen
from tests.services.order_world import NOW, RELIANCE, World, buy


def test_an_accepted_order_is_told_by_the_brokers_id_and_seen_at_once(world: World) -> None:
    placed = world.orders.place(world.caller, buy())
    assert (placed.state, placed.order_id) == ("accepted", "B1")
    assert [e.order.state for e in world.updates.since(world.caller.account.id, 0)] == [OrderState.PENDING]
    assert world.bells == [world.caller.account.id]


def test_what_the_gate_took_is_ours_and_not_the_brokers(world: World) -> None:
    """An exit is weighed against positions that took 40 ms to read: these are before it was sent, not after."""

    def slow(*_: object) -> Facts:
        world.clock.move(0.04)
        return Facts(position=Decimal(10))

    world.gate = Gate(world.orders_db, world.clock, slow)
    placed, _ = world.gate.admit(
        world.caller, buy(10, side=Side.SELL, reduce_only=True), RELIANCE, Admission()
    )
    assert placed.sent_at is not None and (placed.sent_at - placed.created_at).total_seconds() == 0.04


def test_a_refusal_is_told_in_the_brokers_words(world: World) -> None:
    world.script.answers = [lambda: Refused("INSUFFICIENT_FUNDS", "Margin short by 10")]
    placed = world.orders.place(world.caller, buy())
    assert (placed.state, placed.code, placed.message) == (
        "refused",
        "INSUFFICIENT_FUNDS",
        "Margin short by 10",
    )


@pytest.mark.parametrize("outcome", [Throttled(1.0), SessionExpired()])
def test_what_was_turned_away_unsent_is_refused(world: World, outcome: object) -> None:
    world.script.answers = [lambda: outcome]  # type: ignore[list-item,return-value]
    assert world.orders.place(world.caller, buy()).state == "refused"


def test_a_lost_answer_ends_with_one_order_and_the_truth(world: World) -> None:
    world.script.answers = ["silent"]
    placed = world.orders.place(world.caller, buy())
    assert placed.state == "accepted"
    assert len(world.script.orders) == len(world.script.sent) == 1
    assert world.orders.status(world.caller, placed.order_id).state is OrderState.OPEN


def test_an_order_the_broker_never_got_stays_pending_until_three_books_over_thirty_seconds(
    world: World,
) -> None:
    world.script.answers = ["lost"]
    placed = world.orders.place(world.caller, buy())
    assert placed.state == "pending"
    assert world.orders.status(world.caller, placed.order_id).state is OrderState.UNKNOWN
    world.clock.move(31)
    assert world.reconciler.sweep() == 0
    assert world.orders.status(world.caller, placed.order_id).state is OrderState.REJECTED
    assert len(world.script.sent) == 1


def test_an_order_that_appears_after_all_is_adopted_with_an_alert(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.script.answers = ["lost"]
    placed = world.orders.place(world.caller, buy())
    world.clock.move(31)
    world.reconciler.sweep()
    account = world.caller.account
    late = replace(
        world.orders.status(world.caller, placed.order_id),
        order_id="B9",
        state=OrderState.OPEN,
        reason="",
    )
    world.script.orders["B9"] = late
    world.updates.apply(account.id, account.venue, account.mode, [late], "stream")
    assert world.orders.status(world.caller, placed.order_id).state is OrderState.OPEN
    assert [order.order_id for order in world.orders.book(world.caller)] == [placed.order_id]
    [intent] = intents.since(world.orders_db._connection(), account.id, NOW)
    assert (intent.state, intent.broker_order_id, intent.code) == (IntentState.ACCEPTED, "B9", "")
    assert any(record.levelname == "ERROR" and "after all" in record.message for record in caplog.records)


def test_an_update_does_not_revive_what_the_broker_refused(world: World) -> None:
    world.script.answers = [lambda: Refused("INSUFFICIENT_FUNDS", "Margin short by 10")]
    world.orders.place(world.caller, buy())
    account = world.caller.account
    [intent] = intents.since(world.orders_db._connection(), account.id, NOW)
    row = replace(unseen(intent), order_id="B9", state=OrderState.REJECTED)
    world.updates.apply(account.id, account.venue, account.mode, [row], "stream")
    [intent] = intents.since(world.orders_db._connection(), account.id, NOW)
    assert intent.state is IntentState.REFUSED


def test_an_unreadable_book_proves_nothing(world: World) -> None:
    world.script.answers = ["lost"]
    world.script.book_down = True
    placed = world.orders.place(world.caller, buy())
    for _ in range(5):
        world.clock.move(60)
        assert world.reconciler.sweep() == 1
    assert world.orders.status(world.caller, placed.order_id).state is OrderState.UNKNOWN


def test_an_exception_inside_a_send_is_unknown_not_failed(world: World) -> None:
    def explode() -> Refused:
        raise RuntimeError("bug")

    world.script.answers = [explode]
    assert world.orders.place(world.caller, buy()).state == "pending"


def test_the_same_key_from_many_threads_sends_once_and_answers_alike(world: World) -> None:
    answers = []
    admission = Admission(key="k1", body_hash="h")
    threads = [
        threading.Thread(target=lambda: answers.append(world.orders.place(world.caller, buy(), admission)))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.script.sent) == 1
    assert {(a.state, a.order_id) for a in answers} == {("accepted", "B1")}
    assert len(answers) == 16


def test_the_same_key_with_another_body_sends_nothing(world: World) -> None:
    world.orders.place(world.caller, buy(), Admission(key="k1", body_hash="h"))
    with pytest.raises(DuplicateKey):
        world.orders.place(world.caller, buy(20), Admission(key="k1", body_hash="other"))
    assert len(world.script.sent) == 1


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (buy(0), "quantity"),
        (buy(-5), "quantity"),
        (replace(buy(), quantity=Decimal("1.5")), "quantity"),
        (replace(buy(), quantity=Decimal("NaN")), "quantity"),
        (buy(10**11), "quantity"),
        (buy(10_001), "quantity"),
        (buy(symbol="NIFTY29DEC26FUT", exchange=Exchange.NFO, quantity=Decimal(64)), "quantity"),
        (buy(order_type=OrderType.LIMIT), "price"),
        (buy(order_type=OrderType.LIMIT, price=Decimal("100.05")), "price"),
        (buy(order_type=OrderType.STOP_MARKET), "trigger_price"),
        (buy(order_type=OrderType.STOP_LIMIT, price=Decimal(100), trigger_price=Decimal(101)), "price"),
        (buy(product=Product.CARRY), "product"),
        (buy(symbol="NIFTY", exchange=Exchange.NSE_INDEX), "exchange"),
        (buy(disclosed_quantity=Decimal(11)), "disclosed_quantity"),
    ],
)
def test_bad_terms_name_their_field_and_send_nothing(world: World, request_: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        world.orders.place(world.caller, request_)  # type: ignore[arg-type]
    assert error.value.field == field
    assert world.script.sent == []


def test_an_unknown_symbol_and_an_undeclared_exchange_send_nothing(world: World) -> None:
    with pytest.raises(InstrumentNotFound):
        world.orders.place(world.caller, buy(symbol="NOPE"))
    world.broker.manifest = replace(
        world.broker.manifest, can=replace(world.broker.manifest.can, exchanges=frozenset({Exchange.NFO}))
    )
    with pytest.raises(NotSupported):
        world.orders.place(world.caller, buy())
    assert world.script.sent == []


def test_missing_limits_refuse(world: World) -> None:
    world.orders_db.write(lambda c: c.execute(controls.CONTROLS.delete()))
    with pytest.raises(RiskRefused) as error:
        world.orders.place(world.caller, buy())
    assert error.value.limit == "limits_unreadable"
    assert world.script.sent == []


@pytest.mark.parametrize(
    ("limits", "facts", "name"),
    [
        ({"max_quantity": Decimal(5)}, Facts(), "max_quantity"),
        ({"max_value": Decimal(10_000)}, Facts(last_price=Decimal(1500)), "max_value"),
        ({"max_value": Decimal(10_000)}, Facts(), "max_value"),
        ({"max_day_loss": Decimal(1000)}, Facts(day_pnl=Decimal(-1000)), "max_day_loss"),
        ({"max_day_loss": Decimal(1000)}, Facts(), "max_day_loss"),
        ({"allowed_symbols": "NSE:SBIN NFO:*"}, Facts(), "allowed_symbols"),
        ({"allowed_products": "CNC"}, Facts(), "allowed_products"),
        ({"max_orders_per_day": 0}, Facts(), "max_orders_per_day"),
        ({"max_open_orders": 0}, Facts(), "max_open_orders"),
        ({"strategy": "test", "max_quantity": Decimal(5)}, Facts(), "max_quantity"),
    ],
)
def test_each_limit_refuses_by_its_name(world: World, limits: dict, facts: Facts, name: str) -> None:
    world.limit(**limits)
    world.facts = facts
    with pytest.raises(RiskRefused) as error:
        world.orders.place(world.caller, buy())
    assert error.value.limit == name
    assert world.script.sent == []


def test_a_price_far_from_the_last_is_refused(world: World) -> None:
    world.limit(price_collar_percent=Decimal(5))
    world.facts = Facts(last_price=Decimal(1500))
    near = buy(order_type=OrderType.LIMIT, price=Decimal(1550))
    assert world.orders.place(world.caller, near).state == "accepted"
    with pytest.raises(RiskRefused):
        world.orders.place(world.caller, replace(near, price=Decimal(15_500)))


def test_the_same_order_twice_within_the_window_is_refused(world: World) -> None:
    world.limit(duplicate_window_ms=500)
    world.orders.place(world.caller, buy())
    with pytest.raises(RiskRefused) as error:
        world.orders.place(world.caller, buy())
    assert error.value.limit == "duplicate_window"
    world.clock.move(1)
    assert world.orders.place(world.caller, buy()).state == "accepted"


def test_the_kill_switch_lets_a_position_be_reduced_but_not_twice_over(world: World) -> None:
    kill = Kill(account_id=controls.EVERY_ACCOUNT, engaged_at=NOW, engaged_by="asha", reason="test")
    world.orders_db.write(lambda c: controls.engage(c, kill))
    world.facts = Facts(position=Decimal(10))
    with pytest.raises(RiskRefused):
        world.orders.place(world.caller, buy())
    with pytest.raises(RiskRefused):
        world.orders.place(world.caller, buy(11, side=Side.SELL))
    assert world.orders.place(world.caller, buy(side=Side.SELL)).state == "accepted"
    with pytest.raises(RiskRefused):
        world.orders.place(world.caller, buy(1, side=Side.SELL))
    assert len(world.script.sent) == 1


def test_an_exit_that_fills_while_the_position_is_read_is_counted(world: World) -> None:
    """Two exits at the same moment: the second saw the position before the first filled, and is admitted after."""
    kill = Kill(account_id=controls.EVERY_ACCOUNT, engaged_at=NOW, engaged_by="asha", reason="test")
    world.orders_db.write(lambda c: controls.engage(c, kill))
    world.facts = Facts(position=Decimal(10))
    first = world.orders.place(world.caller, buy(4, side=Side.SELL)).order_id
    account = world.caller.account

    def read(caller: object, request: object) -> Facts:
        order = replace(world.script.orders[first], state=OrderState.COMPLETE, filled=Decimal(4))
        world.updates.apply(account.id, account.venue, account.mode, [order], "t")
        return Facts(position=Decimal(10))

    world.gate = Gate(world.orders_db, world.clock, read)
    world.orders._gate = world.gate
    with pytest.raises(RiskRefused):
        world.orders.place(world.caller, buy(10, side=Side.SELL))
    world.gate = Gate(world.orders_db, world.clock, lambda *_: Facts(position=Decimal(6)))
    world.orders._gate = world.gate
    assert world.orders.place(world.caller, buy(6, side=Side.SELL)).state == "accepted"


def test_more_than_the_rate_waits_in_line_and_nothing_overtakes(world: World) -> None:
    world.limit(max_orders_per_second=2)
    states = [world.orders.place(world.caller, buy()).state for _ in range(3)]
    assert states == ["accepted", "accepted", "queued"]
    world.clock.move(2)
    assert world.orders.place(world.caller, buy()).state == "queued"
    assert len(world.script.sent) == 2


def test_a_queued_order_can_be_withdrawn(world: World) -> None:
    world.limit(max_orders_per_second=1)
    world.orders.place(world.caller, buy())
    queued = world.orders.place(world.caller, buy())
    assert world.orders.cancel(world.caller, queued.order_id).state == "accepted"
    assert len(world.script.sent) == 1


def test_modify_and_cancel_reach_the_order_by_the_told_id(world: World) -> None:
    placed = world.orders.place(world.caller, buy(order_type=OrderType.LIMIT, price=Decimal(1400)))
    terms = OrderTerms(quantity=Decimal(20), order_type=OrderType.LIMIT, price=Decimal("1401.10"))
    assert world.orders.modify(world.caller, placed.order_id, terms).order_id == placed.order_id
    assert world.script.orders["B1"].price == Decimal("1401.10")
    assert world.orders.cancel(world.caller, placed.order_id).state == "accepted"
    assert world.orders.cancel(world.caller, placed.order_id).state == "refused"


def test_an_unknown_order_cannot_be_changed(world: World) -> None:
    with pytest.raises(OrderNotFound):
        world.orders.cancel(world.caller, "nope")


def test_our_id_told_while_unknown_keeps_working_once_the_broker_answers(world: World) -> None:
    world.script.answers = ["silent"]
    world.script.book_down = True
    placed = world.orders.place(world.caller, buy())
    assert placed.state == "pending"
    world.script.book_down = False
    world.reconciler.sweep()
    assert world.orders.status(world.caller, placed.order_id).order_id == placed.order_id
    assert [order.order_id for order in world.orders.book(world.caller)] == [placed.order_id]
    assert world.orders.cancel(world.caller, placed.order_id).order_id == placed.order_id


def test_cancel_all_and_close_all_send_nothing_on_an_unreadable_book(world: World) -> None:
    world.orders.place(world.caller, buy())
    world.script.book_down = True
    for sweep in (world.sweeps.cancel_all, world.sweeps.close_all):
        with pytest.raises(Exception, match="no answer"):
            sweep(world.caller)
    assert len(world.script.sent) == 1


def test_close_all_sends_the_other_side_of_each_position(world: World) -> None:
    world.script.positions = [
        Position(symbol="RELIANCE", exchange=Exchange.NSE, product=Product.INTRADAY, quantity=Decimal(-30)),
        Position(symbol="NIFTY", exchange=Exchange.NSE_INDEX, product=Product.INTRADAY, quantity=Decimal(0)),
    ]
    world.facts = Facts(position=Decimal(-30))
    swept = world.sweeps.close_all(world.caller)
    assert (swept.done, swept.failed) == (["RELIANCE"], [])
    [order] = world.script.sent
    assert (order.side, order.quantity) == (Side.BUY, Decimal(30))


def test_a_row_whose_sender_died_is_looked_up_not_resent(world: World) -> None:
    world.orders.place(world.caller, buy())
    move = {"broker_order_id": None, "told_id": None}
    [row] = intents.since(world.orders_db._connection(), world.caller.account.id, NOW)
    world.orders_db.write(
        lambda c: intents.move(c, row.id, IntentState.ACCEPTED, IntentState.SENDING, NOW, **move)
    )
    world.clock.move(21)
    assert world.reconciler.sweep() == 0
    with world.orders_db.read() as connection:
        assert intents.by_id(connection, row.id).broker_order_id == "B1"  # type: ignore[union-attr]
    assert len(world.script.sent) == 1


def test_without_tags_only_a_unique_fit_settles(world: World) -> None:
    world.script.carries_tags = False
    world.broker.manifest = replace(
        world.broker.manifest, limits=replace(world.broker.manifest.limits, tag=0)
    )
    world.script.answers = ["silent"]
    assert world.orders.place(world.caller, buy()).state == "accepted"
    world.script.answers = ["lost", "silent"]
    world.script.book_down = True
    lost = world.orders.place(world.caller, buy())
    world.orders.place(world.caller, buy())
    world.script.book_down = False
    world.clock.move(60)
    world.reconciler.sweep()
    with world.orders_db.read() as connection:
        rows = intents.since(connection, world.caller.account.id, NOW)
    claimed = [row.broker_order_id for row in rows if row.broker_order_id]
    assert len(claimed) == len(set(claimed))
    assert lost.state == "pending"


def _working(world: World) -> str:
    return world.orders.place(world.caller, buy(order_type=OrderType.LIMIT, price=Decimal(1400))).order_id


def _terms(quantity: int, price: str = "1400") -> OrderTerms:
    return OrderTerms(quantity=Decimal(quantity), order_type=OrderType.LIMIT, price=Decimal(price))


@pytest.mark.parametrize(
    ("limits", "terms", "limit"),
    [
        ({"max_quantity": Decimal(50)}, _terms(100), "max_quantity"),
        ({"max_value": Decimal(50_000)}, _terms(100), "max_value"),
        ({"price_collar_percent": Decimal(5)}, _terms(10, "14000"), "price_collar"),
        ({"max_day_loss": Decimal(100)}, _terms(20), "max_day_loss"),
    ],
)
def test_new_terms_cross_the_same_limits_as_a_new_order(
    world: World, limits: dict[str, object], terms: OrderTerms, limit: str
) -> None:
    order_id = _working(world)
    world.limit(**limits)
    world.facts = Facts(position=Decimal(0), last_price=Decimal(1400), day_pnl=Decimal(-200))
    with pytest.raises(RiskRefused) as refused:
        world.orders.modify(world.caller, order_id, terms)
    assert refused.value.limit == limit
    assert len(world.script.sent) == 1
    assert world.orders.cancel(world.caller, order_id).state == "accepted"


def test_counting_limits_let_a_working_order_be_changed(world: World) -> None:
    order_id = _working(world)
    world.limit(max_open_orders=1, max_orders_per_day=1)
    assert world.orders.modify(world.caller, order_id, _terms(20)).state == "accepted"


def test_the_kill_switch_stops_changes_that_do_not_reduce(world: World) -> None:
    entry = _working(world)
    world.facts = Facts(position=Decimal(30))
    exit_id = world.orders.place(
        world.caller, buy(30, side=Side.SELL, order_type=OrderType.LIMIT, price=Decimal(1500))
    ).order_id
    kill = controls.Kill(account_id=world.caller.account.id, engaged_at=NOW, engaged_by="t", reason="")
    world.orders_db.write(lambda c: controls.engage(c, kill))
    with pytest.raises(RiskRefused, match="kill switch"):
        world.orders.modify(world.caller, entry, _terms(20))
    assert world.orders.modify(world.caller, exit_id, _terms(30, "1450")).state == "accepted"
    with pytest.raises(RiskRefused, match="kill switch"):
        world.orders.modify(world.caller, exit_id, _terms(60, "1450"))


@pytest.mark.parametrize(
    "limits",
    [
        {"max_open_orders": 0},
        {"max_orders_per_day": 0},
        {"allowed_symbols": "NSE:SBIN"},
        {"allowed_products": "CNC"},
    ],
)
def test_a_limit_on_new_risk_lets_an_exit_through(world: World, limits: dict[str, object]) -> None:
    world.limit(**limits)
    world.facts = Facts(position=Decimal(10))
    assert world.orders.place(world.caller, buy(10, side=Side.SELL)).state == "accepted"
    with pytest.raises(RiskRefused):
        world.orders.place(world.caller, buy(10, side=Side.SELL))


def test_a_sale_is_worth_what_it_fetches_not_its_lowest_price(world: World) -> None:
    """A sale's limit far below the market is no small order."""
    world.limit(max_value=Decimal(10_000))
    world.facts = Facts(last_price=Decimal(1500))
    cheap = buy(10, side=Side.SELL, order_type=OrderType.LIMIT, price=Decimal(1))
    with pytest.raises(RiskRefused) as error:
        world.orders.place(world.caller, cheap)
    assert error.value.limit == "max_value"


def test_cancel_all_does_not_pass_over_an_order_without_an_answer(world: World) -> None:
    world.script.answers = ["lost"]
    world.orders._look_again = lambda intent: None
    placed = world.orders.place(world.caller, buy())
    assert placed.state == "pending"
    swept = world.sweeps.cancel_all(world.caller)
    assert (swept.done, [name for name, _ in swept.failed]) == ([], [placed.order_id])

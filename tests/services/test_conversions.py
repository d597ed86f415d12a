"""Converting positions: sent once, refused in words; without an answer the positions tell, or nobody does."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from database import controls, intents, triggers
from database.controls import Kill
from database.intents import Intent
from domain.errors import BrokerUnavailable, DuplicateKey, InvalidRequest, NotSupported, RiskRefused
from domain.model import (
    Exchange,
    Holding,
    IntentKind,
    IntentState,
    Mode,
    OrderMode,
    OrderType,
    Position,
    Product,
    Side,
    Trade,
)
from domain.outcomes import Refused
from services.conversions import Conversion
from services.orders import Placed
from services.risk import Facts
from tests.services.order_world import NIFTY_FUT, NOW, RELIANCE, World, buy

MIS, CNC, NRML = Product.INTRADAY, Product.DELIVERY, Product.CARRY


def wish(quantity: int | None = 40, **changes: object) -> Conversion:
    made = Conversion(
        symbol="RELIANCE",
        exchange=Exchange.NSE,
        product=MIS,
        to_product=CNC,
        quantity=None if quantity is None else Decimal(quantity),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def desk(world: World) -> World:
    """100 RELIANCE bought intraday."""
    world.script.hold(RELIANCE, MIS, 100)
    return world


def convert(world: World, wanted: Conversion | None = None, **how: str) -> Placed:
    return world.conversions.convert(world.caller, wanted or wish(), **how)


def journal(world: World) -> list[Intent]:
    return intents.since(world.orders_db._connection(), world.caller.account.id, NOW)


def lines(world: World) -> tuple[Decimal, Decimal]:
    return world.script.held(RELIANCE, MIS), world.script.held(RELIANCE, CNC)


def fill(world: World, product: Product = MIS, seconds: float = 1) -> None:
    world.script.trades.append(
        Trade(
            trade_id="T1",
            order_id="B1",
            symbol="RELIANCE",
            exchange=Exchange.NSE,
            side=Side.SELL,
            product=product,
            quantity=Decimal(40),
            price=Decimal(1400),
            traded_at=world.clock.now() + timedelta(seconds=seconds),
        )
    )


def test_a_part_is_converted_and_journalled(desk: World) -> None:
    assert convert(desk).state == "accepted"
    assert lines(desk) == (60, 40)
    [intent] = journal(desk)
    assert (intent.kind, intent.state, intent.product, intent.to_product) == (
        IntentKind.CONVERT,
        IntentState.ACCEPTED,
        MIS,
        CNC,
    )
    assert (intent.held_from, intent.held_to) == (100, 0)


def test_a_conversion_rings_the_account_once(desk: World) -> None:
    convert(desk)
    assert desk.bells == [desk.caller.account.id]


def test_all_of_it_is_what_no_quantity_means(desk: World) -> None:
    convert(desk, wish(None))
    assert lines(desk) == (0, 100)


def test_a_refusal_is_told_in_the_brokers_words(desk: World) -> None:
    desk.script.answers = [lambda: Refused("INSUFFICIENT_FUNDS", "Margin short by 10")]
    placed = convert(desk)
    assert (placed.state, placed.code, placed.message) == (
        "refused",
        "INSUFFICIENT_FUNDS",
        "Margin short by 10",
    )
    assert lines(desk) == (100, 0)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (wish(101), "at most 100"),
        (wish(0), "more than 0"),
        (wish(to_product=NRML), "use CNC, MIS"),
        (wish(to_product=MIS), "MIS already"),
        (wish(product=CNC, to_product=MIS), "No CNC position"),
    ],
)
def test_what_cannot_be_converted_is_not_journalled(desk: World, wanted: Conversion, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        convert(desk, wanted)
    assert (journal(desk), desk.script.sent) == ([], [])


def test_a_short_stays_intraday_in_cash(world: World) -> None:
    world.script.hold(RELIANCE, MIS, -100)
    with pytest.raises(InvalidRequest, match="short position"):
        convert(world)


def test_derivatives_move_in_lots_between_mis_and_nrml(world: World) -> None:
    world.script.hold(NIFTY_FUT, MIS, -130)
    future = wish(65, symbol=NIFTY_FUT.symbol, exchange=Exchange.NFO, to_product=NRML)
    with pytest.raises(InvalidRequest, match="lot size 65"):
        convert(world, replace(future, quantity=Decimal(70)))
    assert convert(world, future).state == "accepted"
    assert world.script.held(NIFTY_FUT, NRML) == -65


def test_a_broker_that_cannot_is_not_asked(desk: World) -> None:
    manifest = desk.broker.manifest
    desk.broker.manifest = replace(manifest, can=replace(manifest.can, convert=False))  # type: ignore[misc]
    with pytest.raises(NotSupported, match="cannot convert"):
        convert(desk)
    assert desk.conversions.targets(desk.caller.account, desk.script.positions) == [[]]
    assert (journal(desk), desk.script.sent) == ([], [])


def test_unreadable_positions_stop_it(desk: World) -> None:
    desk.script.book_down = True
    with pytest.raises(BrokerUnavailable):
        convert(desk)
    assert (journal(desk), desk.script.sent) == ([], [])


# -- once
def test_the_same_key_is_one_conversion(desk: World) -> None:
    assert convert(desk, key="k", body_hash="a") == convert(desk, key="k", body_hash="a")
    assert len(desk.script.sent) == 1
    with pytest.raises(DuplicateKey):
        convert(desk, key="k", body_hash="b")
    assert lines(desk) == (60, 40)


def test_two_at_once_are_not_both_sent(desk: World) -> None:
    go, begun = threading.Event(), threading.Event()

    def slow() -> Refused:
        begun.set()
        go.wait(5)
        return Refused("NO", "no")

    desk.script.answers = [slow]
    first = threading.Thread(target=convert, args=(desk,))
    first.start()
    assert begun.wait(5)
    with pytest.raises(RiskRefused, match="no answer yet"):
        convert(desk)
    go.set()
    first.join(5)
    assert len(desk.script.sent) == 1


def test_positions_read_before_another_conversion_ended_are_too_old(desk: World) -> None:
    """The second looked while the first was on its way, and comes to the gate when that is over."""
    read = desk.broker._fetch_positions

    def reads_then_is_overtaken() -> list[Position]:
        seen = list(read())
        desk.broker._fetch_positions = read  # type: ignore[method-assign]
        desk.clock.move(1)
        convert(desk)
        return seen

    desk.broker._fetch_positions = reads_then_is_overtaken  # type: ignore[method-assign]
    with pytest.raises(RiskRefused, match="answered just now"):
        convert(desk)
    assert len(desk.script.sent) == 1


# -- no answer
def test_a_lost_answer_is_told_by_the_positions(desk: World) -> None:
    desk.script.answers = ["silent"]
    assert convert(desk).state == "accepted"
    assert (lines(desk), len(desk.script.sent)) == ((60, 40), 1)
    assert desk.bells == [desk.caller.account.id]


def test_one_that_was_never_received_stays_pending_for_three_looks_over_thirty_seconds(desk: World) -> None:
    desk.script.answers = ["lost"]
    placed = convert(desk)
    assert placed.state == "pending" and "conversion" in placed.message
    assert desk.bells == []
    desk.clock.move(31)
    assert desk.reconciler.sweep() == 0
    assert desk.bells == [desk.caller.account.id]
    [intent] = journal(desk)
    assert (intent.state, intent.code) == (IntentState.REFUSED, "NOT_RECEIVED")
    assert (lines(desk), len(desk.script.sent)) == ((100, 0), 1)


@pytest.mark.parametrize("product", [MIS, CNC])
@pytest.mark.parametrize("seconds", [-5, 3])
def test_a_fill_beside_it_leaves_it_open_for_good(desk: World, product: Product, seconds: float) -> None:
    desk.script.answers = ["silent"]
    fill(desk, product, seconds)
    assert convert(desk).state == "pending"
    for _ in range(5):
        desk.clock.move(60)
        assert desk.reconciler.sweep() == 1
    with pytest.raises(RiskRefused, match="no answer yet"):
        convert(desk)


@pytest.mark.parametrize("moved", [(-40, 0), (0, 40), (-30, 30), (-80, 80), (40, -40)])
def test_positions_that_moved_otherwise_prove_nothing(desk: World, moved: tuple[int, int]) -> None:
    desk.script.answers = ["lost"]
    original = desk.reconciler.look

    def look(intent: Intent) -> None:
        if lines(desk) == (100, 0):
            desk.script.hold(RELIANCE, MIS, moved[0])
            desk.script.hold(RELIANCE, CNC, moved[1])
        original(intent)

    desk.orders._look_again = look
    assert convert(desk).state == "pending"
    desk.clock.move(60)
    assert desk.reconciler.sweep() == 1


def test_fills_of_other_lines_and_times_do_not_matter(desk: World) -> None:
    desk.script.answers = ["silent"]
    fill(desk, NRML, 1)
    fill(desk, MIS, -60)
    assert convert(desk).state == "accepted"


def test_the_day_after_nobody_can_tell(desk: World) -> None:
    desk.script.answers = ["lost"]
    convert(desk)
    desk.script.positions = []
    desk.clock.move(86_400)
    assert desk.reconciler.sweep() == 0
    [intent] = journal(desk)
    assert (intent.state, intent.code) == (IntentState.EXPIRED, "NOT_TOLD")


def test_unreadable_positions_hold_only_the_conversion_up(desk: World) -> None:
    desk.script.answers = ["silent"]
    desk.orders._look_again = lambda intent: None
    assert convert(desk).state == "pending"
    desk.orders._look_again = desk.reconciler.look
    read = desk.broker._fetch_positions

    def down() -> list[Position]:
        raise BrokerUnavailable("scripted", text="no answer")

    desk.broker._fetch_positions = down  # type: ignore[method-assign]
    desk.script.answers = ["silent"]
    assert desk.orders.place(desk.caller, buy()).state == "accepted"
    assert [one.kind for one in desk.reconciler.unknown()] == [IntentKind.CONVERT]
    desk.broker._fetch_positions = read  # type: ignore[method-assign]
    assert desk.reconciler.sweep() == 0


class Died(BaseException):
    """The sender's process ends here."""


@pytest.mark.parametrize(("sent", "state", "end"), [
    (True, IntentState.ACCEPTED, (60, 40)),
    (False, IntentState.REFUSED, (100, 0)),
])  # fmt: skip
def test_a_sender_that_died_leaves_one_conversion_or_none(
    desk: World, monkeypatch: pytest.MonkeyPatch, sent: bool, state: IntentState, end: tuple[int, int]
) -> None:
    """Between the journal and the send, or between the send and its answer."""

    def dies(*_: object) -> None:
        raise Died

    monkeypatch.setattr(desk.orders, "_settle" if sent else "_attempt", dies)
    with pytest.raises(Died):
        convert(desk, key="k", body_hash="a")
    monkeypatch.undo()
    [intent] = journal(desk)
    assert intent.state is IntentState.SENDING
    for _ in range(3):
        desk.clock.move(21)
        desk.reconciler.sweep()
    [intent] = journal(desk)
    assert (intent.state, lines(desk), len(desk.script.sent)) == (state, end, int(sent))
    told = convert(desk, key="k", body_hash="a")
    assert told.state == ("accepted" if sent else "refused")
    assert len(desk.script.sent) == int(sent)


# -- the gate
def test_a_kill_switch_stops_what_would_last_and_lets_the_other_way(desk: World) -> None:
    desk.script.hold(RELIANCE, CNC, 50)
    kill = Kill(account_id=desk.caller.account.id, engaged_at=NOW, engaged_by="asha", reason="")
    desk.orders_db.write(lambda c: controls.engage(c, kill))
    with pytest.raises(RiskRefused, match="kill switch"):
        convert(desk)
    assert convert(desk, wish(50, product=CNC, to_product=MIS)).state == "accepted"
    assert lines(desk) == (150, 0)


def test_size_value_and_count_limits_do_not_hold_it(desk: World) -> None:
    desk.limit(max_quantity=Decimal(1), max_value=Decimal(1), max_orders_per_day=0, max_open_orders=0)
    assert convert(desk).state == "accepted"


def test_the_new_product_must_be_allowed(desk: World) -> None:
    desk.limit(allowed_products="MIS")
    with pytest.raises(RiskRefused, match="CNC is not allowed"):
        convert(desk)
    desk.limit(allowed_symbols="NSE:SBIN")
    with pytest.raises(RiskRefused, match="not among the symbols"):
        convert(desk)


def test_a_reached_day_loss_stops_what_would_last(desk: World) -> None:
    desk.script.hold(RELIANCE, CNC, 50)
    desk.limit(max_day_loss=Decimal(1000))
    with pytest.raises(RiskRefused, match="cannot be read"):
        convert(desk)
    desk.facts = Facts(day_pnl=Decimal(-1000))
    with pytest.raises(RiskRefused, match="reached the limit"):
        convert(desk)
    assert convert(desk, wish(50, product=CNC, to_product=MIS)).state == "accepted"
    desk.facts = Facts(day_pnl=Decimal(-999))
    assert convert(desk).state == "accepted"


def test_an_exit_order_keeps_its_position(desk: World) -> None:
    """Without it the stop would open a short."""
    stop = buy(70, side=Side.SELL, order_type=OrderType.STOP_MARKET, trigger_price=Decimal(1300), product=MIS)
    desk.orders.place(desk.caller, stop)
    with pytest.raises(RiskRefused, match="to close 70"):
        convert(desk)
    assert convert(desk, wish(30)).state == "accepted"


def test_a_guard_keeps_its_position(desk: World) -> None:
    account = desk.caller.account
    guard = triggers.Trigger(
        id="T1", account_id=account.id, user_id=1, mode=account.mode, broker=account.venue, origin="exit",
        state=triggers.ACTIVE, symbol="RELIANCE", exchange=Exchange.NSE, product=MIS, side=Side.SELL,
        quantity=Decimal(100), created_at=NOW, updated_at=NOW, legs=(),
    )  # fmt: skip
    desk.orders_db.write(lambda c: triggers.add(c, guard))
    with pytest.raises(RiskRefused, match="guards"):
        convert(desk)
    desk.orders_db.write(lambda c: triggers.move(c, "T1", triggers.ACTIVE, triggers.CANCELLED, NOW))
    assert convert(desk).state == "accepted"


def test_delivery_sales_may_count_on_settled_shares(world: World) -> None:
    world.script.hold(RELIANCE, CNC, 100)
    reads = world.broker.manifest.can.reads | {"holdings"}
    manifest = world.broker.manifest
    world.broker.manifest = replace(manifest, can=replace(manifest.can, reads=reads))  # type: ignore[misc]
    shares = [
        Holding(symbol="RELIANCE", exchange=Exchange.NSE, quantity=Decimal(50), average_price=Decimal(1))
    ]
    world.broker._fetch_holdings = lambda: shares  # type: ignore[method-assign]
    sale = buy(60, side=Side.SELL, order_type=OrderType.LIMIT, price=Decimal(1500), product=CNC)
    world.orders.place(world.caller, sale)
    back = wish(100, product=CNC, to_product=MIS)
    with pytest.raises(RiskRefused, match="to close 60"):
        convert(world, back)
    assert convert(world, replace(back, quantity=Decimal(90))).state == "accepted"


def test_a_semi_auto_account_does_not_park_what_a_person_asks(desk: World) -> None:
    account = replace(desk.caller.account, broker="scripted", mode=Mode.LIVE, order_mode=OrderMode.SEMI_AUTO)
    desk.caller = replace(desk.caller, account=account)
    assert convert(desk).state == "accepted"

"""The day's P&L as it went."""

from datetime import UTC, datetime
from decimal import Decimal

from domain.market import Candle
from domain.model import Exchange, Position, Product, Side, Trade
from services.pnl_curve import curve, gained_before, line, told

OPEN = int(datetime(2026, 11, 24, 3, 45, tzinfo=UTC).timestamp())


def bar(minute: int, close: float) -> Candle:
    return Candle(OPEN + 60 * minute, 100.0, close, close, close, 10)


def fill(minute: int, side: Side, quantity: int, price: str) -> Trade:
    return Trade(
        trade_id=f"{minute}{side}",
        order_id="1",
        symbol="X",
        exchange=Exchange.NSE,
        side=side,
        product=Product.INTRADAY,
        quantity=Decimal(quantity),
        price=Decimal(price),
        traded_at=datetime.fromtimestamp(OPEN + 60 * minute + 20, UTC),
    )


def test_a_round_trip_moves_with_the_price_and_then_stands() -> None:
    bars = [bar(0, 100), bar(1, 101), bar(2, 103), bar(3, 90)]
    made = line([fill(1, Side.BUY, 10, "100.5"), fill(2, Side.SELL, 10, "102.5")], Decimal(0), 1.0, bars)
    assert [round(value, 2) for value in made.values()] == [5.0, 20.0, 20.0]


def test_what_was_carried_in_counts_from_the_first_price() -> None:
    made = line([], Decimal(-5), 1.0, [bar(0, 101), bar(1, 98)])
    assert list(made.values()) == [-5.0, 10.0]


def test_contract_value_multiplies() -> None:
    assert list(line([], Decimal(1), 100.0, [bar(0, 101)]).values()) == [100.0]


def test_the_curve_sums_and_measures_the_fall() -> None:
    made = curve([{0: 10.0, 60: 40.0, 120: 5.0}, {60: -10.0}], ["Y"])
    assert made.points == [(0, 10.0), (60, 30.0), (120, -5.0)]
    assert (made.best, made.worst, made.now, made.drawdown) == (30.0, -5.0, -5.0, -35.0)
    assert made.missing == ["Y"]


def test_a_day_that_only_falls_was_best_where_it_began() -> None:
    """The deepest fall is from the day's beginning, so that is its best: the figures agree with each other."""
    made = curve([{0: -10.0, 60: -25.0}], [])
    assert (made.begun, made.best, made.worst, made.drawdown) == (0.0, 0.0, -25.0, -25.0)


def test_what_was_carried_in_begins_with_what_it_had_gained() -> None:
    made = curve([{0: 110.0, 60: 90.0}, {60: 5.0}], [], [100.0, 0.0])
    assert made.points == [(0, 110.0), (60, 95.0)]
    assert (made.begun, made.best, made.worst, made.now, made.drawdown) == (100.0, 110.0, 95.0, 95.0, -15.0)


def held(quantity: int, realised: str | None, unrealised: str | None, last: float = 103.0) -> Position:
    return Position(
        symbol="X",
        exchange=Exchange.NSE,
        product=Product.INTRADAY,
        quantity=Decimal(quantity),
        realised=None if realised is None else Decimal(realised),
        unrealised=None if unrealised is None else Decimal(unrealised),
        last_price=last,
    )


def test_what_the_positions_say_is_not_known_while_a_part_is_not() -> None:
    assert told([held(5, "1", "2"), held(0, "3", None)]) == 6.0
    assert told([held(5, "1", None)]) is None and told([held(5, None, "2")]) is None
    assert told([]) == 0.0


def test_what_was_carried_in_had_gained_before() -> None:
    """10 bought at 90 days ago and priced 103 now: 130 in all, of which 30 since the day's first price of 100."""
    bars = [bar(0, 101), bar(1, 102)]
    rows = [held(10, "0", "130")]
    made = line([], Decimal(10), 1.0, bars)
    assert gained_before([], rows, "NSE", "X", made, bars) == 100.0
    today = [fill(0, Side.BUY, 10, "100.5")]
    assert gained_before(today, [held(10, "0", "25")], "NSE", "X", made, bars) == 0.0


def test_a_day_without_trades_is_flat() -> None:
    made = curve([], [])
    assert made.points == [] and made.now == 0.0

"""The order state machine: whatever order, copies and sources updates come in, what is known only moves forward."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.model import Exchange, Order, OrderState, OrderType, Product, Side
from domain.order_states import advance

START = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
WHOLE = 100
ENDS = (OrderState.COMPLETE, OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED)


@st.composite
def lives(draw: st.DrawFn) -> list[Order]:
    """What one order went through at its broker, in truth's order."""
    first = Order(
        order_id="1",
        client_order_id="",
        symbol="RELIANCE",
        exchange=Exchange.NSE,
        side=Side.BUY,
        quantity=Decimal(WHOLE),
        order_type=OrderType.LIMIT,
        product=Product.INTRADAY,
        price=Decimal(1400),
        state=OrderState.PENDING,
        placed_at=START,
        updated_at=START,
    )
    story = [first]
    if draw(st.booleans()):
        story.append(replace(first, state=OrderState.TRIGGER_PENDING))
    end = draw(st.sampled_from(ENDS))
    if end is OrderState.REJECTED:
        story.append(replace(first, state=end, reason="no margin"))
    else:
        most = WHOLE if end is OrderState.COMPLETE else draw(st.integers(0, WHOLE - 1))
        steps = sorted(draw(st.sets(st.integers(0, most), max_size=4)))
        for filled in [0, *steps]:
            price = Decimal(1400) if filled else None
            story.append(replace(first, state=OrderState.OPEN, filled=Decimal(filled), average_price=price))
        last = replace(story[-1], state=end, filled=Decimal(most))
        story.append(replace(last, average_price=Decimal(1400) if most else None))
    return [replace(one, updated_at=START + timedelta(seconds=n)) for n, one in enumerate(story)]


@st.composite
def heard(draw: st.DrawFn) -> tuple[list[Order], list[Order]]:
    """A life, and its updates as socket, postback and polling bring them: shuffled, repeated, some with times cut to
    the second or all alike, some with words nobody can read. The end is heard at least once."""
    story = draw(lives())
    copies = [*draw(st.lists(st.sampled_from(story), max_size=12)), story[-1]]
    if draw(st.booleans()):
        copies = [replace(one, updated_at=START) for one in copies]
    if draw(st.booleans()):
        copies.append(replace(story[0], state=OrderState.UNKNOWN, status_word="?"))
    return story, draw(st.permutations(copies))


@given(heard())
def test_every_order_of_hearing_ends_in_the_truth(given_: tuple[list[Order], list[Order]]) -> None:
    story, updates = given_
    known: Order | None = None
    seen: list[Order] = []
    for update in updates:
        news = advance(known, update)
        if news is not None:
            assert news != known
            seen.append(news)
            known = news
    assert known is not None
    assert (known.state, known.filled) == (story[-1].state, story[-1].filled)
    filled = [one.filled for one in seen]
    assert filled == sorted(filled)
    finals = [one.state for one in seen if one.state.is_final]
    assert len(set(finals)) == 1
    assert all(one.state.is_final for one in seen[len(seen) - len(finals) :])


@given(heard())
def test_what_was_heard_once_is_no_news_again(given_: tuple[list[Order], list[Order]]) -> None:
    _, updates = given_
    known: Order | None = None
    for update in updates:
        known = advance(known, update) or known
    assert [advance(known, update) for update in updates] == [None] * len(updates)

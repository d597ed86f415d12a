"""Orders from pages: sent once, refused in words, and every form works without a script."""

import re
from decimal import Decimal

import pytest

from domain.model import CancelOrder, ModifyOrder, OrderState, OrderType, PlaceOrder, Product, Side
from domain.outcomes import Refused
from tests.blueprints.broker import order, position
from tests.blueprints.stage import NOON, Stage, Visitor


def ticket(**changes: str) -> dict[str, str]:
    values = {
        "exchange": "NSE",
        "symbol": "RELIANCE",
        "action": "BUY",
        "product": "MIS",
        "pricetype": "LIMIT",
        "quantity": "100",
        "price": "1,536.90",
        "idempotency_key": "page-1",
    }
    return values | changes


def placed(stage: Stage) -> list[PlaceOrder]:
    return [one for one in stage.books.sent if isinstance(one, PlaceOrder)]


def test_a_ticket_becomes_one_order(stage: Stage, owner: Visitor) -> None:
    said = owner.post("/orders/place", script=True, data=ticket())
    assert said.status_code == 200 and "Buy 100 RELIANCE at 1,536.90: accepted" in said.text
    assert re.fullmatch(r"page-[0-9a-f]{24}", said.headers["X-Form-Key"])
    sent = placed(stage)[0]
    assert (sent.side, sent.quantity, sent.price, sent.product) == (
        Side.BUY,
        Decimal(100),
        Decimal("1536.90"),
        Product.INTRADAY,
    )


def test_a_double_click_sends_one_order(stage: Stage, owner: Visitor) -> None:
    token = owner.token()
    first = owner.post("/orders/place", token=token, data=ticket())
    second = owner.post("/orders/place", token=token, data=ticket())
    assert first.status_code == second.status_code == 303 and len(placed(stage)) == 1
    other = owner.post("/orders/place", token=token, script=True, data=ticket(quantity="200"))
    assert other.status_code == 422 and len(placed(stage)) == 1
    owner.post("/orders/place", token=token, data=ticket(idempotency_key="page-2"))
    assert len(placed(stage)) == 2


def test_without_a_script_the_answer_is_a_toast_on_the_next_page(stage: Stage, owner: Visitor) -> None:
    answer = owner.post("/orders/place", data=ticket(back="/trade?exchange=NSE&symbol=RELIANCE"))
    assert (answer.status_code, answer.location) == (303, "/trade?exchange=NSE&symbol=RELIANCE")
    assert "Buy 100 RELIANCE at 1,536.90: accepted" in owner.get("/orders").text


def test_lots_become_units(stage: Stage, owner: Visitor) -> None:
    fields = ticket(
        exchange="NFO", symbol="NIFTY01DEC2625950CE", product="NRML", quantity="2", price="148.35"
    )
    owner.post("/orders/place", script=True, data=fields | {"unit": "lots"})
    assert placed(stage)[0].quantity == 150
    owner.post("/orders/place", script=True, data=fields | {"unit": "units", "idempotency_key": "page-2"})
    assert len(placed(stage)) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"quantity": ""}, "quantity"),
        ({"quantity": "0"}, "quantity"),
        ({"quantity": "-5"}, "quantity"),
        ({"quantity": "१२"}, "quantity"),
        ({"quantity": "1e5"}, "quantity"),
        ({"quantity": "1.5"}, "quantity"),
        ({"quantity": "9" * 30}, "quantity"),
        ({"price": "NaN"}, "price"),
        ({"price": ""}, "price"),
        ({"price": "1536.93"}, "price"),
        ({"price": "Infinity"}, "price"),
        ({"action": "HOLD"}, "action"),
        ({"product": "NRML"}, "product"),
        ({"pricetype": "BRACKET"}, "pricetype"),
        ({"pricetype": "SL", "trigger_price": "abc"}, "trigger_price"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_sent(
    stage: Stage, owner: Visitor, changes: dict[str, str], field: str
) -> None:
    said = owner.post("/orders/place", script=True, data=ticket(**changes))
    assert said.status_code == 422 and "Not sent" in said.text
    assert said.headers["X-Field"] == field and placed(stage) == []


@pytest.mark.parametrize(
    "changes", [{"symbol": "NOBODY"}, {"exchange": "XYZ"}, {"exchange": "NSE_INDEX", "symbol": "NIFTY"}]
)
def test_what_cannot_be_traded_is_refused(stage: Stage, owner: Visitor, changes: dict[str, str]) -> None:
    said = owner.post("/orders/place", script=True, data=ticket(**changes))
    assert said.status_code == 422 and placed(stage) == []


def test_the_brokers_own_words_are_quoted(stage: Stage, owner: Visitor) -> None:
    stage.books.answers = [Refused("INSUFFICIENT_FUNDS", "Margin short by 23,418.00")]
    said = owner.post("/orders/place", script=True, data=ticket())
    assert said.status_code == 422 and "rejected" in said.text
    assert "Margin short by 23,418.00 (INSUFFICIENT_FUNDS)" in said.text


def test_an_order_page_has_terms_timeline_and_actions(stage: Stage, owner: Visitor) -> None:
    owner.post("/orders/place", script=True, data=ticket())
    order_id = stage.books.orders[0].order_id
    page = owner.get(f"/orders/{order_id}").text
    for words in (
        "gate passed, written to the journal",
        "Sent to paper",
        "paper took it",
        "Modify",
        "this dashboard",
    ):
        assert words in page
    assert "<html" not in owner.get(f"/orders/{order_id}?part=detail").text
    missing = owner.get("/orders/999999")
    assert missing.status_code == 502 or missing.status_code == 404


def test_terms_are_changed_by_a_plain_form(stage: Stage, owner: Visitor) -> None:
    stage.books.orders = [order(NOON)]
    order_id = stage.books.orders[0].order_id
    page = owner.get(f"/orders/{order_id}/modify").text
    assert 'value="1,536.50"' in page and 'value="100"' in page
    fields = {"pricetype": "LIMIT", "quantity": "60", "price": "1,535.00", "idempotency_key": "page-9"}
    assert owner.post(f"/orders/{order_id}/modify", data=fields).status_code == 303
    change = stage.books.sent[-1]
    assert isinstance(change, ModifyOrder) and (change.quantity, change.price) == (Decimal(60), Decimal(1535))
    wrong = owner.post(
        f"/orders/{order_id}/modify", data=fields | {"price": "12.34567", "idempotency_key": "n"}
    )
    assert wrong.status_code == 400 and "tick size" in wrong.text and len(stage.books.sent) == 1


def test_orders_are_cancelled_one_ticked_and_all(stage: Stage, owner: Visitor) -> None:
    stage.books.orders = [order(NOON, n) for n in range(1, 6)]
    ids = [one.order_id for one in stage.books.orders]
    assert "Cancel accepted" in owner.post(f"/orders/{ids[0]}/cancel", script=True).text
    said = owner.post("/orders/cancel", script=True, data={"order": ids[1:3]})
    assert "2 cancelled" in said.text
    assert "2 cancelled" in owner.post("/orders/cancel", script=True, all="1").text
    assert "No working orders" in owner.post("/orders/cancel", script=True, all="1").text
    assert len([one for one in stage.books.sent if isinstance(one, CancelOrder)]) == 5
    assert all(one.state is OrderState.CANCELLED for one in stage.books.orders)


def test_a_position_is_exited_once_and_in_part(stage: Stage, owner: Visitor) -> None:
    stage.books.positions = [position(), position(symbol="SBIN", quantity=Decimal(-400))]
    token = owner.token()
    for _ in range(2):
        owner.post(
            "/positions/exit", token=token, script=True, position="NSE:RELIANCE:MIS", idempotency_key="k"
        )
    sent = placed(stage)
    assert len(sent) == 1 and (sent[0].side, sent[0].quantity) == (Side.SELL, 100)
    assert sent[0].order_type is OrderType.MARKET
    owner.post("/positions/exit", script=True, position="NSE:SBIN:MIS", share="25", idempotency_key="k2")
    assert (placed(stage)[1].side, placed(stage)[1].quantity) == (Side.BUY, 100)
    wrong = owner.post("/positions/exit", script=True, position="NSE:SBIN:MIS", share="33")
    assert wrong.status_code == 422 and len(placed(stage)) == 2


def test_all_positions_are_exited(stage: Stage, owner: Visitor) -> None:
    stage.books.positions = [position(), position(symbol="SBIN", quantity=Decimal(-400))]
    assert "2 sent to exit" in owner.post("/positions/exit", script=True, all="1").text
    assert {(one.side, one.quantity) for one in placed(stage)} == {(Side.SELL, 100), (Side.BUY, 400)}


@pytest.mark.parametrize("row", ["", "NSE", "NSE:RELIANCE", "X:Y:Z", "NSE:RELIANCE:CO"])
def test_a_strange_position_is_refused(stage: Stage, owner: Visitor, row: str) -> None:
    said = owner.post("/positions/exit", script=True, position=row)
    assert said.status_code == 422 and stage.books.sent == []


def test_unreadable_positions_send_nothing(stage: Stage, owner: Visitor) -> None:
    stage.books.positions, stage.books.down = [position()], True
    said = owner.post("/positions/exit", script=True, all="1")
    assert said.status_code == 422 and stage.books.sent == []

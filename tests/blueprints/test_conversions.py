"""The Convert page: what it offers, what it sends, and what it says came of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.model import Exchange, Product
from domain.outcomes import Ambiguous, Refused
from tests.blueprints.broker import position
from tests.blueprints.stage import Stage, Visitor

ROW = "NSE:RELIANCE:MIS"
OPTION = "NIFTY01DEC2625950CE"


@pytest.fixture
def held(stage: Stage) -> Stage:
    stage.books.positions = [position()]
    return stage


def ask(owner: Visitor, key: str = "k", **fields: str) -> object:
    values = {"position": ROW, "to_product": "CNC", "quantity": "40", "idempotency_key": key}
    return owner.post("/positions/convert", data=values | fields)


def test_the_positions_page_leads_there(held: Stage, owner: Visitor) -> None:
    assert f"/positions/convert?position={ROW}" in owner.get("/positions").text
    page = owner.get(f"/positions/convert?position={ROW}").text
    assert "Convert RELIANCE" in page and "Delivery CNC" in page and "Carry NRML" not in page
    assert "All of it as CNC blocks about" in page and "30,740.00" in page


def test_a_part_is_converted_and_said_on_the_positions_page(held: Stage, owner: Visitor) -> None:
    answer = ask(owner)
    assert (answer.status_code, answer.location) == (303, "/positions")  # type: ignore[attr-defined]
    page = owner.get("/positions").text
    assert "40 RELIANCE from MIS to CNC: converted" in page
    [sent] = held.books.sent
    assert (sent.quantity, sent.product, sent.to_product) == (40, Product.INTRADAY, Product.DELIVERY)  # type: ignore[union-attr]
    assert "MIS to CNC" in owner.get("/operate/requests").text


def test_a_form_that_arrives_twice_converts_once(held: Stage, owner: Visitor) -> None:
    """Also when nothing of the position is left after the first."""
    token = owner.token()
    fields = {"position": ROW, "to_product": "CNC", "quantity": "", "idempotency_key": "k"}
    answers = [owner.post("/positions/convert", token=token, data=fields) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert len(held.books.sent) == 1


def test_lots_become_units(stage: Stage, owner: Visitor) -> None:
    stage.books.positions = [
        position(symbol=OPTION, exchange=Exchange.NFO, product=Product.CARRY, quantity=Decimal(-150))
    ]
    row = f"NFO:{OPTION}:NRML"
    page = owner.get(f"/positions/convert?position={row}").text
    assert 'value="2"' in page and "in lots of 75" in page
    ask(owner, position=row, to_product="MIS", quantity="1", unit="lots")
    [sent] = stage.books.sent
    assert sent.quantity == 75  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"quantity": "101"}, 400, "at most 100"),
        ({"quantity": "many"}, 400, "write digits"),
        ({"to_product": "NRML"}, 400, "use CNC, MIS"),
        ({"to_product": "XXX"}, 400, "Choose one of"),
        ({"position": "NSE:INFY:MIS"}, 404, "No such open position"),
        ({"position": "nonsense"}, 404, "No such open position"),
    ],
)
def test_what_is_wrong_is_said_in_place_and_not_sent(
    held: Stage, owner: Visitor, fields: dict[str, str], status: int, words: str
) -> None:
    answer = ask(owner, **fields)
    assert answer.status_code == status and words in answer.text  # type: ignore[attr-defined]
    assert held.books.sent == []


def test_a_refusal_keeps_what_was_typed(held: Stage, owner: Visitor) -> None:
    held.books.answers = [Refused("INSUFFICIENT_FUNDS", "Margin short by 10")]
    answer = ask(owner)
    assert answer.status_code == 422  # type: ignore[attr-defined]
    assert "Not converted. Margin short by 10" in answer.text and 'value="40"' in answer.text  # type: ignore[attr-defined]


def test_no_answer_is_shown_for_what_it_is(held: Stage, owner: Visitor) -> None:
    held.books.answers = [Ambiguous("timed out")]
    held.books.trades = []
    ask(owner)
    page = owner.get("/positions").text
    assert "40 RELIANCE from MIS to CNC: no answer yet" in page and "Not sent again" in page
    assert "MIS to CNC" in owner.get("/operate/unsettled").text
    again = ask(owner, key="k2")
    assert "has no answer yet" in again.text  # type: ignore[attr-defined]
    assert len(held.books.sent) == 1


def test_a_short_in_cash_offers_nothing(stage: Stage, owner: Visitor) -> None:
    stage.books.positions = [position(quantity=Decimal(-100))]
    assert "/positions/convert" not in owner.get("/positions").text
    assert owner.get(f"/positions/convert?position={ROW}").status_code == 501


def test_a_broker_without_it_offers_nothing(
    stage: Stage, owner: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = stage.live_account("zerodha")
    broker = stage.platform.sessions.broker_for(account)
    dumb = replace(broker.manifest, can=replace(broker.manifest.can, convert=False))
    monkeypatch.setattr(type(broker), "manifest", dumb)
    stage.books.positions = [position()]
    owner.post(f"/accounts/{account.id}/choose")
    page = owner.get("/positions").text
    assert "RELIANCE" in page and "/positions/convert" not in page
    answer = ask(owner)
    assert answer.status_code == 501 and stage.books.sent == []  # type: ignore[attr-defined]

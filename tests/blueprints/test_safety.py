"""Kill switch, Action Center, triggers: what stops, what waits, what guards."""

from decimal import Decimal

import pytest

from database import approvals
from domain.model import CancelOrder, OrderMode, OrderState
from tests.blueprints.broker import order, position
from tests.blueprints.stage import NOON, PASSWORD, Stage, Visitor

TICKET = {
    "exchange": "NSE",
    "symbol": "RELIANCE",
    "action": "BUY",
    "product": "MIS",
    "pricetype": "LIMIT",
    "quantity": "10",
    "price": "1536.90",
}


def test_the_kill_switch_works_as_a_plain_form(stage: Stage, owner: Visitor) -> None:
    stage.books.orders, stage.books.positions = [order(NOON), order(NOON, 2)], [position()]
    page = owner.get("/kill").text
    assert "Cancels 2 working orders" in page and "Exit 1 position at market" in page
    assert owner.post("/kill", reason="fat finger").location == "/kill"
    assert all(one.state is OrderState.CANCELLED for one in stage.books.orders)
    assert len([one for one in stage.books.sent if isinstance(one, CancelOrder)]) == 2
    assert "Trading is locked since" in owner.get("/dashboard").text
    refused = owner.post("/orders/place", script=True, data=TICKET)
    assert refused.status_code == 422 and "kill switch" in refused.text.lower()


def test_reducing_still_goes_while_locked(stage: Stage, owner: Visitor) -> None:
    stage.books.positions = [position()]
    owner.post("/kill")
    said = owner.post("/positions/exit", script=True, position="NSE:RELIANCE:MIS", idempotency_key="k")
    assert said.status_code == 200 and len(stage.books.sent) == 1


def test_flattening_exits_what_is_held(stage: Stage, owner: Visitor) -> None:
    stage.books.positions = [position(), position(symbol="SBIN", quantity=Decimal(-5))]
    owner.post("/kill", flatten="on")
    assert len(stage.books.sent) == 2


def test_unlocking_takes_the_password(stage: Stage, owner: Visitor) -> None:
    owner.post("/kill")
    assert owner.post("/kill/unlock", password="no").status_code == 403
    assert "Trading is locked" in owner.get("/orders").text
    assert owner.post("/kill/unlock", password=PASSWORD).status_code == 303
    assert "Trading is locked since" not in owner.get("/orders").text


def test_only_an_administrator_stops_everybody(stage: Stage, owner: Visitor) -> None:
    other = stage.owner("ravi")
    assert 'name="every"' not in other.get("/kill").text
    other.post("/kill", every="on")
    assert stage.platform.kill_switch.listed() == []
    owner.post("/kill", every="on")
    assert "Trading is locked since" in other.get("/dashboard").text


def test_programs_orders_wait_for_a_person(stage: Stage, owner: Visitor) -> None:
    account = stage.live_account("zerodha")
    owner.post(f"/accounts/{account.id}/choose")
    assert owner.post(f"/accounts/{account.id}/order-mode", order_mode="semi_auto").status_code == 303
    assert stage.accounts.account(account.id).order_mode is OrderMode.SEMI_AUTO
    key = stage.accounts.create_key(1, account_id=account.id)
    body = {"apikey": key, "strategy": "Test", "symbol": "RELIANCE", "exchange": "NSE", "action": "BUY"}
    body |= {"product": "MIS", "pricetype": "MARKET", "quantity": "10"}
    stage.app.test_client().post("/api/v1/placeorder", json=body)
    stage.app.test_client().post("/api/v1/placeorder", json=body | {"quantity": "20"})
    assert stage.books.sent == []
    page = owner.get("/action-center").text
    assert page.count("Approve</button>") == 2 and "RELIANCE" in page
    first, second = (
        one.id
        for one in reversed(stage.platform.approvals.listed(stage.accounts.caller_of_user(1, account.id)))
    )
    assert owner.post(f"/action-center/{first}/reject", reason="too large").status_code == 303
    assert "too large" in owner.get("/action-center?state=rejected").text
    owner.post(f"/action-center/{second}/approve")
    owner.post(f"/action-center/{second}/approve")
    assert "It is approved already" in owner.get("/action-center?state=approved").text


def owner_of(stage: Stage):  # type: ignore[no-untyped-def]
    return stage.accounts.caller_of_user(1)


def test_a_gtt_is_kept_listed_and_cancelled(stage: Stage, owner: Visitor) -> None:
    fields = {
        "symbol": "reliance",
        "exchange": "NSE",
        "action": "BUY",
        "product": "CNC",
        "pricetype": "LIMIT",
        "quantity": "5",
        "below": "1,500.00",
        "price": "1501",
    }
    assert owner.post("/triggers", data=fields).status_code == 303
    page = owner.get("/triggers").text
    assert "Watching" in page and "1,500.00" in page and "This server" in page
    trigger = stage.platform.triggers.listed(owner_of(stage))[0]
    owner.post(f"/triggers/{trigger.id}/cancel")
    assert "Nothing waits for a price" in owner.get("/triggers").text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"below": ""}, "below"),
        ({"quantity": "0"}, "quantity"),
        ({"below": "x"}, "below"),
        ({"symbol": "NO"}, "symbol"),
    ],
)
def test_a_bad_gtt_says_where(stage: Stage, owner: Visitor, changes: dict[str, str], field: str) -> None:
    fields = {
        "symbol": "RELIANCE",
        "exchange": "NSE",
        "action": "BUY",
        "product": "CNC",
        "pricetype": "MARKET",
    }
    fields |= {"quantity": "5", "below": "1500"}
    answer = owner.post("/triggers", data=fields | changes)
    assert answer.status_code == 400 and f'id="{field}-error"' in answer.text


def test_a_position_is_guarded(stage: Stage, owner: Visitor) -> None:
    stage.books.positions = [position()]
    row = "NSE:RELIANCE:MIS"
    assert "Guard RELIANCE" in owner.get(f"/triggers/guard?position={row}").text
    wrong = owner.post("/triggers/guard", position=row, stop="1600")
    assert wrong.status_code == 400 and 'id="stop-error"' in wrong.text
    assert owner.post("/triggers/guard", position=row, stop="1520", target="1560").status_code == 303
    page = owner.get("/triggers").text
    assert "Exit, OCO" in page and "1,520.00" in page and "1,560.00" in page
    assert owner.get("/triggers/guard?position=NSE:INFY:MIS").status_code == 404


def test_every_page_says_how_many_requests_wait(stage: Stage, owner: Visitor) -> None:
    assert "Action Center</a>." not in owner.get("/dashboard").text
    owner.post("/accounts/1/order-mode", order_mode="semi_auto")
    bar = 'hx-get="/action-center/waiting" hx-trigger="changed:orders from:body"'
    page = owner.get("/dashboard").text
    assert bar in page and "for a decision" not in page
    orders = stage.platform.databases["orders"]
    for kind in ("basket", "smart"):
        orders.write(lambda c, kind=kind: approvals.park(c, account_id=1, kind=kind, request={}, now=NOON))
    assert "2 requests of programs wait" in owner.get("/dashboard").text
    assert "2 requests of programs wait" in owner.get("/action-center/waiting").text
    assert 'Action Center <span class="count">2</span>' in owner.get("/orders").text
    owner.post("/action-center/1/reject")
    assert "1 request of a program waits" in owner.get("/action-center/waiting").text

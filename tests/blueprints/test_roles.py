"""Admins, traders and viewers: what each may do at which account, on every page and by every key."""

from __future__ import annotations

import json
import re

import pytest

from database.engine import Database
from domain.errors import InvalidRequest, Unauthorized
from domain.roles import Role
from services.accounts import User
from tests.blueprints.broker import order, position
from tests.blueprints.stage import NOON, PASSWORD, Stage, Visitor
from tests.blueprints.test_doors import KEYED, PUBLIC, page_rules

OWN = {
    "accounts.add",
    "accounts.back",
    "accounts.choose",
    "accounts.default",
    "accounts.finish",
    "baskets.add",
    "baskets.change",
    "baskets.create",
    "baskets.delete",
    "operate.look_now",
    "playground.send",
    "python_alerts.see",
    "settings.confirm_codes",
    "settings.create_key",
    "settings.end_others",
    "settings.end_session",
    "settings.forget_device",
    "settings.password",
    "settings.renew_codes",
    "settings.reveal_key",
    "settings.revoke_key",
    "settings.start_codes",
    "settings.stop_codes",
    "shell.socket_ticket",
    "trade.add_list",
    "trade.add_row",
    "trade.delete_list",
    "trade.move_row",
    "trade.remove_row",
    "trade.rename_list",
}
"""What a viewer may write: their own password, keys, lists and baskets; sending one is not among them."""
ORDER = {
    "exchange": "NSE",
    "symbol": "RELIANCE",
    "action": "BUY",
    "product": "MIS",
    "pricetype": "LIMIT",
    "price": "1500",
    "quantity": "1",
    "idempotency_key": "one",
}


def seated(stage: Stage, role: Role, name: str = "ravi") -> Visitor:
    """Somebody with this role at asha's paper account, which is in front of them."""
    other = stage.owner(name)
    stage.accounts.give_seat(1, stage.accounts.user_named(name).id, role)
    assert other.post("/accounts/1/choose").status_code == 303
    return other


def test_a_viewer_sees_every_book_and_writes_nothing(stage: Stage, owner: Visitor) -> None:
    """Every POST of every page is refused, but the few that concern the person alone."""
    viewer = seated(stage, Role.VIEWER)
    for path in ("/dashboard", "/orders", "/positions", "/trades", "/holdings", "/pnl", "/python/", "/kill"):
        page = viewer.get(path)
        assert page.status_code == 200 and "not act on it" in page.text, path
    asked = 0
    for rule in page_rules(stage):
        if "POST" not in (rule.methods or ()) or rule.endpoint in PUBLIC | KEYED | OWN:
            continue
        values = dict.fromkeys(rule.arguments, "1")
        path = rule.build(values, append_unknown=False)[1]  # type: ignore[index]
        answer = viewer.post(path, data=ORDER)
        assert answer.status_code == 403, (rule.endpoint, answer.status_code)
        asked += 1
    assert asked > 50
    assert stage.books.sent == []


def test_a_viewers_pages_offer_no_action(stage: Stage, owner: Visitor) -> None:
    viewer = seated(stage, Role.VIEWER)
    stage.books.positions, stage.books.orders = [position()], [order(NOON)]
    for path in ("/positions", "/orders", "/trade/bottom?tab=positions", "/trade/bottom?tab=orders"):
        assert "RELIANCE" in viewer.get(path).text
        assert not re.search(r'action="/(orders|positions)/', viewer.get(path).text), path
        assert re.search(r'action="/(orders|positions)/', owner.get(path).text), path
    ticket = viewer.get("/trade?exchange=NSE&symbol=RELIANCE").text
    assert "data-off=" in ticket and "data-off=" not in owner.get("/trade?exchange=NSE&symbol=RELIANCE").text
    assert 'aria-keyshortcuts="Shift+K"' not in ticket
    assert ">Add an account<" in viewer.get("/accounts").text
    stage.accounts.set_role(stage.accounts.user_named("ravi").id, Role.VIEWER)
    assert ">Add an account<" not in viewer.get("/accounts").text


def test_a_trader_trades_at_anothers_account_and_does_not_run_it(stage: Stage, owner: Visitor) -> None:
    trader = seated(stage, Role.TRADER)
    assert "asha/paper" in trader.get("/accounts").text
    assert trader.post("/orders/place", data=ORDER).status_code == 303
    assert len(stage.books.sent) == 1
    for path in ("/settings/limits", "/accounts/1/order-mode", "/paper/reset", "/kill/unlock"):
        assert trader.post(path).status_code == 403, path
    stage.accounts.give_seat(1, stage.accounts.user_named("ravi").id, None)
    assert "asha/paper" not in trader.get("/accounts").text
    assert trader.post("/accounts/1/choose", script=True).status_code == 404


def test_a_viewers_keys_only_read_also_those_made_before(stage: Stage, owner: Visitor) -> None:
    trader = seated(stage, Role.TRADER)
    user = stage.accounts.user_named("ravi")
    key = stage.accounts.create_key(user.id, account_id=1)
    assert "trade" in stage.accounts.caller_of_key(key).scopes
    stage.accounts.give_seat(1, user.id, Role.VIEWER)
    assert stage.accounts.caller_of_key(key).scopes == {"read"}
    order = {
        "apikey": key,
        "strategy": "x",
        "symbol": "RELIANCE",
        "exchange": "NSE",
        "action": "BUY",
        "quantity": "1",
        "pricetype": "MARKET",
        "product": "MIS",
    }
    client = stage.app.test_client()
    assert client.post("/api/v1/placeorder", json=order).status_code == 403
    assert client.post("/api/v1/funds", json={"apikey": key}).status_code == 200
    with pytest.raises(InvalidRequest, match="only reads"):
        stage.accounts.create_key(user.id, account_id=1)
    form = {"name": "mine", "account": "1", "scopes": ["read", "trade"], "password": PASSWORD}
    assert "make a key that only reads" in trader.post("/settings/keys", data=form).text
    stage.accounts.give_seat(1, user.id, None)
    with pytest.raises(Unauthorized):
        stage.accounts.caller_of_key(key)
    assert stage.books.sent == []


def test_the_playground_gives_a_viewer_no_way_round(stage: Stage, owner: Visitor) -> None:
    viewer = seated(stage, Role.VIEWER)
    order = {"strategy": "x", "symbol": "RELIANCE", "exchange": "NSE", "action": "BUY", "quantity": "1"}
    body = json.dumps(order | {"pricetype": "MARKET", "product": "MIS"})
    page = viewer.post("/playground/send", to="post /placeorder", body=body).text
    assert "lacks the trade scope" in page
    assert stage.books.sent == []


def test_the_servers_role_is_a_ceiling(stage: Stage, owner: Visitor) -> None:
    """A viewer of the server changes nothing on their own paper account either."""
    stage.accounts.add_user("meera", PASSWORD, role=Role.VIEWER)
    meera = stage.owner("meera")
    assert meera.post("/orders/place", data=ORDER).status_code == 403
    assert meera.post("/accounts", name="More", broker="zerodha").status_code == 403
    assert owner.post("/orders/place", data=ORDER).status_code == 303


def change(owner: Visitor, name: str, role: str) -> int:
    return int(owner.post("/settings/users/change", name=name, role=role, own_password=PASSWORD).status_code)


def test_the_admin_gives_roles_and_bars(stage: Stage, owner: Visitor) -> None:
    ravi = stage.owner("ravi")
    key = stage.accounts.create_key(stage.accounts.user_named("ravi").id)
    assert change(owner, "ravi", "viewer") == 303
    assert ravi.post("/orders/place", data=ORDER).status_code == 403
    assert ravi.get("/settings/users").status_code == 403
    assert ravi.post("/settings/users/change", name="ravi", role="admin").status_code == 403
    assert change(owner, "ravi", "bar") == 303
    assert ravi.get("/dashboard").status_code == 303
    with pytest.raises(Unauthorized):
        stage.accounts.caller_of_key(key)
    assert change(owner, "ravi", "unbar") == 303
    assert stage.owner("ravi").get("/dashboard").status_code == 200
    assert owner.post("/settings/users/change", name="ravi", role="admin").status_code == 400
    assert change(owner, "nobody", "viewer") == 400 and change(owner, "ravi", "king") == 400
    assert "user.role" in owner.get("/settings/audit").text


def test_somebody_always_runs_the_server(stage: Stage, owner: Visitor) -> None:
    assert change(owner, "asha", "viewer") == 400 and change(owner, "asha", "bar") == 400
    stage.owner("ravi")
    assert change(owner, "ravi", "admin") == 303 and change(owner, "asha", "trader") == 303
    assert owner.get("/settings/users").status_code == 403


def test_seats_are_given_on_the_page(stage: Stage, owner: Visitor) -> None:
    stage.owner("ravi")
    form = {"account": "1", "user": "ravi", "role": "viewer", "seat_password": PASSWORD}
    assert owner.post("/settings/users/seats", data=form).status_code == 303
    assert "asha/paper" in owner.get("/settings/users").text
    assert [seat.role for seat in stage.accounts.seats_of(2)] == [Role.ADMIN, Role.VIEWER]
    for wrong in ({"seat_password": "no"}, {"account": "99"}, {"user": "nobody"}, {"user": "asha"}):
        assert owner.post("/settings/users/seats", data=form | wrong).status_code == 400, wrong
    assert owner.post("/settings/users/seats", data=form | {"role": "none"}).status_code == 303
    assert len(stage.accounts.seats_of(2)) == 1


def test_an_unreadable_role_lets_nobody_act(stage: Stage, owner: Visitor) -> None:
    stage.owner("ravi")
    ravi: User = stage.accounts.user_named("ravi")
    store: Database = stage.accounts._db
    store.write(lambda c: c.exec_driver_sql("UPDATE users SET role = 'lord' WHERE id = 2"))
    with pytest.raises(ValueError, match="lord"):
        stage.accounts.caller_of_user(ravi.id)

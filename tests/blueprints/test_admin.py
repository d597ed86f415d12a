"""Limits, users, calendar, freeze quantities and the audit, from their forms to what holds."""

import csv
import io
import re
from decimal import Decimal
from unittest.mock import patch

from database import users as user_rows
from domain.model import Exchange, OrderRequest, Side
from domain.roles import Role
from tests.blueprints.stage import PASSWORD, Stage, Visitor

LIMITS = {"queue_seconds": "12"}
ORDER = {"exchange": "NSE", "symbol": "RELIANCE", "action": "BUY", "product": "MIS", "pricetype": "MARKET"}


def test_limits_hold_from_the_next_order(stage: Stage, owner: Visitor) -> None:
    assert owner.post("/settings/limits", data=LIMITS | {"max_quantity": "50"}).status_code == 303
    owner.post("/orders/place", data=ORDER | {"quantity": "51", "idempotency_key": "a"})
    assert stage.books.sent == []
    owner.post("/orders/place", data=ORDER | {"quantity": "50", "idempotency_key": "b"})
    assert len(stage.books.sent) == 1
    page = owner.get("/settings/limits").text
    assert 'name="max_quantity" type="text" value="50"' in page
    assert "limits.change" in owner.get("/settings/audit").text
    assert owner.post("/settings/limits", data=LIMITS).status_code == 303
    assert stage.app.extensions["desk"].limits.of(stage.accounts.caller_of_user(1)).max_quantity is None


def test_a_bad_limit_is_named_and_nothing_changes(stage: Stage, owner: Visitor) -> None:
    for field, value in (
        ("max_quantity", "-1"),
        ("max_orders_per_day", "1.5"),
        ("max_value", "lots"),
        ("queue_seconds", "600"),
        ("allowed_products", "MIS XYZ"),
        ("algo_id", "x" * 33),
    ):
        answer = owner.post("/settings/limits", data=LIMITS | {"max_open_orders": "7", field: value})
        assert answer.status_code == 400, field
        assert f'id="{field}-error"' in answer.text and 'value="7"' in answer.text, field
    assert stage.app.extensions["desk"].limits.of(stage.accounts.caller_of_user(1)).max_open_orders is None


def test_only_an_administrator_with_a_password_adds_people(stage: Stage, owner: Visitor) -> None:
    fields = {"name": "ravi", "password": "long enough words", "own_password": "wrong", "role": "trader"}
    assert owner.post("/settings/users", data=fields).status_code == 400
    assert len(stage.accounts.users()) == 1
    short = owner.post("/settings/users", data=fields | {"own_password": PASSWORD, "password": "x"})
    assert short.status_code == 400 and "long enough words" not in short.text
    assert owner.post("/settings/users", data=fields | {"own_password": PASSWORD}).status_code == 303
    made = stage.accounts.users()[1]
    assert (made.name, made.is_admin) == ("ravi", False)
    other = stage.visitor()
    assert other.post("/login", username="ravi", password="long enough words").status_code == 303
    assert other.post("/settings/users", data=fields).status_code == 403


def test_failing_sign_ins_are_listed_with_their_address(stage: Stage, owner: Visitor) -> None:
    stage.visitor("10.9.9.9").post("/login", username="<script>", password="x")
    page = owner.get("/settings/security").text
    assert "10.9.9.9" in page and "&lt;script&gt;" in page and "<script>x" not in page


def test_a_day_is_corrected_and_given_back(stage: Stage, owner: Visitor) -> None:
    fields = {"day": "2026-11-24", "group": "EQUITY", "name": "Storm", "type": "CLOSED"}
    assert owner.post("/settings/calendar", data=fields).status_code == 303
    page = owner.get("/settings/calendar?year=2026").text
    assert "Your corrections" in page and "Storm" in page
    taken = owner.post("/settings/calendar/take-back", day="2026-11-24", group="EQUITY")
    assert taken.status_code == 303
    assert "Your corrections" not in owner.get("/settings/calendar?year=2026").text
    for wrong in ({"day": "soon"}, {"type": "PARTY"}, {"open": "25:99"}, {"group": "MOON"}):
        assert owner.post("/settings/calendar", data=fields | wrong).status_code == 400
    assert owner.get("/settings/calendar?year=99999").status_code == 200


def test_freeze_quantities_come_from_the_contract_file(stage: Stage, owner: Visitor) -> None:
    assert "1,800" in owner.get("/settings/freeze").text
    assert owner.get("/settings/freeze?format=csv").text.splitlines()[1] == "NIFTY,NFO,75,1800"


def test_the_audit_is_ones_own_unless_one_runs_the_server(stage: Stage, owner: Visitor) -> None:
    owner.post("/settings/limits", data=LIMITS | {"max_quantity": "50"})
    ravi = stage.owner("ravi")
    ravi.post("/settings/limits", data=LIMITS | {"max_quantity": "77"})
    assert "limits.change" in owner.get("/settings/audit").text
    assert "&#39;77&#39;" not in owner.get("/settings/audit").text.replace("&#34;", "&#39;")
    assert "77" in owner.get("/settings/audit?all=1").text
    mine = ravi.get("/settings/audit?all=1").text
    assert "77" in mine and '"50"' not in mine.replace("&#34;", '"')
    stage.platform.audit.seal()
    assert "the chain is whole" in owner.get("/settings/audit?verify=1").text


def test_the_audit_names_people(stage: Stage, owner: Visitor) -> None:
    """Orders are sealed with the person's number; page, CSV and command say the name, and ask for names once."""
    stage.owner("ravi")
    stage.accounts.give_seat(1, 2, Role.TRADER)
    order = OrderRequest(symbol="RELIANCE", exchange=Exchange.NSE, side=Side.BUY, quantity=Decimal(1))
    for who in (1, 2, 1):
        caller = stage.accounts.caller_of_user(who, 1)
        stage.platform.orders.place(caller, order)
    stage.platform.audit.seal()
    with patch.object(user_rows, "names", wraps=user_rows.names) as asked:
        page = owner.get("/settings/audit").text
    assert asked.call_count == 1
    assert re.findall(r'font-medium">([^<]+)</td><td data-c="l">order.place', page)[-6:] == [
        *["asha"] * 2,
        *["ravi"] * 2,
        *["asha"] * 2,
    ]
    lines = list(csv.DictReader(io.StringIO(owner.get("/settings/audit?format=csv").text.lstrip("\ufeff"))))
    placed = [line for line in lines if line["what"] == "order.place"]
    assert {line["who"] for line in placed} == {"asha", "ravi"} and '"symbol": "RELIANCE"' in placed[-1][
        "detail"
    ]
    assert stage.platform.audit.verify()[1] == ""
    assert 'A person <span class="text-xs">ravi</span>' in owner.get("/operate/requests").text
    assert ",ravi\r\n" in owner.get("/operate/requests?format=csv").text


def test_limits_are_the_account_in_fronts(stage: Stage, owner: Visitor) -> None:
    account = stage.live_account("zerodha")
    owner.post(f"/accounts/{account.id}/choose")
    owner.post("/settings/limits", data=LIMITS | {"max_value": "100000.50"})
    limits = stage.app.extensions["desk"].limits
    assert limits.of(stage.accounts.caller_of_user(1, account.id)).max_value == Decimal("100000.50")
    assert limits.of(stage.accounts.caller_of_user(1)).max_value is None


def test_a_banned_address_is_served_by_no_door(stage: Stage, owner: Visitor) -> None:
    stranger = stage.visitor("203.0.113.7")
    assert stranger.get("/login").status_code == 200
    form = {"network": "203.0.113.0/24", "lasts": "hour", "reason": "guessing"}
    assert owner.post("/settings/security/bans", data=form).status_code == 303
    for path in ("/login", "/", "/api/v1/ping", "/static/built/app.css", "/metrics"):
        assert stranger.get(path).status_code == 403, path
    assert (
        stranger.client.post("/api/v1/funds", environ_base={"REMOTE_ADDR": "203.0.113.9"}).status_code == 403
    )
    mapped = stage.visitor("::ffff:203.0.113.9")
    assert mapped.get("/login").status_code == 403
    assert stage.visitor("203.0.114.1").get("/login").status_code == 200
    page = owner.get("/settings/security").text
    assert "203.0.113.0/24" in page and "guessing" in page
    stage.clock.sleep(3601)
    assert stranger.get("/login").status_code == 200


def test_a_ban_is_lifted_and_never_shuts_out_its_maker(stage: Stage, owner: Visitor) -> None:
    stranger = stage.visitor("203.0.113.7")
    ban = {"network": "203.0.113.7", "lasts": "lifted"}
    assert owner.post("/settings/security/bans", data=ban).status_code == 303
    stage.clock.sleep(90 * 86400)
    assert stranger.get("/login").status_code == 403
    owner = stage.owner()
    assert owner.post("/settings/security/bans/lift", network="203.0.113.7/32").status_code == 303
    assert stranger.get("/login").status_code == 200
    for wrong in ("10.0.0.7", "10.0.0.0/16", "0.0.0.0/0", "127.0.0.1", "::1", "moon", ""):
        assert owner.post("/settings/security/bans", data={"network": wrong}).status_code == 400, wrong
    assert (
        owner.post("/settings/security/bans/lift", network="203.0.113.7/32", script=True).status_code == 404
    )
    ravi = stage.owner("ravi")
    assert ravi.post("/settings/security/bans", data=ban).status_code == 403
    assert "ban.add" in owner.get("/settings/audit").text

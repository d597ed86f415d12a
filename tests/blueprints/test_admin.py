"""Limits, users, calendar, freeze quantities and the audit, from their forms to what holds."""

from decimal import Decimal

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
    fields = {"name": "ravi", "password": "long enough words", "own_password": "wrong"}
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
    assert owner.get("/settings/audit?format=csv").text.startswith("\ufeffseq,at,hash,entry")


def test_limits_are_the_account_in_fronts(stage: Stage, owner: Visitor) -> None:
    account = stage.live_account("zerodha")
    owner.post(f"/accounts/{account.id}/choose")
    owner.post("/settings/limits", data=LIMITS | {"max_value": "100000.50"})
    limits = stage.app.extensions["desk"].limits
    assert limits.of(stage.accounts.caller_of_user(1, account.id)).max_value == Decimal("100000.50")
    assert limits.of(stage.accounts.caller_of_user(1)).max_value is None

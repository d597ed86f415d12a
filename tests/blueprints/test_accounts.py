"""Broker accounts: added, connected, taken live with a typed name, and never by somebody else."""

import pytest

from domain.model import Mode
from services import broker_directory
from tests.blueprints.stage import Stage, Visitor


def real_broker() -> str:
    """A broker whose login is a page at the broker."""
    return next(one.name for one in broker_directory.listed() if one.login.kind == "redirect")


def added(stage: Stage, owner: Visitor, broker: str) -> int:
    answer = owner.post("/accounts", name="Family", broker=broker)
    account = stage.accounts.accounts_of(1)[-1]
    assert answer.location == f"/accounts/{account.id}/connect"
    return account.id


def test_a_second_paper_account_is_ready_at_once(stage: Stage, owner: Visitor) -> None:
    assert owner.post("/accounts", name="Paper 2", broker="paper").location == "/accounts"
    page = owner.get("/accounts").text
    assert "Paper 2" in page and "Always open" in page
    taken = owner.post("/accounts", name="Paper 2", broker="paper")
    assert taken.status_code == 400 and "already" in taken.text
    assert owner.post("/accounts", name="x", broker="nobody", script=True).status_code == 404


def test_the_login_form_comes_from_the_manifest_and_keeps_secrets(stage: Stage, owner: Visitor) -> None:
    broker = real_broker()
    account_id = added(stage, owner, broker)
    manifest = broker_directory.manifest_of(broker)
    page = owner.get(f"/accounts/{account_id}/connect").text
    for field in manifest.login.fields:
        assert f'name="{field.name}"' in page
    assert f"/{broker}/callback" in page
    missing = owner.post(f"/accounts/{account_id}/connect")
    assert missing.status_code == 400 and "Fill in" in missing.text
    fields = {field.name: f"CNRY-{field.name}" for field in manifest.login.fields}
    leave = owner.post(f"/accounts/{account_id}/connect", data=fields).text
    assert f"Continue to {manifest.title}" in leave
    again = owner.get(f"/accounts/{account_id}/connect").text
    for field in manifest.login.fields:
        assert (f"CNRY-{field.name}" in again) is (not field.secret)


def test_the_way_back_does_nothing_by_itself(stage: Stage, owner: Visitor) -> None:
    broker = real_broker()
    account_id = added(stage, owner, broker)
    assert owner.get(f"/{broker}/callback?request_token=x").status_code == 404
    fields = {f.name: "x" for f in broker_directory.manifest_of(broker).login.fields}
    owner.post(f"/accounts/{account_id}/connect", data=fields)
    page = owner.get(f"/{broker}/callback?request_token=abc&state=of-another-login").text
    assert "belongs to another login" in page and "<button" not in page.split("<main")[1].split("</main>")[0]
    assert "Connect Family" in owner.get(f"/{broker}/callback?request_token=abc").text
    assert stage.platform.sessions.state(stage.accounts.account(account_id)).word == "none"


def test_going_live_takes_the_name_and_paper_takes_a_press(stage: Stage, owner: Visitor) -> None:
    account_id = added(stage, owner, real_broker())
    wrong = owner.post(f"/accounts/{account_id}/mode", mode="live", confirm="family")
    assert wrong.status_code == 400 and stage.accounts.account(account_id).mode is Mode.ANALYZE
    owner.post(f"/accounts/{account_id}/mode", mode="live", confirm="Family")
    assert stage.accounts.account(account_id).mode is Mode.LIVE
    owner.post(f"/accounts/{account_id}/choose")
    page = owner.get("/orders").text
    assert (
        'data-mode="live"' in page
        and "no broker session" in page
        and f"/accounts/{account_id}/connect" in page
    )
    owner.post(f"/accounts/{account_id}/mode", mode="analyze")
    assert stage.accounts.account(account_id).mode is Mode.ANALYZE


def test_a_paper_account_has_no_live_mode(stage: Stage, owner: Visitor) -> None:
    answer = owner.post("/accounts/1/mode", mode="live", confirm="paper")
    assert answer.status_code == 400 and "no live mode" in answer.text


@pytest.mark.parametrize("path", ["choose", "default", "mode", "order-mode", "connect", "disconnect"])
def test_anothers_account_does_not_exist(stage: Stage, owner: Visitor, path: str) -> None:
    other = stage.owner("ravi")
    assert other.post(f"/accounts/1/{path}", script=True, mode="live", confirm="paper").status_code == 404

"""Broker accounts: added, connected, taken live with a typed name, and never by somebody else."""

import html
import re
from urllib.parse import parse_qsl, urlsplit

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
    for field in manifest.login.ask:
        assert f'name="{field.name}"' not in page, "the broker's page brings it: nobody could fill it in here"
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


def posting_broker() -> str:
    """A broker whose page posts its answer, from its own site."""
    return "rmoney"


def hidden(page: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found if name != "csrf_token"}


def begun(stage: Stage, owner: Visitor) -> tuple[int, str]:
    """An account whose login was begun, and the mark that its login page got."""
    broker = posting_broker()
    account_id = added(stage, owner, broker)
    fields = {f.name: "x" for f in broker_directory.manifest_of(broker).login.fields}
    fields["redirect_url"] = f"https://trade.example/{broker}/callback"
    leave = owner.post(f"/accounts/{account_id}/connect", data=fields).text
    (page,) = re.findall(r'href="(https://xts[^"]+)"', leave)
    back = dict(parse_qsl(urlsplit(html.unescape(page)).query))["returnURL"]
    return account_id, dict(parse_qsl(urlsplit(back).query))["state"]


def test_a_page_that_posts_its_answer_goes_on_with_the_session_it_began_in(
    stage: Stage, owner: Visitor
) -> None:
    """The browser sends no cookie along with another site's post; ours comes with the press on our own page."""
    account_id, state = begun(stage, owner)
    path = f"/{posting_broker()}/callback"
    answer = '{"userID": "XT1", "token": "CNRY-TOKEN"}'
    stranger = stage.visitor().client
    bridge = stranger.post(f"{path}?state={state}", data={"session": answer})
    assert bridge.status_code == 200 and "Set-Cookie" not in bridge.headers
    assert "no-store" in bridge.headers["Cache-Control"]
    assert hidden(bridge.text) == {"session": answer, "state": state}
    assert "CNRY-TOKEN" not in (bridge.location or "")
    finish = owner.client.post(f"{path}/back", data=hidden(bridge.text))
    assert finish.status_code == 200 and "Connect Family" in finish.text
    assert hidden(finish.text)["session"] == answer
    assert stage.platform.sessions.state(stage.accounts.account(account_id)).word == "none"


@pytest.mark.parametrize("state", ["", "of-another-login"])
def test_a_posted_answer_without_the_mark_of_this_login_opens_nothing(
    stage: Stage, owner: Visitor, state: str
) -> None:
    begun(stage, owner)
    path, answer = f"/{posting_broker()}/callback", {"session": "{}", "state": state}
    assert stage.visitor().client.post(path, data=answer).status_code == (200 if state else 400)
    refused = owner.client.post(f"{path}/back", data=answer)
    assert refused.status_code == 400 and "<form" not in refused.text.split("<main")[1].split("</main>")[0]
    assert stage.visitor().client.post(f"{path}/back", data=answer).location == "/login"


def test_what_is_no_answer_of_a_broker_is_refused(stage: Stage, owner: Visitor) -> None:
    client = stage.visitor().client
    assert client.post("/nobroker/callback", data={"session": "x", "state": "y"}).status_code == 404
    big = {"session": "x" * 9000, "state": "y"}
    assert client.post(f"/{posting_broker()}/callback", data=big).status_code == 400


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

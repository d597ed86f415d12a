"""Keys, codes and devices."""

import re

import pyotp
import pytest

from tests.blueprints.stage import PASSWORD, Stage, Visitor


def made_key(page: str) -> str:
    found = re.search(r'value="([0-9a-f]{64})"', page)
    assert found is not None
    return found[1]


def test_a_key_is_made_after_the_password_and_shown_once(stage: Stage, owner: Visitor) -> None:
    fields = {
        "name": "TradingView",
        "scopes": ["read"],
        "addresses": "10.0.0.1 10.1.0.0/16",
        "expires": "2026-12-31",
    }
    wrong = owner.post("/settings/keys", data=fields | {"password": "no"})
    assert (
        wrong.status_code == 403 and "password is wrong" in wrong.text and 'value="TradingView"' in wrong.text
    )
    page = owner.post("/settings/keys", data=fields | {"password": PASSWORD}).text
    key = made_key(page)
    listed = owner.get("/settings/keys").text
    assert key not in listed and f"\u2026{key[-4:]}" in listed and "10.1.0.0/16" in listed
    caller = stage.accounts.caller_of_key(key, address="10.1.2.3")
    assert caller.scopes == {"read"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scopes": []}, "Scopes are"),
        ({"addresses": "nonsense"}, "Not an IP address"),
        ({"expires": "31/12/2026"}, "year-month-day"),
        ({"expires": "2020-01-01"}, "is over"),
    ],
)
def test_a_bad_key_form_says_what_to_mend(owner: Visitor, changes: dict[str, object], words: str) -> None:
    fields: dict[str, object] = {"name": "x", "scopes": ["read"], "password": PASSWORD}
    answer = owner.post("/settings/keys", data=fields | changes)
    assert answer.status_code == 400 and words in answer.text


def test_a_key_is_revealed_after_the_password_and_revoked(stage: Stage, owner: Visitor) -> None:
    key = made_key(
        owner.post("/settings/keys", data={"name": "x", "scopes": ["read"], "password": PASSWORD}).text
    )
    key_id = stage.accounts.keys_of(1)[0].id
    assert key not in owner.post(f"/settings/keys/{key_id}/reveal", password="no").text
    assert key in owner.post(f"/settings/keys/{key_id}/reveal", password=PASSWORD).text
    assert owner.post(f"/settings/keys/{key_id}/revoke").status_code == 303
    assert stage.accounts.keys_of(1) == []


def test_guessing_the_password_inside_is_bounded_too(stage: Stage, owner: Visitor) -> None:
    stage.accounts.create_key(1)
    answers = [owner.post("/settings/keys/1/reveal", password=f"guess{n}") for n in range(12)]
    assert "Too many wrong tries" in answers[-1].text


def test_codes_are_turned_on_renewed_and_off(stage: Stage, owner: Visitor) -> None:
    other = stage.owner()
    assert "password is wrong" in owner.post("/settings/codes/start", password="no").text
    page = owner.post("/settings/codes/start", password=PASSWORD).text
    secret = re.search(r"select-all\">([A-Z2-7]{32})<", page)
    assert secret is not None
    totp = pyotp.TOTP(secret[1])
    assert "does not match" in owner.post("/settings/codes/confirm", code="123456").text
    assert "Recovery codes" in owner.post("/settings/codes/confirm", code=totp.at(stage.clock.at)).text
    assert other.get("/dashboard").location == "/login" and owner.get("/dashboard").status_code == 200
    renewed = owner.post("/settings/codes/renew", password=PASSWORD).text
    code = re.search(r">([0-9A-Z]{4}-[0-9A-Z]{4})<", renewed)
    assert code is not None
    assert "does not match" in owner.post("/settings/codes/off", password=PASSWORD, code="000000").text
    assert owner.post("/settings/codes/off", password=PASSWORD, code=code[1]).status_code == 303
    assert not stage.browser.second_factor.is_on(1)


def test_sessions_are_listed_and_ended(stage: Stage, owner: Visitor) -> None:
    other = stage.owner()
    page = owner.get("/settings/devices").text
    assert "This one" in page and page.count(">End</button>") == 1
    hashed = re.search(r"/settings/devices/sessions/([0-9a-f]{64})/end", page)
    assert hashed is not None
    owner.post(f"/settings/devices/sessions/{hashed[1]}/end")
    assert other.get("/dashboard").location == "/login"
    stage.owner()
    owner.post("/settings/devices/sessions/end-others")
    assert len(stage.browser.sessions.of_user(1)) == 1


def test_a_forgotten_device_is_a_stranger(stage: Stage, owner: Visitor) -> None:
    hashed = stage.browser.sessions.devices_of(1)[0].hash
    assert owner.post(f"/settings/devices/{hashed}/forget").status_code == 303
    assert stage.browser.sessions.devices_of(1) == []
    assert owner.post(f"/settings/devices/{hashed}/forget", script=True).status_code == 404


def test_the_account_in_front_is_chosen_per_browser(stage: Stage, owner: Visitor) -> None:
    second = stage.accounts.add_account(1, "Second", "paper")
    assert owner.post(f"/accounts/{second.id}/choose", back="/orders").location == "/orders"
    assert "<h1>Second</h1>" in owner.get("/dashboard").text
    assert "<h1>paper</h1>" in stage.owner().get("/dashboard").text

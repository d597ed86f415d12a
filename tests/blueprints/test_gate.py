"""The way in and out."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyotp
import pytest

from tests.blueprints.stage import PASSWORD, Stage, Visitor


def test_a_newcomer_is_led_to_set_up_and_never_to_an_error(stage: Stage) -> None:
    visitor = stage.visitor()
    answer = visitor.get("/")
    assert (answer.status_code, answer.location) == (303, "/setup")
    assert "Set-up code" in visitor.get("/setup").text
    assert visitor.get("/login").location == "/setup"


def test_set_up_from_code_to_dashboard(stage: Stage) -> None:
    visitor, code = stage.visitor(), stage.browser.first_run.new_code()
    fields = {"username": "asha", "password": PASSWORD, "again": PASSWORD}
    assert "not the code" in visitor.post("/setup", code="XXXX-XXXX", **fields).text
    assert "differ" in visitor.post("/setup", code=code, **(fields | {"again": "x"})).text
    assert "8 characters" in visitor.post("/setup", code=code, username="asha", password="x", again="x").text
    assert visitor.post("/setup", code=code, **fields).location == "/setup/codes"
    page = visitor.get("/setup/codes").text
    secret = re.search(r"select-all\">([A-Z2-7]{32})<", page)
    assert secret is not None and "<path d=" in page
    done = visitor.post("/setup/codes", code=pyotp.TOTP(secret[1]).at(stage.clock.at))
    assert len(re.findall(r">[0-9A-Z]{4}-[0-9A-Z]{4}<", done.text)) == 8
    assert visitor.get("/dashboard").status_code == 200
    assert visitor.get("/setup").location == "/"


def test_the_server_prints_the_code_until_there_is_a_user(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    from blueprints import announce

    announce(stage.app)
    assert re.search(r"set-up code [0-9A-Z]{4}-[0-9A-Z]{4}", caplog.text)
    stage.accounts.add_user("asha", PASSWORD)
    caplog.clear()
    announce(stage.app)
    assert not caplog.text


def test_sign_in_renews_the_cookie_and_kills_the_old_one(stage: Stage) -> None:
    stage.accounts.add_user("asha", PASSWORD)
    visitor, thief = stage.visitor(), stage.visitor()
    visitor.get("/login")
    before = visitor.client.get_cookie("openalgo")
    assert before is not None
    thief.client.set_cookie("openalgo", before.value)
    visitor.post("/login", username="asha", password=PASSWORD)
    after = visitor.client.get_cookie("openalgo")
    assert after is not None and after.value != before.value
    assert visitor.get("/dashboard").status_code == 200
    assert thief.get("/dashboard").location == "/login"


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(stage: Stage) -> None:
    cookie = stage.visitor().get("/forgot").headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie


def test_over_tls_cookies_carry_the_host_prefix(tmp_path: Path, prepared: Path) -> None:
    stage = Stage(tmp_path, prepared, host_server="https://trade.example.in")
    cookie = stage.visitor().get("/forgot").headers["Set-Cookie"]
    assert cookie.startswith("__Host-openalgo=") and "Secure" in cookie


def test_a_copied_cookie_dies_with_sign_out(stage: Stage, owner: Visitor) -> None:
    cookie = owner.client.get_cookie("openalgo")
    assert cookie is not None
    thief = stage.visitor("10.9.9.9")
    thief.client.set_cookie("openalgo", cookie.value)
    assert thief.get("/dashboard").status_code == 200
    assert owner.post("/logout").location == "/login"
    for path in ("/dashboard", "/orders", "/settings/keys", "/shell/status"):
        thief.client.set_cookie("openalgo", cookie.value)
        assert thief.get(path).location == "/login"


def test_a_changed_password_ends_every_other_session(stage: Stage, owner: Visitor) -> None:
    other = stage.owner()
    fields = {"new": "another good one", "again": "another good one"}
    assert "current" in owner.post("/settings/password", old="wrong", **fields).text.lower()
    assert other.get("/dashboard").status_code == 200
    assert owner.post("/settings/password", old=PASSWORD, **fields).status_code == 303
    assert owner.get("/dashboard").status_code == 200
    assert other.get("/dashboard").location == "/login"


def test_three_in_the_morning_ends_sessions(stage: Stage, owner: Visitor) -> None:
    stage.clock.at = datetime(2026, 11, 24, 21, 30, tzinfo=UTC)
    assert owner.get("/dashboard").location == "/login"


def enrol(stage: Stage) -> pyotp.TOTP:
    who = stage.accounts.user_named("asha")
    totp = pyotp.TOTP(stage.browser.second_factor.offer(who.id, who.name).secret)
    stage.browser.second_factor.confirm(who.id, totp.at(stage.clock.at))
    stage.clock.at += timedelta(minutes=2)
    return totp


def test_with_codes_on_the_password_is_only_half_the_way(stage: Stage, owner: Visitor) -> None:
    totp = enrol(stage)
    visitor = stage.visitor()
    assert visitor.post("/login", username="asha", password=PASSWORD).location == "/login/code"
    for path in ("/dashboard", "/orders", "/settings/keys", "/accounts"):
        assert visitor.get(path).location == "/login"
    assert "does not match" in visitor.post("/login/code", code="000000").text
    half = visitor.client.get_cookie("openalgo")
    code = totp.at(stage.clock.at)
    assert visitor.post("/login/code", code=code).status_code == 303
    whole = visitor.client.get_cookie("openalgo")
    assert half is not None and whole is not None and half.value != whole.value
    again = stage.visitor()
    again.post("/login", username="asha", password=PASSWORD)
    assert "does not match" in again.post("/login/code", code=code).text


def test_a_trusted_device_is_not_asked_for_a_code(stage: Stage, owner: Visitor) -> None:
    totp = enrol(stage)
    visitor = stage.visitor()
    visitor.post("/login", username="asha", password=PASSWORD, remember="on")
    visitor.post("/login/code", code=totp.at(stage.clock.at))
    visitor.post("/logout")
    assert visitor.post("/login", username="asha", password=PASSWORD).location == "/"
    assert visitor.get("/dashboard").status_code == 200


def test_half_a_sign_in_goes_stale(stage: Stage, owner: Visitor) -> None:
    totp = enrol(stage)
    visitor = stage.visitor()
    visitor.post("/login", username="asha", password=PASSWORD)
    stage.clock.at += timedelta(minutes=11)
    assert visitor.post("/login/code", code=totp.at(stage.clock.at)).location == "/login"


def test_guessing_locks_strangers_out_and_never_the_owner(stage: Stage, owner: Visitor) -> None:
    owner.post("/logout")
    stranger = stage.visitor("203.0.113.5")
    for _ in range(10):
        assert stranger.post("/login", username="asha", password="guess").status_code == 401
    locked = stranger.post("/login", username="asha", password=PASSWORD)
    assert locked.status_code == 429 and "looked at from 12:15:00 IST" in locked.text
    assert owner.post("/login", username="asha", password=PASSWORD).status_code == 303


def test_a_forged_forwarding_header_changes_nothing(stage: Stage) -> None:
    stage.accounts.add_user("asha", PASSWORD)
    visitor = stage.visitor("203.0.113.5")
    token = visitor.token()
    for turn in range(12):
        visitor.client.post(
            "/login",
            data={"csrf_token": token, "username": f"user{turn}", "password": "x"},
            headers={"X-Forwarded-For": f"10.1.1.{turn}"},
            environ_base={"REMOTE_ADDR": "203.0.113.5"},
        )
    assert stage.browser.guard.busiest_addresses()[0][:2] == ("203.0.113.5", 12)


def test_the_way_back_leads_where_one_was_going_but_never_away(stage: Stage) -> None:
    stage.accounts.add_user("asha", PASSWORD)
    visitor = stage.visitor()
    assert visitor.get("/orders?state=open").location == "/login"
    assert visitor.post("/login", username="asha", password=PASSWORD).location == "/orders?state=open"
    for away in ("//evil.example", "https://evil.example", "/\\evil.example"):
        answer = visitor.post("/theme", theme="light", back=away)
        assert answer.location == "/"


def test_the_theme_switch_works_without_a_script(stage: Stage) -> None:
    visitor = stage.visitor()
    assert 'data-theme="dark"' in visitor.get("/forgot").text
    assert visitor.post("/theme", theme="light", back="/forgot").location == "/forgot"
    assert 'data-theme="light"' in visitor.get("/forgot").text


def test_a_form_whose_session_ended_is_kept_and_offered_again(stage: Stage, owner: Visitor) -> None:
    token = owner.token()
    stage.clock.at += timedelta(days=1)
    answer = owner.post("/accounts/1/choose", token=token, back="/orders", password="never kept")
    assert answer.location == "/login"
    assert "Nothing was sent" in owner.get("/login").text
    assert owner.post("/login", username="asha", password=PASSWORD).location == "/held"
    page = owner.get("/held").text
    assert 'action="/accounts/1/choose"' in page and "/orders" in page and "never kept" not in page
    assert owner.get("/held").status_code == 303


def test_a_ticket_sent_by_script_after_the_session_ended_is_kept_too(stage: Stage, owner: Visitor) -> None:
    """The ticket is sent by a script: what was typed waits behind the sign-in."""
    token = owner.token()
    stage.clock.at += timedelta(days=1)
    typed = {"symbol": "RELIANCE", "exchange": "NSE", "action": "BUY", "quantity": "43", "price": "1,530.00"}
    assert owner.post("/orders/place", token=token, script=True, data=typed).status_code == 401
    assert owner.post("/shell/socket", token=token, script=True).status_code == 401
    assert owner.post("/login", username="asha", password=PASSWORD).location == "/held"
    page = owner.get("/held").text
    assert 'action="/orders/place"' in page and "43" in page and "1,530.00" in page

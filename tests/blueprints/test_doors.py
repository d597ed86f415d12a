"""Every page: closed to strangers, safe headers, no write without the form's token, no read that writes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import pytest
from werkzeug.routing import Rule

from tests.blueprints.stage import PASSWORD, Stage, Visitor

PUBLIC = {
    "gate.home",
    "gate.setup",
    "gate.setup_codes",
    "gate.setup_ready",
    "gate.login",
    "gate.login_code",
    "gate.logout",
    "gate.forgot",
    "gate.theme",
    "assets.built",
    "pages_static.icon",
    "pages_static.old_icon",
    "metrics.metrics",
}
"""Endpoints that answer strangers; each of them either shows nothing private or sends them to the sign-in page."""


KEYED = {"webhooks.strategy", "webhooks.chartink", "webhooks.postback", "broker_return.returned"}
"""No session and no token are asked: a secret in the address stands for them, or nothing is read and nothing done."""


def page_rules(stage: Stage) -> Iterator[Rule]:
    for rule in stage.app.url_map.iter_rules():
        if not rule.rule.startswith("/api/") and rule.endpoint not in KEYED:
            yield rule


def path_of(rule: Rule) -> str:
    return re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", "1", rule.rule)


def test_every_page_is_closed_to_strangers(stage: Stage, owner: Visitor) -> None:
    stranger = stage.visitor("203.0.113.5")
    token = stranger.token()
    for rule in page_rules(stage):
        if rule.endpoint in PUBLIC:
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            answer = stranger.client.open(path_of(rule), method=method, data={"csrf_token": token})
            assert (answer.status_code, answer.location) == (303, "/login"), (rule.rule, method)


def test_half_a_sign_in_opens_nothing(stage: Stage, owner: Visitor) -> None:
    who = stage.accounts.user_named("asha")
    from services.second_factor import SecondFactor

    factor: SecondFactor = stage.browser.second_factor
    import pyotp

    offer = factor.offer(who.id, who.name)
    factor.confirm(who.id, pyotp.TOTP(offer.secret).at(stage.clock.at))
    half = stage.visitor()
    half.post("/login", username="asha", password=PASSWORD)
    for rule in page_rules(stage):
        if rule.endpoint not in PUBLIC and "GET" in (rule.methods or set()):
            assert half.get(path_of(rule)).location == "/login", rule.rule


def test_every_write_wants_the_forms_own_token(stage: Stage, owner: Visitor) -> None:
    other = stage.owner("ravi")
    wrong = ["", "x", other.token()]
    for rule in page_rules(stage):
        if "POST" not in (rule.methods or set()):
            continue
        for token in wrong:
            for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
                answer = owner.client.post(path_of(rule), data={"csrf_token": token}, content_type=kind)
                assert answer.status_code == 400, (rule.rule, token, kind)
        answer = owner.client.post(path_of(rule), data='{"a": 1}', content_type="text/plain")
        assert answer.status_code == 400, rule.rule
    assert stage.books.sent == [] and owner.get("/dashboard").status_code == 200


def rows_hash(stage: Stage) -> str:
    """Digest of every row but those of browser sessions and their last use."""
    digest = hashlib.sha256()
    for name in ("platform", "orders"):
        with stage.platform.databases[name].read() as connection:
            tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='table'").scalars()
            for table in sorted(set(tables) - {"browser_sessions"}):
                rows = connection.exec_driver_sql(f"SELECT * FROM {table}").all()
                digest.update(repr((table, sorted(map(repr, rows)))).encode())
    return digest.hexdigest()


def test_reading_changes_nothing(stage: Stage, owner: Visitor) -> None:
    owner.get("/trade")
    before = rows_hash(stage)
    for rule in page_rules(stage):
        if "GET" in (rule.methods or set()) and rule.endpoint != "gate.setup_codes":
            owner.get(path_of(rule))
            assert rows_hash(stage) == before, rule.rule


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/login",
        "/dashboard",
        "/orders",
        "/nowhere",
        "/static/built/nothing.css",
        "/favicon.svg",
        "/api/v1/ping",
    ],
)
def test_headers_on_every_answer(stage: Stage, owner: Visitor, path: str) -> None:
    for answer in (owner.get(path), stage.visitor().get(path), owner.client.delete(path)):
        headers = answer.headers
        policy = headers["Content-Security-Policy"]
        for word in ("unsafe-inline", "unsafe-eval", "*", "data:", "http:", "https:"):
            assert word not in policy, policy
        for rule in ("object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "default-src 'none'"):
            assert rule in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "Server" not in headers


def test_private_pages_are_never_stored_and_hashed_files_always(stage: Stage, owner: Visitor) -> None:
    page = owner.get("/dashboard")
    assert page.headers["Cache-Control"] == "no-store"
    style = re.search(r'href="(/static/built/app-[^"]+\.css)"', page.text)
    assert style is not None
    answer = owner.get(style[1])
    assert "immutable" in answer.headers["Cache-Control"]
    squeezed = owner.get(style[1], **{"Accept-Encoding": "gzip"})
    assert squeezed.headers["Content-Encoding"] == "gzip" and len(squeezed.data) < len(answer.data) / 3


def test_each_page_has_a_nonce_of_its_own_and_no_inline_script(stage: Stage, owner: Visitor) -> None:
    seen = set()
    for path in ("/dashboard", "/trade", "/orders", "/settings/keys", "/login", "/forgot"):
        answer = owner.get(path)
        nonce = re.search(r"'nonce-([^']+)'", answer.headers["Content-Security-Policy"])
        assert nonce is not None
        seen.add(nonce[1])
        assert not re.search(r"<script(?![^>]*\bsrc=)", answer.text)
        assert not re.search(r"\son[a-z]+=|\sstyle=|javascript:", answer.text)
    assert len(seen) >= 5


@pytest.mark.parametrize(
    "name", ["../access.py", "..%2faccess.py", "/etc/passwd", "manifest.json/../../x", "%00"]
)
def test_assets_stay_in_their_folder(stage: Stage, name: str) -> None:
    assert stage.visitor().get(f"/static/built/{name}").status_code in (404, 308, 400)


def test_tls_adds_transport_security(stage: Stage) -> None:
    answer = stage.app.test_client().get("/login", base_url="https://trade.example.in")
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]


def test_a_strangers_unknown_page_is_not_found_without_a_trace(stage: Stage) -> None:
    answer = stage.visitor().get("/wp-admin.php")
    assert answer.status_code == 404 and "Traceback" not in answer.text and "no such page" in answer.text


def test_a_bug_is_logged_and_said_without_its_words(
    stage: Stage, owner: Visitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(caller: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(stage.platform.portfolio, "positions", broken)
    answer = owner.get("/positions")
    assert answer.status_code == 500 and "secret detail" not in answer.text and "ours" in answer.text
    assert "secret detail" in caplog.text


def test_other_users_things_do_not_exist(stage: Stage, owner: Visitor) -> None:
    other = stage.owner("ravi")
    key = stage.accounts.create_key(stage.accounts.user_named("asha").id, name="mine")
    key_id = stage.accounts.keys_of(stage.accounts.user_named("asha").id)[0].id
    mine = stage.accounts.accounts_of(stage.accounts.user_named("asha").id)[0].id
    listed = stage.browser.watchlists.lists(stage.accounts.user_named("asha").id)[0].id
    session = stage.browser.sessions.of_user(stage.accounts.user_named("asha").id)[0].hash
    for path, fields in (
        (f"/settings/keys/{key_id}/reveal", {"password": PASSWORD}),
        (f"/settings/keys/{key_id}/revoke", {}),
        (f"/accounts/{mine}/choose", {}),
        (f"/trade/lists/{listed}/delete", {}),
        (f"/settings/devices/sessions/{session}/end", {}),
    ):
        answer = other.post(path, script=True, data=fields)
        assert answer.status_code == 404 and key not in answer.text, path
    assert len(stage.accounts.keys_of(stage.accounts.user_named("asha").id)) == 1
    assert owner.get("/dashboard").status_code == 200

"""What holds for every path of the contract: spelling, methods, keys, scopes, styles, modes, honesty."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from werkzeug.test import EnvironBuilder

from domain.errors import (
    BadResponse,
    BrokerUnavailable,
    InvalidRequest,
    NotSupported,
    OutcomeUnknown,
    PlatformError,
    RateLimited,
    SessionOver,
    Unavailable,
)
from restx_api.api import ENDPOINTS
from restx_api.door import Endpoint, KeyIn
from restx_api.errors import Style
from tests.restx_api.bodies import BODIES
from tests.restx_api.desk import ORDER, Desk

CONTRACT = """
POST placeorder placesmartorder optionsorder optionsmultiorder basketorder splitorder modifyorder cancelorder
POST cancelallorder closeposition placegttorder modifygttorder cancelgttorder gttorderbook orderstatus openposition
POST funds margin orderbook tradebook positionbook holdings quotes multiquotes depth history intervals symbol search
POST expiry optionsymbol optionchain syntheticfuture optiongreeks multioptiongreeks market/holidays market/timings
POST analyzer analyzer/toggle pnl/symbols chart ping telegram/config telegram/start telegram/stop telegram/webhook
POST telegram/broadcast telegram/notify telegram/preferences whatsapp/notify portfolio/backtest portfolio/tearsheet
POST portfolio/holdings sip/backtest
GET ticker/<symbol> instruments chart telegram/config telegram/users telegram/stats telegram/preferences
GET portfolio/benchmarks sip/frequencies
"""
POSTS = [endpoint for endpoint in ENDPOINTS if endpoint.key_in is KeyIn.BODY]
GETS = [endpoint for endpoint in ENDPOINTS if endpoint.key_in is KeyIn.QUERY]


BEYOND = {
    ("POST", "/strategies"),
    ("POST", "/strategies/start"),
    ("POST", "/strategies/stop"),
    ("POST", "/killswitch"),
    ("POST", "/unknownorders"),
    ("POST", "/broker/login"),
    ("GET", "/reconciliation"),
    ("POST", "/reconciliation"),
}
"""What we serve that the contract's list of old endpoints does not have."""


def named(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def where(endpoint: Endpoint) -> str:
    return endpoint.path.replace("<symbol>", "NSE:RELIANCE")


def test_every_path_of_the_contract_is_there_and_no_other() -> None:
    rows = [line.split() for line in CONTRACT.strip().splitlines()]
    listed = {(method, f"/{path}") for method, *paths in rows for path in paths}
    assert {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS} == listed | BEYOND
    assert len(listed) == 63


@pytest.mark.parametrize("endpoint", POSTS, ids=named)
@pytest.mark.parametrize("slash", ["", "/"])
def test_an_unknown_key_reads_nothing_with_or_without_slash(
    shop: Desk, endpoint: Endpoint, slash: str
) -> None:
    answer = shop.post(endpoint.path + slash, key="no such key")
    assert answer.status_code in (400, endpoint.denied)
    assert answer.json["status"] == "error"
    assert "mode" not in answer.json and "data" not in answer.json


@pytest.mark.parametrize("endpoint", GETS, ids=named)
def test_a_get_without_its_key_reads_nothing(shop: Desk, endpoint: Endpoint) -> None:
    for query in ({}, {"apikey": "no such key"}):
        answer = shop.client.get(f"/api/v1{where(endpoint)}", query_string=query)
        assert answer.status_code in (400, endpoint.denied)
        assert "data" not in answer.json


@pytest.mark.parametrize("endpoint", POSTS, ids=named)
def test_an_empty_body_is_refused_in_the_endpoint_s_own_style(shop: Desk, endpoint: Endpoint) -> None:
    answer = shop.client.post(f"/api/v1{endpoint.path}", data="{}")
    said = answer.json
    if endpoint.key_first:
        assert (answer.status_code, said["message"]) == (401, "Invalid or missing API key")
        return
    assert (answer.status_code, said["status"]) == (400, "error")
    if endpoint.style is Style.A:
        assert "'apikey': ['Missing data for required field.']" in said["message"]
    elif endpoint.style is Style.B:
        assert said["message"]["apikey"] == ["Missing data for required field."]
    elif endpoint.style is Style.PLAIN:
        assert said["message"] == "Missing apikey parameter"
    else:
        assert said["message"] == endpoint.style.value
        assert said["errors"]["apikey"] == ["Missing data for required field."]


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.scope == "trade"], ids=named)
def test_a_reading_key_may_not_trade(shop: Desk, endpoint: Endpoint) -> None:
    answer = shop.post(endpoint.path, BODIES.get(endpoint.path), key=shop.reading_key)
    assert answer.status_code == 403, answer.json
    assert answer.json["error_type"] == "scope"
    assert shop.world.script.sent == []


def test_order_endpoints_ask_for_the_trade_scope() -> None:
    reads = {"gttorderbook", "orderbook", "unknownorders"}
    for endpoint in ENDPOINTS:
        places = "order" in endpoint.path and endpoint.path.strip("/") not in {*reads, "orderstatus"}
        changes = endpoint.path in (
            "/closeposition",
            "/analyzer/toggle",
            "/killswitch",
            "/strategies/start",
            "/strategies/stop",
        )
        assert (endpoint.scope == "trade") == (places or changes), endpoint.path


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if not e.built], ids=named)
def test_what_is_not_built_says_so(shop: Desk, endpoint: Endpoint) -> None:
    if endpoint.key_in is KeyIn.QUERY:
        answer = shop.client.get(f"/api/v1{where(endpoint)}", query_string={"apikey": shop.key})
    else:
        answer = shop.post(endpoint.path, {"anything": 1})
    assert answer.status_code == 501
    assert answer.json["message"] == "This endpoint is not built yet"
    assert ("mode" in answer.json) == endpoint.sandboxed


def test_the_message_of_a_bad_key_is_the_literal(shop: Desk) -> None:
    answer = shop.post("/funds", key="no such key")
    assert (answer.status_code, answer.json["message"]) == (403, "Invalid openalgo apikey")


def test_a_bad_body_with_a_bad_key_is_a_bad_body(shop: Desk) -> None:
    assert shop.post("/placeorder", {**ORDER, "quantity": "x"}, key="no such key").status_code == 400
    assert shop.post("/quotes", {"symbol": "NOSUCH", "exchange": "NSE"}, key="no such key").status_code == 403


def test_a_key_may_come_in_a_header_instead(shop: Desk) -> None:
    answer = shop.client.post("/api/v1/ping", data="{}", headers={"X-API-KEY": shop.key})
    assert answer.json == {"status": "success", "data": {"message": "pong", "broker": "paper"}}


def test_a_key_in_the_address_of_a_post_is_not_read(shop: Desk) -> None:
    assert shop.client.post(f"/api/v1/ping?apikey={shop.key}", data="{}").status_code == 400


def test_a_revoked_key_is_dead_at_the_next_request(desk: Desk) -> None:
    assert desk.post("/ping").status_code == 200
    newest = desk.world.accounts.keys_of(desk.world.user.id)
    for key in newest:
        desk.world.accounts.revoke_key(desk.world.user.id, key.id)
    assert desk.post("/ping").status_code == 403


def test_a_key_bound_to_addresses_works_from_them_only(tmp_path: Path) -> None:
    desk = Desk(tmp_path, trusted_proxies=("127.0.0.1",))
    key = desk.world.accounts.create_key(desk.world.user.id, addresses=["10.1.0.0/16"])
    try:
        assert desk.post("/ping", key=key).status_code == 403
        inside = {"headers": {"X-Forwarded-For": "10.1.2.3"}}
        assert desk.post("/ping", key=key, **inside).status_code == 200
        spoofed = {"headers": {"X-Forwarded-For": "10.1.2.3, 8.8.8.8"}}
        assert desk.post("/ping", key=key, **spoofed).status_code == 403
    finally:
        desk.close()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE"])
@pytest.mark.parametrize("path", ["/api/v1/quotes", "/api/v1/quotes/"])
def test_another_method_is_405_with_what_is_allowed(shop: Desk, method: str, path: str) -> None:
    answer = shop.client.open(path, method=method)
    assert (answer.status_code, answer.headers["Allow"], answer.json["status"]) == (405, "POST", "error")
    assert answer.json["message"] == "The method is not allowed for the requested URL."


@pytest.mark.parametrize(
    "path", ["/api/v1/zzz", "/api/v1/", "/api/v1", "/api/", "/api/v2/ping", "/api/v1/ping/x"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_404_and_names_it(shop: Desk, method: str, path: str) -> None:
    answer = shop.client.open(path, method=method)
    assert (answer.status_code, answer.mimetype) == (404, "application/json")
    assert answer.json == {"status": "error", "message": "Not found", "path": path}


@pytest.mark.parametrize(
    "raw",
    [b"", b"hello", b"apikey=1&symbol=2", b"{", b'{"a":1,"a":1}', b"[" * 10_000, b"\xff\xfe", b'{"a":NaN}'],
    ids=lambda raw: repr(raw[:12]),
)
def test_a_body_that_is_not_json_is_a_clear_400(shop: Desk, raw: bytes) -> None:
    for endpoint in POSTS:
        answer = shop.client.post(f"/api/v1{endpoint.path}", data=raw)
        assert answer.status_code == 400
        assert answer.json["message"].startswith("Request body must be valid JSON")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"]
)
def test_json_is_read_whatever_it_calls_itself(shop: Desk, kind: str) -> None:
    answer = shop.client.post("/api/v1/ping", data=json.dumps({"apikey": shop.key}), content_type=kind)
    assert answer.status_code == 200


@pytest.mark.parametrize("known_length", [True, False])
def test_a_body_over_one_mebibyte_is_413(shop: Desk, known_length: bool) -> None:
    raw = json.dumps({"apikey": shop.key}).encode().ljust(1024 * 1024 + 1)
    environ = EnvironBuilder("/api/v1/ping", method="POST", input_stream=io.BytesIO(raw)).get_environ()
    if known_length:
        environ["CONTENT_LENGTH"] = str(len(raw))
    else:
        environ["wsgi.input_terminated"] = True
    answer = shop.client.open(environ)
    assert (answer.status_code, answer.json["status"]) == (413, "error")
    just = json.dumps({"apikey": shop.key}).encode().ljust(1024 * 1024)
    assert shop.client.post("/api/v1/ping", data=just).status_code == 200


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (SessionOver("over"), 403, "session_expired"),
        (NotSupported("Scripted does not offer funds"), 501, "not_supported"),
        (BrokerUnavailable("scripted", text="no route"), 500, "broker_unavailable"),
        (BadResponse("scripted", text="not JSON"), 500, "broker_error"),
        (OutcomeUnknown("scripted", text="no answer"), 500, "broker_error"),
        (Unavailable("the exchange does not answer"), 503, "unavailable"),
        (InvalidRequest("cannot"), 400, ""),
        (PlatformError("whatever"), 500, ""),
        (ZeroDivisionError("secret detail"), 500, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_error_of_the_services_has_its_answer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, kind: str
) -> None:
    def fail(caller: object) -> None:
        raise error

    monkeypatch.setattr(desk.platform.portfolio, "funds", fail)
    answer = desk.post("/funds")
    assert (answer.status_code, answer.json["status"], answer.json["mode"]) == (status, "error", "analyze")
    assert answer.json.get("error_type", "") == kind
    assert "secret detail" not in answer.text
    if status == 500 and not kind:
        assert answer.json["message"] == "An unexpected error occurred"


def test_a_broker_s_own_rate_limit_says_when_to_come_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(caller: object) -> None:
        raise RateLimited("scripted", text="slow down", retry_after=2.2)

    monkeypatch.setattr(desk.platform.portfolio, "funds", fail)
    answer = desk.post("/funds")
    assert (answer.status_code, answer.headers["Retry-After"], answer.json["retry_after"]) == (429, "3", 3)


def test_one_bad_answer_does_not_colour_the_next(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.platform.portfolio, "funds", lambda caller: 1 / 0)
    assert desk.post("/funds").json["mode"] == "analyze"
    desk.go_live()
    assert "mode" not in desk.post("/funds").json


def test_cross_origin_answers_name_allowed_origins_only(shop: Desk) -> None:
    good = {"Origin": "http://127.0.0.1:5000"}
    asked = {**good, "Access-Control-Request-Method": "POST"}
    preflight = shop.client.options("/api/v1/placeorder", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "http://127.0.0.1:5000"
    assert preflight.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert shop.post("/ping", headers=good).headers["Access-Control-Allow-Origin"] == good["Origin"]
    for origin in ("http://evil.example", "null", "http://127.0.0.1:5000.evil.example"):
        answer = shop.post("/ping", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["Vary"] == "Origin"


def test_reply_keys_are_sorted(shop: Desk) -> None:
    text = shop.post("/quotes", {"symbol": "RELIANCE", "exchange": "NSE"}).text
    keys = list(json.loads(text)["data"])
    assert keys == sorted(keys)

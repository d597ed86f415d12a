"""The published description is valid, complete, and true of real answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from restx_api import spec
from restx_api.api import ENDPOINTS
from tests.restx_api.bodies import BODIES
from tests.restx_api.desk import ORDER, Desk
from tests.restx_api.options_desk import OptionsDesk

DOCUMENT = spec.document(ENDPOINTS)


def resolved(shape: Any) -> Any:
    """JSON Schema of an OpenAPI shape: references followed, `nullable` spelt out."""
    if isinstance(shape, dict) and "$ref" in shape:
        target: Any = DOCUMENT
        for part in shape["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return resolved(target)
    if isinstance(shape, dict):
        plain = {key: resolved(value) for key, value in shape.items() if key != "nullable"}
        return {"anyOf": [plain, {"type": "null"}]} if shape.get("nullable") else plain
    return [resolved(item) for item in shape] if isinstance(shape, list) else shape


def test_the_description_is_valid_openapi() -> None:
    validate(DOCUMENT)


def test_every_endpoint_is_described_with_what_it_takes_and_answers() -> None:
    for endpoint in ENDPOINTS:
        operation = DOCUMENT["paths"][endpoint.path.replace("<symbol>", "{symbol}")][endpoint.method.lower()]
        assert operation["summary"]
        assert ("200" in operation["responses"]) == endpoint.built
        assert {"400", "403", "429", "500"} <= set(operation["responses"])
        assert "requestBody" in operation or endpoint.method == "GET"


@pytest.fixture(scope="module", params=["paper", "live"])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OptionsDesk]:
    """A desk with a position; a new one for each kind of account."""
    desk = OptionsDesk(tmp_path_factory.mktemp(request.param))
    if request.param == "live":
        desk.go_live()
    desk.hold("RELIANCE", 5)
    yield desk
    desk.close()


_ELSEWHERE = {"/pnl/symbols", "/broker/login"}
"""Told below, and in `test_broker_login.py`."""
_PATHS = [e.path for e in ENDPOINTS if e.built and e.method == "POST" and e.path not in _ELSEWHERE]


@pytest.mark.parametrize("path", _PATHS)
def test_real_answers_are_as_described(asked: OptionsDesk, path: str) -> None:
    desk, body = asked, dict(BODIES.get(path, {}))
    if path == "/analyzer/toggle":
        body["mode"] = desk.post("/analyzer").json["data"]["analyze_mode"]
    if body.get("orderid"):
        body["orderid"] = desk.post("/placeorder", {**ORDER, "pricetype": "LIMIT", "price": 1200}).json[
            "orderid"
        ]
    if "trigger_id" in body:
        body["trigger_id"] = desk.post("/placegttorder", BODIES["/placegttorder"]).json["trigger_id"]
    lenient = "gtt" in path and path != "/gttorderbook"
    wrong = {**body, "surprise" if path != "/chart" else "n" * 51: 1, "strategy": 5 if lenient else "x"}
    for sent, status in ((body, 200), (wrong, 400)):
        answer = desk.post(path, sent)
        assert answer.status_code == status, answer.text
        described = DOCUMENT["paths"][path]["post"]["responses"][str(status)]
        shape = resolved(described)["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json, resolved(shape))


def test_profit_by_symbol_is_as_described(desk: Desk) -> None:
    desk.hold("RELIANCE", 5)
    described = resolved(DOCUMENT["paths"]["/pnl/symbols"]["post"]["responses"]["200"])
    jsonschema.validate(
        desk.post("/pnl/symbols").json, resolved(described["content"]["application/json"]["schema"])
    )


@pytest.mark.parametrize("path", sorted(BODIES))
def test_requests_that_work_are_as_described(shop: Desk, path: str) -> None:
    shape = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    jsonschema.validate({**BODIES[path], "apikey": shop.key}, resolved(_openapi_bounds(resolved(shape))))


def _openapi_bounds(shape: Any) -> Any:
    """OpenAPI 3.0 writes exclusiveMinimum as a flag."""
    if isinstance(shape, dict):
        found = {key: _openapi_bounds(value) for key, value in shape.items()}
        if found.get("exclusiveMinimum") is True:
            found["exclusiveMinimum"] = found.pop("minimum")
        return found
    return [_openapi_bounds(item) for item in shape] if isinstance(shape, list) else shape


def test_the_description_is_for_who_sends_a_key(desk: Desk) -> None:
    assert desk.client.get("/api/v1/swagger.json").status_code == 401
    assert desk.client.get("/api/docs").status_code == 401
    keyed = {"headers": {"X-API-KEY": desk.key}}
    assert desk.client.get("/api/v1/swagger.json", **keyed).json == DOCUMENT
    page = desk.client.get("/api/docs", **keyed)
    assert page.status_code == 200
    assert "/api/v1/placeorder" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe" not in policy and "default-src 'none'" in policy
    assert "<script>" not in page.text and "style=" not in page.text

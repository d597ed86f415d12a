"""Broker login by API: the form, each way in, and that neither a key without the scope nor a log gets anything."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import pytest
import requests

from broker import catalog
from domain.roles import Role
from restx_api.fields.broker_login import LOGIN
from tests.blueprints.stage import Stage, prepare
from tests.simulators.faces import simulator
from tests.simulators.server import Simulator


class Counter:
    """The real platform and its API, an account at a simulated broker, and keys for it."""

    def __init__(self, folder: Path, prepared: Path, broker: str, **settings: Any) -> None:
        self.stage = Stage(folder, prepared, **{"login_rate_limit_min": "1000 per minute", **settings})
        self.face: Simulator = simulator(broker).start()
        accounts = self.stage.accounts
        user = accounts.add_user("asha", "correct horse battery", role=Role.ADMIN)
        self.account = accounts.add_account(user.id, "Desk", broker)
        self.stage.platform.sessions._urls = lambda account_id: self.face.urls  # type: ignore[method-assign]
        keys = {"login": {"login"}, "usual": None, "all": {"read", "trade", "login"}}
        self.keys = {
            name: accounts.create_key(
                user.id, account_id=self.account.id, **({"scopes": scopes} if scopes else {})
            )
            for name, scopes in keys.items()
        }
        self.client = self.stage.app.test_client()

    def ask(self, key: str = "login", **body: Any) -> Any:
        return self.client.post("/api/v1/broker/login", json={"apikey": self.keys[key], **body})

    def filled(self) -> dict[str, str]:
        """What a person would type into the stored fields of the form."""
        manifest = catalog.manifest(self.account.broker)
        return {one.name: self.face.credentials[one.name] for one in manifest.login.fields}

    def close(self) -> None:
        self.face.stop()
        self.stage.close()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    prepare(folder)
    return folder


@pytest.fixture
def counter(request: pytest.FixtureRequest, tmp_path: Path, prepared: Path) -> Iterator[Counter]:
    made = Counter(tmp_path, prepared, getattr(request, "param", "wisdom"))
    yield made
    made.close()


def test_keys_alone_open_a_session(counter: Counter) -> None:
    answer = counter.ask(credentials=counter.filled())
    told = answer.json["data"]
    assert (answer.status_code, told["broker"], told["state"]) == (200, "wisdom", "ok"), answer.text
    assert told["user"] == counter.face.user and told["expires_at"]
    jsonschema.validate(answer.json, LOGIN)
    again = counter.ask()
    assert again.json["data"]["state"] == "ok", "what is stored need not be told twice"


@pytest.mark.parametrize("counter", ["zerodha", "rmoney", "shoonya"], indirect=True)
def test_a_login_page_is_named_and_its_answer_opens_the_session(counter: Counter) -> None:
    told = counter.ask(credentials=counter.filled())
    page = told.json["data"]["login_page"]
    jsonschema.validate(told.json, LOGIN)
    assert told.json["data"]["state"] == "none" and told.json["data"]["asks"]
    back = requests.get(page, allow_redirects=False, timeout=5).headers["Location"]
    returned = dict(parse_qsl(urlsplit(back).query))
    callback = catalog.manifest(counter.account.broker).login.callback
    answer = counter.ask(credentials={name: returned[name] for name in callback if name in returned})
    assert answer.json["data"]["state"] == "ok", answer.text


def test_the_form_is_the_manifests_and_shows_no_value(counter: Counter) -> None:
    counter.ask(credentials=counter.filled())
    answer = counter.ask(action="form")
    jsonschema.validate(answer.json, LOGIN)
    form = {one["name"]: one for one in answer.json["data"]["fields"]}
    assert set(form) == set(counter.filled()) and all(one["saved"] for one in form.values())
    assert form["api_secret"]["secret"] and not form["api_key"]["secret"]
    assert not any(value in answer.text for value in counter.filled().values())


def test_a_key_needs_the_login_scope_and_gets_it_by_name_only(counter: Counter) -> None:
    refused = counter.ask("usual", credentials=counter.filled())
    assert (refused.status_code, refused.json["error_type"]) == (403, "scope")
    assert counter.face.requests == []
    assert counter.ask("all", credentials=counter.filled()).status_code == 200
    order = counter.client.post("/api/v1/placeorder", json={"apikey": counter.keys["login"]})
    assert order.status_code in (400, 403) and counter.ask("login", action="form").status_code == 200


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"api_kee": "x"}, "no login field 'api_kee'"),
        ({"api_key": 5}, "Not an object of names and texts"),
        (["api_key"], "Not an object of names and texts"),
        ({"api_key": "x" * 9000}, "Not an object of names and texts"),
        ({"api_key": "x"}, "Fill in: Interactive secret key"),
    ],
)
def test_a_wrong_form_is_refused_before_anything_is_sent(counter: Counter, given: Any, words: str) -> None:
    answer = counter.ask(credentials=given)
    assert answer.status_code == 400 and words in answer.text
    assert counter.face.requests == []


def test_nobody_else_s_address_can_be_named(counter: Counter) -> None:
    """The stored secrets would follow it."""
    for body in ({"urls": {"rest": "http://evil.example"}}, {"credentials": {"rest": "http://evil.example"}}):
        assert counter.ask(**body).status_code == 400


def test_a_refused_login_tells_the_brokers_words_and_no_secret(
    counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "CNRY-not-the-secret"
    answer = counter.ask(credentials={**counter.filled(), "api_secret": secret})
    assert (answer.status_code, answer.json["error_type"]) == (403, "login_failed")
    assert "Invalid appKey or secretKey" in answer.json["message"]
    right = counter.ask(credentials=counter.filled())
    assert right.status_code == 200
    for value in (secret, counter.filled()["api_secret"], counter.filled()["api_secret_market"]):
        assert value not in caplog.text and value not in answer.text + right.text
        for file in counter.stage.platform.settings.data_dir.rglob("*"):
            assert not file.is_file() or value.encode() not in file.read_bytes(), file


def test_logins_are_counted(tmp_path: Path, prepared: Path) -> None:
    counter = Counter(tmp_path, prepared, "wisdom", login_rate_limit_min="2 per minute")
    try:
        assert [counter.ask(action="form").status_code for _ in range(3)] == [200, 200, 429]
    finally:
        counter.close()

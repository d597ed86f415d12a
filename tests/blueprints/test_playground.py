"""The playground: the API asked by session, with a key nobody sees."""

import json
import re
import subprocess

import pytest

from blueprints.samples import example, programs
from tests.blueprints.stage import NOON, Stage, Visitor

ORDER = {"strategy": "x", "symbol": "RELIANCE", "exchange": "NSE", "action": "BUY", "product": "MIS"}
ORDER |= {"pricetype": "MARKET", "quantity": "10"}


def send(owner: Visitor, to: str, body: object, key: str = "k1") -> str:
    fields = {"to": to, "body": json.dumps(body), "idempotency_key": key}
    answer = owner.post("/playground/send", data=fields, script=True)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def test_a_request_is_answered_and_its_key_is_gone(stage: Stage, owner: Visitor) -> None:
    page = send(owner, "post /quotes", {"symbol": "SBIN", "exchange": "NSE", "apikey": "mine"})
    assert "1537.0" in page and not re.search(r"[0-9a-f]{64}", page)
    assert stage.accounts.keys_of(1) == []
    assert "YOUR_API_KEY" in page and "requests.post" in page


def test_one_form_sends_one_order(stage: Stage, owner: Visitor) -> None:
    first, second = (send(owner, "post /placeorder", ORDER) for _ in range(2))
    assert len(stage.books.sent) == 1 and "26112400000001" in first and "26112400000001" in second
    fresh = re.search(r'data-next-key="([^"]+)"', first)
    assert fresh is not None
    send(owner, "post /placeorder", ORDER, fresh[1])
    assert len(stage.books.sent) == 2


def test_it_works_without_a_script(owner: Visitor) -> None:
    fields = {"to": "post /funds", "body": "{}", "idempotency_key": "k"}
    page = owner.post("/playground/send", data=fields).text
    assert "availablecash" in page and "<h1>Playground</h1>" in page
    fields["body"] = '{"a": <script>'
    wrong = owner.post("/playground/send", data=fields)
    assert (
        wrong.status_code == 400 and "not JSON" in wrong.text and "{&#34;a&#34;: &lt;script&gt;" in wrong.text
    )
    assert owner.post("/playground/send", data=fields | {"body": "[1]"}).status_code == 400


@pytest.mark.parametrize(
    "to", ["", "post /nothing", "get /placeorder", "post /../../settings/keys", "delete /funds"]
)
def test_only_endpoints_can_be_asked(stage: Stage, owner: Visitor, to: str) -> None:
    fields = {"to": to, "body": "{}"}
    assert owner.post("/playground/send", data=fields).status_code == 404
    assert stage.accounts.keys_of(1) == []


def test_real_money_is_asked_for(stage: Stage, owner: Visitor) -> None:
    assert (
        "data-ask"
        not in owner.get("/playground?to=post+/placeorder")
        .text.split('id="answer"')[0]
        .split("data-play")[-1]
    )
    account = stage.live_account("zerodha")
    owner.post(f"/accounts/{account.id}/choose")
    page = owner.get("/playground?to=post+/placeorder").text
    assert "with real money" in page and "data-ask=" in page
    assert "with real money" not in owner.get("/playground?to=post+/quotes").text


def test_every_endpoint_has_an_example_and_programs_that_parse(owner: Visitor) -> None:
    document = owner.get("/api/v1/swagger.json").json
    for path, operations in document["paths"].items():
        for method in operations:
            body = example(document, method, path, NOON.date())
            assert "apikey" not in body
            python, curl, javascript = programs("http://127.0.0.1:5000", method, path, body)
            compile(python[2], path, "exec")
            subprocess.run(["bash", "-n", "-c", curl[2]], check=True)
            assert "{" not in path or "%7B" not in javascript[2]


def test_a_hostile_value_stays_a_string_in_every_language() -> None:
    bad = """'"; $(touch /x) `id` </script> \\ \n"""
    python, curl, javascript = programs("http://h", "post", "/quotes", {"symbol": bad})
    scope: dict[str, object] = {}
    call = python[2].replace("import requests", "").replace("requests.post", "dict").replace("\nprint", "\n#")
    exec(call.replace('"http://h/api/v1/quotes"', "url=''"), scope)
    assert scope["answer"]["json"]["symbol"] == bad  # type: ignore[index]
    ran = subprocess.run(
        ["bash", "-c", curl[2].replace("curl -s", "printf '%s|'")], check=True, capture_output=True, text=True
    )
    assert json.loads(ran.stdout.split("|")[-2])["symbol"] == bad
    assert "\n" not in bad or "\\n" in javascript[2]

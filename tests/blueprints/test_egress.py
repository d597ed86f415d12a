"""The outgoing address: what is registered, what was seen, and that nobody outside is asked but by a press."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from domain.roles import Role
from services.egress import Egress
from tests.blueprints.stage import Stage, Visitor


class Outside:
    """A service on loopback that says which address it sees."""

    def __init__(self) -> None:
        self.says, self.status, self.asked = b"203.0.113.7\n", 200, 0
        outside = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outside.asked += 1
                self.send_response(outside.status)
                self.send_header("Location", "http://127.0.0.1:9/")
                self.end_headers()
                self.wfile.write(outside.says)

            def log_message(self, *words: object) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def outside(stage: Stage) -> Iterator[Outside]:
    made = Outside()
    stage.platform.egress.service = made.url
    yield made
    made.server.shutdown()
    made.server.server_close()


def check(owner: Visitor) -> str:
    page = owner.get("/operate/checks?part=panel").text
    start = page.index("Outgoing address")
    return str(page[start : page.index("</li>", start)])


def test_the_address_is_said_looked_at_and_compared(stage: Stage, owner: Visitor, outside: Outside) -> None:
    account = stage.live_account("zerodha")
    path = f"/accounts/{account.id}/address"
    assert "Paper orders do not leave" in check(owner)
    owner.post(f"/accounts/{account.id}/choose")
    assert "Not said" in check(owner)
    assert owner.post(path, address="203.0.113.300").status_code == 400
    assert "Write one address" in owner.post(path, address="my house").text
    assert owner.post(path, address=" 203.0.113.7 ").status_code == 303
    assert "was never looked up" in check(owner) and "nobody looked yet" in owner.get(path).text
    for page in ("/accounts", "/dashboard", f"/accounts/{account.id}/mode", path):
        owner.get(page)
    assert outside.asked == 0, "asked without a press"
    owner.post(f"{path}/look")
    assert outside.asked == 1 and "203.0.113.7, as registered" in check(owner)
    outside.says = b"198.51.100.9"
    owner.post(f"{path}/look")
    assert "orders leave from 198.51.100.9" in check(owner) and "No-go" in owner.get("/operate/checks").text
    outside.says = b"2001:db8::1"
    owner.post(f"{path}/look")
    assert "not of the same kind" in check(owner)
    outside.says = b"203.0.113.7"
    owner.post(f"{path}/look")
    assert "egress.look" in owner.get("/settings/audit?all=1").text
    stage.clock.at += timedelta(hours=25)
    assert "look again" in stage.platform.egress.verdict(account)[1]
    stage.platform.egress.register(stage.accounts.caller_of_user(1, account.id), "")
    assert "Not said" in stage.platform.egress.verdict(account)[1]


@pytest.mark.parametrize(
    ("status", "says"), [(302, b"203.0.113.7"), (500, b""), (200, b"<html>a login page</html>"), (200, b"")]
)
def test_an_answer_that_is_none_leaves_the_address_unknown(
    stage: Stage, owner: Visitor, outside: Outside, status: int, says: bytes
) -> None:
    outside.status, outside.says = status, says
    account = stage.live_account("zerodha")
    assert owner.post(f"/accounts/{account.id}/address/look").status_code == 303
    page = owner.get(f"/accounts/{account.id}/address").text
    assert "nobody looked yet" in page and "Not known" in page


def test_a_service_that_is_away_or_not_set_is_said(stage: Stage, owner: Visitor, outside: Outside) -> None:
    account = stage.live_account("zerodha")
    stage.platform.egress.service = "http://127.0.0.1:9"
    owner.post(f"/accounts/{account.id}/address/look")
    assert "does not answer" in owner.get("/accounts").text
    stage.platform.egress.service = ""
    assert "No service is set" in owner.get(f"/accounts/{account.id}/address").text
    owner.post(f"/accounts/{account.id}/address/look")
    assert "nobody outside is asked" in owner.get("/accounts").text and outside.asked == 0


def test_it_stands_beside_going_live(stage: Stage, owner: Visitor) -> None:
    owner.post("/accounts", name="Family", broker="zerodha")
    page = owner.get("/accounts/2/mode").text
    assert "Not said: which address is registered" in page and 'href="/accounts/2/address"' in page


def test_only_the_accounts_admin_says_it(stage: Stage, owner: Visitor) -> None:
    account = stage.live_account("zerodha")
    trader = stage.owner("ravi")
    stage.accounts.give_seat(account.id, stage.accounts.user_named("ravi").id, Role.TRADER)
    for path in ("address", "address/look"):
        assert trader.post(f"/accounts/{account.id}/{path}", address="203.0.113.7").status_code == 403
    assert trader.get(f"/accounts/{account.id}/address").status_code == 403
    assert isinstance(stage.platform.egress, Egress) and stage.platform.egress.registered(account.id) == ""

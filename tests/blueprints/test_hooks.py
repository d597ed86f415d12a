"""Webhooks: made, mapped, switched on, hit from outside, seen."""

import io
import re
from typing import Any

import pytest

from tests.blueprints.stage import Stage, Visitor

NEW = {"kind": "strategy", "name": "Breakout", "platform": "tradingview", "trading_mode": "LONG"}
NEW |= {"intraday": "on", "start": "09:15", "end": "15:00", "squareoff": "15:15"}


def hook(owner: Visitor) -> str:
    """The page of a new webhook that may trade RELIANCE."""
    path = str(owner.post("/webhooks", data=NEW).headers["location"])
    mapping = {"symbol": "reliance", "exchange": "NSE", "product": "MIS", "quantity": "10"}
    assert owner.post(f"{path}/symbols", data=mapping).status_code == 303
    return path


def send(stage: Stage, page: str, **body: Any) -> Any:
    found = re.search(r"/strategy/webhook/[0-9a-f-]{36}", page)
    assert found is not None
    return stage.app.test_client().post(found[0], json=body)


def test_a_signal_is_refused_until_its_webhook_is_on(stage: Stage, owner: Visitor) -> None:
    path = hook(owner)
    page = owner.get(path).text
    assert 'value="Switch' not in page and "Switch on" in page and "RELIANCE" in page
    assert send(stage, page, symbol="RELIANCE", action="BUY").status_code == 400
    owner.post(f"{path}/switch", on="1")
    assert send(stage, page, symbol="RELIANCE", action="BUY").status_code == 200
    assert "BUY" in owner.get(f"{path}?part=signals").text.upper()
    stage.platform.signals.drain()
    assert [one.quantity for one in stage.books.sent] == [10]  # type: ignore[union-attr]
    assert "26112400000001" in owner.get(f"{path}?part=signals").text
    owner.post(f"{path}/switch", on="0")
    assert send(stage, page, symbol="RELIANCE", action="BUY").status_code == 400


@pytest.mark.parametrize("path", ["/strategy/webhook/x", "/chartink/webhook/x", "/postback/zerodha"])
def test_a_body_of_unknown_length_is_read_to_a_bound(stage: Stage, path: str) -> None:
    """As one in chunks comes: no length is told, and the server says where it ends."""
    body = io.BytesIO(b" " * (1 << 20))
    told = {"wsgi.input": body, "wsgi.input_terminated": True}
    answer = stage.app.test_client().post(path, environ_overrides=told)
    assert answer.status_code == 413 and body.tell() <= 1 << 17


def test_a_bad_form_names_its_field(owner: Visitor) -> None:
    for changes, field in (({"name": "x"}, "name"), ({"start": "99:00"}, ""), ({"trading_mode": "UP"}, "")):
        answer = owner.post("/webhooks", data=NEW | changes)
        assert answer.status_code == 400 and f'id="{field}' in answer.text
    path = hook(owner)
    for changes in ({"symbol": "NOBODY"}, {"quantity": "0"}, {"exchange": "MOON"}, {"product": "XYZ"}):
        mapping = {"symbol": "SBIN", "exchange": "NSE", "product": "MIS", "quantity": "10"}
        answer = owner.post(f"{path}/symbols", data=mapping | changes)
        assert answer.status_code == 400 and "SBIN" not in answer.text.split("Symbols it may trade")[0], (
            changes
        )


def test_a_webhook_is_its_users_alone(stage: Stage, owner: Visitor) -> None:
    path = hook(owner)
    ravi = stage.owner("ravi")
    assert "Breakout" not in ravi.get("/webhooks").text
    assert ravi.get(path).status_code == 404
    for act in ("switch", "delete", "symbols", "symbols/1/remove"):
        assert ravi.post(f"{path}/{act}", on="1", symbol="SBIN", exchange="NSE").status_code in (400, 404), (
            act
        )
    page = owner.get(path).text
    assert "Switch on" in page and "RELIANCE" in page


def test_a_deleted_address_is_refused(stage: Stage, owner: Visitor) -> None:
    path = hook(owner)
    page = owner.get(path).text
    owner.post(f"{path}/switch", on="1")
    owner.post(f"{path}/symbols/1/remove")
    assert "<li" not in owner.get(path).text.split("Symbols it may trade")[1].split("</section>")[0]
    assert owner.post(f"{path}/delete").status_code == 303
    assert send(stage, page, symbol="RELIANCE", action="BUY").status_code == 404

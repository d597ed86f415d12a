"""The requests page: everything that was asked of the account, filtered and paged by the store."""

from __future__ import annotations

import re

import pytest

from domain.outcomes import Refused
from tests.blueprints.stage import Stage, Visitor

ORDER = {
    "exchange": "NSE",
    "action": "BUY",
    "product": "MIS",
    "pricetype": "LIMIT",
    "price": "1500",
    "quantity": "1",
}


def place(owner: Visitor, symbol: str = "RELIANCE", key: str = "one") -> None:
    assert (
        owner.post("/orders/place", data=ORDER | {"symbol": symbol, "idempotency_key": key}).status_code
        == 303
    )


def symbols(page: str) -> list[str]:
    return re.findall(r'hover:underline" href="/orders/[^"]+">([^<]+)<', page)


def test_requests_show_who_asked_and_what_was_said(stage: Stage, owner: Visitor) -> None:
    place(owner)
    stage.clock.sleep(60)
    stage.books.answers = [Refused("RMS", "Margin short by 23,418.00")]
    place(owner, "SBIN", "two")
    page = owner.get("/operate/requests").text
    assert symbols(page) == ["SBIN", "RELIANCE"]
    assert "Margin short by 23,418.00" in page and "A person" in page and "10.0.0.7" in page
    assert symbols(owner.get("/operate/requests?state=REFUSED").text) == ["SBIN"]
    assert symbols(owner.get("/operate/requests?q=relia").text) == ["RELIANCE"]
    for query in ("door=webhook", "kind=CANCEL", "mode=live", "day=2026-11-23", "q=%25"):
        assert symbols(owner.get(f"/operate/requests?{query}").text) == [], query
    for strange in ("state=x", "day=soon", "before=x~y", "before=2026-11-24~y", "mode=", "day=2026-11-24"):
        assert len(symbols(owner.get(f"/operate/requests?{strange}").text)) == 2, strange
    lines = owner.get("/operate/requests?format=csv&state=REFUSED").text.splitlines()
    assert len(lines) == 2 and "SBIN" in lines[1] and "RMS" in lines[1]
    assert symbols(stage.owner("ravi").get("/operate/requests").text) == []


def test_pages_of_requests_miss_none_and_repeat_none(
    stage: Stage, owner: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of the same instant are told apart by their id."""
    monkeypatch.setattr("blueprints.requests.PAGE", 3)
    for number in range(8):
        stage.clock.sleep(60 if number % 2 else 0)
        place(owner, ("RELIANCE", "SBIN")[number % 2], f"key-{number}")
    seen: list[str] = []
    path = "/operate/requests"
    while path:
        page = owner.get(path).text
        seen += re.findall(r'hover:underline" href="/orders/([^"]+)"', page)
        more = re.search(r'href="([^"]+)" rel="next"', page)
        path = more[1].replace("&amp;", "&") if more else ""
    assert len(seen) == len(set(seen)) == 8

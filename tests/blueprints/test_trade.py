"""The trade page, watchlists, the chart's bars, what an order would cost, baskets and the option chain."""

import re
from decimal import Decimal

import pytest

from blueprints.places import PLACES
from domain.model import PlaceOrder
from domain.outcomes import Refused
from tests.blueprints.broker import order, position
from tests.blueprints.stage import NOON, Stage, Visitor


def test_the_workspace_stands_without_a_script(stage: Stage, owner: Visitor) -> None:
    stage.books.positions, stage.books.orders = [position()], [order(NOON)]
    page = owner.get("/trade?exchange=NSE&symbol=RELIANCE").text
    for words in ("1,537.00", "Prev. close", "Paper buy RELIANCE", 'data-depth="NSE:RELIANCE"', "+555.00"):
        assert words in page
    assert 'value="1,537.00"' in page


def test_the_ticket_of_a_contract_counts_in_lots(owner: Visitor) -> None:
    page = owner.get("/trade?exchange=NFO&symbol=NIFTY01DEC2625950CE&side=SELL&quantity=2").text
    assert "NIFTY 1 DEC 25950 CE" in page and "lot 75" in page and 'value="lots" checked' in page
    assert 'value="SELL" checked' in page and "Carry NRML" in page


def test_an_index_is_not_traded_and_an_unknown_symbol_is_said(owner: Visitor) -> None:
    page = owner.get("/trade?exchange=NSE_INDEX&symbol=NIFTY").text
    assert "quoted, not traded" in page and "form data-ticket" not in page
    assert "not found on exchange" in owner.get("/trade?exchange=NSE&symbol=NOBODY").text


def test_parts_are_fetched_alone(owner: Visitor) -> None:
    for path in (
        "/trade?part=watch",
        "/trade?part=ticket&exchange=NSE&symbol=SBIN",
        "/trade/bottom?tab=orders",
        "/trade/depth?exchange=NSE&symbol=SBIN",
    ):
        answer = owner.get(path)
        assert answer.status_code == 200 and "<html" not in answer.text


def test_rows_are_watched_and_dropped(stage: Stage, owner: Visitor) -> None:
    listed = stage.browser.watchlists.lists(1)[0].id
    owner.post(f"/trade/lists/{listed}/add", exchange="NFO", symbol="NIFTY01DEC2625950CE")
    assert "25950 CE" in owner.get("/trade").text
    owner.post(f"/trade/lists/{listed}/remove", script=True, exchange="NFO", symbol="NIFTY01DEC2625950CE")
    assert "25950 CE" not in owner.get("/trade").text
    wrong = owner.post(f"/trade/lists/{listed}/add", script=True, exchange="NSE", symbol="NOBODY")
    assert wrong.status_code == 404
    made = owner.post("/trade/lists", name="Metals").location
    assert "Nothing watched here" in owner.get(made).text
    assert "already" in owner.post("/trade/lists", name="Metals", back="/trade").text or True
    number = re.search(r"list=(\d+)", made)
    assert number is not None
    owner.post(f"/trade/lists/{number[1]}/rename", name="Steel")
    owner.post(f"/trade/lists/{number[1]}/delete")
    assert "Steel" not in owner.get("/trade").text


def preview(owner: Visitor, **changes: str) -> str:
    values = {
        "exchange": "NSE",
        "symbol": "RELIANCE",
        "action": "BUY",
        "product": "MIS",
        "pricetype": "LIMIT",
        "quantity": "100",
        "price": "1,530.00",
    }
    query = "&".join(f"{name}={value}" for name, value in (values | changes).items())
    return str(owner.get(f"/trade/preview?{query}").text)


def test_what_an_order_would_cost_is_said_before_sending(stage: Stage, owner: Visitor) -> None:
    page = preview(owner)
    assert "\u20b91,53,000.00" in page and "\u20b930,600.00" in page and "\u20b984,23,107.50" in page
    assert "Short by" in preview(owner, quantity="90000")
    assert "trades at once" in preview(owner, price="1600")
    assert "above the last price" in preview(owner, price="2000")
    assert "it takes 2 orders" in preview(owner, quantity="150000")
    assert "write digits" in preview(owner, price="abc")
    assert stage.books.sent == []


def test_a_ticket_brings_its_exit_plan(stage: Stage, owner: Visitor) -> None:
    fields = {
        "exchange": "NSE",
        "symbol": "RELIANCE",
        "action": "BUY",
        "product": "MIS",
        "pricetype": "LIMIT",
        "quantity": "10",
        "price": "1536.90",
        "stop": "1,523.00",
        "target": "1,560.00",
    }
    wrong = owner.post("/orders/place", script=True, data=fields | {"stop": "1600"})
    assert wrong.status_code == 422 and wrong.headers["X-Field"] == "stop" and stage.books.sent == []
    assert owner.post("/orders/place", script=True, data=fields).status_code == 200
    page = owner.get("/triggers").text
    assert "Waits for the fill" in page and "1,523.00" in page and "1,560.00" in page


def test_bars_and_lines_for_the_chart(stage: Stage, owner: Visitor) -> None:
    stage.books.positions, stage.books.orders = [position()], [order(NOON)]
    read = owner.get("/chart/bars?exchange=NSE&symbol=RELIANCE&interval=5m").json
    assert len(read["bars"]) == 3 and read["bars"][0][1:] == [1536.0, 1538.0, 1535.0, 1537.0, 100]
    assert {line["kind"] for line in read["lines"]} == {"position", "buy"}
    missing = owner.get("/chart/bars?exchange=NSE&symbol=NOBODY&interval=5m")
    assert missing.status_code == 404 and "not found" in missing.json["error"]
    assert owner.get("/chart/bars?exchange=NSE&symbol=RELIANCE&interval=7x").status_code in (400, 501)


def test_the_socket_ticket_is_for_the_account_in_front(stage: Stage, owner: Visitor) -> None:
    answer = owner.post("/shell/socket", script=True).json
    claim = stage.platform.tickets.redeem(answer["ticket"])
    assert (claim.user_id, claim.account_id) == (1, 1) and answer["url"].startswith("ws://")
    assert stage.visitor().post("/shell/socket", script=True).status_code == 401


LEG = {
    "symbol": "reliance",
    "exchange": "NSE",
    "action": "BUY",
    "product": "MIS",
    "pricetype": "MARKET",
    "quantity": "5",
}


def basket(owner: Visitor) -> str:
    return str(owner.post("/baskets", name="Spread").location)


def test_a_basket_is_priced_reordered_and_sent_once(stage: Stage, owner: Visitor) -> None:
    where = basket(owner)
    owner.post(f"{where}/add", data=LEG | {"action": "SELL", "quantity": "7"})
    owner.post(f"{where}/add", data=LEG)
    page = owner.get(where).text
    assert "Margin needed" in page and "Paper send 2 orders" in page
    owner.post(f"{where}/change", up="1")
    key = re.search(r'name="idempotency_key" value="([^"]+)"', owner.get(where).text)
    assert key is not None
    stage.books.answers = [Refused("INSUFFICIENT_FUNDS", "Margin short")]
    for _ in range(2):
        page = owner.post(f"{where}/send", idempotency_key=key[1]).text
    sent = [one for one in stage.books.sent if isinstance(one, PlaceOrder)]
    assert [(one.side.value, one.quantity) for one in sent] == [("BUY", Decimal(5)), ("SELL", Decimal(7))]
    assert "Margin short" in page and "Accepted" in page
    owner.post(f"{where}/change", remove="0")
    owner.post(f"{where}/change", clear="1")
    assert "Nothing in it yet" in owner.get(where).text
    owner.post(f"{where}/delete")
    assert owner.get(where).status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"symbol": "NO"}, "symbol"), ({"quantity": "x"}, "quantity"), ({"quantity": ""}, "quantity")],
)
def test_a_bad_leg_says_where(owner: Visitor, changes: dict[str, str], field: str) -> None:
    answer = owner.post(f"{basket(owner)}/add", data=LEG | changes)
    assert answer.status_code == 400 and f'id="{field}-error"' in answer.text


def test_anothers_basket_does_not_exist(stage: Stage, owner: Visitor) -> None:
    where = basket(owner)
    other = stage.owner("ravi")
    assert other.get(where).status_code == 404
    for verb in ("add", "send", "delete"):
        assert other.post(f"{where}/{verb}", script=True, data=LEG).status_code == 404


def test_the_chain_stands_round_the_money(owner: Visitor) -> None:
    page = owner.get("/options?underlying=NIFTY").text
    assert "25,950" in page and "26,000" in page and "at the money" in page and "1 Dec" in page
    assert "No options of" in owner.get("/options?underlying=NOBODY").text
    assert owner.get("/options?underlying=NIFTY&exchange=XX").status_code == 200


def test_search_finds_pages_by_their_words_too(stage: Stage, owner: Visitor) -> None:
    def pages(visitor: Visitor, words: str) -> list[str]:
        found = re.findall(r'href="([^"]+)" tabindex', visitor.get(f"/search?part=palette&q={words}").text)
        return [path for path in found if not path.startswith("/trade?")]

    assert pages(owner, "kill") == ["/kill"]
    assert pages(owner, "ban") == ["/settings/security"]
    assert pages(owner, "log order") == ["/operate/requests"]
    assert pages(owner, "") == [] and pages(owner, "zzz") == []
    assert "Nothing for" in owner.get("/search?part=palette&q=zzz").text
    ravi = stage.owner("ravi")
    assert pages(ravi, "ban") == [] and pages(ravi, "audit") == ["/settings/audit"]
    assert 'href="/settings/audit">Audit' in ravi.get("/search?q=audit").text


def test_every_place_that_search_offers_opens(owner: Visitor) -> None:
    for place in PLACES:
        with owner.client.application.test_request_context():
            path = place.href
        assert owner.get(path).status_code == 200, place.name

"""Books: what is shown, sorted, paged, exported, and what is said when the broker does not answer."""

import csv
import io
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from domain.model import Exchange, Holding, OrderState, OrderType, Product, Side, Trade
from tests.blueprints.broker import order, position
from tests.blueprints.stage import NOON, Stage, Visitor


def rows(page: str) -> list[str]:
    """Symbols in the order of a table's first links."""
    return [part.split("<")[0] for part in page.split("data-focus>")[1:]]


def test_the_dashboard_shows_money_and_what_is_open(stage: Stage, owner: Visitor) -> None:
    stage.books.positions = [position()]
    stage.books.orders = [order(NOON), order(NOON, 2, state=OrderState.COMPLETE, filled=Decimal(100))]
    stage.books.funds = replace(stage.books.funds, realised=Decimal("100"), unrealised=Decimal("555"))
    page = owner.get("/dashboard").text
    assert "84,23,107.50" in page and "+655.00" in page and "1,537.00" in page
    assert page.count("Open</span>") == 1


def test_working_orders_come_first_and_every_state_is_a_word(stage: Stage, owner: Visitor) -> None:
    stage.books.orders = [
        order(NOON, 1, symbol="SBIN", state=OrderState.REJECTED, reason="Margin short by 23,418.00"),
        order(NOON, 2, symbol="INFY", state=OrderState.COMPLETE, filled=Decimal(100)),
        order(NOON, 3, state=OrderState.TRIGGER_PENDING, order_type=OrderType.STOP_LIMIT),
    ]
    page = owner.get("/orders").text
    assert rows(page) == ["RELIANCE", "SBIN", "INFY"]
    for word in ("Waiting for trigger", "Rejected", "Filled", "Margin short by 23,418.00"):
        assert word in page
    assert rows(owner.get("/orders?state=rejected").text) == ["SBIN"]
    assert rows(owner.get("/orders?q=buy+info").text) == []
    assert rows(owner.get("/orders?q=INFY").text) == ["INFY"]


def test_a_thousand_orders_are_paged_and_sorted_on_the_server(stage: Stage, owner: Visitor) -> None:
    stage.books.orders = [
        order(NOON, n, price=Decimal(1000 + n), state=OrderState.CANCELLED) for n in range(1, 1001)
    ]
    page = owner.get("/orders").text
    assert len(rows(page)) == 50 and "1 to 50 of 1,000" in page and 'rel="next"' in page
    last = owner.get("/orders?page=20&sort=price&desc=1").text
    assert "951 to 1,000 of 1,000" in last and "1,001.00" in last and 'aria-sort="descending"' in last
    for strange in ("page=0", "page=-1", "page=x", "page=99999999", "sort=nothing", "page=५"):
        assert owner.get(f"/orders?{strange}").status_code == 200


def test_an_order_without_an_answer_is_shown_for_what_it_is(stage: Stage, owner: Visitor) -> None:
    from domain.outcomes import Ambiguous

    stage.books.answers = [Ambiguous("timed out")]
    said = owner.post("/orders/place", script=True, data=ticket(pricetype="LIMIT", price="1536.90"))
    assert said.status_code == 200 and "no answer yet" in said.text and "Not sent again" in said.text
    assert said.headers["X-Outcome"] == "pending"
    page = owner.get("/orders").text
    assert "No answer yet" in page and "Repeat" not in page
    assert len(stage.books.sent) == 1


def ticket(**changes: str) -> dict[str, str]:
    values = {
        "exchange": "NSE",
        "symbol": "RELIANCE",
        "action": "BUY",
        "product": "MIS",
        "pricetype": "MARKET",
        "quantity": "10",
    }
    return values | changes


def test_positions_show_pnl_and_flat_ones_cannot_be_exited(stage: Stage, owner: Visitor) -> None:
    flat = position(
        symbol="INFY", quantity=Decimal(0), average_price=None, unrealised=None, realised=Decimal("2386.50")
    )
    stage.books.positions = [flat, position()]
    page = owner.get("/positions").text
    assert rows(page) == ["RELIANCE", "INFY"] and "+2,941.50" in page and "Total, 1 open" in page
    assert page.count(">Exit</button>") == 1 and "Flat</span>" in page
    said = owner.post("/positions/exit", script=True, position="NSE:INFY:MIS")
    assert "is flat" in said.text and stage.books.sent == []


def test_what_is_not_known_is_a_dash_and_not_a_sum(stage: Stage, owner: Visitor) -> None:
    stage.books.positions = [position(), position(symbol="SBIN", realised=None, unrealised=None)]
    page = owner.get("/positions").text
    total = page.split("Total, 2 open")[1].split("</tr>")[0]
    assert ">\u2013</span>" in total


def test_a_filter_sums_its_rows_and_leaves_the_days_figure(stage: Stage, owner: Visitor) -> None:
    """The foot of the table is of the rows above it; the tile follows the header, which is of the account."""
    stage.books.positions = [
        position(),
        position(symbol="SBIN", unrealised=Decimal(-55), realised=Decimal(5)),
    ]
    page = owner.get("/positions?q=SBIN").text
    foot = page.split("Total, 1 open")[1].split("</tr>")[0]
    assert ">\u221250.00</span>" in foot and 'data-total-pnl="positions-held"' in foot
    assert 'id="positions-held" data-booked="5"' in page
    tile = page.split("P&amp;L today, ₹</div>")[1].split("</div>")[0]
    assert ">+505.00</span>" in tile and 'data-total-pnl="shell-held"' in tile


def test_positions_beyond_those_that_are_followed_stay_in_the_days_figure(
    stage: Stage, owner: Visitor
) -> None:
    stage.books.positions = [position(symbol=f"S{n}", unrealised=Decimal(1)) for n in range(103)]
    header = owner.get("/shell/status").text
    assert header.count("data-held=") == 100
    assert ">+103.00</span>" in header and 'id="shell-held" hidden data-booked="3"' in header


def test_trades_and_holdings_have_their_pages(stage: Stage, owner: Visitor) -> None:
    stage.books.trades = [
        Trade(
            trade_id="T1",
            order_id="2611240001",
            symbol="NIFTY01DEC2625950CE",
            exchange=Exchange.NFO,
            side=Side.SELL,
            product=Product.CARRY,
            quantity=Decimal(150),
            price=Decimal("148.35"),
            traded_at=NOON,
        )
    ]
    page = owner.get("/trades").text
    assert "NIFTY 1 DEC 25950 CE" in page and "22,252.50" in page
    stage.books.holdings = [
        Holding(
            symbol="INFY",
            exchange=Exchange.NSE,
            quantity=Decimal(10),
            average_price=Decimal(1500),
            last_price=1485.5,
            settles_on=date(2026, 11, 25),
        )
    ]
    page = owner.get("/holdings").text
    assert "\u2212145.00" in page and "On 25 Nov 2026" in page and "14,855.00" in page
    assert 'data-feed="NSE:INFY" data-held="10" data-average="1500" data-pnl="-145.0"' in page
    assert 'data-total-worth="holdings-held"' in page and 'data-total-return="holdings-held"' in page
    assert "data-total" not in owner.get("/holdings?q=nothing").text.partition('id="main"')[2]


def test_a_share_held_on_two_exchanges_is_two_holdings(stage: Stage, owner: Visitor) -> None:
    held = {"symbol": "INFY", "quantity": Decimal(10), "average_price": Decimal(1500)}
    stage.books.holdings = [
        Holding(exchange=Exchange.NSE, last_price=1485.5, **held),
        Holding(exchange=Exchange.BSE, last_price=1600.0, **held),
    ]
    page = owner.get("/holdings").text
    assert ">14,855.00</td>" in page and ">16,000.00</td>" in page and ">30,855.00</span>" in page


def test_csv_is_whole_exact_and_runs_nothing(stage: Stage, owner: Visitor) -> None:
    stage.books.orders = [
        order(NOON, n, strategy="=cmd|' /C calc'!A0" if n == 1 else "", reason="-1+1" if n == 2 else "")
        for n in range(1, 120)
    ]
    answer = owner.get("/orders?format=csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="orders.csv"'
    read = list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"))))
    assert len(read) == 119 and read[0]["price"] == "1536.5" and read[0]["time"] == "2026-11-24 11:59:00"
    assert {row["strategy"] for row in read} == {"", "'=cmd|' /C calc'!A0"}
    assert {row["reason"] for row in read} == {"", "'-1+1"}


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/dashboard",
            "/trade",
            "/trade?tab=orders",
            "/trade?tab=trades",
            "/orders",
            "/trades",
            "/positions",
        ),
        *("/holdings", "/search", "/search?q=nifty", "/triggers", "/action-center", "/action-center?state=x"),
        *("/accounts", "/settings", "/settings/keys", "/settings/password", "/settings/devices", "/kill"),
        *("/help/keys", "/baskets", "/options", "/pnl", "/paper", "/webhooks", "/operate/checks"),
        *(
            "/operate/health",
            "/operate/contracts",
            "/operate/unsettled",
            "/operate/latency",
            "/operate/traffic",
        ),
        *("/operate/logs", "/settings/limits", "/settings/users", "/settings/security", "/settings/calendar"),
        *("/settings/freeze", "/settings/audit", "/settings/audit?verify=1&all=1"),
    ],
)
def test_every_page_is_drawn_for_a_newcomer(owner: Visitor, path: str) -> None:
    answer = owner.get(path)
    assert answer.status_code == 200 and answer.text.count("<h1") == 1


@pytest.mark.parametrize(
    "path", ["/dashboard", "/orders", "/trades", "/positions", "/holdings", "/trade", "/kill"]
)
def test_a_silent_broker_is_said_and_no_page_breaks(stage: Stage, owner: Visitor, path: str) -> None:
    stage.books.down = True
    answer = owner.get(path)
    assert answer.status_code == 200 and "does not answer" in answer.text


def test_a_panel_is_fetched_alone(stage: Stage, owner: Visitor) -> None:
    stage.books.orders = [order(NOON)]
    panel = owner.get("/orders?part=panel", **{"HX-Request": "true"}).text
    assert "<html" not in panel and rows(panel) == ["RELIANCE"]
    assert "<html" not in owner.get("/positions?part=panel").text
    assert 'hx-get="/orders?state=open&amp;part=panel"' in owner.get("/orders?state=open").text
    assert "part=panel" not in panel
    assert "Always open" in owner.get("/shell/status").text


def test_positions_stand_in_groups_with_their_own_totals(stage: Stage, owner: Visitor) -> None:
    """Each group sums its own rows; a group whose part is not known shows no sum."""
    stage.books.positions = [
        position(unrealised=Decimal(555), realised=Decimal(0)),
        position(symbol="SBIN", product=Product.DELIVERY, unrealised=Decimal(-55), realised=Decimal(5)),
        position(symbol="INFY", product=Product.DELIVERY, unrealised=None, realised=Decimal(1)),
    ]
    page = owner.get("/positions?group=product").text
    heads = [part.split("<")[0] for part in page.split('<tr class="group"><td></td><td data-c="l">')[1:]]
    assert heads == ["CNC, 2 open", "MIS, 1 open"]
    assert rows(page) == ["SBIN", "INFY", "RELIANCE"]
    assert 'data-total-pnl="group-2"' in page and 'data-total-pnl="group-1"' not in page
    stage.books.trades = [
        Trade(
            trade_id="1",
            order_id="1",
            symbol="RELIANCE",
            exchange=Exchange.NSE,
            side=Side.BUY,
            product=Product.INTRADAY,
            quantity=Decimal(100),
            price=Decimal("1531.45"),
            traded_at=NOON,
            strategy="orb",
        )
    ]
    page = owner.get("/positions?group=strategy&part=panel").text
    assert "orb, 1 open" in page and "Carried over, 2 open" in page
    for way in ("underlying", "exchange", "nonsense", ""):
        assert len(rows(owner.get(f"/positions?group={way}").text)) == 3


def test_the_dashboard_asks_go_or_no_go(owner: Visitor) -> None:
    page = owner.get("/dashboard").text
    assert 'hx-get="/operate/checks?part=panel"' in page and 'href="/operate/checks"' in page

"""Pages that show how the server does."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from blueprints import operate
from domain.ledger import PaperDay
from domain.model import Mode
from domain.outcomes import Ambiguous
from services.gtt_differences import GttDifference
from services.order_stages import OrderStages
from services.reconciliation import Report
from tests.blueprints.broker import order, position
from tests.blueprints.stage import Stage, Visitor


def paper_day(day: int, equity: str) -> PaperDay:
    zero = Decimal(0)
    return PaperDay(
        account="1",
        generation=1,
        day=date(2026, 11, day),
        cash=Decimal(equity),
        used=zero,
        holdings=zero,
        realised=zero,
        realised_today=Decimal("-12.5"),
        unrealised=zero,
        charges=zero,
        equity=Decimal(equity),
    )


@pytest.mark.parametrize(
    "path",
    ["/operate/traffic", "/operate/logs", "/operate/health"]
    + [f"/settings/{page}" for page in ("users", "security", "calendar")],
)
def test_the_servers_own_pages_are_the_administrators(stage: Stage, owner: Visitor, path: str) -> None:
    assert owner.get(path).status_code == 200
    assert stage.owner("ravi").get(path).status_code == 403


def test_checks_name_what_is_wrong(stage: Stage, owner: Visitor) -> None:
    page = owner.get("/operate/checks?part=panel").text
    assert "Paper accounts need no login" in page and "NIFTY 1,537.00" in page
    assert "Not running: no triggers" in page
    stage.books.down = True
    assert "The paper exchange does not answer" in owner.get("/operate/checks?part=panel").text


def test_traffic_counts_by_route_and_keeps_no_path(stage: Stage, owner: Visitor) -> None:
    for number in range(3):
        owner.get(f"/orders/2611240000{number:04}")
    stage.app.extensions["desk"].requests.flush()
    page = owner.get("/operate/traffic").text
    assert "/orders/&lt;order_id&gt;" in page and "26112400000001" not in page


def test_latency_is_the_accounts_own_orders(stage: Stage, owner: Visitor) -> None:
    fields = {"exchange": "NSE", "symbol": "RELIANCE", "action": "BUY", "product": "MIS"}
    fields |= {"pricetype": "MARKET", "quantity": "10", "idempotency_key": "k1"}
    assert owner.post("/orders/place", data=fields).status_code == 303
    assert "1 accepted, 0 refused" in owner.get("/operate/latency").text
    rows = owner.get("/operate/latency?format=csv").text.splitlines()
    assert rows[0].endswith("broker,stage,orders,p50_ms,p95_ms,p99_ms,slowest_ms") and len(rows) == 4
    assert "accepted" not in stage.owner("ravi").get("/operate/latency").text


def test_an_order_without_an_answer_is_shown_until_the_book_shows_it(stage: Stage, owner: Visitor) -> None:
    stage.books.answers.append(Ambiguous("cut off"))
    fields = {"exchange": "NSE", "symbol": "RELIANCE", "action": "BUY", "product": "MIS"}
    fields |= {"pricetype": "MARKET", "quantity": "10", "idempotency_key": "k1"}
    owner.post("/orders/place", data=fields)
    page = owner.get("/operate/unsettled").text
    assert "RELIANCE" in page and "Everything is settled" not in page
    answer = owner.post("/operate/unsettled/look")
    assert answer.status_code == 303
    assert len(stage.books.sent) == 1


def test_a_live_account_is_held_against_its_broker(stage: Stage, owner: Visitor) -> None:
    account = stage.live_account("zerodha")
    owner.post(f"/accounts/{account.id}/choose")
    assert "Not looked at yet" in owner.get("/operate/unsettled").text
    stage.books.positions.append(position())
    stage.books.orders.append(order(stage.clock.now()))
    owner.post("/operate/unsettled/look")
    page = owner.get("/operate/unsettled").text
    assert "By our fills" in page and "+100" in page and "26112400000001" in page
    assert "not what our fills add up to" in owner.get("/operate/checks?part=panel").text


def test_a_book_that_cannot_be_read_is_said(stage: Stage, owner: Visitor) -> None:
    account = stage.live_account("zerodha")
    owner.post(f"/accounts/{account.id}/choose")
    stage.books.down = True
    owner.post("/operate/unsettled/look")
    page = owner.get("/operate/unsettled").text
    assert "The book could not be read" in page and "does not answer" in page


def test_a_contract_file_is_asked_for_again(stage: Stage, owner: Visitor) -> None:
    refused = owner.post("/operate/contracts/again")
    assert refused.status_code == 400 and "no broker&#39;s contract file" in refused.text
    account = stage.live_account("zerodha")
    owner.post(f"/accounts/{account.id}/choose")
    assert "Download again" in owner.get("/operate/contracts").text
    refused = owner.post("/operate/contracts/again")
    assert refused.status_code == 400 and "is not logged in" in refused.text


def test_a_load_under_way_is_drawn_again_by_every_page_until_it_ends(stage: Stage, owner: Visitor) -> None:
    """How far it is stands in the store, not in a page: reload, or look from another browser."""
    seen = []

    def work(report: Callable[[str, int, int], None]) -> str:
        report("Reading NFO", 25_000, 1_20_000)
        seen.extend(
            owner.get(path).text for path in ("/operate/contracts", "/operate/contracts?part=panel") * 2
        )
        return "1,20,000 instruments"

    stage.platform.jobs.run("master", "zerodha", work)
    for page in seen:
        assert "Reading NFO, 25,000 of 1,20,000" in page and 'max="120000" value="25000"' in page
    assert 'hx-trigger="every 1s"' in seen[0]
    done = owner.get("/operate/contracts").text
    assert "1,20,000 instruments" in done and "Reading NFO" not in done and 'hx-trigger="every 20s"' in done


def test_the_log_page_finds_lines(stage: Stage, owner: Visitor) -> None:
    folder = stage.platform.settings.logs
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f'{{"time": "2026-11-24T06:00:0{n}+00:00", "role": "worker", "level": "{level}", "event": "{event}"}}'
        for n, (level, event) in enumerate([("info", "began"), ("error", "<b>broke</b>"), ("debug", "noise")])
    ]
    (folder / "worker-1.log").write_text("\n".join([*lines, "not json", ""]), encoding="utf-8")
    page = owner.get("/operate/logs?part=panel&level=debug").text
    assert page.index("began") < page.index("&lt;b&gt;broke") < page.index("noise")
    only = owner.get("/operate/logs?part=panel&level=error").text
    assert "broke" in only and "began" not in only
    assert "began" in owner.get("/operate/logs?part=panel&q=BEGAN&role=worker").text
    assert "No lines like that" in owner.get("/operate/logs?part=panel&role=web").text


# -- the paper account and the day's curve
def test_the_curve_follows_fills_and_prices(stage: Stage, owner: Visitor) -> None:
    stage.books.positions.append(position(quantity=Decimal(100)))
    assert "P&amp;L today" in owner.get("/pnl").text
    points = owner.get("/pnl/points").json["points"]
    assert [value for _, value in points] == [555.0, 555.0, 555.0]


def test_a_curve_that_cannot_be_read_says_why(stage: Stage, owner: Visitor) -> None:
    stage.books.down = True
    assert "does not answer" in owner.get("/pnl").text
    answer = owner.get("/pnl/points")
    assert answer.status_code >= 500 and "does not answer" in answer.json["error"]


def test_paper_terms_change_and_name_the_wrong_one(stage: Stage, owner: Visitor) -> None:
    stage.books.days += [paper_day(20, "10000000"), paper_day(23, "9999987.50")]
    page = owner.get("/paper").text
    assert "99,99,987.50" in page and 'name="equity_mis_leverage"' in page
    wrong = owner.post("/paper/terms", equity_mis_leverage="nonsense")
    assert wrong.status_code == 400 and 'id="equity_mis_leverage-error"' in wrong.text
    assert stage.books.terms.equity_mis_leverage == 5
    fields = {"equity_mis_leverage": "4", "fill": "touch", "charges": "true", "account": "9"}
    assert owner.post("/paper/terms", data=fields).status_code == 303
    assert stage.books.terms.equity_mis_leverage == 4 and stage.books.terms.charges
    assert owner.get("/paper?format=csv").text.count("\n") == 3


def test_a_reset_takes_the_accounts_name(stage: Stage, owner: Visitor) -> None:
    name = stage.accounts.accounts_of(1)[0].name
    wrong = owner.post("/paper/reset", confirm="something")
    assert wrong.status_code == 400 and "does not match" in wrong.text and stage.books.generation == 1
    assert owner.post("/paper/reset", confirm=name).status_code == 303
    assert stage.books.generation == 2


def test_a_live_account_has_no_paper_page(stage: Stage, owner: Visitor) -> None:
    account = stage.live_account("zerodha")
    owner.post(f"/accounts/{account.id}/choose")
    assert 'name="equity_mis_leverage"' not in owner.get("/paper").text
    assert owner.post("/paper/terms", fill="touch").status_code == 400
    assert owner.post("/paper/reset", confirm=account.name).status_code == 400
    assert stage.books.generation == 1


def sample(text: str, name: str) -> float:
    """The value of one line of Prometheus's text."""
    return float(next(line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(name)))


def test_prometheus_reads_numbers_and_nobody_else_does(stage: Stage, owner: Visitor) -> None:
    fields = {"exchange": "NSE", "symbol": "RELIANCE", "action": "BUY", "product": "MIS"}
    fields |= {"pricetype": "MARKET", "quantity": "10", "idempotency_key": "m1"}
    assert owner.post("/orders/place", data=fields).status_code == 303
    platform = stage.platform
    stages = OrderStages(platform.databases["orders"], platform.databases["logs"], platform.clock)
    assert (stages.collect(), stages.collect()) == (1, 0)
    assert (
        OrderStages(platform.databases["orders"], platform.databases["logs"], platform.clock).collect() == 0
    )
    stage.app.extensions["desk"].requests.flush()
    text = stage.visitor("127.0.0.1").get("/metrics").text
    assert sample(text, 'openalgo_http_requests_total{method="POST",route="/orders/place",status="303"}') == 1
    assert sample(text, 'openalgo_http_seconds_bucket{le="+Inf",route="/orders/place"}') == 1
    assert sample(text, 'openalgo_orders_settled{broker="paper",outcome="accepted"}') == 1
    assert sample(text, 'openalgo_order_stage_seconds{broker="paper",quantile="0.99",stage="broker"}') >= 0
    assert sample(text, 'openalgo_unsettled_orders{state="unknown"}') == 0
    assert sample(text, "openalgo_stream_up") == 0
    assert "RELIANCE" not in text and "asha" not in text
    for address in ("10.0.0.7", "203.0.113.5"):
        assert stage.visitor(address).get("/metrics").status_code == 404
        assert owner.client.get("/metrics", environ_base={"REMOTE_ADDR": address}).status_code == 404


def test_old_order_stages_are_forgotten(stage: Stage, owner: Visitor) -> None:
    fields = {"exchange": "NSE", "symbol": "RELIANCE", "action": "BUY", "product": "MIS"}
    fields |= {"pricetype": "MARKET", "quantity": "10", "idempotency_key": "m2"}
    owner.post("/orders/place", data=fields)
    platform = stage.platform
    stages = OrderStages(platform.databases["orders"], platform.databases["logs"], platform.clock)
    stages.collect()
    assert len(stages.latest(minutes=60)) == 1
    stage.clock.sleep(31 * 86_400)
    stages.collect()
    assert stages.latest(minutes=60 * 24 * 40) == []


def test_gtts_that_differ_at_the_broker_are_shown(
    stage: Stage, owner: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = ("gone", "changed", "external", "unanswered")
    words = {"trigger_id": "G1", "broker_id": "T1", "symbol": "SBIN", "exchange": "NSE", "theirs": ""}
    found = tuple(GttDifference(kind=kind, ours="SELL 10 at 500", **words) for kind in kinds)
    report, real = Report(at=datetime.now(UTC), orders=3, gtts=found), operate.caller
    monkeypatch.setattr(
        operate, "caller", lambda: replace(real(), account=replace(real().account, mode=Mode.LIVE))
    )
    monkeypatch.setattr(type(stage.platform.reconciliation), "state", lambda self, account: (report, []))
    page = owner.get("/operate/unsettled").text
    assert "Not in its list" in page and page.count("SELL 10 at 500") == 4

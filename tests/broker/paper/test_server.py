"""The exchange's process over its socket: answers, durability, idempotence, recovery from storage, kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal as D
from itertools import count
from pathlib import Path

import pytest
import zmq

from broker.interface import BrokerSession
from broker.paper import wire
from broker.paper.client import Link, PaperBroker, connector
from broker.paper.server import Server, assemble
from config import SystemClock
from database.engine import Database, open_database
from database.metadata import PAPER
from database.paper_ledger import PaperLedger
from domain.errors import BrokerUnavailable, InvalidRequest
from domain.ledger import LedgerChanges
from domain.model import (
    CancelOrder,
    Instrument,
    ModifyOrder,
    OrderState,
    OrderType,
    PlaceOrder,
    Product,
    Side,
)
from domain.outcomes import Accepted, Ambiguous, Outcome, Refused
from tests.broker.paper.floor import INDEX, SHARE, HandMarket, Hands

ROOT = Path(__file__).parents[3]
IDS = count(1)


class Quiet:
    """A publisher that keeps what it is told."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.ticks: list[tuple[str, str]] = []
        self.listening: dict[tuple[str, str], int] = {}
        self.came: list[tuple[str, str, str]] = []

    def wanted(self, feed: str) -> dict[tuple[str, str], int]:
        return self.listening

    def tick(self, feed: str, tick: object) -> None:
        self.ticks.append((feed, tick.symbol))  # type: ignore[attr-defined]

    def ring(self, account: str) -> None:
        self.rung.append(account)

    def poll(self) -> list[tuple[str, str, str]]:
        came, self.came = self.came, []
        return came


class FailingLedger(PaperLedger):
    """Storage that refuses the saves it is told to."""

    fail = 0
    after = False

    def save(self, changes: LedgerChanges) -> None:
        if self.fail:
            self.fail -= 1
            if self.after:
                super().save(changes)
            raise OSError("disk full")
        super().save(changes)


class Stand:
    """A running exchange on a folder, and brokers towards it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Hands()
        self.market = HandMarket(self.clock)
        self.market.show(SHARE, "100", spread=0)
        self.publisher = Quiet()
        self.database: Database = open_database("", "paper", folder)
        PAPER.create_all(self.database.engine)
        self.ledger = FailingLedger(self.database)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.endpoint = f"ipc://{folder}/exch"
        self.server: Server | None = None
        self.thread: threading.Thread | None = None
        self.start()

    def start(self) -> None:
        socket = self.context.socket(zmq.ROUTER)
        socket.bind(self.endpoint)
        clock = _Mixed(self.clock)
        self.server = assemble(
            socket, self.ledger, lambda: {"paper": self.market}, clock, self.publisher, self._lookup
        )
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    @staticmethod
    def _lookup(exchange: str, symbol: str) -> Instrument | None:
        return {"RELIANCE": SHARE, "NIFTY": INDEX}.get(symbol)

    def stop(self) -> None:
        if self.server is not None and self.thread is not None:
            self.server.stop()
            self.thread.join(10)
            self.server = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def broker(self, account: str = "1") -> PaperBroker:
        return broker_at(self.endpoint, account)

    def close(self) -> None:
        self.stop()
        self.database.close()
        self.context.term()


class _Mixed:
    """Days stand still, the process's own waiting does not."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def now(self):  # type: ignore[no-untyped-def]
        return self._hands.now()

    def monotonic(self) -> float:
        return time.monotonic()


def broker_at(endpoint: str, account: str = "1") -> PaperBroker:
    session = BrokerSession(
        account=account, tokens={}, urls={"exchange": endpoint}, opened_at=SystemClock().now()
    )
    return PaperBroker(session, lambda *_: None, SystemClock())


def order(**more: object) -> PlaceOrder:
    values: dict[str, object] = {
        "client_order_id": f"t{next(IDS):015d}",
        "instrument": SHARE,
        "side": Side.BUY,
        "quantity": D(10),
        "order_type": OrderType.MARKET,
        "product": Product.INTRADAY,
    }
    return PlaceOrder(**(values | more))  # type: ignore[arg-type]


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    yield made
    made.close()


def accepted(outcome: Outcome) -> str:
    assert isinstance(outcome, Accepted), outcome
    return outcome.order_id


def test_an_order_and_its_books(stand: Stand) -> None:
    broker = stand.broker()
    order_id = accepted(broker.place(order()))
    assert order_id == "26082400000001"
    (row,) = broker.fetch_orders()
    assert (row.order_id, row.state, row.average_price) == (order_id, OrderState.COMPLETE, 100)
    (trade,) = broker.fetch_trades()
    assert (trade.order_id, trade.quantity) == (order_id, 10)
    (position,) = broker.fetch_positions()
    assert (position.quantity, position.last_price) == (10, 100.0)
    assert broker.fetch_funds().used == 200
    assert broker.fetch_holdings() == []
    assert broker.fetch_margin([order(quantity=D(50))]).total == 1000
    (quote, nothing) = broker.fetch_quotes([SHARE, INDEX])
    assert quote is not None and quote.last_price == 100.0 and nothing is None
    assert broker.fetch_depth(SHARE).asks[0].price == 100.0
    assert broker.fetch_candles(SHARE, "1m", date(2026, 8, 24), date(2026, 8, 24)) == []
    assert stand.publisher.rung == ["1"]


def test_a_limit_order_is_changed_filled_by_a_tick_and_told(stand: Stand) -> None:
    broker = stand.broker()
    limit = order(order_type=OrderType.LIMIT, price=D(99))
    order_id = accepted(broker.place(limit))
    change = ModifyOrder(
        client_order_id="m" * 16,
        order_id=order_id,
        instrument=SHARE,
        side=Side.BUY,
        quantity=D(20),
        order_type=OrderType.LIMIT,
        product=Product.INTRADAY,
        price=D("99.5"),
    )
    assert accepted(broker.modify(change)) == order_id
    stand.clock.forward(seconds=1)
    stand.market.show(SHARE, "99", spread=0)
    stand.clock.forward(seconds=1)
    wait_for(lambda: broker.fetch_orders()[0].state is OrderState.COMPLETE)
    updates = broker.fetch_order_updates(0)
    assert [seq for seq, _ in updates] == [1, 2, 3]
    assert [row.state for _, row in updates] == [OrderState.OPEN, OrderState.OPEN, OrderState.COMPLETE]
    assert [seq for seq, _ in broker.fetch_order_updates(2)] == [3]
    late = broker.cancel(CancelOrder(client_order_id="x" * 16, order_id=order_id))
    assert isinstance(late, Refused) and late.code == "ORDER_FINAL"


def test_everything_is_there_after_a_restart(stand: Stand) -> None:
    broker = stand.broker()
    accepted(broker.place(order(product=Product.DELIVERY, quantity=D(7))))
    resting = accepted(broker.place(order(order_type=OrderType.LIMIT, price=D(90))))
    sale = order(side=Side.SELL, product=Product.DELIVERY, quantity=D(8))
    rejected = broker.place(sale)
    assert isinstance(rejected, Refused) and rejected.order_id
    broker.change_terms({"equity_mis_leverage": "2"})
    before = (broker.fetch_orders(), broker.fetch_trades(), broker.fetch_positions(), broker.fetch_funds())
    stand.restart()
    after = (broker.fetch_orders(), broker.fetch_trades(), broker.fetch_positions(), broker.fetch_funds())
    assert after == before
    assert broker.fetch_terms()["equity_mis_leverage"] == "2"
    assert broker.place(sale) == rejected
    stand.clock.forward(seconds=1)
    stand.market.show(SHARE, "89", spread=0)
    stand.clock.forward(seconds=1)
    wait_for(lambda: {o.order_id: o.state for o in broker.fetch_orders()}[resting] is OrderState.COMPLETE)
    assert accepted(broker.place(order())) == "26082400000004"


def test_the_same_id_is_one_order_whatever_happens_between(stand: Stand) -> None:
    broker, same = stand.broker(), order()
    first = broker.place(same)
    assert broker.place(same) == first
    stand.restart()
    assert broker.place(same) == first
    assert len(broker.fetch_trades()) == 1


def test_what_storage_refuses_never_happened(stand: Stand) -> None:
    broker = stand.broker()
    broker.fetch_funds()
    stand.ledger.fail = 2
    refused = broker.place(order())
    assert isinstance(refused, Refused) and refused.code == "UNAVAILABLE"
    assert broker.fetch_orders() == []
    assert broker.fetch_funds().used == 0
    accepted(broker.place(order()))


def test_one_failed_save_is_tried_again_call_by_call(stand: Stand) -> None:
    broker = stand.broker()
    stand.ledger.fail = 1
    accepted(broker.place(order()))
    assert len(broker.fetch_trades()) == 1


def test_a_save_that_failed_after_it_was_kept_is_found_again(stand: Stand) -> None:
    broker = stand.broker()
    broker.fetch_funds()
    stand.ledger.fail, stand.ledger.after = 1, True
    accepted(broker.place(order()))
    assert len(broker.fetch_trades()) == 1


def test_many_threads_are_served_in_shared_commits(stand: Stand) -> None:
    broker = stand.broker()
    outcomes: list[Outcome] = []

    def trade() -> None:
        outcomes.extend(broker.place(order(quantity=D(1))) for _ in range(25))

    threads = [threading.Thread(target=trade) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = {accepted(outcome) for outcome in outcomes}
    assert len(ids) == 200
    assert broker.fetch_positions()[0].quantity == 200
    assert [seq for seq, _ in broker.fetch_order_updates(0)] == list(range(1, 401))


def test_a_wrong_call_is_named_and_garbage_is_ignored(stand: Stand) -> None:
    broker = stand.broker()
    with pytest.raises(InvalidRequest) as error:
        broker.change_terms({"fill": "magic"})
    assert error.value.field == "fill"
    elsewhere = PaperBroker(
        BrokerSession(
            account="9",
            tokens={},
            urls={"exchange": stand.endpoint, "feed": "moon"},
            opened_at=SystemClock().now(),
        ),
        lambda *_: None,
        SystemClock(),
    )
    with pytest.raises(InvalidRequest, match="moon"):
        elsewhere.fetch_funds()
    rough = connector({"exchange": stand.endpoint}, {})()
    for garbage in (b"", b"\xff\x00", b"{}", wire.encode({"number": 1}), os.urandom(2000)):
        rough.send(garbage)
    rough.send_multipart([b"a", b"b", b"c"])
    rough.close(linger=200)
    assert broker.fetch_orders() == []


def test_ticks_go_to_those_who_listen(stand: Stand) -> None:
    stand.publisher.listening[("NSE", "RELIANCE")] = 1
    stand.publisher.came.append(("paper", "NSE", "RELIANCE"))
    wait_for(lambda: ("paper", "RELIANCE") in stand.publisher.ticks)
    seen = len(stand.publisher.ticks)
    stand.clock.forward(seconds=1)
    stand.market.show(SHARE, "101")
    stand.clock.forward(seconds=1)
    wait_for(lambda: len(stand.publisher.ticks) > seen)


def test_nothing_is_sent_to_an_exchange_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_WRITE", "_ANSWER"):
        monkeypatch.setattr(f"broker.paper.client.{name}", 0.2)
    broker = broker_at(f"ipc://{tmp_path}/nobody")
    outcome = broker.place(order())
    assert isinstance(outcome, Refused) and outcome.code == "UNAVAILABLE"
    with pytest.raises(BrokerUnavailable):
        broker.fetch_funds()


def test_an_order_without_an_answer_is_ambiguous(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_WRITE", "_LOOK"):
        monkeypatch.setattr(f"broker.paper.client.{name}", 0.3)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    deaf = context.socket(zmq.ROUTER)
    deaf.bind(f"ipc://{tmp_path}/deaf")
    assert isinstance(broker_at(f"ipc://{tmp_path}/deaf").place(order()), Ambiguous)
    deaf.close(linger=0)
    context.term()


def test_a_lost_answer_is_looked_up_not_sent_again(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    broker, asked = stand.broker(), []
    ask = Link.ask

    def lossy(link: Link, account: str, feed: str, request: wire.Request, wait: float) -> object:
        asked.append(type(request))
        answer = ask(link, account, feed, request, wait)
        if len(asked) == 1:
            from broker.paper.client import NoAnswer

            raise NoAnswer
        return answer

    monkeypatch.setattr(Link, "ask", lossy)
    accepted(broker.place(order()))
    assert asked == [wire.Place, wire.Find]


CHILD = """
import sys, zmq
from pathlib import Path
from config import SystemClock
from database.engine import open_database
from database.metadata import PAPER
from database.paper_ledger import PaperLedger
from broker.paper.server import assemble
from broker.paper.simulated import SimulatedMarket
from tests.broker.paper.test_server import Quiet
folder = Path(sys.argv[1])
database = open_database("", "paper", folder)
PAPER.create_all(database.engine)
socket = zmq.Context.instance().socket(zmq.ROUTER)
socket.bind(f"ipc://{folder}/exch")
clock = SystemClock()
market = lambda: {"paper": SimulatedMarket(1, clock)}
assemble(socket, PaperLedger(database), market, clock, Quiet(), lambda *_: None).run()
"""


def test_kill_9_in_traffic_loses_and_doubles_nothing(tmp_path: Path) -> None:
    _kill_trials(tmp_path, trials=2)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_kill_9_in_traffic_a_thousand_times(tmp_path: Path) -> None:
    _kill_trials(tmp_path, trials=1000)


def _kill_trials(folder: Path, trials: int) -> None:
    """Threads trade while the process is killed and started again; then the books are compared with the answers."""
    told: dict[str, Outcome] = {}
    sent: dict[str, PlaceOrder] = {}
    stop = threading.Event()
    broker = broker_at(f"ipc://{folder}/exch")

    def trade(number: int) -> None:
        for n in count():
            if stop.is_set():
                return
            side = Side.BUY if n % 2 else Side.SELL
            one = order(side=side, quantity=D(1 + n % 3))
            sent[one.client_order_id] = one
            told[one.client_order_id] = broker.place(one)

    child = _start(folder)
    threads = [threading.Thread(target=trade, args=(n,), daemon=True) for n in range(3)]
    for thread in threads:
        thread.start()
    for trial in range(trials):
        served = len(told)
        wait_for(lambda: len(told) > served + 3, 30)  # noqa: B023
        time.sleep((trial * 7919 % 100) / 400)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child = _start(folder)
    stop.set()
    for thread in threads:
        thread.join(30)
    try:
        _compare(broker, sent, told)
    finally:
        child.kill()
        child.wait()


def _compare(broker: PaperBroker, sent: dict[str, PlaceOrder], told: dict[str, Outcome]) -> None:
    rows = {row.client_order_id: row for row in broker.fetch_orders()}
    for client_id, outcome in told.items():
        if isinstance(outcome, Accepted):
            assert rows[client_id].order_id == outcome.order_id
        elif isinstance(outcome, Refused):
            assert client_id not in rows
        again = broker.place(sent[client_id])
        assert isinstance(outcome, Ambiguous) or again == outcome or outcome.code == "UNAVAILABLE"
    assert len(rows) == len({row.order_id for row in rows.values()}) > 10
    by_order: dict[str, D] = {}
    for trade in broker.fetch_trades():
        by_order[trade.order_id] = by_order.get(trade.order_id, D(0)) + trade.quantity
    books = broker.fetch_orders()
    assert all(by_order.get(row.order_id, D(0)) == row.filled for row in books)
    net = sum(row.filled * row.side.sign for row in books)
    assert sum(p.quantity for p in broker.fetch_positions()) == net
    assert [seq for seq, _ in broker.fetch_order_updates(0)] == list(
        range(1, len(broker.fetch_order_updates(0)) + 1)
    )
    funds = broker.fetch_funds()
    assert funds.available + funds.used == 10_000_000 + (funds.total_realised or 0)


def _start(folder: Path) -> subprocess.Popen[bytes]:
    for old in folder.glob("exch"):
        old.unlink()
    return subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], cwd=ROOT)


def wait_for(condition: object, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)

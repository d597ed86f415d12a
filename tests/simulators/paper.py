"""The paper exchange as a simulator for the contract suite: the real server over its real socket, a market by hand.

It has no foreign wire, so no faults and no list of requests; `tick` and `set_funds` reach it at its next step.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import zmq

from broker.paper.booked import Shares
from broker.paper.server import Server, assemble
from config import SystemClock
from database.engine import open_database
from database.metadata import PAPER
from database.paper_ledger import PaperLedger
from domain.clock import IST
from domain.ledger import Amounts, EntryKind
from domain.market import Tick
from domain.model import Exchange, Instrument
from tests.simulators.market import HandMarket, listing


class SteppedMarket(HandMarket):
    """A market by hand whose trades wait for the exchange's next step."""

    feed = "paper"

    def __init__(self, clock: SystemClock, seed: int, prices: dict[tuple[Exchange, str], float]) -> None:
        super().__init__(clock, seed, prices)
        self.waiting: list[Tick] = []

    def ticks(self, instruments: Iterable[Instrument], since: datetime, until: datetime) -> list[Tick]:
        wanted = {instrument.key for instrument in instruments}
        ready, self.waiting = self.waiting, []
        return [tick for tick in ready if (tick.exchange, tick.symbol) in wanted]


class Steps:
    """The server's publisher: nobody listens, but work that must be done on its thread is done at each step."""

    def __init__(self) -> None:
        self._work: list[tuple[Callable[[], Any], threading.Event]] = []
        self._lock = threading.Lock()

    def run(self, work: Callable[[], Any]) -> None:
        """Do `work` at the next step, and come back when that step is over."""
        for part in (work, lambda: None):
            done = threading.Event()
            with self._lock:
                self._work.append((part, done))
            assert done.wait(5), "the exchange does not step"

    def poll(self) -> list[tuple[str, str, str]]:
        with self._lock:
            work, self._work = self._work, []
        for part, done in work:
            part()
            done.set()
        return []

    def wanted(self, feed: str) -> dict[tuple[str, str], int]:
        return {}

    def tick(self, feed: str, tick: Tick) -> None:
        pass

    def ring(self, account: str) -> None:
        pass


class PaperSimulator:
    """What the suite asks of `server.Simulator`, over the paper exchange."""

    user = "1"

    def __init__(self, name: str = "paper", seed: int = 0) -> None:
        self.name = name
        self.strict = True
        self.requests: list[Any] = []
        self.credentials: dict[str, str] = {}
        self.clock = SystemClock()
        rows = listing(self.clock.now().astimezone(IST).date())
        self.instruments = {instrument.key: instrument for instrument, _ in rows}
        self.market = SteppedMarket(self.clock, seed, {one.key: price for one, price in rows})
        self._steps = Steps()
        self._folder = tempfile.TemporaryDirectory(prefix="paper-")
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()

    def start(self) -> PaperSimulator:
        self._database = open_database("", "paper", Path(self._folder.name))
        PAPER.create_all(self._database.engine)
        socket = self._context.socket(zmq.ROUTER)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        self.urls = {"exchange": f"tcp://127.0.0.1:{port}"}
        self._server: Server = assemble(
            socket,
            PaperLedger(self._database),
            lambda: {"paper": self.market},
            self.clock,
            self._steps,
            self._find,
        )
        self._quick = mock.patch("broker.paper.server.STEP", 0.02)
        self._quick.start()
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        self._steps.run(self._give_shares)
        return self

    def stop(self) -> None:
        self._server.stop()
        self._thread.join(5)
        self._quick.stop()
        self._database.close()
        self._folder.cleanup()

    def _find(self, exchange: str, symbol: str) -> Instrument | None:
        return self.instruments.get((Exchange(exchange), symbol))  # type: ignore[call-overload]

    def _account(self) -> Any:
        return self._server._venues["paper"].account(self.user, self.clock.now())

    def _give_shares(self) -> None:
        one = self.instrument("NSE", "SBIN")
        cost = 40 * Decimal("700.25")
        account = self._account()
        account.shares[one.key] = Shares(one, settles_on=date(2000, 1, 1), quantity=Decimal(40), cost=cost)
        account.post(EntryKind.CAPITAL, self.clock.now(), Amounts(stock=cost, capital=-cost))

    def set_funds(self, amount: float | Decimal) -> None:
        def work() -> None:
            account = self._account()
            change = Decimal(str(amount)) - account.available
            account.post(EntryKind.CAPITAL, self.clock.now(), Amounts(cash=change, capital=-change))

        self._steps.run(work)

    def tick(self, exchange: str, symbol: str, price: float, quantity: int | None = None) -> None:
        instrument = self.instrument(exchange, symbol)
        self._steps.run(lambda: self.market.waiting.append(self.market.set(instrument, price, quantity)))

    def instrument(self, exchange: str, symbol: str) -> Instrument:
        return self.instruments[(Exchange(exchange), symbol)]  # type: ignore[index]

    def truth(self) -> dict[str, Any]:
        found = list(self._account().orders.values())
        return {
            "orders": [
                {"order_id": o.order_id, "state": o.state.value, "filled": str(o.filled)} for o in found
            ]
        }

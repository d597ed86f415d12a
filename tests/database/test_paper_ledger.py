"""The paper exchange's book on both stores: what is saved is what the exchange comes back with."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from broker.paper import settlement
from broker.paper.charges import no_charges
from broker.paper.desk import restored
from broker.paper.exchange import PaperExchange
from broker.paper.numbers import Numbers
from broker.paper.rules import Terms
from database import migrate
from database.engine import Database, open_database
from database.paper_ledger import PaperLedger
from domain.ledger import Amounts, EntryKind, LedgerChanges, LedgerEntry
from domain.model import OrderType, Product, Side
from tests.broker.paper.floor import CALL, CRUDE, RUPEE, SHARE, START, Floor


def come_back(floor: Floor, ledger: PaperLedger) -> PaperExchange:
    """An exchange made from storage alone."""
    fresh = PaperExchange(floor.market, Numbers(ledger.last_order, ledger.last_trade), Terms(), no_charges)
    return restored(fresh, ledger.load(START))


def picture(exchange: PaperExchange) -> object:
    """Everything an account holds, for comparison."""
    account = exchange.accounts["1"]
    return (
        account.record,
        account.balances,
        (account.entries, account.seq),
        [order.record() for order in account.orders.values()],
        account.trades,
        {
            key: (line.quantity, line.cost, line.margin, line.realised_today, line.realised_total)
            for key, line in account.lines.items()
            if line.quantity or line.changed_at
        },
        {key: (held.quantity, held.cost) for key, held in account.shares.items() if held.quantity},
    )


def test_an_account_comes_back_as_it_was(database: Database) -> None:
    ledger, floor, draw = PaperLedger(database), Floor(), random.Random(11)
    for one, price in ((SHARE, "100"), (CALL, "120"), (CRUDE, "5400"), (RUPEE, "88.5")):
        floor.market.show(one, price)
    for step in range(120):
        one = draw.choice([SHARE, CALL, CRUDE, RUPEE])
        last = D(str(floor.market.last[one.exchange, one.symbol].last_price))
        near = last + one.tick_size * draw.randint(-6, 6)
        product = draw.choice([Product.INTRADAY, Product.DELIVERY if one is SHARE else Product.CARRY])
        floor.place(
            one,
            draw.choice(list(Side)),
            one.lot_size * draw.randint(1, 4),
            draw.choice(list(OrderType)),
            product,
            near,
            near,
        )
        floor.tick(one, max(one.tick_size, last + one.tick_size * draw.randint(-5, 5)))
        if step % 40 == 39:
            floor.next_day()
        ledger.save(floor.take())
    assert floor.account.seq > 100
    again = come_back(floor, ledger)
    floor.exchange.outbox.settle()
    assert picture(again) == picture(floor.exchange)
    assert list(again.answers) == [answer.client_order_id for answer in ledger.load(START).answers]
    total = Amounts()
    for entry in ledger.entries("1", 1):
        total = total.plus(entry.amounts)
    assert total == floor.account.balances
    assert [row.seq for row in ledger.updates("1", 0, 10_000)] == list(range(1, floor.account.seq + 1))
    assert len(ledger.days("1", 1)) == 3
    assert again._numbers.order(floor.clock.now()) == floor.exchange._numbers.order(floor.clock.now())


def test_a_reset_keeps_the_old_books(database: Database) -> None:
    ledger, floor = PaperLedger(database), Floor()
    floor.market.show(SHARE, "100", spread=0)
    floor.buy()
    ledger.save(floor.take())
    settlement.reset(floor.exchange, "1", floor.clock.now())
    floor.sell()
    ledger.save(floor.take())
    assert picture(come_back(floor, ledger)) == picture(floor.exchange)
    assert [kept.trade.side for kept in ledger.trades("1", 1)] == [Side.BUY]
    assert [kept.trade.side for kept in ledger.trades("1", 2)] == [Side.SELL]
    assert len(ledger.entries("1", 1)) == 2
    assert ledger.days("1", 1)[0].equity == 10_000_000


def test_an_unbalanced_entry_is_refused_with_all_that_came_with_it(database: Database) -> None:
    ledger, floor = PaperLedger(database), Floor()
    floor.market.show(SHARE, "100")
    floor.buy()
    changes = floor.take()
    wrong = LedgerEntry(
        account="1", generation=1, number=99, kind=EntryKind.FILL, at=START, amounts=Amounts(cash=D(1))
    )
    with pytest.raises((sqlite3.IntegrityError, IntegrityError)):
        ledger.save(replace(changes, entries=[*changes.entries, wrong]))
    assert ledger.load(START).accounts == []
    assert ledger.last_order("260824") == 0
    ledger.save(changes)
    assert ledger.last_order("260824") == 1
    assert ledger.last_trade("T260824") == 1


def test_a_client_id_is_kept_once_and_its_answer_found(database: Database) -> None:
    ledger, floor = PaperLedger(database), Floor()
    floor.market.show(SHARE, "100")
    order = floor.buy(client_order_id="c" * 16)
    floor.place(quantity=0, client_order_id="d" * 16)
    ledger.save(floor.take())
    found, refused = ledger.answer("c" * 16), ledger.answer("d" * 16)
    assert found is not None and (found.order_id, found.code) == (order.order_id, "")
    assert refused is not None and refused.code == "QUANTITY"
    assert ledger.answer("e" * 16) is None
    other = Floor()
    other.market.show(SHARE, "100")
    other.exchange._numbers = Numbers(ledger.last_order, ledger.last_trade)
    other.account_name = "2"
    other.buy(client_order_id="c" * 16)
    with pytest.raises((sqlite3.IntegrityError, IntegrityError)):
        ledger.save(other.take())


def test_nothing_to_keep_is_no_transaction(database: Database) -> None:
    PaperLedger(database).save(LedgerChanges())
    assert not LedgerChanges()


@pytest.mark.postgres
def test_one_process_writes(postgres_url: str, tmp_path: Path) -> None:
    migrate.upgrade(postgres_url, "paper", tmp_path)
    first, second = (open_database(postgres_url, "paper", tmp_path) for _ in range(2))
    assert PaperLedger(first).claim()
    assert not PaperLedger(second).claim()
    first.close()
    assert PaperLedger(second).claim()
    second.close()


def test_two_writers_cannot_both_be_kept(database: Database) -> None:
    ledger, one = PaperLedger(database), Floor()
    one.market.show(SHARE, "100")
    one.buy()
    ledger.save(one.take())
    floors = []
    for _ in range(2):
        floor = Floor()
        floor.market.show(SHARE, "100")
        floor.exchange = come_back(floor, ledger)
        floors.append(floor)
    for number, floor in enumerate(floors):
        floor.sell(client_order_id=f"{number}" * 16)
    ledger.save(floors[0].take())
    with pytest.raises((sqlite3.IntegrityError, IntegrityError)):
        ledger.save(floors[1].take())
    assert picture(come_back(one, ledger)) == picture(floors[0].exchange)

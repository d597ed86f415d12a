from __future__ import annotations

from decimal import Decimal

from broker import facts
from domain.model import Exchange


def test_every_fact_can_be_read() -> None:
    assert len(facts.securities()) == 3516
    assert len(facts.underlyings()) == 270
    assert len(facts.holidays()) > 150
    assert len(facts.sessions()) > 60
    assert len(facts.sectors()) == 50
    for name in ("charges", "leverage", "tick_rules", "price_protection", "circuit_breakers", "expiry_rules"):
        assert facts.rows(name)


def test_a_share_an_index_and_an_underlying() -> None:
    infosys = facts.security(Exchange.NSE, "INFY")
    assert infosys is not None
    assert (infosys.tick_size, infosys.has_derivatives, infosys.nifty50) == (Decimal("0.1"), True, True)
    assert facts.security(Exchange.NSE_INDEX, "NIFTY") is not None
    assert facts.security(Exchange.NSE, "NIFTY") is None
    nifty = facts.underlying(Exchange.NFO, "NIFTY")
    assert nifty is not None
    assert (nifty.lot_size, nifty.group, nifty.near_step) == (65, "INDEX", 50)
    assert facts.underlying(Exchange.NFO, "SENSEX") is None


def test_every_share_underlying_can_be_priced() -> None:
    for each in facts.underlyings():
        assert each.level > 0
        if each.group == "STOCK":
            share = facts.security(Exchange.NSE, each.symbol)
            assert share is not None and share.reference_price is not None


def test_a_freeze_that_is_a_guess_is_not_known() -> None:
    def freeze(exchange: Exchange, name: str, lot: int, *, option: bool = True) -> int | None:
        return facts.freeze_quantity(exchange, name, option=option, lot_size=lot)

    assert freeze(Exchange.NFO, "NIFTY", 65) == 1800
    assert freeze(Exchange.BFO, "SENSEX", 20) == 1000
    assert freeze(Exchange.BFO, "SENSEX", 20, option=False) == 500
    assert freeze(Exchange.BFO, "FOCIT", 45) is None
    assert freeze(Exchange.NFO, "KOTAKBANK", 2000) is None
    assert freeze(Exchange.NFO, "UNHEARD", 1) is None
    assert freeze(Exchange.MCX, "CRUDEOIL", 1) == 100
    assert freeze(Exchange.MCX, "CRUDEOIL", 100) == 10_000
    assert freeze(Exchange.CDS, "USDINR", 1000) == 10_000_000


def test_the_worth_of_a_point_follows_how_a_master_counts() -> None:
    assert facts.contract_value(Exchange.MCX, "GOLD", 1) == 100
    assert facts.contract_value(Exchange.MCX, "GOLD", 100) == 1
    assert facts.contract_value(Exchange.NFO, "NIFTY", 65) == 1
    assert facts.contract_value(Exchange.MCX, "UNHEARD", 5) == 1


def test_an_index_is_known_by_each_of_its_names() -> None:
    for spelling in ("NIFTY 50", "Nifty 50", "26000", "NIFTY"):
        assert facts.index_symbol(Exchange.NSE_INDEX, spelling) == "NIFTY"
    assert facts.index_symbol(Exchange.NSE_INDEX, "unheard", "INDIA VIX") == "INDIAVIX"
    assert facts.index_symbol(Exchange.BSE_INDEX, "SNSX50") == "SENSEX50"
    assert facts.index_symbol(Exchange.BSE_INDEX, "26000") is None

"""Which option an offset names, where underlyings are quoted, and the synthetic future."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BadResponse, InstrumentNotFound, InvalidRequest, NotFound
from domain.model import Exchange, Instrument, InstrumentKind
from services.market_data import MarketData
from services.options import Options, at_the_money
from tests.services.market_world import (
    MarketBroker,
    Masters,
    OneFeed,
    StandingClock,
    caller,
    cash,
    chain,
    dated,
)

EXPIRY, LATER = date(2026, 12, 1), date(2026, 12, 29)
CALL, PUT = InstrumentKind.CALL, InstrumentKind.PUT
LISTED = [
    cash("NIFTY", Exchange.NSE_INDEX, "0.05"),
    cash("SENSEX", Exchange.BSE_INDEX, "0.05"),
    cash("M&M"),
    *chain("NIFTY", EXPIRY, range(23000, 25500, 50)),
    *chain("SENSEX", EXPIRY, range(76000, 79000, 100), Exchange.BFO, 20),
    *chain("M&M", LATER, (3300, 3350, 3400, 3450), lot=200),
    *chain("CRUDEOIL", date(2026, 12, 16), range(5000, 6500, 50), Exchange.MCX, 100),
    dated("CRUDEOIL", InstrumentKind.FUTURE, date(2026, 11, 23), exchange=Exchange.MCX, lot=100, tick="1"),
    dated("CRUDEOIL", InstrumentKind.FUTURE, date(2026, 12, 18), exchange=Exchange.MCX, lot=100, tick="1"),
    dated("CRUDEOILM", InstrumentKind.FUTURE, date(2026, 12, 1), exchange=Exchange.MCX, lot=10, tick="1"),
]


class Desk:
    def __init__(self, listed: list[Instrument] | None = None) -> None:
        self.clock = StandingClock()
        self.broker = MarketBroker(self.clock)
        masters, feed = Masters.of(listed or LISTED), OneFeed(self.broker)
        self.market = MarketData(masters, feed, self.clock)
        self.service = Options(masters, feed, self.market)

    def at(self, symbol: str, exchange: Exchange, price: float) -> None:
        """Fix a last price."""
        quote = self.market.quote(caller(), symbol, exchange)
        self.broker.overrides[symbol] = replace(quote, last_price=price)


def chosen(desk: Desk, offset: str, kind: InstrumentKind, **more: object) -> str:
    found = desk.service.choose(caller(), "NIFTY", Exchange.NSE_INDEX, offset, kind, expiry=EXPIRY, **more)  # type: ignore[arg-type]
    return found.instrument.symbol


@pytest.mark.parametrize(
    ("offset", "kind", "symbol"),
    [
        ("ATM", CALL, "NIFTY01DEC2624000CE"),
        ("atm", PUT, "NIFTY01DEC2624000PE"),
        ("ITM2", CALL, "NIFTY01DEC2623900CE"),
        ("ITM2", PUT, "NIFTY01DEC2624100PE"),
        ("OTM5", CALL, "NIFTY01DEC2624250CE"),
        ("otm5", PUT, "NIFTY01DEC2623750PE"),
    ],
)
def test_offsets_walk_the_listed_strikes(offset: str, kind: InstrumentKind, symbol: str) -> None:
    desk = Desk()
    desk.at("NIFTY", Exchange.NSE_INDEX, 24020.0)
    assert chosen(desk, offset, kind) == symbol


def test_between_two_strikes_the_lower_is_at_the_money() -> None:
    desk = Desk()
    desk.at("NIFTY", Exchange.NSE_INDEX, 24025.0)
    assert chosen(desk, "ATM", CALL) == "NIFTY01DEC2624000CE"


def test_arithmetic_strikes_when_a_step_is_given() -> None:
    desk = Desk()
    desk.at("NIFTY", Exchange.NSE_INDEX, 24160.0)
    assert chosen(desk, "OTM1", CALL, strike_step=100) == "NIFTY01DEC2624300CE"
    with pytest.raises(NotFound, match="24310"):
        chosen(desk, "OTM1", CALL, strike_step=130)


def test_beyond_the_list_and_bad_offsets_are_refused() -> None:
    desk = Desk()
    desk.at("NIFTY", Exchange.NSE_INDEX, 25400.0)
    with pytest.raises(InvalidRequest, match="OTM9 lies beyond"):
        chosen(desk, "OTM9", CALL)
    for offset in ("FOO", "ITM0", "ITM51", "ITMx", "ATM1", "OTM"):
        with pytest.raises(InvalidRequest, match="offset must be"):
            chosen(desk, offset, CALL)


@pytest.mark.parametrize(
    ("text", "exchange", "symbol", "quoted", "options"),
    [
        ("NIFTY", Exchange.NSE_INDEX, "NIFTY", "NSE_INDEX", "NFO"),
        ("NIFTY", Exchange.NFO, "NIFTY", "NSE_INDEX", "NFO"),
        ("NIFTY01DEC26FUT", Exchange.NFO, "NIFTY", "NSE_INDEX", "NFO"),
        ("m&m29dec26", Exchange.NFO, "M&M", "NSE", "NFO"),
        ("M&M", Exchange.NSE, "M&M", "NSE", "NFO"),
        ("SENSEX", Exchange.BFO, "SENSEX", "BSE_INDEX", "BFO"),
        ("CRUDEOIL18DEC26FUT", Exchange.MCX, "CRUDEOIL18DEC26FUT", "MCX", "MCX"),
    ],
)
def test_where_an_underlying_is_quoted(
    text: str, exchange: Exchange, symbol: str, quoted: str, options: str
) -> None:
    found = Desk().service.underlying(caller(), text, exchange)
    assert (found.symbol, found.exchange, found.options_exchange) == (symbol, quoted, options)


def test_a_commodity_is_quoted_by_the_future_that_outlives_its_options() -> None:
    service = Desk().service
    assert service.underlying(caller(), "CRUDEOIL", Exchange.MCX).symbol == "CRUDEOIL23NOV26FUT"
    found = service.underlying(caller(), "CRUDEOIL", Exchange.MCX, date(2026, 12, 16))
    assert found.symbol == "CRUDEOIL18DEC26FUT"
    with pytest.raises(NotFound, match="COTTON"):
        service.underlying(caller(), "COTTON", Exchange.MCX)


def test_an_expiry_given_beats_an_embedded_one() -> None:
    found = Desk().service.underlying(caller(), "NIFTY29DEC26FUT", Exchange.NFO, EXPIRY)
    assert (found.base, found.expiry) == ("NIFTY", EXPIRY)


def test_what_is_missing_is_named() -> None:
    desk = Desk()
    with pytest.raises(InvalidRequest, match="expiry_date"):
        desk.service.choose(caller(), "NIFTY", Exchange.NSE_INDEX, "ATM", CALL)
    with pytest.raises(NotFound, match="No CE strikes of NIFTY for 29DEC26"):
        desk.service.choose(caller(), "NIFTY", Exchange.NSE_INDEX, "ATM", CALL, expiry=LATER)
    with pytest.raises(InstrumentNotFound, match="GHOST"):
        desk.service.choose(caller(), "GHOST", Exchange.NSE, "ATM", CALL, expiry=LATER)
    with pytest.raises(InvalidRequest, match="not an underlying"):
        desk.service.underlying(caller(), "NIF TY", Exchange.NFO)
    with pytest.raises(NotFound, match="perpetual"):
        desk.service.underlying(caller(), "BTC", Exchange.CRYPTO)
    desk.at("NIFTY", Exchange.NSE_INDEX, 0.0)
    with pytest.raises(BadResponse, match="No last price"):
        chosen(desk, "ATM", CALL)


def test_the_synthetic_future_is_the_simulated_future() -> None:
    """Put-call parity of the market itself: both premiums are rounded to the tick."""
    future = dated("NIFTY", InstrumentKind.FUTURE, EXPIRY)
    desk = Desk([*LISTED, future])
    found = desk.service.synthetic(caller(), "NIFTY", Exchange.NSE_INDEX, EXPIRY)
    assert found.price == pytest.approx(
        desk.market.quote(caller(), future.symbol, "NFO").last_price, abs=0.15
    )
    assert abs(float(found.strike) - found.underlying_price) <= 25


def test_a_synthetic_future_needs_both_prices() -> None:
    desk = Desk()
    desk.at("NIFTY", Exchange.NSE_INDEX, 24000.0)
    desk.broker.hidden.add("NIFTY01DEC2624000PE")
    with pytest.raises(BadResponse, match="NIFTY01DEC2624000PE"):
        desk.service.synthetic(caller(), "NIFTY", Exchange.NSE_INDEX, EXPIRY)


@given(
    strikes=st.lists(st.integers(1, 10_000), min_size=1, max_size=60, unique=True).map(sorted),
    price=st.floats(0.5, 11_000),
)
def test_at_the_money_is_nearest(strikes: list[int], price: float) -> None:
    found = at_the_money([Decimal(strike) for strike in strikes], price)
    assert all(abs(strikes[found] - price) <= abs(strike - price) for strike in strikes)
